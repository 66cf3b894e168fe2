// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/calibrate/balance.h"

#include <algorithm>
#include <map>
#include <utility>

namespace bw {
namespace {

/// Counts the rows that enter the first group of every expert.
class Counter final : public WalkVisitor, public ActivationObserver {
public:
    Counter(const Model& model, std::int64_t windows) {
        std::map<std::pair<int, int>, int> first; // (block, expert) → group with the smallest number: what enters gate and up
        for (const Site& site : model.sites())
            if (site.expert >= 0 && site.inputGroup >= 0) {
                const auto [at, fresh] = first.try_emplace({site.block.value(), site.expert}, site.inputGroup);
                at->second = std::min(at->second, site.inputGroup);
            }
        for (const auto& [where, group] : first)
            column_[group] = counts.experts++;
        counts.windows = windows;
        counts.tokens.assign(static_cast<std::size_t>(windows * counts.experts), 0u);
    }
    ActivationObserver* observer(BlockIndex) override { return this; }
    void onInput(int group, std::int64_t window, MatrixView<const float> x) override {
        if (const auto found = column_.find(group); found != column_.end())
            counts.tokens[static_cast<std::size_t>(window * counts.experts + found->second)] += static_cast<std::uint32_t>(x.rows);
    }
    RoutingCounts counts;

private:
    std::map<int, std::int64_t> column_;
};

} // namespace

RoutingCounts countRouting(const Model& model, const Windows& pool, JobContext& job) {
    Counter counter(model, pool.count);
    if (counter.counts.experts > 0)
        walkBlocks(model, pool, nullptr, &counter, job, "count routing");
    return std::move(counter.counts);
}

std::vector<std::int64_t> chooseBalanced(const RoutingCounts& counts, std::int64_t samples, std::int64_t floor, JobContext& job) {
    std::vector<std::int64_t> seen(static_cast<std::size_t>(counts.experts), 0), out;
    std::vector<bool> taken(static_cast<std::size_t>(counts.windows), false);
    const std::int64_t wanted = std::min(samples, counts.windows);
    while (static_cast<std::int64_t>(out.size()) < wanted) {
        job.checkpoint();
        std::int64_t best = -1, most = 0;
        for (std::int64_t w = 0; w < counts.windows; ++w) {
            if (taken[static_cast<std::size_t>(w)])
                continue;
            std::int64_t gain = 0;
            for (std::int64_t e = 0; e < counts.experts; ++e) {
                const std::int64_t lacks = floor - seen[static_cast<std::size_t>(e)];
                gain += lacks > 0 ? std::min<std::int64_t>(counts.at(w, e), lacks) : 0;
            }
            if (gain > most) {
                most = gain;
                best = w;
            }
        }
        if (best < 0)
            break;
        taken[static_cast<std::size_t>(best)] = true;
        out.push_back(best);
        for (std::int64_t e = 0; e < counts.experts; ++e)
            seen[static_cast<std::size_t>(e)] += counts.at(best, e);
    }
    std::vector<std::int64_t> rest;
    for (std::int64_t w = 0; w < counts.windows; ++w)
        if (!taken[static_cast<std::size_t>(w)])
            rest.push_back(w);
    const std::int64_t more = wanted - static_cast<std::int64_t>(out.size());
    for (std::int64_t k = 0; k < more; ++k)
        out.push_back(rest[static_cast<std::size_t>(k * static_cast<std::int64_t>(rest.size()) / more)]);
    std::sort(out.begin(), out.end());
    return out;
}

} // namespace bw
