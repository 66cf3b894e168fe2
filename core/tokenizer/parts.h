// SPDX-License-Identifier: GPL-3.0-or-later
// What a byte-level BPE tokenizer is made of, whichever file it came from. `parts_json.cpp` and `parts_gguf.cpp` read
// them, `makeByteLevelBpe` checks them and builds the tokenizer. Public only to this folder and its tests.
#pragma once

#include "core/base/json.h"
#include "core/checkpoint/gguf_metadata.h"
#include "core/tokenizer/added_tokens.h"
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

struct BpeParts {
    std::string source;                                      ///< "model/tokenizer.json", for errors
    std::vector<std::pair<std::string, TokenId>> vocabulary; ///< symbols and id, without or with the added tokens
    std::vector<std::pair<std::string, TokenId>> decodeOnly; ///< ids that text never becomes; texts may repeat
    std::vector<std::pair<std::string, std::string>> merges; ///< in order of rank
    std::vector<AddedToken> added;
    PreTokenizer preTokenizer;
    bool laterMergeWins = true; ///< a pair listed twice: tokenizer.json's reader keeps the later, llama.cpp the first
    bool ignoreMerges = false;  ///< a piece that is a token as a whole is not merged
    bool fuseUnknown = false;   ///< one unknown token for a run of unknown bytes
    std::string unknown;        ///< token for bytes without symbol; empty: they are dropped
    std::vector<TokenId> prefix, suffix; ///< what the template puts around a text
    TokenId bos = -1, eos = -1;
    std::int64_t embeddingRows = -1; ///< −1: not known, not compared with the ids
};

/// @param json a parsed tokenizer.json. @param config tokenizer_config.json, or null when there is none.
/// @throws Error unsupportedTokenizer (names the part), invalidTokenizer.
BpeParts partsFromJson(const Json& json, const Json& config, const std::string& source);
/// From `tokenizer.ggml.*`. @throws as partsFromJson.
BpeParts partsFromGguf(const GgufMetadata& metadata, const std::string& source);
/// @throws Error invalidTokenizer: ids out of range or used twice, merges of unknown tokens; vocabularyMismatch.
std::shared_ptr<const Tokenizer> makeByteLevelBpe(BpeParts parts);

} // namespace bw
