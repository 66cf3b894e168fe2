// SPDX-License-Identifier: GPL-3.0-or-later
// Reads `tokenizer.ggml.*`: the token list with its types and scores, merges, the pre-tokenizer's name, and who stands
// in front. Kinds "gpt2", "llama" and "t5". Where a key is missing, what llama.cpp takes is taken.
#include "core/tokenizer/parts.h"

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/tokenizer/gguf_pre_tokenizers.h"

#include <algorithm>
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

/// Tokens with their types. For SentencePiece kinds `notInText` gets what the text never becomes.
void readTokens(const GgufMetadata& metadata, TokenizerParts& parts) {
    const GgufArray& tokens = requireStrings(metadata, "tokenizer.ggml.tokens", parts.source);
    const GgufArray* types = metadata.array("tokenizer.ggml.token_type");
    const std::size_t count = tokens.strings.size();
    if (count > static_cast<std::size_t>(kMaxTokenId) + 1)
        invalid(parts.source, fmt::format("{} tokens; at most {} are allowed", count, kMaxTokenId + 1));
    if (types && types->integers.size() != count)
        invalid(parts.source,
                fmt::format("tokenizer.ggml.token_type has {} entries for {} tokens", types->size(), count));
    const bool scored = parts.kind != ModelKind::byteLevelBpe;
    parts.vocabulary.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        const auto id = static_cast<TokenId>(i);
        const std::int64_t type = types ? types->integers[i] : kNormal;
        const std::string& text = tokens.strings[i];
        if (type < kNormal || type > kByte)
            invalid(parts.source, fmt::format("token {} has type {}; 1 to 6 are known", id, type));
        if (type == kUnknownToken || type == kControl || type == kUserDefined) {
            AddedToken token;
            token.content = text;
            token.id = id;
            token.special = type != kUserDefined;
            parts.added.push_back(std::move(token));
        }
        if (type == kUnused && !scored) {
            parts.decodeOnly.emplace_back(text, id);
        } else {
            // Merges can make control tokens too.
            parts.vocabulary.emplace_back(text, id);
            if (parts.kind == ModelKind::unigram && (type == kControl || type == kUnknownToken || type == kByte))
                parts.notInText.push_back(id);
        }
    }
}

/// Scores, one a token; none at all mean 0 for each.
void readScores(const GgufMetadata& metadata, TokenizerParts& parts) {
    const std::size_t count = parts.vocabulary.size();
    parts.scores.assign(count, 0.0);
    const GgufArray* scores = metadata.array("tokenizer.ggml.scores");
    if (!scores) return;
    if (scores->size() != count || scores->reals.size() + scores->integers.size() != count)
        invalid(parts.source, fmt::format("tokenizer.ggml.scores has {} numbers for {} tokens", scores->size(), count));
    for (std::size_t i = 0; i < count; ++i)
        parts.scores[i] = scores->reals.empty() ? static_cast<double>(scores->integers[i]) : scores->reals[i];
}

