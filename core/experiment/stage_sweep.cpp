// SPDX-License-Identifier: GPL-3.0-or-later
// The sweep stage: the sensitivity map, one committed row per cell, so that nothing but the current cell can be lost.
#include "core/experiment/plan_rows.h"
#include "core/experiment/workbench.h"

namespace bw {
namespace {

/// `tokens` worth of windows, evenly spread over all of them.
Windows spread(const Windows& all, std::int64_t tokens) {
    if (tokens <= 0 || tokens >= all.tokens() || all.length == 0)
        return all;
    Windows some;
    some.length = all.length;
    some.count = std::max<std::int64_t>(1, tokens / all.length);
    for (std::int64_t i = 0; i < some.count; ++i) {
        const std::span<const TokenId> window = all.window(i * all.count / some.count);
        some.ids.insert(some.ids.end(), window.begin(), window.end());
    }
    return some;
}

} // namespace

Json runSweep(const Stage& stage) {
    const Recipe& recipe = stage.recipe;
    if (recipe.sweep.formats.empty())
        throw Error(ErrorCode::usage, "a sweep needs formats to try", "add --formats q4_0,q5_0,q8_0");
    SweepOptions options;
    options.metric = parseMetric(recipe.sweep.metric);
    options.formats = recipe.sweep.formats;
    options.rounder = {recipe.rounder == "weighted", recipe.clipSearch, blockSearch(recipe)};

    TextSet texts;
    ImportanceLookup importance = [](const Site&) { return std::span<const float>(); };
    std::shared_ptr<const Calibrated> calibrated; // keeps what `importance` points to
    if (options.rounder.weighted) {
        calibrated = stage.bench.calibrated(stage.model, recipe, stage.job);
        importance = calibrated->lookup();
        texts = calibrated->set;
    }
    if (texts.windows.count == 0) // not weighted, or with importance from a file
        texts = stage.bench.calibrationTexts(stage.model, recipe, stage.job);
    for (const TextData& text : texts.texts)
        stage.log().addDataset(stage.run, text, "calibration");

    const Windows windows = spread(texts.windows, recipe.sweep.tokens);

    const std::vector<SensitivityCell> known = stage.resumed ? stage.log().knownCells(stage.run, stage.model) : std::vector<SensitivityCell>();
    if (!known.empty())
        stage.job.note("resuming: " + std::to_string(known.size()) + " cells are known already");
    const auto commit = [&](const SensitivityCell& cell) { stage.log().addSensitivity(stage.run, cell, options.metric); };
    sweep(stage.model, windows, options, importance, known, commit, stage.job);

    const std::vector<SensitivityCell> cells = stage.log().knownCells(stage.run, stage.model);
    stage.log().addMetrics(stage.run, {{"cells", static_cast<double>(cells.size()), std::nullopt, "cells"},
                                       {"sweep_tokens", static_cast<double>(windows.tokens()), std::nullopt, "tokens"}});
    Json rows = Json::array();
    for (const SensitivityCell& cell : cells)
        rows.push_back({{"site", cell.site_name}, {"format", cell.format}, {"used", cell.used}, {"bytes", cell.bytes}, {"value", cell.value}, {"se", cell.standardError}});
    return {{"metric", recipe.sweep.metric}, {"tokens", windows.tokens()}, {"cells", rows}};
}

} // namespace bw
