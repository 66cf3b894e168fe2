// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/mix_job.h"

#include "core/base/error.h"

namespace bw {
namespace {

/// Every option by its name, once for both directions.
template <class Options, class Visit>
void eachOption(Options& o, const Visit& visit) {
    visit("checkpoint", o.checkpoint);
    visit("outPath", o.outPath);
    visit("budget", o.budget);
    visit("metric", o.metric);
    visit("formats", o.formats);
    visit("calibrationFiles", o.calibrationFiles);
    visit("evaluationFiles", o.evaluationFiles);
    visit("samples", o.samples);
    visit("length", o.length);
    visit("sweepTokens", o.sweepTokens);
    visit("evaluationTokens", o.evaluationTokens);
    visit("protocol", o.protocol);
    visit("tie", o.tie);
    visit("device", o.device);
    visit("rounder", o.rounder);
    visit("uniformFormat", o.uniformFormat);
    visit("uniformFormats", o.uniformFormats);
    visit("replace", o.replace);
    visit("seed", o.seed);
    visit("clipSearch", o.clipSearch);
    visit("pins", o.pins);
    visit("probes", o.probes);
    visit("sketchTokens", o.sketchTokens);
    visit("forbid", o.forbid);
    visit("uncertainCells", o.uncertainCells);
    visit("checkCells", o.checkCells);
    visit("measureEveryCell", o.measureEveryCell);
    visit("transform", o.transform);
    visit("correction", o.correction);
    visit("fresh", o.fresh);
    visit("runtime", o.runtime);
}

} // namespace

Json mixToJson(const Runner::MixOptions& options) {
    Json json = Json::object();
    eachOption(options, [&json](const char* name, const auto& value) { json[name] = value; });
    return json;
}

Runner::MixOptions mixFromJson(const Json& json) {
    Runner::MixOptions options;
    try {
        eachOption(options, [&json](const char* name, auto& value) {
            if (json.contains(name)) json.at(name).get_to(value); // an older program knew fewer
        });
    } catch (const Json::exception& problem) {
        throw Error(ErrorCode::invalidRecipe, std::string("the stopped mix can't be read: ") + problem.what(), "Start the mix anew.");
    }
    if (options.checkpoint.empty()) throw Error(ErrorCode::invalidRecipe, "the stopped mix names no checkpoint", "Start the mix anew.");
    return options;
}

} // namespace bw
