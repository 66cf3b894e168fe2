// SPDX-License-Identifier: GPL-3.0-or-later
// Running the main job's stages, each a logged run of its own, taken from the log where it is there already.
#include "core/experiment/mix_job.h"
#include "core/experiment/plan_rows.h"
#include "core/experiment/refine.h"
#include "core/experiment/reuse.h"
#include "core/experiment/sketch_checks.h"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>

namespace bw {

Recipe MixJob::recipe(const std::string& kind, const std::string& name) const {
    Recipe r;
    r.kind = kind;
    r.name = name;
    r.checkpoint = options_.checkpoint;
    r.seed = options_.seed;
    r.device = options_.device;
    r.calibration = {options_.calibrationFiles, options_.samples, options_.length};
    r.rounder = mapRounder();
    r.clipSearch = options_.clipSearch;
    r.transform = options_.transform;
    r.assignment.tie = options_.tie;
    return r;
}

RunOutcome MixJob::stage(const std::string& key, const std::string& what, const Recipe& recipe) {
    const auto begun = std::chrono::steady_clock::now();
    const Recipe wanted = withAbsolutePaths(recipe);
    std::optional<RunOutcome> outcome;
    RunId resume;
    if (!options_.fresh) {
        outcome = finishedTwin(bench_, wanted, job_);
        resume = outcome ? RunId(0) : unfinishedSweep(bench_, wanted, job_);
    }
    const bool taken = outcome.has_value(), resumed = resume.value() != 0;
    job_.note(what + (taken     ? fmt::format(": taken from run {}", outcome->run.value())
                      : resumed ? fmt::format(": going on with run {}", resume.value())
                                : ""));
    if (!taken)
        outcome = runLogged(bench_, recipe, job_, commandLine_, resume, false);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    runs_[key] = outcome->run.value();
    stages_.push_back({{"stage", key},
                       {"what", what},
                       {"run", outcome->run.value()},
                       {"seconds", seconds},
                       {"taken", taken},
                       {"resumed", resumed}});
    return *outcome;
}

/// Bytes of the whole file, in the container that is asked for.
std::uint64_t MixJob::bytesOf(const Recipe& quantize) const {
    Recipe planned = quantize;
    planned.exporting = {options_.outPath, true}; // only planned
    return planFor(*model_, recipeFormats(*model_, planned), planned).fileBytes;
}

/// A target that exists or is the source is refused now, not after the sweeps. What an earlier, stopped call wrote
/// there is no obstacle.
void MixJob::requireWritable() {
    if (options_.outPath.empty())
        return;
    Recipe planned = withAbsolutePaths(measuring(recipe("quantize", ""), ""));
    planned.assignment.format = options_.formats.front();
    // One site of each other format, since not every container holds all of them side by side.
    auto format = options_.formats.begin() + 1;
    for (const Site& site : model_->sites())
        if (site.block.value() >= 0 && format != options_.formats.end())
            planned.assignment.rules.push_back({site.name, *format++});
    planned.exporting = {options_.outPath, options_.replace};
    planned = withAbsolutePaths(planned);
    if (!options_.fresh && !planned.exporting.replace)
        planned.exporting.replace = isOwnExport(bench_, planned, true, job_);
    planFor(*model_, recipeFormats(*model_, planned), planned);
}

/// A quantization that is evaluated and not written.
Recipe MixJob::measuring(Recipe r, const std::string& name) const {
    r.name = name;
    r.calibration = {options_.calibrationFiles, options_.samples, options_.length};
    r.evaluation = {options_.evaluationFiles, options_.protocol, options_.evaluationTokens};
    r.exporting = {};
    // What a mix was solved from is in its assign run; the quantization is the same whatever it came from.
    Recipe::Assignment kept;
    kept.format = r.assignment.format;
    kept.rules = r.assignment.rules;
    kept.pins = r.assignment.pins;
    kept.budget = options_.budget; // so that a later call knows its own file
    kept.tie = options_.tie;
    r.assignment = kept;
    return r;
}

std::string MixJob::smallestFormat() const {
    const auto bytes = [&](const std::string& format) {
        Recipe uniform = recipe("quantize", "");
        uniform.assignment.format = format;
        return bytesOf(uniform);
    };
    return *std::min_element(options_.formats.begin(), options_.formats.end(),
                             [&](const std::string& a, const std::string& b) { return bytes(a) < bytes(b); });
}

/// The map by the metric asked for, as an assignment that can be solved.
void MixJob::buildMap() {
    assign_ = recipe("assign", "");
    assign_.calibration.files.clear();
    assign_.assignment.pins = options_.pins;
    assign_.assignment.forbid = options_.forbid;
    assign_.exporting = {options_.outPath, options_.replace};
    if (options_.metric == "fisher") {
        Recipe sketch = recipe("sweep", "mix: Fisher sketch");
        sketch.sweep = {options_.formats, "fisher", options_.sketchTokens};
        sketch.sweep.probes = options_.probes;
        const RunId made = stage("sweep_fisher", "sketch of all sites and formats", sketch).run;
        assign_.assignment.sweepRun = made.value();
        if (options_.checkCells > 0) {
            const Recipe check = checkSweep(LogReader(bench_.log().path()), made, options_.checkCells, kCheckTokens);
            if (!check.sweep.sites.empty())
                assign_.assignment.measuredRuns = {
                    stage("sweep_check", "sketch held against measured cells", check).run.value()};
        }
    } else {
        Recipe output = recipe("sweep", "mix: output error");
        output.sweep = {options_.formats, "output", 0};
        assign_.assignment.sweepRun = stage("sweep_output", "sweep by output error", output).run.value();
    }
    if (options_.metric == "kl") {
        Recipe kl = recipe("sweep", "mix: measured KL");
        kl.sweep = {options_.measureEveryCell ? options_.formats : std::vector{smallestFormat()}, "kl",
                    options_.sweepTokens};
        assign_.assignment.scaleRun = options_.measureEveryCell ? 0 : assign_.assignment.sweepRun;
        assign_.assignment.sweepRun = stage("sweep_kl", "sweep by measured KL", kl).run.value();
    }
    if (options_.uncertainCells > 0 && options_.metric != "output") {
        Runner::RefineOptions refine;
        refine.assign = assign_;
        refine.assign.name = "mix: measure the uncertain";
        refine.assign.assignment.budget = options_.budget;
        refine.cells = options_.uncertainCells;
        refine.tokens = options_.sweepTokens;
        const RunOutcome better = measureUncertainCells(bench_, refine, job_, commandLine_);
        assign_.assignment.measuredRuns = better.result.at("measured_runs").get<std::vector<std::int64_t>>();
        refinement_ = {{"rounds", better.result.at("rounds")},
                       {"cells_measured", better.result.at("cells_measured")},
                       {"stable", better.result.at("stable")}};
    }
    if (options_.metric != "output")
        map_ = readAssignMap(bench_, *model_, assign_.assignment, job_);
    if (map_)
        predictors_.emplace(mixPredictors(*map_, *model_));
}

/// Solves; the mix is not measured yet. @param round 1 …; @param start a run whose mix is left only where it surely
/// pays.
MixCandidate MixJob::solved(const std::string& budget, int round, RunId start) {
    Recipe assign = assign_;
    assign.assignment.budget = budget;
    assign.assignment.startRun = start.value();
    assign.name = "mix: solve " + budget;
    const std::string how = start.value() != 0        ? fmt::format(", starting from run {}", start.value())
                            : assign.assignment.refit ? ", refitted"
                                                      : "";
    const RunOutcome outcome =
        stage(round == 1 ? "assign" : fmt::format("assign_{}", round), "solve " + budget + how, assign);
    MixCandidate mix;
    mix.solved = outcome.result;
    mix.name = "mix " + options_.budget;
    mix.recipe = measuring(Recipe::fromJson(outcome.result.at("recipe")), "measure: " + mix.name);
    mix.rounder = mapRounder();
    mix.bytes = outcome.result.at("bytes").get<std::uint64_t>();
    if (const Json& p = outcome.result.at("prediction"); p.is_object())
        mix.predicted =
            Prediction{p.at("sum"), p.at("sum_se"), p.at("interaction"), p.at("shrinkage"), p.at("kl"), p.at("se")};
    return mix;
}

void MixJob::measure(MixCandidate& candidate, const std::string& key) {
    const RunOutcome outcome = stage(key, "evaluate " + candidate.name, candidate.recipe);
    candidate.result = outcome.result;
    candidate.run = outcome.run;
    const Json& evaluation = outcome.result.at("evaluation");
    candidate.kl = evaluation.at("kl_mean").get<double>();
    candidate.se = evaluation.at("kl_se").is_number() ? evaluation.at("kl_se").get<double>() : 0.0;
}

} // namespace bw
