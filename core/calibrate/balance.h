// SPDX-License-Identifier: GPL-3.0-or-later
// Calibration windows for mixtures of experts: of a larger pool those are taken that bring every expert to a floor of tokens.
// Not for: what is done about experts that still see too little (core/sensitivity/experts.h).
#pragma once

#include "core/model/walk.h"

#include <vector>

namespace bw {

/// Tokens of every window that were routed to every expert of every block.
struct RoutingCounts {
    std::int64_t windows = 0, experts = 0;     ///< experts of all blocks together
    std::vector<std::uint32_t> tokens;         ///< windows × experts
    std::uint32_t at(std::int64_t window, std::int64_t expert) const { return tokens[static_cast<std::size_t>(window * experts + expert)]; }
};

/// One forward walk over the pool that only counts. No experts: a model without a mixture. @throws as walkBlocks().
RoutingCounts countRouting(const Model& model, const Windows& pool, JobContext& job);

/// `samples` windows of the pool, rising: each next one is that which adds most tokens to experts still below `floor`
/// (the sum of min(tokens, floor) is submodular, so that this greedy choice reaches at least 63 % of the best possible:
/// Nemhauser, Wolsey and Fisher 1978); when none adds any, the rest is spread evenly over the pool.
/// Cost: samples × pool × experts additions at most.
std::vector<std::int64_t> chooseBalanced(const RoutingCounts& counts, std::int64_t samples, std::int64_t floor, JobContext& job);

} // namespace bw
