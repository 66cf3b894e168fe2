// SPDX-License-Identifier: GPL-3.0-or-later
// Integer options of one item, what is efficient among them, and the convex part of that. Private to core/assign.
#pragma once

#include <cstdint>
#include <vector>

namespace bw::detail {

__extension__ using Int128 = __int128;

/// One option in whole numbers: resource taken, objective paid, and its place in the caller's list. |values| ≤ 2^62.
struct IntOption {
    std::int64_t weight = 0, cost = 0;
    int index = 0;
};

/// Options no other beats in both numbers, by rising weight and falling cost; of equals the earlier one stays.
std::vector<IntOption> efficientOptions(std::vector<IntOption> options);

/// The corners of the lower-left convex hull of efficient options: savings per weight fall strictly from step to step.
std::vector<IntOption> convexOptions(const std::vector<IntOption>& efficient);

/// One step along an item's hull: from corner `step` to `step`+1 for `weight` > 0 more, saving `saving` > 0.
struct Increment {
    int item = 0, step = 0;
    std::int64_t weight = 0, saving = 0;
};

/// All steps of all hulls, best saving per weight first; equal ones by item, then step.
std::vector<Increment> sortedIncrements(const std::vector<std::vector<IntOption>>& hulls);

} // namespace bw::detail
