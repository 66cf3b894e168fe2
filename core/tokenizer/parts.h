// SPDX-License-Identifier: GPL-3.0-or-later
// What a tokenizer is made of, whichever file it came from: parts_json.cpp, parts_gguf.cpp and parts_sentencepiece.cpp
// read them, `makeTokenizer` checks them and builds the tokenizer. Public only to this folder and its tests.
#pragma once

#include "core/base/json.h"
#include "core/checkpoint/gguf_metadata.h"
#include "core/tokenizer/added_tokens.h"
#include "core/tokenizer/decoder.h"
#include "core/tokenizer/normalizer.h"
#include "core/tokenizer/pre_tokenizer.h"
#include "core/tokenizer/tokenizer.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace bw {

/// Ids above this are refused: ten times the largest vocabulary in use, and tables stay below a few hundred MB.
inline constexpr TokenId kMaxTokenId = (1 << 22) - 1;
/// More merges than this are refused.
inline constexpr std::size_t kMaxMerges = std::size_t{1} << 22;

enum class ModelKind {
    byteLevelBpe, ///< ranked merges of GPT-2's byte symbols
    characterBpe, ///< ranked merges of characters, with tokens for bytes
    scoredBpe,    ///< SentencePiece BPE: what makes the token of highest score is merged first
    unigram,      ///< SentencePiece unigram: the most probable cut
};

struct TokenizerParts {
    std::string source; ///< "model/tokenizer.json", for errors
    ModelKind kind = ModelKind::byteLevelBpe;
    std::vector<std::pair<std::string, TokenId>> vocabulary; ///< text and id, without or with the added tokens
    std::vector<double> scores;                              ///< of the vocabulary, for the two SentencePiece kinds
    std::vector<std::pair<std::string, TokenId>> decodeOnly; ///< ids that text never becomes; texts may repeat
    std::vector<std::pair<std::string, std::string>> merges; ///< in order of rank
    std::vector<AddedToken> added;
    Normalizer normalizer;
    PreTokenizer preTokenizer;
    Decoder decoder;
    bool laterMergeWins = true; ///< a pair listed twice: tokenizer.json's reader keeps the later, llama.cpp the first
    bool ignoreMerges = false;  ///< a piece that is a token as a whole is not merged
    bool byteFallback = false;  ///< a character without token becomes its bytes' tokens, if all are there
    bool fuseUnknown = false;   ///< one unknown token for a run of unknown characters
    std::string unknown;        ///< token for characters without one; empty: they are dropped
    /// SentencePiece's user-defined pieces, never cut (scores do not count for them); may be null.
    std::shared_ptr<const AddedTokens> frozen;
    bool singlePrecision = false;        ///< unigram: scores are summed as SentencePiece does, in f32
    double lowestScore = 0;              ///< unigram: an unknown character costs 10 more than this
    std::vector<TokenId> notInText;      ///< ids of `vocabulary` that the model never makes (control and byte tokens)
    std::vector<TokenId> prefix, suffix; ///< what the template puts around a text
    TokenId bos = -1, eos = -1;
    std::int64_t embeddingRows = -1; ///< −1: not known, not compared with the ids
};

/// @param json a parsed tokenizer.json. @param config tokenizer_config.json, or null when there is none.
/// @throws Error unsupportedTokenizer (names the part), invalidTokenizer.
TokenizerParts partsFromJson(const Json& json, const Json& config, const std::string& source);
/// From `tokenizer.ggml.*`. @throws as partsFromJson.
TokenizerParts partsFromGguf(const GgufMetadata& metadata, const std::string& source);
/// From SentencePiece's own file. @param model its bytes. @param config as above. @throws as partsFromJson.
TokenizerParts partsFromSentencePiece(std::string_view model, const Json& config, const std::string& source);
/// @throws Error invalidTokenizer: ids out of range or used twice, merges of unknown tokens, scores that are no
/// numbers; vocabularyMismatch.
std::shared_ptr<const Tokenizer> makeTokenizer(TokenizerParts parts);

} // namespace bw
