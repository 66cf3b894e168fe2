// SPDX-License-Identifier: GPL-3.0-or-later
// The sweep stage: the sensitivity map, committed as it grows, so that next to nothing can be lost: a cell at a time
// for measured maps, a block at a time for the sketch.
#include "core/experiment/plan_rows.h"
#include "core/experiment/quantize_job.h"
#include "core/experiment/workbench.h"

#include "core/sensitivity/fisher.h"

#include <fmt/format.h>

namespace bw {
namespace {

/// At most `tokens` worth of windows, evenly spread over all of them; 0 = all.
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

/// Texts, and importance where the rounder asks for it.
struct SweepTexts {
    std::shared_ptr<const Calibrated> calibrated; ///< keeps what `importance` points to
    ImportanceLookup importance = [](const Site&) { return std::span<const float>(); };
    Windows all;     ///< what GPTQ makes its Gram matrices of
    Windows windows; ///< that are swept over
};

SweepTexts sweepTexts(const Stage& stage) {
    SweepTexts out;
    TextSet texts;
    if (stage.recipe.needsCalibration()) {
        out.calibrated = stage.bench.calibrated(stage.model, stage.recipe, stage.job);
        out.importance = roundingImportance(stage.model, stage.recipe, *out.calibrated);
        texts = out.calibrated->set;
    }
    if (texts.windows.count == 0) // not weighted, or with importance from a file
        texts = stage.bench.calibrationTexts(stage.model, stage.recipe, stage.job);
    for (const TextData& text : texts.texts)
        stage.log().addDataset(stage.run, text, "calibration");
    out.windows = spread(texts.windows, stage.recipe.sweep.tokens);
    out.all = std::move(texts.windows);
    return out;
}

GptqSweep gptqOf(const Stage& stage, const SweepTexts& texts) {
    return {&texts.all, gptqOptions(stage.recipe), stage.recipe.rounder == "gptq", stage.bench.inputStore(stage.model, stage.job)};
}

/// Values of an earlier map as the order of this one.
std::function<double(const std::string&, const std::string&)> orderOf(const Stage& stage) {
    const std::int64_t run = stage.recipe.sweep.orderRun;
    if (run == 0)
        return nullptr;
    const LogReader log(stage.log().path());
    const RunSummary summary = log.run(RunId(run)).summary;
    if (summary.kind != "sweep")
        throw Error(ErrorCode::usage,
                    fmt::format("run {} is of kind '{}'; only a sweep's values can order another", run, summary.kind),
                    "name a sweep with --order-run");
    std::map<std::pair<std::string, std::string>, double> values;
    for (const SensitivityRow& row : log.sensitivities(RunId(run)))
        values[{row.site, row.format}] = row.value;
    return [values](const std::string& site, const std::string& format) {
        const auto found = values.find({site, format});
        return found == values.end() ? 0.0 : found->second;
    };
}

SweepOptions sweepOptions(const Stage& stage, const SweepTexts& texts) {
    const Recipe::Sweep& wanted = stage.recipe.sweep;
    SweepOptions options;
    options.metric = parseMetric(wanted.metric);
    options.formats = wanted.formats;
    options.rounder = rounderOf(stage.recipe);
    options.gptq = gptqOf(stage, texts);
    options.sites = wanted.sites;
    options.context = parseContext(wanted.context);
    options.rest = wanted.rest;
    options.positions = wanted.positions;
    const Shard shard = parseShard(wanted.shard);
    options.shard = shard.part;
    options.shards = shard.of;
    options.expected = orderOf(stage);
    return options;
}

/// What only one of the measures knows must not be asked of another: nothing is ignored silently.
void requireMeaning(const Recipe::Sweep& sweep) {
    const bool kl = sweep.metric == "kl", fisher = sweep.metric == "fisher";
    const auto only = [](bool given, const char* what, const char* metric) {
        if (given)
            throw Error(ErrorCode::usage, fmt::format("{} has a meaning for --metric {} alone", what, metric),
                        fmt::format("leave it out, or sweep with --metric {}", metric));
    };
    only(!kl && sweep.context != "alone", "the context", "kl");
    only(!kl && sweep.positions != 1, "a share of the positions", "kl");
    only(!kl && sweep.orderRun != 0, "an order", "kl");
    only(!fisher && !(sweep.activations.empty() && sweep.keys.empty() && sweep.values.empty()),
         "the format of activations or of a cache", "fisher");
    only(fisher && sweep.shard != "1/1", "a shard", "kl or output");
    if (!kl && sweep.context == "alone" && !sweep.rest.empty())
        only(true, "the rest's format", "kl");
}

void sketch(const Stage& stage, const SweepTexts& texts, const std::vector<SensitivityCell>& known) {
    const Recipe::Sweep& wanted = stage.recipe.sweep;
    FisherOptions options;
    options.formats = wanted.formats;
    options.rounder = rounderOf(stage.recipe);
    options.gptq = gptqOf(stage, texts);
    options.activations = wanted.activations;
    options.keys = wanted.keys;
    options.values = wanted.values;
    options.probes = static_cast<int>(wanted.probes);
    options.seed = stage.recipe.seed;
    options.sites = wanted.sites;
    const auto commit = [&](const FisherRow& row) { stage.log().addFisherRow(stage.run, row); };
    stage.log().addFisherFacts(
        stage.run, fisherSketch(stage.model, texts.windows, options, texts.importance, known, commit, stage.job));
}

Json cellsJson(const std::vector<SensitivityCell>& cells) {
    Json rows = Json::array();
    for (const SensitivityCell& cell : cells)
        rows.push_back({{"site", cell.site_name},
                        {"format", cell.format},
                        {"used", cell.used},
                        {"bytes", cell.bytes},
                        {"value", cell.value},
                        {"se", cell.standardError},
                        {"tokens", cell.tokens}});
    return rows;
}

Json doubtsJson(const Stage& stage, const std::vector<SensitivityCell>& cells) {
    Json out = Json::array();
    for (const CellDoubt& doubt : doubtfulCells(cells)) {
        const SensitivityCell& cell = cells[doubt.cell];
        out.push_back({{"site", cell.site_name}, {"format", cell.format}, {"why", doubt.why}});
        stage.bench.warn(stage.job, fmt::format("{} in {}: {}", cell.site_name, cell.format, doubt.why));
    }
    return out;
}

} // namespace

Json runSweep(const Stage& stage) {
    if (stage.recipe.transform != "none")
        throw Error(ErrorCode::usage, "the transform '" + stage.recipe.transform + "' is folded in by quantizing only",
                    "quantize with it into a file and use that, or set it to none");
    const Recipe::Sweep& wanted = stage.recipe.sweep;
    const bool fisher = wanted.metric == "fisher";
    if (wanted.formats.empty() &&
        !(fisher && (!wanted.activations.empty() || !wanted.keys.empty() || !wanted.values.empty())))
        throw Error(ErrorCode::usage, "a sweep needs formats to try", "add --formats q4_0,q5_0,q8_0");
    requireMeaning(wanted);
    SweepTexts texts = sweepTexts(stage);
    const std::vector<SensitivityCell> known =
        stage.resumed ? stage.log().knownCells(stage.run, stage.model) : std::vector<SensitivityCell>();
    if (!known.empty())
        stage.job.note("resuming: " + std::to_string(known.size()) + " cells are known already");
    if (fisher) {
        texts.windows =
            spread(texts.windows, windowsForProbes(wanted.probes, texts.windows.length) * texts.windows.length);
        sketch(stage, texts, known);
    } else {
        const SweepOptions options = sweepOptions(stage, texts);
        const auto commit = [&](const SensitivityCell& cell) {
            stage.log().addSensitivity(stage.run, cell, options.metric);
        };
        sweep(stage.model, texts.windows, options, texts.importance, known, commit, stage.job);
    }

    const std::vector<SensitivityCell> cells = stage.log().knownCells(stage.run, stage.model);
    stage.log().addMetrics(stage.run,
                           {{"cells", static_cast<double>(cells.size()), std::nullopt, "cells"},
                            {"sweep_tokens", static_cast<double>(texts.windows.tokens()), std::nullopt, "tokens"}});
    return {{"metric", wanted.metric},
            {"tokens", texts.windows.tokens()},
            {"cells", cellsJson(cells)},
            {"doubtful", doubtsJson(stage, cells)}};
}

} // namespace bw
