// SPDX-License-Identifier: GPL-3.0-or-later
// The tokens that came into question at each scored position, with their probabilities under a model and its baseline, packed
// into a few bytes each. Knows no model; whose tokens they are is TokenScoreRow's affair.
#pragma once

#include "core/compute/device.h"
#include "core/tokenizer/tokenizer.h"

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace bw {

/// How many likeliest tokens of either model are kept.
inline constexpr std::size_t kTopTokens = 3;

struct TopToken {
    TokenId id = 0;
    float probability = 0;     ///< under the model
    float baseProbability = 0; ///< under the baseline; NaN without one
};

/// At most so many come into question at a position.
inline constexpr std::size_t kMostCandidates = 2 * kTopTokens + 1;
/// The kTopTokens likeliest of the model, those of the baseline (may be null) and the token that came, each once, rising; −1 behind
/// the last. @param score, baseScore  what Device::scoreRows said of the position.
std::array<TokenId, kMostCandidates> candidates(const RowScore& score, const RowScore* baseScore, TokenId came);

/// The candidates with their probabilities; the model's likeliest first, of equal ones the smaller id.
/// @param logits, base  of the candidates, in their order (Device::valuesAt); `base` is not read without baseScore.
std::vector<TopToken> topTokens(std::span<const TokenId> candidates, const RowScore& score, std::span<const float> logits, const RowScore* baseScore = nullptr,
                                std::span<const float> base = {});

/// Appends one position: a byte that holds how many tokens follow (bit 7: with a baseline), then for each its id as a LEB128 number and its
/// probabilities as f16, 2 bytes little-endian each. About 25 bytes with a vocabulary of 50,000 and a baseline, at most 50.
/// @param tokens  at most 127, all with a baseline or none.
void packTopTokens(std::span<const TopToken> tokens, std::vector<std::uint8_t>& out);

/// Packed positions, to be looked up by number. Probabilities have 11 bits; below 3e-8 they are 0.
class TopTokenTable {
public:
    TopTokenTable() = default;
    /// Empty when `packed` does not hold exactly `positions` positions: another program wrote it. Cost: a look at each byte.
    TopTokenTable(std::vector<std::uint8_t> packed, std::size_t positions);
    bool empty() const { return starts_.empty(); }
    std::size_t size() const { return starts_.size(); }
    /// @return nothing past the end.
    std::vector<TopToken> at(std::size_t position) const;

private:
    std::vector<std::uint8_t> packed_;
    std::vector<std::uint32_t> starts_;
};

} // namespace bw
