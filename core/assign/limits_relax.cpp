// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/assign/limits_relax.h"

#include <algorithm>

namespace bw::detail {

LimitRelaxation relaxLimits(const std::vector<std::vector<IntOption>>& hulls, const std::vector<Increment>& increments,
                            const std::vector<std::size_t>& groupOf, const Weights& caps, std::int64_t capacity) {
    LimitRelaxation r;
    r.corner.assign(hulls.size(), 0);
    r.weight.assign(caps.size(), 0);
    r.groupPrice.assign(caps.size(), 0.0);
    r.full.assign(caps.size(), false);
    for (std::size_t i = 0; i < hulls.size(); ++i) {
        r.weight[groupOf[i]] += hulls[i].front().weight;
        r.total += hulls[i].front().weight;
        r.cost += hulls[i].front().cost;
    }
    Weights filled = r.weight; // with the parts of steps
    std::int64_t filledTotal = r.total, parts = 0;
    for (const Increment& step : increments) {
        const std::size_t group = groupOf[static_cast<std::size_t>(step.item)];
        if (r.full[group])
            continue;
        const std::int64_t room = std::min(capacity - filledTotal, caps[group] - filled[group]);
        const std::int64_t taken = std::min(step.weight, room);
        filled[group] += taken;
        filledTotal += taken;
        if (taken == step.weight) {
            r.weight[group] += taken;
            r.total += taken;
            r.cost -= step.saving;
            ++r.corner[static_cast<std::size_t>(step.item)];
            continue;
        }
        parts += static_cast<std::int64_t>((Int128(step.saving) * taken + step.weight - 1) / step.weight);
        const double price = static_cast<double>(step.saving) / static_cast<double>(step.weight);
        if (filled[group] < caps[group]) { // the total stops it, and with it everything
            r.price = price;
            break;
        }
        r.full[group] = true;
        r.groupPrice[group] = price;
    }
    for (std::size_t g = 0; g < caps.size(); ++g)
        if (!r.full[g])
            r.groupPrice[g] = r.price;
    r.bound = r.cost - parts;
    return r;
}

} // namespace bw::detail
