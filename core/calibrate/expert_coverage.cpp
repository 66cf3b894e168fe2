// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/calibrate/expert_coverage.h"

#include <fmt/format.h>
#include <map>
#include <utility>

namespace bw {
namespace {

constexpr std::size_t kMostNamed = 64;

} // namespace

std::vector<ExpertTokens> expertCoverage(const Model& model, const CalibrationResult& result) {
    std::map<int, std::int64_t> tokensOf; // by site: the sites of an input share its tokens
    for (const InputStatistics& input : result.inputs)
        for (const SiteId site : input.sites)
            tokensOf[site.value()] = input.tokens;
    std::map<std::pair<int, int>, std::int64_t> found;
    for (const Site& site : model.sites())
        if (site.expert >= 0) {
            const auto tokens = tokensOf.find(site.id.value());
            std::int64_t& most = found[{site.block.value(), site.expert}];
            most = std::max(most, tokens == tokensOf.end() ? std::int64_t{0} : tokens->second);
        }
    std::vector<ExpertTokens> out;
    for (const auto& [where, tokens] : found)
        out.push_back({where.first, where.second, tokens});
    return out;
}

std::vector<DataWarning> starvedExpertsWarning(const std::vector<ExpertTokens>& coverage, std::int64_t floor) {
    std::int64_t below = 0, unseen = 0;
    DataWarning made{"starved-experts", {}, "their ranges, importances and Hessians are luck; rounders fall back to plain rounding for them",
                     "give more or other text, or let --sampling balanced choose windows for them", {}};
    for (const ExpertTokens& expert : coverage) {
        if (expert.tokens >= floor)
            continue;
        ++below;
        unseen += expert.tokens == 0 ? 1 : 0;
        if (made.details.size() < kMostNamed)
            made.details.push_back(fmt::format("blk.{} expert {}: {} tokens", expert.block, expert.expert, expert.tokens));
    }
    if (below == 0)
        return {};
    made.seen = fmt::format("{} of {} experts saw fewer than {} tokens{}", below, coverage.size(), floor, unseen > 0 ? fmt::format(", {} of them none", unseen) : "");
    return {std::move(made)};
}

} // namespace bw
