// SPDX-License-Identifier: GPL-3.0-or-later
// One recipe as one logged run, and what it would do.
#include "core/experiment/runner.h"

#include "core/experiment/plan_rows.h"
#include "core/experiment/result_warnings.h"
#include "core/experiment/stack.h"
#include "core/experiment/workbench.h"
#include "core/model/non_finite.h"


#include <fmt/format.h>
#include <new>

namespace bw {
namespace {

using StageFunction = Json (*)(const Stage&);

StageFunction stageOf(const std::string& kind) {
    if (kind == "calibrate")
        return runCalibrate;
    if (kind == "sweep")
        return runSweep;
    if (kind == "assign")
        return runAssign;
    if (kind == "quantize")
        return runQuantize;
    if (kind == "evaluate")
        return runEvaluate;
    if (kind == "generate")
        return runGenerate;
    if (kind == "diagnose")
        return runDiagnose;
    throw Error(ErrorCode::invalidRecipe, "there is no run of kind '" + kind + "'", "kinds: calibrate, sweep, assign, quantize, evaluate, generate, diagnose");
}

/// A resumed run must be the one that was begun: cells of two different sweeps must never meet in one map.
void requireSameSweep(const ExperimentLog& log, RunId id, const Recipe& recipe) {
    const RunDetail stored = LogReader(log.path()).run(id);
    if (stored.summary.kind != "sweep")
        throw Error(ErrorCode::usage, fmt::format("run {} is of kind '{}'; only sweeps can be resumed", id.value(), stored.summary.kind), "use rerun to repeat it");
    Recipe begun = Recipe::fromJson(stored.recipe);
    begun.name = recipe.name;
    if (begun == recipe)
        return;
    const Json a = begun.toJson(), b = recipe.toJson();
    std::string list;
    for (const auto& change : Json::diff(a, b))
        list += (list.empty() ? "" : ", ") + change.value("path", std::string());
    throw Error(ErrorCode::usage, fmt::format("run {} was begun with another recipe (differs at {})", id.value(), list), "resume without changing options, or start a new sweep");
}

/// The log says what ran on the device and what fell back to the CPU.
void logOperations(Workbench& bench, RunId run, const Device& device, JobContext& job) {
    std::vector<MetricRow> rows;
    std::string onCpu;
    for (const auto& [operation, counts] : device.operationCounts()) {
        rows.push_back({"device." + operation + ".on_device", static_cast<double>(counts.onDevice), std::nullopt, "calls"});
        rows.push_back({"device." + operation + ".on_cpu", static_cast<double>(counts.onCpu), std::nullopt, "calls"});
        if (counts.onCpu > 0)
            onCpu += fmt::format("{}{} ({} of {})", onCpu.empty() ? "" : ", ", operation, counts.onCpu, counts.onCpu + counts.onDevice);
    }
    rows.push_back({"peak_memory", static_cast<double>(peakMemoryBytes()), std::nullopt, "bytes"});
    bench.log().addMetrics(run, rows);
    if (const std::string failure = device.failure(); !failure.empty())
        bench.warn(job, fmt::format("{} {}; the results are whole", device.name(), failure));
    else if (!onCpu.empty() && device.name() != "cpu")
        job.note(fmt::format("without a kernel on {}, or room for it, these ran on the CPU: {}", device.name(), onCpu));
}

/// Damaged weights that count as zero are told and counted: metrics of the run, and "non_finite" of its result.
Json logNonFinite(Workbench& bench, RunId run, const Model& model, JobContext& job, std::vector<DataWarning>& warnings) {
    std::int64_t weights = 0, blocks = 0;
    Json tensors = Json::array();
    const std::vector<NonFiniteTensor> found = findNonFinite(model, job);
    if (!found.empty()) {
        warnings.push_back(nonFiniteWarning(found, ""));
        warnings.back().why = "they count as zero: the model is not what its makers left";
        warnings.back().remedy = "get the file again";
    }
    for (const NonFiniteTensor& tensor : found) {
        bench.warn(job, tensor.text() + ", and count as zero");
        weights += tensor.weights;
        blocks += tensor.blocks;
        tensors.push_back({{"tensor", tensor.tensor}, {"weights", tensor.weights}, {"blocks", tensor.blocks}, {"block_length", tensor.blockLength}});
    }
    bench.log().addMetrics(run, {{"non_finite_weights", static_cast<double>(weights), std::nullopt, "weights"},
                                 {"non_finite_blocks", static_cast<double>(blocks), std::nullopt, "blocks"}});
    return {{"weights", weights}, {"blocks", blocks}, {"tensors", tensors}};
}

/// A result that is no number, explained by the tensors that hold none either.
void explainNonFinite(Error& error, ExperimentLog& log, RunId run, const Model& model, JobContext& job) noexcept {
    if (error.code() != ErrorCode::nonFinite)
        return;
    try {
        const std::vector<NonFiniteTensor> found = model.nonFinite() == NonFinite::zero ? std::vector<NonFiniteTensor>() : findNonFinite(model, job);
        log.addWarnings(run, {nonFiniteWarning(found, error.message())});
        for (std::size_t i = 0; i < found.size() && i < 3; ++i)
            error.add("damaged", found[i].text());
        if (!found.empty())
            error.add("to go on", "--non-finite zero takes such weights as zero, and says how many");
    } catch (const std::exception&) { // stopped, or no memory: the first error is what counts
    }
}

/// Writes the end of a run that did not succeed. A log that can't be written any more must not hide the first error.
void finishQuietly(ExperimentLog& log, RunId run, RunStatus status, const std::string& error, JobContext& job) noexcept {
    try {
        log.finishRun(run, status, error);
    } catch (const std::exception& second) {
        try {
            job.note(std::string("the log could not note the end of the run: ") + second.what());
        } catch (...) { // out of memory: the first error is what counts
        }
    }
}

} // namespace

RunOutcome runLogged(Workbench& bench, const Recipe& asked, JobContext& job, const std::string& commandLine, RunId resume, bool strict) {
    const Recipe recipe = withAbsolutePaths(asked);
    const StageFunction function = stageOf(recipe.kind);
    if (resume.value() != 0)
        requireSameSweep(bench.log(), resume, recipe);
    if (recipe.kind == "diagnose")
        requireDiagnosable(LogReader(bench.log().path()), recipe);
    const std::shared_ptr<const Model> model = bench.model(recipe);
    RunId run = resume;
    if (resume.value() != 0)
        bench.log().resumeRun(resume);
    else
        run = bench.log().beginRun(recipe, commandLine, model->checkpoint(), model->device());
    try {
        const Stage stage{bench, run, recipe, *model, job, strict, resume.value() != 0};
        Json result;
        {
            const JobScope scope(&job);
            const std::string sha256 = bench.checkpointSha256(*model, job);
            std::vector<DataWarning> warnings;
            const Json damaged = model->nonFinite() == NonFinite::zero ? logNonFinite(bench, run, *model, job, warnings) : Json();
            result = function(stage);
            bench.log().addWarnings(run, warnings); // behind the stage's own, which it sets
            if (!damaged.is_null())
                result["non_finite"] = damaged;
            result["checkpoint_sha256"] = sha256;
        }
        logOperations(bench, run, model->device(), job);
        bench.log().setResult(run, result);
        bench.log().finishRun(run, RunStatus::done);
        result["run"] = run.value();
        return {run, std::move(result)};
    } catch (Error& e) {
        explainNonFinite(e, bench.log(), run, *model, job);
        const bool cancelled = e.code() == ErrorCode::cancelled;
        finishQuietly(bench.log(), run, cancelled ? RunStatus::cancelled : RunStatus::failed, cancelled ? "" : e.oneLine(), job);
        e.add("run", std::to_string(run.value()));
        throw;
    } catch (const std::bad_alloc&) {
        finishQuietly(bench.log(), run, RunStatus::failed, "out of memory", job);
        throw Error(ErrorCode::outOfMemory, fmt::format("run {} ran out of memory", run.value()), "use shorter or fewer windows, or --memory to spill earlier");
    } catch (const std::exception& e) {
        finishQuietly(bench.log(), run, RunStatus::failed, e.what(), job);
        throw Error(ErrorCode::internal, fmt::format("run {}: {}", run.value(), e.what()), "please report this with the command line");
    }
}

Runner::Runner(ExperimentLog& log, DeviceFactory devices) : log_(log), devices_(std::move(devices)) {}

RunOutcome Runner::run(const Recipe& recipe, JobContext& job, const std::string& commandLine, RunId resume, bool strict) {
    Workbench bench(log_, devices_);
    return runLogged(bench, recipe, job, commandLine, resume, strict);
}

} // namespace bw
