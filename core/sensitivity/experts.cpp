// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/sensitivity/experts.h"

#include "core/base/error.h"
#include "core/base/text.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <map>
#include <memory>
#include <utility>

namespace bw {
namespace {

/// Damage of single tokens spreads about this many times as wide as its mean, where no measurement says otherwise.
constexpr double kTokenSpread = 3;

/// The same weight of all experts of a layer.
struct Role {
    std::vector<const Site*> experts;
    std::vector<std::int64_t> tokens;
    std::int64_t total = 0;
    std::size_t most = 0; ///< position of the expert that saw most
};

std::map<std::pair<int, SiteKind>, Role> rolesOf(const std::vector<Site>& sites,
                                                 const std::function<std::int64_t(const Site&)>& tokens) {
    std::map<std::pair<int, SiteKind>, Role> roles;
    for (const Site& site : sites) {
        if (site.expert < 0)
            continue;
        Role& role = roles[{site.block.value(), site.kind}];
        role.experts.push_back(&site);
        role.tokens.push_back(std::max<std::int64_t>(0, tokens(site)));
        role.total += role.tokens.back();
        if (role.tokens.back() > role.tokens[role.most])
            role.most = role.tokens.size() - 1;
    }
    return roles;
}

StarvedExpert starvedOf(const Role& role, std::size_t e, std::int64_t minTokens) {
    StarvedExpert starved{role.experts[e]->id, role.experts[e]->name, role.tokens[e],
                          static_cast<double>(role.tokens[e]) / static_cast<double>(role.total), {}, {}};
    const std::int64_t enough = role.tokens[role.most] >= minTokens ? minTokens : 1;
    for (std::size_t d = 0; d < role.experts.size(); ++d)
        if (d != e && role.tokens[d] >= enough)
            starved.donors.push_back(role.experts[d]->id);
    return starved;
}

std::string whyOf(const StarvedExpert& starved, StarvedPolicy policy, std::int64_t total) {
    std::string text =
        fmt::format("saw {} of {} routed tokens ({:.2g} %); ", starved.tokens, total, 100 * starved.share);
    if (starved.donors.empty())
        return text + "no other expert of its layer saw any, so its cost stays as measured";
    const std::string others =
        fmt::format("{} other expert{} of its layer", starved.donors.size(), starved.donors.size() == 1 ? "" : "s");
    switch (policy) {
    case StarvedPolicy::nearest: return text + "rounded without importance, cost drawn towards " + others;
    case StarvedPolicy::keep: return text + "kept at its largest format, cost drawn towards " + others;
    case StarvedPolicy::borrow: return text + "cost and importance of " + others;
    }
    return text;
}

/// An estimate with its variance.
struct Estimate { double mean = 0, variance = 0; };

/// What is known of one format at one role: cells of its experts, by site.
using FormatCells = std::map<SiteId, const SensitivityCell*>;

/// Damage per routed token among the donors: mean, the variance of one more expert, and the noise of a single token.
struct Prior { Estimate expert; double tokenVariance = 0; bool any = false; };

Prior priorOf(const StarvedExpert& starved, const FormatCells& cells, const std::function<double(SiteId)>& share) {
    std::vector<double> u;
    double noise = 0;
    for (const SiteId donor : starved.donors)
        if (const auto it = cells.find(donor); it != cells.end()) {
            const double s = share(donor);
            u.push_back(it->second->value / s);
            const double error = it->second->standardError / s;
            noise += error * error * static_cast<double>(it->second->tokens);
        }
    Prior prior;
    if (u.empty())
        return prior;
    const auto m = static_cast<double>(u.size());
    prior.any = true;
    for (const double x : u)
        prior.expert.mean += x / m;
    // One donor says nothing about the spread: as wide as its value.
    prior.expert.variance = prior.expert.mean * prior.expert.mean;
    if (u.size() > 1) {
        double squares = 0;
        for (const double x : u)
            squares += (x - prior.expert.mean) * (x - prior.expert.mean);
        prior.expert.variance = squares / (m - 1) * (1 + 1 / m);
    }
    prior.tokenVariance = noise > 0 ? noise / m : std::pow(kTokenSpread * prior.expert.mean, 2);
    return prior;
}

/// The prior and what n tokens measured, each by its precision.
Estimate posterior(const Prior& prior, double measured, std::int64_t tokens) {
    if (tokens == 0 || prior.expert.variance <= 0)
        return prior.expert;
    if (prior.tokenVariance <= 0)
        return {measured, 0};
    const double a = 1 / prior.expert.variance, b = static_cast<double>(tokens) / prior.tokenVariance;
    return {(a * prior.expert.mean + b * measured) / (a + b), 1 / (a + b)};
}

/// Share of the routed tokens with half a token added to each expert.
Estimate shareOf(std::int64_t tokens, std::int64_t total, std::size_t experts) {
    const double all = static_cast<double>(total) + 0.5 * static_cast<double>(experts);
    const double share = (static_cast<double>(tokens) + 0.5) / all;
    return {share, share * (1 - share) / (all + 1)};
}

void putProduct(SensitivityCell& cell, const Estimate& u, const Estimate& share) {
    cell.value = share.mean * u.mean;
    cell.standardError = std::sqrt(share.mean * share.mean * u.variance + u.mean * u.mean * share.variance +
                                   u.variance * share.variance);
}

} // namespace

std::string_view starvedPolicyName(StarvedPolicy policy) {
    switch (policy) {
    case StarvedPolicy::keep: return "keep";
    case StarvedPolicy::borrow: return "borrow";
    case StarvedPolicy::nearest: break;
    }
    return "nearest";
}

StarvedPolicy parseStarvedPolicy(std::string_view text) {
    for (const StarvedPolicy policy : {StarvedPolicy::nearest, StarvedPolicy::keep, StarvedPolicy::borrow})
        if (text == starvedPolicyName(policy))
            return policy;
    throw Error(ErrorCode::usage, "'" + escapeForDisplay(text) + "' is no policy for starved experts",
                "use nearest, keep or borrow");
}

std::vector<StarvedExpert> starvedExperts(const std::vector<Site>& sites,
                                          const std::function<std::int64_t(const Site&)>& tokens,
                                          const ExpertOptions& options) {
    std::map<SiteId, StarvedExpert> found;
    for (const auto& [key, role] : rolesOf(sites, tokens))
        for (std::size_t e = 0; e < role.experts.size(); ++e)
            if (role.total > 0 && role.tokens[e] < options.minTokens) {
                StarvedExpert starved = starvedOf(role, e, options.minTokens);
                starved.why = whyOf(starved, options.policy, role.total);
                found.emplace(starved.site, std::move(starved));
            }
    std::vector<StarvedExpert> list;
    for (const Site& site : sites)
        if (const auto it = found.find(site.id); it != found.end())
            list.push_back(std::move(it->second));
    return list;
}

ExpertCosts adjustExperts(const std::vector<Site>& sites, std::vector<SensitivityCell> cells, SensitivityMetric metric,
                          const ExpertOptions& options) {
    std::map<SiteId, const Site*> siteOf;
    for (const Site& site : sites)
        siteOf[site.id] = &site;
    std::map<SiteId, std::int64_t> tokensOf;
    std::map<SiteId, std::uint64_t> largest;
    for (const SensitivityCell& cell : cells) {
        tokensOf[cell.site] = std::max(tokensOf[cell.site], cell.tokens);
        largest[cell.site] = std::max(largest[cell.site], cell.bytes);
    }
    const auto tokens = [&](const Site& site) {
        const auto it = tokensOf.find(site.id);
        return it == tokensOf.end() ? std::int64_t{0} : it->second;
    };
    std::map<std::pair<int, SiteKind>, Role> roles = rolesOf(sites, tokens);
    const auto roleOf = [&](SiteId id) -> const Role& {
        const Site& s = *siteOf.at(id);
        return roles.at({s.block.value(), s.kind});
    };

    ExpertCosts out;
    // As measured: the share that the routed tokens really had; what is estimated anew takes the uncertain one.
    const auto measuredShare = [&](SiteId id) {
        return static_cast<double>(tokens(*siteOf.at(id))) / static_cast<double>(roleOf(id).total);
    };
    if (metric == SensitivityMetric::outputError)
        for (SensitivityCell& cell : cells)
            if (const auto it = siteOf.find(cell.site);
                it != siteOf.end() && it->second->expert >= 0 && roleOf(cell.site).total > 0) {
                cell.value *= measuredShare(cell.site);
                cell.standardError *= measuredShare(cell.site);
            }
    out.cells = cells;
    out.starved = starvedExperts(sites, tokens, options);
    std::map<std::pair<std::pair<int, SiteKind>, std::string>, FormatCells> known;
    for (const SensitivityCell& cell : cells)
        if (const auto it = siteOf.find(cell.site); it != siteOf.end() && it->second->expert >= 0)
            known[{{it->second->block.value(), it->second->kind}, cell.format}][cell.site] = &cell;
    std::map<SiteId, const StarvedExpert*> starvedAt;
    for (const StarvedExpert& starved : out.starved)
        starvedAt[starved.site] = &starved;
    for (SensitivityCell& cell : out.cells) {
        const auto it = starvedAt.find(cell.site);
        if (it == starvedAt.end())
            continue;
        if (options.policy == StarvedPolicy::keep && largest[cell.site] == 0)
            throw Error(ErrorCode::internal,
                        "the sizes of '" + cell.site_name + "' are not known, so that none is its largest");
        if (options.policy == StarvedPolicy::keep && cell.bytes < largest[cell.site])
            out.forbid.push_back(cell.site_name + "=" + cell.format);
        const Site& site = *siteOf.at(cell.site);
        const Prior prior = priorOf(*it->second, known[{{site.block.value(), site.kind}, cell.format}], measuredShare);
        if (!prior.any)
            continue;
        const Role& role = roleOf(cell.site);
        const std::int64_t n = options.policy == StarvedPolicy::borrow ? 0 : it->second->tokens;
        const double own = n > 0 ? cell.value / measuredShare(cell.site) : 0;
        putProduct(cell, posterior(prior, own, n), shareOf(it->second->tokens, role.total, role.experts.size()));
    }
    return out;
}

ImportanceLookup expertImportance(const std::vector<Site>& sites, const std::vector<StarvedExpert>& starved,
                                  StarvedPolicy policy, const std::function<std::int64_t(const Site&)>& tokens,
                                  ImportanceLookup from) {
    if (policy == StarvedPolicy::keep || starved.empty() || !from)
        return from;
    std::map<SiteId, const Site*> siteOf;
    for (const Site& site : sites)
        siteOf[site.id] = &site;
    const auto replaced = std::make_shared<std::map<SiteId, std::vector<float>>>();
    for (const StarvedExpert& expert : starved) {
        std::vector<float>& values = (*replaced)[expert.site];
        if (policy == StarvedPolicy::nearest)
            continue;
        std::vector<double> sum;
        double weight = 0;
        for (const SiteId donor : expert.donors) {
            const Site& site = *siteOf.at(donor);
            const std::span<const float> given = from(site);
            const auto n = static_cast<double>(tokens(site));
            if (given.empty() || n <= 0)
                continue;
            sum.resize(given.size(), 0.0);
            for (std::size_t i = 0; i < given.size(); ++i)
                sum[i] += n * static_cast<double>(given[i]);
            weight += n;
        }
        for (const double s : sum)
            values.push_back(static_cast<float>(s / weight));
    }
    return [replaced, from](const Site& site) -> std::span<const float> {
        const auto it = replaced->find(site.id);
        return it == replaced->end() ? from(site) : std::span<const float>(it->second);
    };
}

} // namespace bw
