// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/assign/hull.h"

#include <algorithm>
#include <tuple>

namespace bw::detail {

std::vector<IntOption> efficientOptions(std::vector<IntOption> options) {
    std::sort(options.begin(), options.end(), [](const IntOption& a, const IntOption& b) {
        return std::tie(a.weight, a.cost, a.index) < std::tie(b.weight, b.cost, b.index);
    });
    std::vector<IntOption> kept;
    for (const IntOption& option : options)
        if (kept.empty() || option.cost < kept.back().cost)
            kept.push_back(option);
    return kept;
}

std::vector<IntOption> convexOptions(const std::vector<IntOption>& efficient) {
    std::vector<IntOption> hull;
    for (const IntOption& c : efficient) {
        while (hull.size() >= 2) {
            const IntOption& a = hull[hull.size() - 2];
            const IntOption& b = hull.back();
            // b stays a corner only if the step a→b saves more per weight than b→c.
            const Int128 first = Int128(a.cost - b.cost) * (c.weight - b.weight);
            const Int128 second = Int128(b.cost - c.cost) * (b.weight - a.weight);
            if (first > second)
                break;
            hull.pop_back();
        }
        hull.push_back(c);
    }
    return hull;
}

std::vector<Increment> sortedIncrements(const std::vector<std::vector<IntOption>>& hulls) {
    std::vector<Increment> increments;
    for (std::size_t i = 0; i < hulls.size(); ++i)
        for (std::size_t s = 0; s + 1 < hulls[i].size(); ++s)
            increments.push_back({static_cast<int>(i), static_cast<int>(s), hulls[i][s + 1].weight - hulls[i][s].weight,
                                  hulls[i][s].cost - hulls[i][s + 1].cost});
    std::sort(increments.begin(), increments.end(), [](const Increment& a, const Increment& b) {
        const Int128 left = Int128(a.saving) * b.weight;
        const Int128 right = Int128(b.saving) * a.weight;
        if (left != right)
            return left > right;
        return std::tie(a.item, a.step) < std::tie(b.item, b.step);
    });
    return increments;
}

} // namespace bw::detail
