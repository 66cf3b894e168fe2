// SPDX-License-Identifier: GPL-3.0-or-later
// The knapsack with capacities of its own for groups of items besides the total. Private to core/assign.
#pragma once

#include "core/assign/knapsack.h"

namespace bw::detail {

/// Total capacity that never binds.
inline constexpr std::int64_t kUnlimited = std::int64_t{1} << 62;

struct LimitedProblem {
    std::vector<std::vector<IntOption>> items;
    std::vector<int> groupOf;               ///< of each item; −1: only the total holds it
    std::vector<std::int64_t> groupCapacity;
    std::int64_t capacity = kUnlimited;
};

struct LimitedResult : KnapsackResult {
    std::vector<double> groupPrices; ///< saving of one more unit of each group's capacity, on top of `price`
};

/// Least cost within all capacities. Where the total does not bind, the groups are solved one by one; where no group
/// binds, as one knapsack; else the relaxation (greedy in order of saving per weight, exact for nested capacities:
/// Federgruen and Groenevelt 1986) gives prices, solving the groups that are full on their own and the rest together
/// gives a first choice, and branch and bound over the items that the prices do not fix, group after group, proves or
/// betters it. Preconditions: each group's least weights fit it, all least weights fit `capacity`. @throws
/// Error(cancelled).
LimitedResult minimiseWithin(const LimitedProblem& problem, std::int64_t maxNodes, JobContext& job);

} // namespace bw::detail
