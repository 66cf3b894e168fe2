// SPDX-License-Identifier: GPL-3.0-or-later
// The main job: calibrate → sweep by output error → sweep by measured KL → solve → quantize, export, audit, evaluate →
// uniform mixes → table. Every stage is a run of its own with its own recipe, so that each can be repeated alone, and a
// stopped job goes on behind the last one that finished.
#include "core/experiment/plan_rows.h"
#include "core/experiment/reuse.h"
#include "core/experiment/stack.h"
#include "core/experiment/workbench.h"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>

namespace bw {
namespace {

class MixJob {
public:
    MixJob(Workbench& bench, const Runner::MixOptions& options, JobContext& job, const std::string& commandLine)
        : bench_(bench), options_(options), job_(job), commandLine_(commandLine) {}

    RunOutcome run();

private:
    Recipe recipe(const std::string& kind, const std::string& name) const;
    RunOutcome stage(const std::string& key, const std::string& what, const Recipe& recipe);
    void requireWritable(const Model& model);
    Recipe quantizing(Recipe r) const;
    std::string smallestFormat() const;
    std::uint64_t uniformBytes(const std::string& format) const;
    std::vector<std::pair<std::string, std::string>> uniformChoices(std::uint64_t mixBytes) const;
    Json uniform(const std::string& format, const std::string& rounder);

