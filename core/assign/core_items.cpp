// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/assign/core_items.h"

#include <algorithm>

namespace bw::detail {

int positionOf(const std::vector<IntOption>& efficient, int index) {
    const auto it = std::find_if(efficient.begin(), efficient.end(), [index](const IntOption& o) { return o.index == index; });
    return static_cast<int>(it - efficient.begin());
}

CoreItem coreItem(int item, const std::vector<IntOption>& efficient, int breakPosition, double price, double slack) {
    CoreItem core;
    core.item = item;
    const IntOption& origin = efficient[static_cast<std::size_t>(breakPosition)];
    for (std::size_t p = 0; p < efficient.size(); ++p) {
        const std::int64_t dw = efficient[p].weight - origin.weight, dc = efficient[p].cost - origin.cost;
        if (dw == 0) {
            core.moves.push_back({0, 0, static_cast<int>(p)});
            continue;
        }
        if (static_cast<double>(dc) + price * static_cast<double>(dw) > slack)
            continue;
        core.moves.push_back({dw, dc, static_cast<int>(p)});
        const double rate = -static_cast<double>(dc) / static_cast<double>(dw);
        if (dw > 0)
            core.up = std::max(core.up, rate);
        else
            core.down = std::min(core.down, rate);
    }
    return core;
}

std::vector<CoreItem> orderedCore(std::vector<CoreItem> core) {
    std::vector<std::size_t> growing, shrinking;
    for (std::size_t c = 0; c < core.size(); ++c) {
        if (core[c].up > 0)
            growing.push_back(c);
        if (core[c].down < kInfinity)
            shrinking.push_back(c);
    }
    std::stable_sort(growing.begin(), growing.end(), [&](std::size_t a, std::size_t b) { return core[a].up > core[b].up; });
    std::stable_sort(shrinking.begin(), shrinking.end(), [&](std::size_t a, std::size_t b) { return core[a].down < core[b].down; });
    std::vector<CoreItem> ordered;
    std::vector<bool> taken(core.size(), false);
    const auto take = [&](const std::vector<std::size_t>& list, std::size_t k) {
        if (k >= list.size() || taken[list[k]])
            return;
        taken[list[k]] = true;
        ordered.push_back(std::move(core[list[k]]));
    };
    for (std::size_t k = 0; k < std::max(growing.size(), shrinking.size()); ++k) {
        take(growing, k);
        take(shrinking, k);
    }
    return ordered;
}

} // namespace bw::detail
