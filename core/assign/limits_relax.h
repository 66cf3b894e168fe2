// SPDX-License-Identifier: GPL-3.0-or-later
// The linear relaxation of a knapsack whose groups have capacities besides the total. Private to core/assign.
#pragma once

#include "core/assign/hull.h"

#include <cstddef>

namespace bw::detail {

using Weights = std::vector<std::int64_t>; ///< per group; the last one is that of the items without a group

/// Every step that still fits its group and the total, best saving per weight first.
struct LimitRelaxation {
    std::vector<int> corner;           ///< hull corner of each item after the whole steps
    Weights weight;                    ///< of the whole steps, per group
    std::int64_t total = 0, cost = 0;  ///< of the whole steps
    std::int64_t bound = 0;            ///< with the parts of steps that fill what is left: no choice costs less
    double price = 0;                  ///< saving per weight at which the total is full; 0: it never is
    std::vector<double> groupPrice;    ///< the same of each group in all: its own capacity's and the total's
    std::vector<bool> full;            ///< groups that their own capacity stops
};

/// @param groupOf index into `caps` of each item; Preconditions: least weights fit all capacities.
LimitRelaxation relaxLimits(const std::vector<std::vector<IntOption>>& hulls, const std::vector<Increment>& increments,
                            const std::vector<std::size_t>& groupOf, const Weights& caps, std::int64_t capacity);

} // namespace bw::detail