    Workbench& bench_;
    const Runner::MixOptions& options_;
    JobContext& job_;
    const std::string& commandLine_;
    Json runs_ = Json::object(), stages_ = Json::array();
};

Recipe MixJob::recipe(const std::string& kind, const std::string& name) const {
    Recipe r;
    r.kind = kind;
    r.name = name;
    r.checkpoint = options_.checkpoint;
    r.seed = options_.seed;
    r.device = options_.device;
    r.calibration = {options_.calibrationFiles, options_.samples, options_.length};
    r.rounder = options_.rounder;
    r.clipSearch = options_.clipSearch;
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
    job_.note(what + (taken ? fmt::format(": taken from run {}", outcome->run.value()) : resumed ? fmt::format(": going on with run {}", resume.value()) : ""));
    if (!taken)
        outcome = runLogged(bench_, recipe, job_, commandLine_, resume, false);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    runs_[key] = outcome->run.value();
    stages_.push_back({{"stage", key}, {"what", what}, {"run", outcome->run.value()}, {"seconds", seconds}, {"taken", taken}, {"resumed", resumed}});
    return *outcome;
}

/// Bytes of the whole file in one format.
std::uint64_t MixJob::uniformBytes(const std::string& format) const {
    Recipe uniform = recipe("quantize", "");
    uniform.assignment.format = format;
    uniform.exporting = {options_.outPath, true}; // only planned: the same container as the mix
    const std::shared_ptr<const Model> model = bench_.model(options_.checkpoint, options_.device);
    return planFor(*model, recipeFormats(*model, uniform), uniform).fileBytes;
}

/// A target that exists or is the source is refused now, not after the sweeps. What an earlier, stopped call wrote there
/// is no obstacle.
void MixJob::requireWritable(const Model& model) {
    if (options_.outPath.empty())
        return;
    Recipe planned = withAbsolutePaths(quantizing(recipe("quantize", "")));
    planned.assignment.format = options_.formats.front();
    planned.assignment.budget = options_.budget;
    if (!options_.fresh && !planned.exporting.replace)
        planned.exporting.replace = isOwnExport(bench_, planned, true, job_);
    planFor(model, recipeFormats(model, planned), planned);
}

/// The recipe of the mix itself, apart from which site gets which format.
Recipe MixJob::quantizing(Recipe r) const {
    r.name = "mix " + options_.budget;
    r.calibration = {options_.calibrationFiles, options_.samples, options_.length};
    r.evaluation = {options_.evaluationFiles, options_.protocol, options_.evaluationTokens};
    r.exporting = {options_.outPath, options_.replace};
    return r;
}

std::string MixJob::smallestFormat() const {
    return *std::min_element(options_.formats.begin(), options_.formats.end(),
                             [&](const std::string& a, const std::string& b) { return uniformBytes(a) < uniformBytes(b); });
}

/// What the mix is held against: the format asked for, the uniform mix just above its size, and the one just below, all
/// rounded as plainly as possible; those above also with the mix's own rounder, so that the mixing alone shows.
std::vector<std::pair<std::string, std::string>> MixJob::uniformChoices(std::uint64_t mixBytes) const {
    std::vector<std::string> wanted = options_.uniformFormats;
    if (!options_.uniformFormat.empty())
        wanted.push_back(options_.uniformFormat);
    std::string above, below;
    std::uint64_t aboveBytes = 0, belowBytes = 0;
    for (const std::string& format : options_.formats) {
        const std::uint64_t bytes = uniformBytes(format);
        if (bytes >= mixBytes && (above.empty() || bytes < aboveBytes)) {
            above = format;
            aboveBytes = bytes;
        }
        if (bytes < mixBytes && (below.empty() || bytes > belowBytes)) {
            below = format;
            belowBytes = bytes;
        }
    }
    if (!below.empty())
        wanted.push_back(below);
    for (const std::string& format : options_.formats)
        if (!above.empty() && uniformBytes(format) == aboveBytes)
            wanted.push_back(format); // rivals of one size are all heard
    std::vector<std::pair<std::string, std::string>> choices;
    for (const std::string& format : wanted)
        if (std::find(choices.begin(), choices.end(), std::pair(format, std::string("nearest"))) == choices.end())
            choices.emplace_back(format, "nearest");
    if (options_.rounder == "nearest")
        return choices;
    for (const std::string& format : options_.formats)
        if (!above.empty() && uniformBytes(format) == aboveBytes)
            choices.emplace_back(format, options_.rounder);
    return choices;
}

Json MixJob::uniform(const std::string& format, const std::string& rounder) {
    Recipe r = recipe("quantize", "uniform " + format + (rounder == "nearest" ? "" : ", " + rounder));
    r.rounder = rounder;
    r.assignment.format = format;
    r.evaluation = {options_.evaluationFiles, options_.protocol, options_.evaluationTokens};
    const std::string key = "uniform_" + format + (rounder == "nearest" ? "" : "_" + rounder);
    const RunOutcome outcome = stage(key, fmt::format("evaluate uniform {} ({})", format, rounder), r);
    const Json& e = outcome.result.at("evaluation");
    return {{"format", format},       {"rounder", rounder},     {"bytes", uniformBytes(format)}, {"bits_per_weight", outcome.result.at("bits_per_weight")},
            {"kl", e.at("kl_mean")},  {"kl_se", e.at("kl_se")}, {"perplexity", e.at("perplexity")}, {"perplexity_se", e.at("perplexity_se")},
            {"same_top1", e.at("same_top1")}, {"run", outcome.run.value()}};
}

Json tableRow(const std::string& name, const Json& bytes, const Json& bits, const Json& e, bool isBase) {
    return {{"name", name},
            {"bytes", bytes},
            {"bits_per_weight", bits},
            {"perplexity", isBase ? e.at("base_perplexity") : e.at("perplexity")},
            {"perplexity_se", isBase ? Json() : e.at("perplexity_se")},
            {"kl", isBase ? Json(0.0) : e.at("kl_mean")},
            {"kl_se", isBase ? Json() : e.at("kl_se")},
            {"same_top1", isBase ? Json(1.0) : e.at("same_top1")}};
}

RunOutcome MixJob::run() {
    if (options_.formats.empty())
        throw Error(ErrorCode::usage, "a mix needs formats to choose from", "add --formats q4_0,q5_0,q8_0");
    if (options_.evaluationFiles.empty())
        throw Error(ErrorCode::usage, "a mix needs evaluation text, so that its damage is measured and not only predicted", "add --eval-text FILE");
    const bool byKl = options_.metric == "kl";
    const JobScope scope(&job_);
    const std::shared_ptr<const Model> model = bench_.model(options_.checkpoint, options_.device);
    requireWritable(*model);

    Recipe calibration = recipe("calibrate", "mix: calibrate");
    calibration.evaluation = {options_.evaluationFiles, options_.protocol, options_.evaluationTokens};
    const RunOutcome calibrated = stage("calibrate", "calibrate", calibration);

    Recipe output = recipe("sweep", "mix: output error");
    output.sweep = {options_.formats, "output", 0};
    const RunOutcome outputSweep = stage("sweep_output", "sweep by output error", output);
    RunOutcome map = outputSweep;
    if (byKl) {
        Recipe kl = recipe("sweep", "mix: measured KL");
        kl.sweep = {options_.measureEveryCell ? options_.formats : std::vector{smallestFormat()}, "kl", options_.sweepTokens};
        map = stage("sweep_kl", "sweep by measured KL", kl);
    }

    Recipe assign = recipe("assign", "mix: solve " + options_.budget);
    assign.calibration.files.clear();
    assign.assignment.budget = options_.budget;
    assign.assignment.pins = options_.pins;
    assign.assignment.sweepRun = map.run.value();
    assign.assignment.scaleRun = byKl && !options_.measureEveryCell ? outputSweep.run.value() : 0;
    assign.exporting = {options_.outPath, options_.replace};
    const RunOutcome solved = stage("assign", "solve " + options_.budget, assign);

    const Recipe quantize = quantizing(Recipe::fromJson(solved.result.at("recipe")));
    const RunOutcome made = stage("quantize", options_.outPath.empty() ? "quantize, evaluate" : "quantize, write, audit, evaluate", quantize);

    const Json& measured = made.result.at("evaluation");
    const std::uint64_t mixBytes = made.result.at("bytes").get<std::uint64_t>();
    Json uniforms = Json::array();
    for (const auto& [format, rounder] : uniformChoices(mixBytes))
        uniforms.push_back(uniform(format, rounder));

    Json table = Json::array();
    table.push_back(tableRow("as it is", model->checkpoint().totalBytes(), model->checkpoint().bitsPerWeight(), measured, true));
    table.push_back(tableRow("mix " + options_.budget, mixBytes, made.result.at("bits_per_weight"), measured, false));
    for (const Json& u : uniforms) {
        Json row = u;
        row["name"] = fmt::format("uniform {} ({})", u.at("format").get<std::string>(), u.at("rounder").get<std::string>());
        table.push_back(std::move(row));
    }

    Json result = solved.result;
    result.update(Json{{"run", made.run.value()},
                       {"bytes", mixBytes},
                       {"bits_per_weight", made.result.at("bits_per_weight")},
                       {"file_bits_per_weight", made.result.at("file_bits_per_weight")},
                       {"measured_kl", measured.at("kl_mean")},
                       {"measured_se", measured.at("kl_se")},
                       {"perplexity", measured.at("perplexity")},
                       {"base_perplexity", measured.at("base_perplexity")},
                       {"evaluation", measured},
                       {"uniform", uniforms},
                       {"calibration_tokens", calibrated.result.at("tokens")},
                       {"warnings", calibrated.result.at("warnings")},
                       {"runs", runs_},
                       {"stages", stages_},
                       {"table", table},
                       {"peak_memory", peakMemoryBytes()}});
    if (made.result.contains("audit")) {
        result["audit"] = made.result.at("audit");
        result["path"] = made.result.at("path");
    }
    return {made.run, std::move(result)};
}

} // namespace

RunOutcome Runner::mix(const MixOptions& options, JobContext& job, const std::string& commandLine) {
    Workbench bench(log_, devices_);
    return MixJob(bench, options, job, commandLine).run();
}

} // namespace bw
