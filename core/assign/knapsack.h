// SPDX-License-Identifier: GPL-3.0-or-later
// Multiple-choice knapsack in whole numbers: pick one option per item, least total cost with total weight ≤ capacity.
// Private to core/assign; knows neither bytes nor nats.
#pragma once

#include "core/assign/hull.h"
#include "core/base/job.h"

namespace bw::detail {

struct KnapsackResult {
    std::vector<int> choice;                ///< IntOption::index per item
    std::int64_t weight = 0, cost = 0;
    std::int64_t bound = 0;                 ///< no choice within capacity costs less
    std::int64_t nodes = 0;                 ///< partial choices kept by branch and bound
    double price = 0;                       ///< the relaxation's saving of one more unit of capacity
};

/// Bound: the linear relaxation (Lagrange multiplier of its split step). Items that this bound cannot fix are branched
/// on breadth first, nearest to the multiplier first, keeping of the partial choices only those that no other beats in
/// both numbers and whose own bound is not above the best choice known. Of equal costs the lighter choice wins.
/// @param items   each with at least one option; Σ over items of the largest |weight| and |cost| ≤ 2^61.
/// @param maxNodes gives up proving past this many partial choices: `bound` then stays below `cost`.
/// @throws Error(cancelled). Precondition: Σ least weights ≤ capacity.
/// Cost: O(N·M·log(N·M)) and the core's states. Source: the expanding-core scheme of Pisinger 1995 (European Journal of
/// Operational Research 83), with relaxation bounds of Sinha and Zoltners 1979.
KnapsackResult minimise(const std::vector<std::vector<IntOption>>& items, std::int64_t capacity, std::int64_t maxNodes,
                        JobContext& job);

} // namespace bw::detail
