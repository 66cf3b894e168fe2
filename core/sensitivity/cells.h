// SPDX-License-Identifier: GPL-3.0-or-later
// The cells of a sweep: which are wanted, what fits where, and handing them out one by one. Private to
// core/sensitivity.
#pragma once

#include "core/sensitivity/sensitivity.h"
#include "core/sensitivity/site_rounder.h"

#include <map>
#include <set>

namespace bw::detail {

struct Measure { double value = 0, error = 0; };

/// What is left to measure at one site.
struct SitePlan {
    const Site* site = nullptr;
    struct Cell { std::string asked; SiteChoice used; };
    std::vector<Cell> cells;
};

/// Everything both sweeps need.
class Sweep {
public:
    /// @throws Error(usage) without formats or scorable windows, for a pattern that matches no site, for an impossible
    /// shard or share; Error(invalidFormat).
    Sweep(const Model& model, const Windows& windows, const SweepOptions& options, const ImportanceLookup& importance,
          const std::vector<SensitivityCell>& known, const std::function<void(const SensitivityCell&)>& onCell,
          JobContext& job);

    const Model& model;
    const Windows& windows;
    JobContext& job;

    /// Plans of the block's sites, of the embedding, of the head; in model order, only sites with something left.
    std::vector<const SitePlan*> blockPlans(BlockIndex block) const;
    std::vector<const SitePlan*> outerPlans() const;
    std::vector<const SitePlan*> plans() const; ///< of all sites, in model order
    const SweepOptions& options() const { return options_; }
    const ImportanceLookup& importance() const { return importance_; }
    std::int64_t cellsLeft() const;
    std::int64_t handed() const { return handed_; } ///< new cells so far

    /// What GPTQ must round before its cells can be measured; a walk of its own, or nothing.
    void prepare();
    /// The weight of the site as the choice leaves it. @throws Error(nonFinite).
    Matrix quantized(const Site& site, MatrixView<const float> weight, const SiteChoice& choice) const;

    /// Tokens that reached an input group (of an expert: those routed to it); groups not told saw all.
    void countTokens(int inputGroup, std::int64_t tokens);

    /// A cell is done: kept for the result and given to the caller. @throws Error(nonFinite) for a value that is none.
    void hand(const Site& site, const SitePlan::Cell& cell, const Measure& measure);

    /// Known and new cells, in model order, then in the order of the formats.
    std::vector<SensitivityCell> result() const;

private:
    void check(const SweepOptions& options) const;
    bool wants(const Site& site, const std::string& format) const;
    /// The cells, by site name and format, that are this shard's: all of the request, dealt out in the order of a hash
    /// of their names, so that shards of one request never meet, miss nothing, and are equally large.
    std::set<std::pair<std::string, std::string>> cellsOfShard() const;

    const SweepOptions& options_;
    const ImportanceLookup& importance_;
    SiteRounder rounder_;
    const std::function<void(const SensitivityCell&)>& onCell_;
    std::vector<std::string> formats_; ///< without repetitions
    std::vector<SitePlan> plans_;
    std::int64_t handed_ = 0;
    std::map<int, std::int64_t> tokens_; ///< by input group
    std::map<std::pair<std::string, std::string>, SensitivityCell> done_; ///< by site name and asked format
};

/// Asked formats that fall back to the same one are measured once: measure(choice) is called per distinct choice, then
/// all cells of the plan are handed out in order.
void handOut(Sweep& sweep, const SitePlan& plan, const std::function<Measure(const SiteChoice&)>& measure);

void sweepOutputError(Sweep& sweep);
void sweepMeasuredKl(Sweep& sweep);

} // namespace bw::detail
