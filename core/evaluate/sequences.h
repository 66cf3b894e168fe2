// SPDX-License-Identifier: GPL-3.0-or-later
// How likely a model finds given continuations: sequences of different lengths walked together, block by block.
#pragma once

#include "core/model/walk.h"

#include <vector>

namespace bw {

/// Tokens from index `from` on are scored, each given all before it; 1 ≤ from < ids.size().
struct TokenSequence {
    std::vector<TokenId> ids;
    std::size_t from = 1;
};

struct SequenceScore {
    double logProbability = 0;       ///< natural, summed over the scored tokens
    bool greedy = true;              ///< every scored token is the likeliest one (of equals the lowest id)
    std::vector<float> tokens;       ///< log-probability of each scored token
};

/// What a caller may look at: the logits that predict scored token `index` of a sequence, and the hidden state (before the final
/// norm, C) that they come from. Called on the walk's thread.
using LogitsVisitor = std::function<void(std::size_t sequence, std::size_t index, std::span<const float> logits, std::span<const float> state)>;

/// In the order given. Sequences longer than the model's context lose tokens at their front, never scored ones.
/// Shorter ones are padded at the end, which no earlier position sees. Cost: one walk over the padded tokens for each group of
/// similar length (≤ 16,384 tokens), heads at scored positions only.
/// @throws Error(usage) for a sequence with nothing to score or whose scored part alone passes the context; as walkBlocks().
std::vector<SequenceScore> scoreSequences(const Model& model, const WeightSource* source, const std::vector<TokenSequence>& sequences,
                                          JobContext& job, const LogitsVisitor& visit = {});

} // namespace bw
