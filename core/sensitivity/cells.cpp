// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/sensitivity/cells.h"

#include "core/base/error.h"
#include "core/base/text.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <tuple>

namespace bw::detail {

namespace {

std::uint64_t mixedHash(const std::string& site, const std::string& format) {
    std::uint64_t hash = 14695981039346656037ull; // FNV-1a, 64 bits
    for (const char c : site + '\n' + format)
        hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
    // FNV spreads its last bytes badly: mixed as in splitmix64.
    hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9ull;
    hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebull;
    return hash ^ (hash >> 31);
}

/// The site's part of "PATTERN=FORMAT"; no site's name has an equals sign.
std::string siteOf(const std::string& pattern) { return pattern.substr(0, pattern.find('=')); }

} // namespace

void Sweep::check(const SweepOptions& options) const {
    if (options.formats.empty())
        throw Error(ErrorCode::usage, "a sweep needs at least one format", "name formats, such as q4_0,q8_0,int4:g64");
    if (windows.count < 1 || windows.length < 2)
        throw Error(ErrorCode::textTooShort, "a sweep needs at least one window of two tokens", "give more text");
    if (options.shards < 1 || options.shard < 1 || options.shard > options.shards)
        throw Error(ErrorCode::usage, fmt::format("there is no shard {} of {}", options.shard, options.shards),
                    "shards count from 1: 1/4, 2/4, 3/4, 4/4");
    if (!(options.positions > 0 && options.positions <= 1))
        throw Error(ErrorCode::usage,
                    fmt::format("a share of {} of the positions can't be measured", options.positions),
                    "give more than 0 and at most 1");
    if (options.context == SweepContext::rest && options.rest.empty())
        throw Error(ErrorCode::usage, "a sweep with the rest quantized needs the rest's format",
                    "name one, such as q4_0");
    if (options.context == SweepContext::rest && options.metric != SensitivityMetric::measuredKl)
        throw Error(ErrorCode::usage, "only measured KL knows what the rest is quantized to",
                    "use the metric kl, or measure each site alone");
    for (const std::string& pattern : options.sites)
        if (std::none_of(model.sites().begin(), model.sites().end(),
                         [&](const Site& site) { return globMatches(siteOf(pattern), site.name); }))
            throw Error(ErrorCode::usage, "no site matches '" + escapeForDisplay(pattern) + "'",
                        "sites are named like blk.3.ffn_down; * and ? stand for anything");
}

bool Sweep::wants(const Site& site, const std::string& format) const {
    if (site.block.value() < 0 && !options_.includeHead)
        return false;
    return options_.sites.empty() ||
           std::any_of(options_.sites.begin(), options_.sites.end(), [&](const std::string& pattern) {
               const std::string name = siteOf(pattern);
               return globMatches(name, site.name) &&
                      (name.size() == pattern.size() || pattern.substr(name.size() + 1) == format);
           });
}

Sweep::Sweep(const Model& m, const Windows& w, const SweepOptions& options, const ImportanceLookup& importance,
             const std::vector<SensitivityCell>& known, const std::function<void(const SensitivityCell&)>& onCell,
             JobContext& j)
    : model(m), windows(w), job(j), options_(options), importance_(importance),
      rounder_(importance, options.rounder, options.gptq), onCell_(onCell) {
    check(options);
    for (const SensitivityCell& cell : known)
        done_.emplace(std::pair(cell.site_name, cell.format), cell);
    std::vector<SiteChoice> parsed;
    for (const std::string& name : options.formats) {
        if (std::find(formats_.begin(), formats_.end(), name) != formats_.end())
            continue;
        formats_.push_back(name);
        parsed.push_back(parseChoice(name));
    }
    const auto ours = cellsOfShard();
    for (const Site& site : model.sites()) {
        SitePlan plan{&site, {}};
        for (std::size_t f = 0; f < formats_.size(); ++f)
            if (!done_.contains({site.name, formats_[f]}) && ours.contains({site.name, formats_[f]}))
                plan.cells.push_back({formats_[f], fallbackChoice(parsed[f], site)});
        if (!plan.cells.empty())
            plans_.push_back(std::move(plan));
    }
}

std::set<std::pair<std::string, std::string>> Sweep::cellsOfShard() const {
    std::vector<std::tuple<std::uint64_t, std::string, std::string>> all;
    for (const Site& site : model.sites())
        for (const std::string& format : formats_)
            if (wants(site, format))
                all.emplace_back(mixedHash(site.name, format), site.name, format);
    std::sort(all.begin(), all.end());
    std::set<std::pair<std::string, std::string>> ours;
    for (std::size_t i = 0; i < all.size(); ++i)
        if (static_cast<int>(i % static_cast<std::size_t>(options_.shards)) == options_.shard - 1)
            ours.emplace(std::get<1>(all[i]), std::get<2>(all[i]));
    return ours;
}

std::vector<const SitePlan*> Sweep::blockPlans(BlockIndex block) const {
    std::vector<const SitePlan*> found;
    for (const SitePlan& plan : plans_)
        if (plan.site->block == block)
            found.push_back(&plan);
    return found;
}

std::vector<const SitePlan*> Sweep::outerPlans() const { return blockPlans(BlockIndex{-1}); }

std::vector<const SitePlan*> Sweep::plans() const {
    std::vector<const SitePlan*> found;
    for (const SitePlan& plan : plans_)
        found.push_back(&plan);
    return found;
}

std::int64_t Sweep::cellsLeft() const {
    std::size_t count = 0;
    for (const SitePlan& plan : plans_)
        count += plan.cells.size();
    return static_cast<std::int64_t>(count);
}

void Sweep::prepare() {
    SiteRounder::Wanted wanted;
    for (const SitePlan& plan : plans_)
        for (const SitePlan::Cell& cell : plan.cells) wanted.emplace_back(plan.site, cell.used);
    rounder_.prepare(model, wanted, job);
}

Matrix Sweep::quantized(const Site& site, MatrixView<const float> weight, const SiteChoice& choice) const {
    Matrix decoded(site.rows, site.cols);
    rounder_.round(site, weight, choice).decode(decoded.view());
    return decoded;
}

void Sweep::countTokens(int inputGroup, std::int64_t tokens) { tokens_[inputGroup] += tokens; }

void Sweep::hand(const Site& site, const SitePlan::Cell& cell, const Measure& measure) {
    if (!std::isfinite(measure.value) || !std::isfinite(measure.error))
        throw Error(ErrorCode::nonFinite,
                    "the damage of '" + cell.asked + "' at '" + site.name + "' is not a finite number",
                    "the model overflows with this format there: leave the format out, or check the site's weights");
    SensitivityCell done;
    done.site = site.id;
    done.site_name = site.name;
    done.format = cell.asked;
    done.used = cell.used.name();
    done.bytes = cell.used.format->bytes(site.rows, site.cols);
    done.value = measure.value;
    done.standardError = measure.error;
    // An expert that no token reached has no entry; what is not routed sees everything.
    const auto counted = tokens_.find(site.inputGroup);
    done.tokens = site.expert < 0 ? windows.tokens() : counted != tokens_.end() ? counted->second : 0;
    done_[{site.name, cell.asked}] = done;
    ++handed_;
    if (onCell_)
        onCell_(done);
}

std::vector<SensitivityCell> Sweep::result() const {
    std::vector<SensitivityCell> cells;
    for (const Site& site : model.sites())
        for (const std::string& format : formats_)
            if (const auto it = done_.find({site.name, format}); it != done_.end())
                cells.push_back(it->second);
    return cells;
}

void handOut(Sweep& sweep, const SitePlan& plan, const std::function<Measure(const SiteChoice&)>& measure) {
    std::map<std::string, Measure> measured;
    for (const SitePlan::Cell& cell : plan.cells) {
        auto it = measured.find(cell.used.name());
        if (it == measured.end())
            it = measured.emplace(cell.used.name(), measure(cell.used)).first;
        sweep.hand(*plan.site, cell, it->second);
    }
}

} // namespace bw::detail
