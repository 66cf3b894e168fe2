// SPDX-License-Identifier: GPL-3.0-or-later
// What branch and bound decides: the items that the relaxation's prices do not fix, as deviations from its break
// choice. Private to core/assign.
#pragma once

#include "core/assign/hull.h"

#include <cstddef>
#include <limits>

namespace bw::detail {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// An item of the core, or several that are alike: which of these takes what makes no difference, only how many do.
struct CoreItem {
    std::vector<int> items;         ///< rising
    std::vector<IntOption> moves;   ///< by rising weight, relative to the break choice; index: see place()
    std::vector<std::vector<int>> counts; ///< of items alike: how many take each position, by IntOption::index
    double up = 0;                  ///< most saved per extra weight by a heavier option (0: none)
    double down = kInfinity;        ///< least paid per weight freed by a lighter option

    /// Writes what the move means into the items' positions in their efficient lists: earlier items get the heavier
    /// ones.
    void place(std::int32_t move, std::vector<int>& position) const;
};

/// Position of the option with this index in an efficient list that has it.
int positionOf(const std::vector<IntOption>& efficient, int index);

/// Items with equal keys and equal weights and costs, each class by rising item, classes by their first item.
std::vector<std::vector<int>> classesOf(const std::vector<std::vector<IntOption>>& efficient,
                                        const std::vector<std::size_t>& key);

/// Appends what a class may still decide: the options whose reduced costs at `price` (cost per weight) do not exceed
/// `slack` together. Classes that would have too many choices are appended item by item.
/// @param efficient of any item of the class; `position`: break positions of all items.
void addCore(std::vector<CoreItem>& core, const std::vector<int>& items, const std::vector<IntOption>& efficient,
             const std::vector<int>& position, double price, double slack);

/// Nearest to the price first, in turn one that can grow and one that can shrink, so that early layers can fill the
/// capacity exactly from either side. Items with nothing to decide are left out.
std::vector<CoreItem> orderedCore(std::vector<CoreItem> core);

} // namespace bw::detail
