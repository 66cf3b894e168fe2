// SPDX-License-Identifier: GPL-3.0-or-later
// Files to token ids, and the hash that tells one text from another.
#include "core/calibrate/dataset.h"

#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/json.h"
#include "core/base/text.h"
#include "core/calibrate/folder_reader.h"
#include "core/calibrate/text_reader.h"

#include <algorithm>
#include <filesystem>
#include <unordered_set>

namespace bw {
namespace {

/// 1 GiB of ids; whoever has more text names how much of it to take.
constexpr std::int64_t kMaxTokens = 1ll << 28;
constexpr std::uint64_t kHashPiece = 1 << 20;

constexpr std::size_t kMostNamed = 64; ///< skipped files that are listed

/// Tokens of a text as they are read, document by document.
class Collector {
public:
    Collector(TextData& data, const Tokenizer& tokenizer, std::int64_t maxTokens, const TextOptions& options)
        : data_(data), tokenizer_(tokenizer), maxTokens_(maxTokens), options_(options) {
        data_.documents = 0;
        data_.files = 0;
    }
    bool enough() const { return maxTokens_ > 0 && static_cast<std::int64_t>(data_.ids.size()) >= maxTokens_; }
    void begin() { begun_ = data_.ids.size(); }
    void append(std::string_view text) {
        const std::vector<TokenId> more = tokenizer_.encode(text, false);
        data_.ids.insert(data_.ids.end(), more.begin(), more.end());
        if (static_cast<std::int64_t>(data_.ids.size()) > kMaxTokens)
            throw Error(ErrorCode::usage, "'" + escapeForDisplay(data_.path) + "' has more than " + std::to_string(kMaxTokens) + " tokens",
                        "limit the number of tokens to read");
    }
    /// The document is whole; one that is too short is taken back.
    void end() {
        ++data_.documents;
        if (static_cast<std::int64_t>(data_.ids.size() - begun_) < options_.minTokens) {
            data_.ids.resize(begun_);
            ++data_.tooShort;
            return;
        }
        if (data_.ids.size() > begun_)
            data_.documentStarts.push_back(static_cast<std::int64_t>(begun_));
    }
    /// Was a document of these bytes there before? Only asked where that leaves it out.
    bool isDuplicate(std::string digest) {
        const bool known = !seen_.insert(std::move(digest)).second;
        data_.duplicates += known ? 1 : 0;
        data_.documents += known ? 1 : 0;
        return known;
    }
    const TextOptions& options() const { return options_; }
    TextData& data() { return data_; }

private:
    TextData& data_;
    const Tokenizer& tokenizer_;
    std::int64_t maxTokens_;
    const TextOptions& options_;
    std::size_t begun_ = 0;
    std::unordered_set<std::string> seen_;
};

/// The member of an object at "a.b"; null when there is none.
const Json* memberAt(const Json& object, std::string_view path) {
    const Json* at = &object;
    while (at->is_object()) {
        const auto whole = at->find(path); // a name may hold dots itself
        if (whole != at->end())
            return &*whole;
        const auto dot = path.find('.');
        const auto found = dot == std::string_view::npos ? at->end() : at->find(path.substr(0, dot));
        if (found == at->end())
            return nullptr;
        at = &*found;
        path.remove_prefix(dot + 1);
    }
    return nullptr;
}

std::string namesIn(const Json& object) {
    std::string names;
    int listed = 0;
    for (const auto& member : object.items()) {
        if (++listed > 12)
            return names + ", …";
        names += (names.empty() ? "" : ", ") + escapeForDisplay(member.key(), 40);
    }
    return names;
}

/// The text of one JSONL line. @throws Error(invalidHeader) naming file and line.
std::string textOfLine(std::string_view line, const std::string& where, const std::string& field) {
    const Json object = parseJson(line, where);
    if (!object.is_object())
        throw Error(ErrorCode::invalidHeader, where + ": no object in this line", "give one object a line, its text in a field");
    if (!field.empty()) {
        const Json* found = memberAt(object, field);
        if (found && found->is_string())
            return found->get<std::string>();
        throw Error(ErrorCode::invalidHeader, where + (found ? ": \"" + escapeForDisplay(field, 80) + "\" is no text" : ": there is no field \"" + escapeForDisplay(field, 80) + "\""),
                    "this line has: " + namesIn(object) + "; name the text's field with --field");
    }
    for (const char* key : {"text", "prompt", "t"})
        if (const auto it = object.find(key); it != object.end() && it->is_string())
            return it->get<std::string>();
    throw Error(ErrorCode::invalidHeader, where + ": no text in this line",
                "give one object a line with \"text\", \"prompt\" or \"t\", or name another field with --field (this line has: " + namesIn(object) + ")");
}

/// One document.
void readPlain(detail::TextReader& reader, Collector& out, JobContext& job, std::int64_t progress) {
    out.begin();
    while (!reader.atEnd() && !out.enough()) {
        job.checkpoint();
        const std::uint64_t at = reader.position();
        const std::string_view piece = reader.nextPiece();
        detail::requireText(piece, at, out.data().path);
        out.append(piece);
        job.setDone(progress + static_cast<std::int64_t>(reader.position()));
    }
    out.end();
}

/// A document each line.
void readLines(detail::TextReader& reader, Collector& out, const std::string& path, JobContext& job, std::int64_t progress) {
    for (std::int64_t line = 1; !reader.atEnd() && !out.enough(); ++line) {
        job.checkpoint();
        const std::uint64_t at = reader.position();
        const std::string_view text = reader.nextLine();
        if (text.find_first_not_of(" \t\r") == std::string_view::npos)
            continue;
        detail::requireText(text, at, path);
        const std::string document = textOfLine(text, escapeForDisplay(path) + ", line " + std::to_string(line), out.options().field);
        if (out.options().deduplicate && out.isDuplicate(sha256Hex(document)))
            continue;
        out.begin();
        out.append(document);
        out.end();
        job.setDone(progress + static_cast<std::int64_t>(reader.position()));
    }
}

std::string digestOf(const detail::TextReader& reader, JobContext& job) {
    Sha256 hash;
    for (std::uint64_t at = 0; at < reader.size(); at += kHashPiece) {
        job.checkpoint();
        const std::string_view piece = reader.raw(at, kHashPiece);
        hash.update(std::as_bytes(std::span(piece.data(), piece.size())));
        reader.forget(at, piece.size());
    }
    return hash.hex();
}

bool isLines(const std::string& path) { return std::filesystem::path(path).extension() == ".jsonl"; }

bool isFolder(const std::string& path) {
    std::error_code ignored;
    return std::filesystem::is_directory(path, ignored);
}

/// Calls use(file, reader, digest, progress) for each text file of a folder; files that are no text are noted. Returns the folder's digest.
template <class Use>
std::string eachFile(const std::string& folder, const std::vector<std::string>& include, TextData& data, JobContext& job, Use use) {
    detail::FolderFiles found = detail::listFolder(folder, include, job);
    std::uint64_t total = 0;
    for (const detail::FolderFile& file : found.files)
        total += file.bytes;
    data.bytes = 0;
    data.files = 0;
    job.beginStage("read " + escapeForDisplay(data.name), static_cast<std::int64_t>(total), "bytes");
    Sha256 hash;
    std::uint64_t done = 0;
    for (const detail::FolderFile& file : found.files) {
        job.checkpoint();
        try {
            detail::TextReader reader(file.path);
            if (!isLines(file.path)) // lines are looked at one by one
                detail::requireText(reader.raw(0, reader.size()), 0, file.path);
            const std::string digest = digestOf(reader, job);
            const std::string line = digest + "  " + file.below + "\n";
            hash.update(std::as_bytes(std::span(line.data(), line.size())));
            data.bytes += reader.size();
            ++data.files;
            use(file, reader, digest, static_cast<std::int64_t>(done));
        } catch (const Error& e) {
            if (isLines(file.path) || (e.code() != ErrorCode::binaryText && e.code() != ErrorCode::permissionDenied && e.code() != ErrorCode::fileNotFound))
                throw;
            found.skipped.push_back(file.below + (e.code() == ErrorCode::binaryText ? ": no text" : ": can't be read"));
        }
        done += file.bytes;
        job.setDone(static_cast<std::int64_t>(done));
    }
    data.skippedFiles = static_cast<std::int64_t>(found.skipped.size());
    data.skipped.assign(found.skipped.begin(), found.skipped.begin() + static_cast<std::ptrdiff_t>(std::min(found.skipped.size(), kMostNamed)));
    return hash.hex();
}

void readFolder(Collector& out, JobContext& job) {
    TextData& data = out.data();
    data.sha256 = eachFile(data.path, out.options().include, data, job, [&](const detail::FolderFile& file, detail::TextReader& reader, const std::string& digest, std::int64_t progress) {
        if (out.enough())
            return;
        if (isLines(file.path))
            readLines(reader, out, file.path, job, progress);
        else if (!out.options().deduplicate || !out.isDuplicate(digest))
            readPlain(reader, out, job, progress);
    });
    if (data.files == 0)
        throw Error(ErrorCode::textTooShort, "the folder '" + escapeForDisplay(data.path) + "' has no text files" +
                        (data.skippedFiles > 0 ? " (" + std::to_string(data.skippedFiles) + " were left out: " + escapeForDisplay(data.skipped.front(), 120) + ")" : std::string()),
                    out.options().include.empty() ? "name a folder of texts or source files; hidden files are passed over" : "check --include: its globs are held against a file's name, or its path when they hold a '/'");
}

void requireSomething(const TextData& data, const TextOptions& options) {
    if (!data.ids.empty())
        return;
    if (data.tooShort > 0)
        throw Error(ErrorCode::textTooShort, "'" + escapeForDisplay(data.path) + "': none of " + std::to_string(data.documents) + " documents has " + std::to_string(options.minTokens) + " tokens",
                    "lower --min-length or give longer texts");
    throw Error(ErrorCode::textTooShort, "'" + escapeForDisplay(data.path) + "' has no text", "give a text with at least one window of tokens");
}

} // namespace

TextData loadText(const std::string& path, const Tokenizer& tokenizer, std::int64_t maxTokens, JobContext& job, const TextOptions& options) {
    TextData data;
    data.path = path;
    const std::filesystem::path named(path);
    data.name = (named.has_filename() ? named.filename() : named.parent_path().filename()).string();
    Collector out(data, tokenizer, maxTokens, options);
    data.documentUnit = isFolder(path) ? "file or line" : isLines(path) ? "line" : "file";
    if (isFolder(path)) {
        readFolder(out, job);
    } else {
        detail::TextReader reader(path);
        data.bytes = reader.size();
        data.files = 1;
        if (reader.size() == 0)
            throw Error(ErrorCode::textTooShort, "'" + escapeForDisplay(path) + "' is empty", "give a text with at least one window of tokens");
        job.beginStage("read " + escapeForDisplay(data.name), static_cast<std::int64_t>(reader.size()), "bytes");
        if (isLines(path))
            readLines(reader, out, path, job, 0);
        else
            readPlain(reader, out, job, 0);
        data.sha256 = digestOf(reader, job);
    }
    if (maxTokens > 0 && static_cast<std::int64_t>(data.ids.size()) > maxTokens)
        data.ids.resize(static_cast<std::size_t>(maxTokens));
    if (!isFolder(path) && !isLines(path))
        data.documentStarts.clear(); // one file, one document: its paragraphs are looked for where they matter
    requireSomething(data, options);
    return data;
}

std::string textDigest(const std::string& path, const TextOptions& options, JobContext& job) {
    if (!isFolder(path))
        return digestOf(detail::TextReader(path), job);
    TextData data;
    data.path = data.name = path;
    return eachFile(path, options.include, data, job, [](const detail::FolderFile&, detail::TextReader&, const std::string&, std::int64_t) {});
}

} // namespace bw
