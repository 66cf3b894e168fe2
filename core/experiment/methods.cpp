// SPDX-License-Identifier: GPL-3.0-or-later
// Running trials and ranking them.
#include "core/experiment/methods.h"

#include "core/experiment/reuse.h"
#include "core/experiment/workbench.h"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <set>

namespace bw {
namespace {

void requireComparable(const std::vector<MethodTrial>& trials) {
    if (trials.empty())
        throw Error(ErrorCode::usage, "there is no method to try", "name some with --recipes");
    const auto judgedBy = [](const Recipe& r) { return r.toJson().at("evaluation").dump() + r.checkpoint + r.base; };
    std::set<std::string> names;
    for (const MethodTrial& trial : trials) {
        if (trial.recipe.evaluation.files.empty())
            throw Error(ErrorCode::usage, "methods are ranked by what they measure, and no evaluation text is named", "add --eval-text FILE");
        if (judgedBy(trial.recipe) != judgedBy(trials.front().recipe))
            throw Error(ErrorCode::usage, fmt::format("'{}' and '{}' are judged on different models or texts", trials.front().name, trial.name), "give all of them the same");
        if (!names.insert(trial.name).second)
            throw Error(ErrorCode::usage, fmt::format("the method '{}' is named twice", trial.name), "name each once");
    }
}

struct Tried {
    Json row;
    Json recipe; ///< without its name
    double kl = 0;
    std::uint64_t bytes = 0;
};

/// Transform, rounder and schemes of a trial, with its formats: what a nearest trial must share to be its yardstick.
std::string formatsOf(const Recipe& r) { return r.toJson().at("assignment").dump() + r.activations + r.kvCache; }

Tried tryOne(Workbench& bench, const MethodTrial& trial, bool fresh, JobContext& job, const std::string& commandLine) {
    Recipe recipe = trial.recipe;
    recipe.kind = "quantize";
    recipe.name = trial.name;
    recipe = withAbsolutePaths(recipe);
    const auto begun = std::chrono::steady_clock::now();
    std::optional<RunOutcome> outcome = fresh ? std::nullopt : finishedTwin(bench, recipe, job);
    const bool taken = outcome.has_value();
    job.note(trial.name + (taken ? fmt::format(": taken from run {}", outcome->run.value()) : ""));
    if (!taken)
        outcome = runLogged(bench, recipe, job, commandLine, RunId(0), false);
    const Json& r = outcome->result;
    const Json& e = r.at("evaluation");
    Tried out;
    out.kl = e.at("kl_mean").get<double>();
    out.bytes = r.at("bytes").get<std::uint64_t>();
    out.row = {{"name", trial.name},
               {"why", trial.why},
               {"method", recipe.transform == "none" ? recipe.rounder : recipe.transform + " + " + recipe.rounder},
               {"format", recipe.assignment.format},
               {"recipe", recipe.toJson()},
               {"run", outcome->run.value()},
               {"bytes", out.bytes},
               {"bits_per_weight", r.at("bits_per_weight")},
               {"perplexity", e.at("perplexity")},
               {"perplexity_se", e.at("perplexity_se")},
               {"base_perplexity", e.at("base_perplexity")},
               {"kl", e.at("kl_mean")},
               {"kl_se", e.at("kl_se")},
               {"same_top1", e.at("same_top1")},
               {"rounding_seconds", r.value("rounding_seconds", Json())},
               {"seconds", taken ? r.at("seconds") : Json(std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count())},
               {"taken", taken}};
    return out;
}

/// By rising KL; equal ones by size. Marks the front, and whether plain rounding to the same formats is beaten.
Json ranked(std::vector<Tried> tried, const std::vector<MethodTrial>& trials) {
    std::map<std::string, double> nearest;
    for (const Tried& one : tried) {
        const auto trial = std::find_if(trials.begin(), trials.end(), [&](const MethodTrial& t) { return t.name == one.row.at("name"); });
        if (trial->recipe.transform == "none" && trial->recipe.rounder == "nearest")
            nearest[formatsOf(trial->recipe)] = one.kl;
    }
    std::stable_sort(tried.begin(), tried.end(), [](const Tried& a, const Tried& b) { return a.kl != b.kl ? a.kl < b.kl : a.bytes < b.bytes; });
    Json rows = Json::array();
    for (Tried& one : tried) {
        const auto trial = std::find_if(trials.begin(), trials.end(), [&](const MethodTrial& t) { return t.name == one.row.at("name"); });
        one.row["front"] = std::none_of(tried.begin(), tried.end(), [&](const Tried& other) {
            return other.bytes <= one.bytes && other.kl <= one.kl && (other.bytes < one.bytes || other.kl < one.kl);
        });
        const auto plain = nearest.find(formatsOf(trial->recipe));
        const bool isPlain = trial->recipe.transform == "none" && trial->recipe.rounder == "nearest";
        one.row["nearest_kl"] = plain == nearest.end() ? Json() : Json(plain->second);
        one.row["beats_nearest"] = plain == nearest.end() || isPlain ? Json() : Json(one.kl < plain->second);
        rows.push_back(one.row);
    }
    return rows;
}

} // namespace

Json tryMethods(ExperimentLog& log, const DeviceFactory& devices, const MethodsOptions& options, JobContext& job, const std::string& commandLine) {
    requireComparable(options.trials);
    Workbench bench(log, devices);
    const JobScope scope(&job);
    std::vector<Tried> tried;
    Json failed = Json::array();
    for (const MethodTrial& trial : options.trials) {
        try {
            tried.push_back(tryOne(bench, trial, options.fresh, job, commandLine));
        } catch (const Error& e) {
            // What this model or format can't do says so by these; anything else (a full disk, a stop) ends the call.
            if (e.code() != ErrorCode::usage && e.code() != ErrorCode::unsupportedModel && e.code() != ErrorCode::invalidFormat && e.code() != ErrorCode::shapeMismatch)
                throw;
            job.note("warning: " + trial.name + " can't be run: " + e.message());
            failed.push_back({{"name", trial.name}, {"reason", e.message()}, {"hint", e.hint()}});
        }
    }
    if (tried.empty())
        throw Error(ErrorCode::usage, fmt::format("none of the methods could be run; {}: {}", failed.front().at("name").get<std::string>(), failed.front().at("reason").get<std::string>()),
                    failed.front().at("hint").get<std::string>());
    return {{"methods", ranked(std::move(tried), options.trials)}, {"failed", failed}};
}

} // namespace bw
