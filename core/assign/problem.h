// SPDX-License-Identifier: GPL-3.0-or-later
// A problem in whole numbers: costs scaled by a power of two, checked for what cannot be solved. Private to
// core/assign.
#pragma once

#include "core/assign/hull.h"
#include "core/assign/solver.h"

namespace bw::detail {

/// `items[i][j]`: weight = bytes, cost = cost·2^exponent rounded, index = j.
/// The exponent is the largest for which Σ of the items' largest |cost| stays ≤ 2^60, so sums are exact and equal costs
/// compare equal whatever the order of adding; rounding costs at most N/2 units of 2^-60 of that sum.
struct IntProblem {
    std::vector<std::vector<IntOption>> items;
    std::vector<int> limitOf; ///< index of each item's limit, −1 without; empty when the problem has none
    int exponent = 0;
};

/// @throws Error(usage) for an item without options or in two limits, Error(nonFinite) for a NaN or infinite cost,
/// Error(validationOverflow) for sizes past 2^60 bytes, Error(infeasibleBudget) for a limit below the smallest mix of
/// its items (saying both bounds); names item and format.
IntProblem toIntegers(const AssignProblem& problem);

/// Index of each item's limit, −1 without. @throws Error(usage) for an item in two limits or that does not exist.
std::vector<int> limitOfItems(const AssignProblem& problem);

/// Bytes (fixedBytes included) and cost of a choice, added in item order.
std::uint64_t choiceBytes(const AssignProblem& problem, const std::vector<int>& choice);
double choiceCost(const AssignProblem& problem, const std::vector<int>& choice);
/// Bytes of a choice in each limit.
std::vector<std::uint64_t> limitUse(const AssignProblem& problem, const std::vector<int>& choice);

/// "76.4 MiB (80111111 bytes)".
std::string sizeText(std::uint64_t bytes);

} // namespace bw::detail
