// SPDX-License-Identifier: GPL-3.0-or-later
// What branch and bound decides: the items that the relaxation's prices do not fix, as deviations from its break choice.
// Private to core/assign.
#pragma once

#include "core/assign/hull.h"

#include <limits>

namespace bw::detail {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// One item of the core: its options relative to the break choice.
struct CoreItem {
    int item = 0;
    std::vector<IntOption> moves;   ///< index = position in the efficient list; weight and cost relative to the break option
    double up = 0;                  ///< most saved per extra weight by a heavier option (0: none)
    double down = kInfinity;        ///< least paid per weight freed by a lighter option
};

/// Position of the option with this index in an efficient list that has it.
int positionOf(const std::vector<IntOption>& efficient, int index);

/// The options whose reduced cost at `price` (cost per weight) does not exceed `slack`; the break option always.
CoreItem coreItem(int item, const std::vector<IntOption>& efficient, int breakPosition, double price, double slack);

/// Nearest to the price first, in turn one that can grow and one that can shrink, so that early layers can fill the
/// capacity exactly from either side. Items with nothing to decide are left out.
std::vector<CoreItem> orderedCore(std::vector<CoreItem> core);

} // namespace bw::detail
