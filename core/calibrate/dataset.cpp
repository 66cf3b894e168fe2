// SPDX-License-Identifier: GPL-3.0-or-later
// Files to token ids, and the hash that tells one text from another.
#include "core/calibrate/dataset.h"

#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/json.h"
#include "core/base/text.h"
#include "core/calibrate/text_reader.h"

#include <algorithm>
#include <filesystem>

namespace bw {
namespace {

/// 1 GiB of ids; whoever has more text names how much of it to take.
constexpr std::int64_t kMaxTokens = 1ll << 28;
constexpr std::uint64_t kHashPiece = 1 << 20;

void append(std::vector<TokenId>& ids, std::string_view text, const Tokenizer& tokenizer, const std::string& path) {
    const std::vector<TokenId> more = tokenizer.encode(text, false);
    ids.insert(ids.end(), more.begin(), more.end());
    if (static_cast<std::int64_t>(ids.size()) > kMaxTokens)
        throw Error(ErrorCode::usage, "'" + escapeForDisplay(path) + "' has more than " + std::to_string(kMaxTokens) + " tokens",
                    "limit the number of tokens to read");
}

bool enough(const TextData& data, std::int64_t maxTokens) {
    return maxTokens > 0 && static_cast<std::int64_t>(data.ids.size()) >= maxTokens;
}

/// The text of one JSONL line. @throws Error(invalidHeader) naming file and line.
std::string textOfLine(std::string_view line, const std::string& where) {
    const Json object = parseJson(line, where);
    if (object.is_object())
        for (const char* key : {"text", "prompt", "t"})
            if (const auto it = object.find(key); it != object.end() && it->is_string())
                return it->get<std::string>();
    throw Error(ErrorCode::invalidHeader, where + ": no text in this line", "give one object a line with \"text\", \"prompt\" or \"t\"");
}

void readPlain(detail::TextReader& reader, TextData& data, const Tokenizer& tokenizer, std::int64_t maxTokens, JobContext& job) {
    while (!reader.atEnd() && !enough(data, maxTokens)) {
        job.checkpoint();
        const std::uint64_t at = reader.position();
        const std::string_view piece = reader.nextPiece();
        detail::requireText(piece, at, data.path);
        append(data.ids, piece, tokenizer, data.path);
        job.setDone(static_cast<std::int64_t>(reader.position()));
    }
}

void readLines(detail::TextReader& reader, TextData& data, const Tokenizer& tokenizer, std::int64_t maxTokens, JobContext& job) {
    for (std::int64_t line = 1; !reader.atEnd() && !enough(data, maxTokens); ++line) {
        job.checkpoint();
        const std::uint64_t at = reader.position();
        const std::string_view text = reader.nextLine();
        if (text.find_first_not_of(" \t\r") == std::string_view::npos)
            continue;
        detail::requireText(text, at, data.path);
        append(data.ids, textOfLine(text, escapeForDisplay(data.path) + ", line " + std::to_string(line)), tokenizer, data.path);
        job.setDone(static_cast<std::int64_t>(reader.position()));
    }
}

} // namespace

TextData loadText(const std::string& path, const Tokenizer& tokenizer, std::int64_t maxTokens, JobContext& job) {
    detail::TextReader reader(path);
    TextData data;
    data.path = path;
    data.name = std::filesystem::path(path).filename().string();
    data.bytes = reader.size();
    if (reader.size() == 0)
        throw Error(ErrorCode::textTooShort, "'" + escapeForDisplay(path) + "' is empty", "give a text with at least one window of tokens");
    job.beginStage("read " + escapeForDisplay(data.name), static_cast<std::int64_t>(reader.size()), "bytes");
    if (std::filesystem::path(path).extension() == ".jsonl")
        readLines(reader, data, tokenizer, maxTokens, job);
    else
        readPlain(reader, data, tokenizer, maxTokens, job);
    if (maxTokens > 0 && static_cast<std::int64_t>(data.ids.size()) > maxTokens)
        data.ids.resize(static_cast<std::size_t>(maxTokens));
    if (data.ids.empty())
        throw Error(ErrorCode::textTooShort, "'" + escapeForDisplay(path) + "' has no text", "give a text with at least one window of tokens");
    Sha256 hash;
    for (std::uint64_t at = 0; at < reader.size(); at += kHashPiece) {
        job.checkpoint();
        const std::string_view piece = reader.raw(at, kHashPiece);
        hash.update(std::as_bytes(std::span(piece.data(), piece.size())));
        reader.forget(at, piece.size());
    }
    data.sha256 = hash.hex();
    return data;
}

} // namespace bw
