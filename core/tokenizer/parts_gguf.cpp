// SPDX-License-Identifier: GPL-3.0-or-later
// Reads `tokenizer.ggml.*`: the token list with its types, merges, the pre-tokenizer's name, and who stands in front.
#include "core/tokenizer/parts.h"

#include "core/base/error.h"
#include "core/base/text.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace bw {
namespace {

// Values of tokenizer.ggml.token_type.
constexpr std::int64_t kNormal = 1, kUnknownToken = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6;

[[noreturn]] void invalid(const std::string& source, const std::string& what) {
    throw Error(ErrorCode::invalidTokenizer, fmt::format("{}: {}", source, what),
                "the file may be damaged; convert the model again");
}

const GgufArray& requireStrings(const GgufMetadata& metadata, const char* key, const std::string& source) {
    const GgufArray* array = metadata.array(key);
    if (!array) invalid(source, fmt::format("{} is missing", key));
    if (array->element != GgufType::string) invalid(source, fmt::format("{} is no array of strings", key));
    return *array;
}

TokenId idOf(const GgufMetadata& metadata, const char* key, std::size_t tokens, const std::string& source) {
    const auto value = metadata.integer(key);
    if (!value || *value < 0 || *value == 0xFFFFFFFFll) return -1; // converters write 2^32 − 1 for "none"
    if (static_cast<std::uint64_t>(*value) >= tokens)
        invalid(source, fmt::format("{} is {}, but there are {} tokens", key, *value, tokens));
    return static_cast<TokenId>(*value);
}

void readTokens(const GgufMetadata& metadata, BpeParts& parts) {
    const GgufArray& tokens = requireStrings(metadata, "tokenizer.ggml.tokens", parts.source);
    const GgufArray* types = metadata.array("tokenizer.ggml.token_type");
    const std::size_t count = tokens.strings.size();
    if (count > static_cast<std::size_t>(kMaxTokenId) + 1)
        invalid(parts.source, fmt::format("{} tokens; at most {} are allowed", count, kMaxTokenId + 1));
    if (types && types->integers.size() != count)
        invalid(parts.source,
                fmt::format("tokenizer.ggml.token_type has {} entries for {} tokens", types->size(), count));
    parts.vocabulary.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        const auto id = static_cast<TokenId>(i);
        const std::int64_t type = types ? types->integers[i] : kNormal;
        const std::string& text = tokens.strings[i];
        switch (type) {
        case kNormal:
        case kByte:
            parts.vocabulary.emplace_back(text, id);
            break;
        case kUnknownToken:
        case kControl:
        case kUserDefined: {
            AddedToken token;
            token.content = text;
            token.id = id;
            token.special = type != kUserDefined;
            parts.added.push_back(std::move(token));
            break;
        }
        case kUnused:
            parts.decodeOnly.emplace_back(text, id);
            break;
        default:
            invalid(parts.source, fmt::format("token {} has type {}; 1 to 6 are known", id, type));
        }
    }
}

void readMerges(const GgufMetadata& metadata, BpeParts& parts) {
    const GgufArray& merges = requireStrings(metadata, "tokenizer.ggml.merges", parts.source);
    if (merges.strings.size() > kMaxMerges)
        invalid(parts.source, fmt::format("{} merges; at most {} are allowed", merges.strings.size(), kMaxMerges));
    parts.merges.reserve(merges.strings.size());
    for (const std::string& merge : merges.strings) {
        // A left part is never empty, so the separating space is not the first character.
        const std::size_t space = merge.find(' ', 1);
        if (space == std::string::npos || space + 1 == merge.size())
            invalid(parts.source, fmt::format("merge {} '{}' is no pair of tokens", parts.merges.size(),
                                              escapeForDisplay(merge, 60)));
        parts.merges.emplace_back(merge.substr(0, space), merge.substr(space + 1));
    }
}

} // namespace

BpeParts partsFromGguf(const GgufMetadata& metadata, const std::string& source) {
    BpeParts parts;
    parts.source = source;
    const auto model = metadata.text("tokenizer.ggml.model");
    if (!model)
        throw Error(ErrorCode::unsupportedTokenizer, source + ": the file holds no tokenizer (no tokenizer.ggml.model)",
                    "give the model's Hugging Face folder instead");
    if (*model != "gpt2")
        throw Error(ErrorCode::unsupportedTokenizer,
                    fmt::format("{}: tokenizer model '{}' is not implemented", source, escapeForDisplay(*model)),
                    "byte-level BPE (\"gpt2\") tokenizers are read");
    readTokens(metadata, parts);
    readMerges(metadata, parts);
    const std::string pre = metadata.text("tokenizer.ggml.pre").value_or("default");
    try {
        parts.preTokenizer = PreTokenizer::fromGgufName(pre);
    } catch (Error& e) {
        e.add("file", source);
        throw;
    }
    parts.laterMergeWins = false;
    // Llama 3's own tokenizer takes whole words from the vocabulary first; llama.cpp does so under these names.
    constexpr std::array<std::string_view, 3> wholeWords{"llama3", "llama-v3", "llama-bpe"};
    parts.ignoreMerges = std::find(wholeWords.begin(), wholeWords.end(), pre) != wholeWords.end();
    if (metadata.flag("tokenizer.ggml.add_space_prefix").value_or(false))
        throw Error(ErrorCode::unsupportedTokenizer,
                    source + ": tokenizer.ggml.add_space_prefix is not implemented for BPE");
    const std::size_t count = metadata.array("tokenizer.ggml.tokens")->strings.size();
    parts.bos = idOf(metadata, "tokenizer.ggml.bos_token_id", count, source);
    parts.eos = idOf(metadata, "tokenizer.ggml.eos_token_id", count, source);
    if (metadata.flag("tokenizer.ggml.add_bos_token").value_or(false) && parts.bos >= 0) parts.prefix = {parts.bos};
    if (metadata.flag("tokenizer.ggml.add_eos_token").value_or(false) && parts.eos >= 0) parts.suffix = {parts.eos};
    return parts;
}

} // namespace bw
