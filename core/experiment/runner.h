// SPDX-License-Identifier: GPL-3.0-or-later
// Recipe → stages → log. The one place where engine parts are put together; both fronts call only this.
#pragma once

#include "core/assign/solver.h"
#include "core/evaluate/evaluate.h"
#include "core/experiment/log.h"

#include <functional>

namespace bw {

/// Makes a device from its name ("cpu", "vulkan:0", "auto"); app/ supplies it so that core/ never links gpu/.
using DeviceFactory = std::function<std::shared_ptr<Device>(const std::string& name)>;

struct RunOutcome {
    RunId run;
    Json result; ///< the command's JSON of CLI.md, full precision
};

class Runner {
public:
    Runner(ExperimentLog& log, DeviceFactory devices);

    /// Runs the stage that recipe.kind names and logs everything; a failure or cancellation is logged, then rethrown.
    /// @param resume run to continue (sweep); RunId(0) = a new one.
    /// @param strict Error(strictViolation) before work starts when the plan differs from what was asked.
    RunOutcome run(const Recipe& recipe, JobContext& job, const std::string& commandLine, RunId resume = {}, bool strict = false);

    /// What `run` would do, without doing it: tensors with asked/used/why/bytes, exact file size, memory, disk, time.
    Json plan(const Recipe& recipe, JobContext& job);

    /// calibrate → map of all sites × formats → solve → measure the mix, uniform formats and rule lists of its size → refit
    /// and solve again where the prediction was off → quantize + export + audit the best, on any checkpoint. The main job:
    /// `demo` is this on the embedded model, `mix` on the user's.
    struct MixOptions {
        /// fisher: the sketch; kl: measured; output: relative output error, which predicts no KL.
        std::string checkpoint, outPath, budget = "4.5bpw", metric = "fisher";
        std::vector<std::string> formats, calibrationFiles, evaluationFiles;
        std::int64_t samples = 128, length = 512, sweepTokens = 2048, evaluationTokens = 0;
        std::string protocol = "windows:256", tie = "none", device = "cpu", rounder = "weighted", uniformFormat = "q4_0";
        bool replace = false;
        std::uint64_t seed = 1234;
        bool clipSearch = true;
        /// Folded in before the map is made. Rounder "gptq": map, mix and rivals are weighted; then the mix, what measured best
        /// and the best list are rounded by GPTQ, measured again, and the best of them is handed out.
        std::string transform = "none";
        double correction = 0.5; ///< rounder "gptq": Recipe::Gptq::correction
        std::map<std::string, std::string> pins; ///< site pattern → format
        /// Metric "kl" measures every site at the smallest format only and scales the other formats by their output errors
        /// (Recipe::Assignment::scaleRun); true measures every cell.
        bool measureEveryCell = false;
        /// Uniform mixes to evaluate beside the nearest larger and smaller one; empty = `uniformFormat` only.
        std::vector<std::string> uniformFormats;
        std::int64_t probes = 1024;      ///< of the sketch
        std::int64_t checkCells = 8;     ///< sites of each format that the sketch is held against by measured KL; 0 = none
        std::int64_t sketchTokens = 0;   ///< calibration tokens that the sketch reads; 0 = all
        std::vector<std::string> forbid; ///< "FORMAT" or "SITE=FORMAT"
        /// Metrics fisher and kl: at most this many cells whose error bars could change the mix are measured exactly.
        std::int64_t uncertainCells = 0;
        /// Measure everything anew, whatever the log holds.
        bool fresh = false;
        /// The mix is measured once more as this runtime computes (runtimeProfileNames()); it is chosen by exact arithmetic.
        std::string runtime = "ideal";
    };
    /// Resumable as a whole: stages that the log holds finished with the same content are taken from it, a stopped sweep
    /// goes on, so that the same call after a stop or a kill continues behind the last finished stage. "stages" says for
    /// each whether it was "taken" or "resumed".
    /// The mix is never one that measured worse, on the evaluation text, than a uniform format or one of llama.cpp's rule
    /// lists of its size or less: then that one is handed out and "chosen" names it. A budget "kl=0.05" is the smallest file
    /// whose measured KL stays within.
    /// result: CLI.md's `mix` keys plus "chosen", "rounds" (predicted and measured of every mix tried), "uniform" and
    /// "lists" (measured), "runs" (ids by stage), "stages" (seconds each), "table" (rows for people).
    RunOutcome mix(const MixOptions& options, JobContext& job, const std::string& commandLine);

    /// Measures only what could change the mix: solve; of the sites whose error bars let the solution flip, measure the KL
    /// of the formats in question; solve again on the better map, until the mix stays or a limit is reached.
    struct RefineOptions {
        Recipe assign;              ///< of kind "assign": checkpoint, map (sweepRun, in nats), budget, ties, pins; what its
                                    ///< measuredRuns hold already is not measured again
        std::int64_t cells = 64;    ///< at most this many measured cells in all
        std::int64_t rounds = 6;    ///< at most
        std::int64_t tokens = 2048; ///< calibration tokens that each cell is measured on; 0 = all of the map's
    };
    /// result: as of the last assign run, plus "rounds" [{round, cells, sweep, assign, changed}], "cells_measured", "stable"
    /// (the mix no longer depends on an unmeasured error bar), "measured_runs". Every round is two logged runs, a sweep and
    /// an assign. @throws Error(usage) for a map that is not in nats.
    RunOutcome measureUncertain(const RefineOptions& options, JobContext& job, const std::string& commandLine);

    /// Compares two logged runs: metrics with differences and 95 % intervals, fair or why not. Figures by token are paired, the wider of the
    /// intervals over windows and over documents counts; over other tokens they are "not comparable". A difference inside what the runs' replicates (same
    /// recipe, other seeds) differ by is "not distinguishable". Also "tokens", "by_text", "positions" (compare_tokens.h), "noise" (replicates.h).
    static Json compare(const LogReader& log, RunId a, RunId b);
    /// Repeats a logged run as a new one and tells whether its figures agree. On the same stack figures must be equal to
    /// 1e-9 relative; after a change of program, libraries, CPU or device to 1e-4 (round-off of other kernels).
    /// result: run, of, agrees, tolerance, recipe_equal, stack_changes[], metrics[{name, was, is, relative, agrees}], cells_compared,
    /// cells_worst, artifacts[{path, was, is, equal}]. A repeated export is written beside the first one and removed when
    /// its bytes are the same.
    RunOutcome rerun(RunId id, JobContext& job, const std::string& commandLine);

private:
    ExperimentLog& log_;
    DeviceFactory devices_;
};

} // namespace bw
