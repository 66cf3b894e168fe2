// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/diagnose/culprits.h"

#include "core/base/error.h"
#include "core/sensitivity/fisher.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <limits>

namespace bw {
namespace {

/// Changed weights in the base are the changed model when their KLs differ by no more than this share, and one error.
constexpr double kSameModel = 0.25;

double squares(MatrixView<const float> m) {
    double sum = 0;
    for (std::int64_t r = 0; r < m.rows; ++r)
        for (const float v : m.rowSpan(r)) sum += static_cast<double>(v) * static_cast<double>(v);
    return sum;
}

/// ‖ΔW‖/‖W‖ by SiteId; 0 where a site is untouched.
std::vector<double> relativeChanges(const ChangedModel& changed, const SwappedSites& all, JobContext& job) {
    std::vector<double> out;
    job.beginStage("changed weights", static_cast<std::int64_t>(changed.base.sites().size()), "sites");
    for (const Site& site : changed.base.sites()) {
        job.checkpoint();
        const Matrix weight = changed.base.siteWeight(site);
        Matrix theirs = changed.base.siteWeight(site, &all);
        for (std::int64_t i = 0; i < theirs.size(); ++i) {
            if (!std::isfinite(theirs.data()[i]))
                throw Error(ErrorCode::nonFinite, fmt::format("the changed weights of '{}' hold NaN or infinities", site.name),
                            "nothing can be computed with them; --non-finite zero takes such weights as zero");
            theirs.data()[i] -= weight.data()[i];
        }
        const double size = squares(weight.view()), change = squares(theirs.view());
        out.push_back(change > 0 ? std::sqrt(change / std::max(size, std::numeric_limits<double>::min())) : 0.0);
        job.advance();
    }
    return out;
}

/// Windows for the sketch: as many of the meter's as its probes need.
Windows sketchWindows(const Windows& all, int probes) {
    Windows some = all;
    some.count = std::clamp<std::int64_t>(windowsForProbes(probes, all.length), 1, all.count);
    some.ids.resize(static_cast<std::size_t>(some.tokens()));
    return some;
}

std::vector<SiteSuspicion> suspects(const ChangedModel& changed, const KlMeter& meter, const CulpritOptions& options, JobContext& job) {
    const SwappedSites all(changed, std::vector<bool>(changed.base.sites().size(), true), false);
    const std::vector<double> relative = relativeChanges(changed, all, job);
    std::vector<SiteSuspicion> out;
    FisherOptions sketch;
    sketch.formats = {"f32"};
    sketch.given = &all;
    sketch.probes = options.probes;
    sketch.seed = options.seed;
    for (const Site& site : changed.base.sites())
        if (relative[static_cast<std::size_t>(site.id.value())] > 0) sketch.sites.push_back(site.name);
    if (sketch.sites.empty())
        throw Error(ErrorCode::usage, "no weight of the two models differs", "there is nothing to look for in the weights");
    fisherSketch(changed.base, sketchWindows(meter.windows(), options.probes), sketch, {}, {}, [&](const FisherRow& row) {
        out.push_back({row.cell.site, row.cell.site_name, row.cell.value, relative[static_cast<std::size_t>(row.cell.site.value())]});
    }, job);
    std::stable_sort(out.begin(), out.end(), [](const SiteSuspicion& a, const SiteSuspicion& b) {
        return a.predicted > b.predicted || (a.predicted == b.predicted && a.site.value() < b.site.value());
    });
    return out;
}

/// The changed weights everywhere but at `mended`.
SwappedSites allBut(const ChangedModel& changed, const std::vector<SiteSuspicion>& suspects, const std::vector<std::size_t>& mended) {
    std::vector<bool> taken(changed.base.sites().size(), true);
    for (const std::size_t index : mended) taken[static_cast<std::size_t>(suspects[index].site.value())] = false;
    return {changed, std::move(taken), false};
}

/// A changed model without what it rounds at run time.
class WeightsOnly final : public WeightSource {
public:
    explicit WeightsOnly(const WeightSource* source) : source_(source) {}
    void apply(const Site& site, MatrixView<float> weight) const override {
        if (source_ != nullptr) source_->apply(site, weight);
    }

private:
    const WeightSource* source_;
};

} // namespace

CulpritReport findCulprits(const ChangedModel& changed, const KlMeter& meter, const CulpritOptions& options, JobContext& job) {
    requireSameSites(changed);
    CulpritReport out;
    out.suspects = suspects(changed, meter, options, job);
    const KlMeter::Measured whole = meter.measure(allBut(changed, out.suspects, {}), job);
    out.whole = out.model = whole.mean;
    out.wholeError = whole.standardError;
    out.evaluations = 1;
    if (&changed.base != &changed.model) {
        const WeightsOnly weights(changed.source);
        const KlMeter::Measured model = meter.measure(changed.model, &weights, job);
        out.model = model.mean;
        ++out.evaluations;
        if (std::abs(whole.mean - model.mean) > kSameModel * model.mean + model.standardError)
            throw Error(ErrorCode::usage,
                        fmt::format("the weights of '{}' in '{}' give a KL of {:.3g}, the model itself {:.3g}: what changed is not in the weights of its sites alone",
                                    changed.model.checkpoint().displayName(), changed.base.checkpoint().displayName(), whole.mean, model.mean),
                        "a transform that is folded into norms mixes channels of neighbouring sites: diagnose the run that made the file instead");
    }
    std::vector<std::size_t> order(out.suspects.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    const SearchResult found = findCulprits(order, out.whole, [&](const std::vector<std::size_t>& mended) {
        return meter.measure(allBut(changed, out.suspects, mended), job).mean;
    }, options.search);
    out.evaluations += found.measurements;
    out.explained = found.explained;
    for (const SearchResult::Suspect& culprit : found.culprits) {
        out.culprits.push_back(out.suspects[culprit.index]);
        out.alone.push_back(culprit.alone);
    }
    return out;
}

std::vector<TokenShare> whoDamaged(const ChangedModel& changed, const KlMeter& meter, const std::vector<SiteSuspicion>& suspects,
                                   const std::vector<std::size_t>& positions, std::size_t count, JobContext& job) {
    const auto meanAt = [&](const std::vector<float>& tokens) {
        double sum = 0;
        for (const std::size_t position : positions) {
            if (position >= tokens.size())
                throw Error(ErrorCode::usage, fmt::format("there is no scored position {}: the text has {}", position, tokens.size()));
            sum += static_cast<double>(tokens[position]);
        }
        return sum / static_cast<double>(std::max<std::size_t>(1, positions.size()));
    };
    const double whole = meanAt(meter.measure(allBut(changed, suspects, {}), job).tokens);
    std::vector<TokenShare> out;
    for (std::size_t i = 0; i < std::min(count, suspects.size()); ++i)
        out.push_back({suspects[i], whole - meanAt(meter.measure(allBut(changed, suspects, {i}), job).tokens)});
    std::stable_sort(out.begin(), out.end(), [](const TokenShare& a, const TokenShare& b) { return a.won > b.won; });
    return out;
}

} // namespace bw
