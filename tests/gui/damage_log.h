// SPDX-License-Identifier: GPL-3.0-or-later
// A made-up log of the demo checkpoint with three sweeps: output errors with one contradiction, a Fisher sketch whose
// sites act together, and a measured sweep that was stopped half-way.
#pragma once

#include "core/base/random.h"
#include "core/experiment/log.h"
#include "core/sensitivity/fisher.h"
#include "tests/gui/gui_fixture.h"

#include <cmath>

namespace bw::test {

inline constexpr int kWindows = 16, kDraws = 4;
inline const std::vector<std::string> kFormats{"q4_0", "q5_0", "q8_0"};

inline double damageOf(const Site& site, std::size_t format) {
    const double base = site.kind == SiteKind::ffnDown ? 4e-3 : 1e-3;
    return base / (1 + std::max(0, site.block.value())) / std::pow(8.0, double(format));
}

/// Projections with ½·mean c² near the damage and a part that all sites share, so that sites act together.
inline FisherRow fisherRow(const Site& site, std::size_t f) {
    FisherRow row;
    Random random(std::uint64_t(site.id.value()) * 16 + f);
    const auto unit = [&] { return 2 * random.uniform() - 1; };
    const double scale = std::sqrt(2 * damageOf(site, f));
    double sum = 0;
    for (int k = 0; k < kWindows * kDraws; ++k) {
        row.projections.push_back(float(scale * (0.3 * (k % 2 ? 1 : -1) + 1.6 * unit())));
        sum += 0.5 * double(row.projections.back()) * double(row.projections.back());
    }
    const double value = sum / (kWindows * kDraws);
    row.cell = {site.id, site.name, kFormats[f], kFormats[f], parseFormat(kFormats[f])->bytes(site.rows, site.cols), value, value / 8};
    return row;
}

inline bool isMeasured(const Site& site) { return site.kind == SiteKind::ffnDown; }

inline RunId beginSweep(ExperimentLog& log, const Demo& demo, const char* metric) {
    Recipe recipe;
    recipe.kind = "sweep";
    recipe.checkpoint = demo.checkpoint->path();
    recipe.sweep.metric = metric;
    recipe.sweep.formats = kFormats;
    return log.beginRun(recipe, "test", *demo.checkpoint, *demo.device);
}

inline RunId addOutput(ExperimentLog& log, const Demo& demo) {
    const RunId run = beginSweep(log, demo, "output");
    for (const Site& site : demo.model->sites()) {
        for (std::size_t f = 0; f < kFormats.size(); ++f) {
            const bool odd = site.name == "blk.1.attn_v" && f == 2; // eight bits worse than four
            const double value = odd ? 0.5 : 0.01 / std::pow(6.0, double(f));
            log.addSensitivity(run, {site.id, site.name, kFormats[f], kFormats[f], parseFormat(kFormats[f])->bytes(site.rows, site.cols), value, value / 50},
                               SensitivityMetric::outputError);
        }
    }
    log.finishRun(run, RunStatus::done);
    return run;
}

inline RunId addFisher(ExperimentLog& log, const Demo& demo) {
    const RunId run = beginSweep(log, demo, "fisher");
    for (const Site& site : demo.model->sites())
        for (std::size_t f = 0; f < kFormats.size(); ++f) log.addFisherRow(run, fisherRow(site, f));
    log.addFisherFacts(run, {kWindows, kDraws, 4.0});
    log.finishRun(run, RunStatus::done);
    return run;
}

/// Stopped half-way: four bits of some sites only.
inline RunId addMeasured(ExperimentLog& log, const Demo& demo) {
    const RunId run = beginSweep(log, demo, "kl");
    for (const Site& site : demo.model->sites()) {
        if (!isMeasured(site)) continue;
        const double value = 1.25 * damageOf(site, 0);
        log.addSensitivity(run, {site.id, site.name, "q4_0", "q4_0", parseFormat("q4_0")->bytes(site.rows, site.cols), value, value / 20}, SensitivityMetric::measuredKl);
    }
    log.finishRun(run, RunStatus::cancelled);
    return run;
}

} // namespace bw::test