void readMerges(const GgufMetadata& metadata, TokenizerParts& parts) {
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

void readBytePairs(const GgufMetadata& metadata, TokenizerParts& parts, bool& addBos) {
    readTokens(metadata, parts);
    readMerges(metadata, parts);
    const std::string pre = metadata.text("tokenizer.ggml.pre").value_or("default");
    try {
        GgufPreTokenizer named = ggufPreTokenizer(pre);
        parts.preTokenizer = std::move(named.preTokenizer);
        parts.ignoreMerges = named.wholeWordsFirst;
        addBos = named.addBos;
    } catch (Error& e) {
        e.add("file", parts.source);
        throw;
    }
    parts.laterMergeWins = false;
    parts.decoder = Decoder({{.kind = Decoder::Kind::byteLevel}});
    if (metadata.flag("tokenizer.ggml.add_space_prefix").value_or(false))
        throw Error(ErrorCode::unsupportedTokenizer,
                    parts.source + ": tokenizer.ggml.add_space_prefix is not implemented for byte-level BPE");
}

/// Spaces are U+2581 in the tokens of both SentencePiece kinds; the one put in front goes when text is written.
void setSentencePieceDecoder(TokenizerParts& parts, bool addSpace) {
    using Kind = Decoder::Kind;
    std::vector<Decoder::Step> steps{{.kind = Kind::replace, .pattern = "\u2581", .content = " "},
                                     {.kind = Kind::byteFallback},
                                     {.kind = Kind::fuse}};
    if (addSpace) steps.push_back({.kind = Kind::strip, .content = " ", .start = 1});
    parts.decoder = Decoder(std::move(steps));
}

void readScoredBpe(const GgufMetadata& metadata, TokenizerParts& parts) {
    readTokens(metadata, parts);
    readScores(metadata, parts);
    parts.byteFallback = true;
    const bool addSpace = metadata.flag("tokenizer.ggml.add_space_prefix").value_or(true);
    std::vector<Normalizer::Step> steps;
    if (addSpace) steps.push_back({.kind = Normalizer::Kind::prepend, .content = " "});
    steps.push_back({.kind = Normalizer::Kind::replace, .pattern = " ", .content = "\u2581"});
    parts.normalizer = Normalizer(std::move(steps));
    setSentencePieceDecoder(parts, addSpace);
    // Phi-3's files do not say that its markers take the space behind them; llama.cpp goes by the model's name.
    std::string name = metadata.text("general.name").value_or("");
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    if (name.find("phi-3") == std::string::npos && name.find("phi3") == std::string::npos) return;
    for (AddedToken& token : parts.added)
        token.stripRight = token.content != "<unk>" && token.content != "<s>" && token.content != "<|endoftext|>";
}

void readUnigram(const GgufMetadata& metadata, TokenizerParts& parts) {
    readTokens(metadata, parts);
    readScores(metadata, parts);
    parts.fuseUnknown = true;
    const GgufArray* types = metadata.array("tokenizer.ggml.token_type");
    bool any = false;
    for (std::size_t i = 0; i < parts.vocabulary.size(); ++i) {
        const std::int64_t type = types ? types->integers[i] : kNormal;
        if (type == kUserDefined) parts.scores[i] = 0; // likelier than any cut of it
        if (type != kNormal) continue;
        parts.lowestScore = any ? std::min(parts.lowestScore, parts.scores[i]) : parts.scores[i];
        any = true;
    }
    SentencePieceRules rules;
    rules.removeExtraSpaces = metadata.flag("tokenizer.ggml.remove_extra_whitespaces").value_or(false);
    // llama.cpp puts a space in front of every word when it joins spaces, the first one included.
    rules.addPrefix = metadata.flag("tokenizer.ggml.add_space_prefix").value_or(false) || rules.removeExtraSpaces;
    rules.prefixWordsOnly = true;
    if (const GgufArray* map = metadata.array("tokenizer.ggml.precompiled_charsmap"); map && map->size() > 0) {
        if (map->integers.size() != map->size())
            invalid(parts.source, "tokenizer.ggml.precompiled_charsmap is no array of bytes");
        std::string bytes;
        for (const std::int64_t byte : map->integers) bytes.push_back(static_cast<char>(byte & 0xFF));
        rules.charsmap = std::make_shared<const Charsmap>(bytes);
    }
    const bool addSpace = rules.addPrefix;
    parts.normalizer = Normalizer({{.kind = Normalizer::Kind::sentencePiece, .rules = std::move(rules)}});
    setSentencePieceDecoder(parts, addSpace);
}

} // namespace

TokenizerParts partsFromGguf(const GgufMetadata& metadata, const std::string& source) {
    TokenizerParts parts;
    parts.source = source;
    const auto model = metadata.text("tokenizer.ggml.model");
    if (!model)
        throw Error(ErrorCode::unsupportedTokenizer, source + ": the file holds no tokenizer (no tokenizer.ggml.model)",
                    "give the model's Hugging Face folder instead");
    bool addBos = false, addEos = false;
    std::int64_t bos = -1, eos = -1, unknown = -1; // what llama.cpp takes when the file names none
    if (*model == "gpt2") {
        readBytePairs(metadata, parts, addBos);
    } else if (*model == "llama") {
        parts.kind = ModelKind::scoredBpe;
        readScoredBpe(metadata, parts);
        addBos = true;
        bos = 1, eos = 2, unknown = 0;
    } else if (*model == "t5") {
        parts.kind = ModelKind::unigram;
        readUnigram(metadata, parts);
        addEos = true;
        eos = 1, unknown = 2;
    } else {
        throw Error(
            ErrorCode::unsupportedTokenizer,
            fmt::format("{}: tokenizer.ggml.model '{}' is not implemented", source, escapeForDisplay(*model, 60)),
            "\"gpt2\" (byte-level BPE), \"llama\" (SentencePiece BPE) and \"t5\" (unigram) tokenizers are read");
    }
    const GgufArray& tokens = *metadata.array("tokenizer.ggml.tokens");
    const std::size_t count = tokens.strings.size();
    const auto specialId = [&](const char* key, std::int64_t otherwise) {
        if (metadata.find(key)) return idOf(metadata, key, count, source);
        return otherwise >= 0 && static_cast<std::size_t>(otherwise) < count ? static_cast<TokenId>(otherwise)
                                                                             : TokenId{-1};
    };
    parts.bos = specialId("tokenizer.ggml.bos_token_id", bos);
    parts.eos = specialId("tokenizer.ggml.eos_token_id", eos);
    if (parts.kind != ModelKind::byteLevelBpe) {
        const TokenId id = specialId("tokenizer.ggml.unknown_token_id", unknown);
        if (id >= 0) parts.unknown = tokens.strings[static_cast<std::size_t>(id)];
    }
    if (metadata.flag("tokenizer.ggml.add_bos_token").value_or(addBos) && parts.bos >= 0) parts.prefix = {parts.bos};
    if (metadata.flag("tokenizer.ggml.add_eos_token").value_or(addEos) && parts.eos >= 0) parts.suffix = {parts.eos};
    return parts;
}

} // namespace bw
