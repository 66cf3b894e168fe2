// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/experiment/revalidate.h"

#include "core/base/error.h"
#include "core/experiment/stack.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <set>

namespace bw {
namespace {

/// Kinds whose figures say how good a model is; sweeps and calibrations are repeated with rerun, one by one.
bool hasVerdict(const RunSummary& run) { return run.status == runStatusName(RunStatus::done) && (run.kind == "evaluate" || run.kind == "quantize") && !run.metrics.empty(); }

std::vector<RunSummary> chosen(const LogReader& log, const RevalidateOptions& options) {
    std::vector<RunSummary> out;
    for (const RunId run : options.runs) {
        const RunSummary summary = log.run(run).summary;
        if (!hasVerdict(summary))
            throw Error(ErrorCode::usage, fmt::format("run {} is of kind '{}', {}: there are no figures to hold it to", run.value(), summary.kind, summary.status), "finished quantize and evaluate runs can be revalidated");
        out.push_back(summary);
    }
    if (!options.runs.empty())
        return out;
    for (const RunSummary& run : log.runs(INT64_MAX)) {
        const bool tagged = options.tag.empty() ? !run.tags.empty() : std::find(run.tags.begin(), run.tags.end(), options.tag) != run.tags.end();
        if (hasVerdict(run) && (options.all || tagged))
            out.push_back(run);
    }
    std::reverse(out.begin(), out.end()); // in the order they were made
    if (out.empty())
        throw Error(ErrorCode::usage, options.tag.empty() ? std::string("no finished run has a tag") : "no finished run has the tag '" + options.tag + "'", "tag those you rely on with 'runs tag ID TAG', name runs, or use --all");
    return out;
}

/// Figures outside their first errors. Sizes and counts have none: they must be equal.
Json drift(const RunSummary& was, const Json& repeated) {
    Json out = Json::array();
    for (const Json& row : repeated.at("metrics")) {
        if (row.at("agrees").get<bool>())
            continue;
        const auto first = std::find_if(was.metrics.begin(), was.metrics.end(), [&](const MetricRow& m) { return m.name == row.at("name"); });
        const double error = first != was.metrics.end() && first->standardError ? *first->standardError : 0;
        const bool missing = row.at("is").is_null();
        if (missing || std::abs(row.at("is").get<double>() - row.at("was").get<double>()) > error)
            out.push_back({{"name", row.at("name")}, {"was", row.at("was")}, {"is", row.at("is")}, {"error", error > 0 ? Json(error) : Json()}, {"relative", row.at("relative")}});
    }
    return out;
}

/// Figures that have an error decide; those without one follow them (quantiles, counts of the same tokens).
bool drifted(const Json& outside) {
    return std::any_of(outside.begin(), outside.end(), [](const Json& row) { return !row.at("error").is_null() || row.at("is").is_null() || row.at("name") == "bytes"; });
}

} // namespace

namespace {

/// Round-off: as close as rerun() asks of one stack, or of two.
constexpr double kSame = 1e-9, kOtherStack = 1e-4;

/// Oldest first.
std::vector<RunDetail> repetitions(const LogReader& log, RunId run) {
    const RunDetail mine = log.run(run);
    std::vector<RunDetail> out;
    for (const RunId other : log.replicates(run)) {
        RunDetail detail = other == run ? mine : log.run(other);
        if (detail.recipe.value("seed", Json()) == mine.recipe.value("seed", Json()))
            out.push_back(std::move(detail));
    }
    return out;
}

Json timeJson(const RunDetail& first, const RunDetail& now) {
    const std::vector<std::string> changes = stackChanges(first.stack, now.stack);
    Json figures = Json::array();
    bool same = true, within = true;
    for (const MetricRow& was : first.summary.metrics) {
        const auto is = std::find_if(now.summary.metrics.begin(), now.summary.metrics.end(), [&name = was.name](const MetricRow& m) { return m.name == name; });
        if (!was.standardError || is == now.summary.metrics.end())
            continue;
        const double apart = std::abs(is->value - was.value);
        same = same && apart <= (changes.empty() ? kSame : kOtherStack) * std::max(std::abs(is->value), std::abs(was.value));
        within = within && apart <= *was.standardError;
        figures.push_back({{"name", was.name}, {"value", is->value}, {"error", *was.standardError}, {"drift", *was.standardError > 0 ? Json(apart / *was.standardError) : Json()}});
    }
    return {{"run", now.summary.id.value()}, {"started_at", now.summary.startedAt}, {"program", now.stack.program}, {"stack_changes", changes},
            {"verdict", first.summary.id == now.summary.id ? "first" : same ? "same" : within ? "within error" : "drifted"}, {"figures", figures}};
}

} // namespace

Json decayHistory(const LogReader& log, const RevalidateOptions& options) {
    Json rows = Json::array();
    std::set<std::int64_t> told;
    int apart = 0;
    for (const RunSummary& run : chosen(log, options)) {
        const std::vector<RunDetail> times = repetitions(log, run.id);
        if (times.empty() || !told.insert(times.front().summary.id.value()).second)
            continue; // a repetition of one that is told already
        Json row{{"run", times.front().summary.id.value()}, {"name", run.name}, {"kind", run.kind}, {"times", Json::array()}};
        for (const RunDetail& time : times)
            row["times"].push_back(timeJson(times.front(), time));
        apart += row["times"].back().at("verdict") == "drifted";
        rows.push_back(std::move(row));
    }
    return {{"runs", rows}, {"drifted", apart}};
}

Json revalidate(Runner& runner, const LogReader& log, const RevalidateOptions& options, JobContext& job, const std::string& commandLine) {
    Json rows = Json::array();
    int same = 0, within = 0, apart = 0, failed = 0;
    for (const RunSummary& run : chosen(log, options)) {
        Json row{{"run", run.id.value()}, {"name", run.name}, {"kind", run.kind}, {"again", nullptr}, {"drifted", Json::array()}, {"stack_changes", Json::array()}, {"why", ""}};
        try {
            const RunOutcome outcome = runner.rerun(run.id, job, commandLine);
            row["again"] = outcome.run.value();
            row["stack_changes"] = outcome.result.at("stack_changes");
            row["drifted"] = drift(run, outcome.result);
            const bool agrees = outcome.result.at("agrees").get<bool>(), gone = drifted(row["drifted"]);
            row["verdict"] = agrees ? "same" : gone ? "drifted" : "within error";
            ++(agrees ? same : gone ? apart : within);
        } catch (const Error& e) {
            if (e.code() == ErrorCode::cancelled)
                throw;
            row["verdict"] = "failed";
            row["why"] = e.message();
            ++failed;
        }
        rows.push_back(std::move(row));
    }
    return {{"runs", rows}, {"same", same}, {"within_error", within}, {"drifted", apart}, {"failed", failed}};
}

} // namespace bw
