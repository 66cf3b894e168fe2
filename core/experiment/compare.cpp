// SPDX-License-Identifier: GPL-3.0-or-later
// Two logged runs side by side: differences with 95 % intervals, and whether the comparison is fair.
#include "core/experiment/baseline_check.h"
#include "core/experiment/compare_tokens.h"
#include "core/experiment/replicates.h"
#include "core/experiment/runner.h"

#include <cmath>
#include <fmt/format.h>
#include <map>
#include <set>

namespace bw {
namespace {

constexpr double kNormal95 = 1.959964; ///< two-sided 95 % of a normal distribution

enum class Better { lower, higher, neither };

Better betterOf(const std::string& metric) {
    static const std::set<std::string> lower{"perplexity", "nll", "ece", "brier", "kl_mean", "bytes", "bits_per_weight"};
    static const std::set<std::string> higher{"same_top1", "top1", "choice_accuracy", "cloze_accuracy", "exact_match"};
    if (lower.contains(metric))
        return Better::lower;
    return higher.contains(metric) ? Better::higher : Better::neither;
}

/// Of b − a, with a 95 % interval where something is known of its error.
struct Difference {
    double value = 0, low = 0, high = 0;
    bool hasError = false;
    std::string how;
};

Difference unpaired(const MetricRow& a, const MetricRow& b) {
    Difference d{b.value - a.value, 0, 0, false, "no error known"};
    if (a.standardError || b.standardError) {
        const double reach = kNormal95 * std::hypot(a.standardError.value_or(0), b.standardError.value_or(0));
        d.low = d.value - reach;
        d.high = d.value + reach;
        d.hasError = true;
        d.how = "independent errors";
    }
    return d;
}

/// Sizes are exact; of any other figure without an error nothing can be said.
const char* verdict(const Difference& d, Better better, bool exact) {
    if (better == Better::neither || (!exact && !d.hasError))
        return "";
    if (d.hasError ? d.low <= 0 && d.high >= 0 : !(std::abs(d.value) > 0))
        return "not distinguishable";
    return (d.value < 0) == (better == Better::lower) ? "b is better" : "b is worse";
}

/// exp is steep but smooth: the paired interval of the mean log-likelihood times the perplexity, to first order.
Difference ofPerplexity(double a, double b, const PairedFigure& nll) {
    const double scale = 0.5 * (a + b);
    const double difference = b - a;
    return {difference, difference + (nll.low - nll.windows.difference) * scale, difference + (nll.high - nll.windows.difference) * scale, true, nll.how};
}

Difference differenceOf(const MetricRow& a, const MetricRow& b, const TokenComparison& tokens) {
    const auto found = tokens.figures.find(a.name == "perplexity" ? "nll" : a.name);
    if (found == tokens.figures.end())
        return unpaired(a, b);
    const PairedFigure& paired = found->second;
    if (a.name == "perplexity")
        return ofPerplexity(a.value, b.value, paired);
    return {paired.windows.difference, paired.low, paired.high, true, paired.how};
}

struct Bands { NoiseBand a, b; };

/// What two runs of one recipe with different seeds would differ by is no difference between recipes.
std::string heldAgainstNoise(Difference& d, std::string verdict, const Bands& bands, const std::string& metric) {
    const std::optional<double> band = noiseHalfWidth(bands.a, bands.b, metric);
    if (!band)
        return verdict;
    const std::size_t runs = bands.a.runs.size() + (bands.a.runs == bands.b.runs ? 0 : bands.b.runs.size());
    const bool inside = std::abs(d.value) <= *band;
    d.how += fmt::format("; seeds of {} runs differ by ±{:.3g}", runs, *band);
    if (inside && (verdict == "b is better" || verdict == "b is worse"))
        return "not distinguishable";
    return verdict;
}

Json compareMetrics(const RunDetail& a, const RunDetail& b, const TokenComparison& tokens, const Bands& bands) {
    std::map<std::string, const MetricRow*> right;
    for (const MetricRow& metric : b.summary.metrics)
        right[metric.name] = &metric;
    Json rows = Json::array();
    for (const MetricRow& metric : a.summary.metrics) {
        const auto found = right.find(metric.name);
        if (found == right.end())
            continue;
        const bool refused = !tokens.whyNot.empty() && isOfTokens(metric.name);
        Difference d = refused ? Difference{found->second->value - metric.value, 0, 0, false, "not the same tokens"} : differenceOf(metric, *found->second, tokens);
        std::string judged = refused ? "not comparable" : verdict(d, betterOf(metric.name), metric.name == "bytes" || metric.name == "bits_per_weight");
        if (!refused)
            judged = heldAgainstNoise(d, std::move(judged), bands, metric.name);
        rows.push_back({{"name", metric.name},
                        {"unit", metric.unit},
                        {"a", metric.value},
                        {"b", found->second->value},
                        {"difference", d.value},
                        {"ci_low", d.hasError ? Json(d.low) : Json()},
                        {"ci_high", d.hasError ? Json(d.high) : Json()},
                        {"interval", d.how},
                        {"verdict", judged}});
    }
    return rows;
}

std::set<std::string> textsOf(const RunDetail& run, const std::string& role) {
    std::set<std::string> out;
    for (const DatasetRow& data : run.datasets)
        if (data.role == role)
            out.insert(data.sha256);
    return out;
}

std::vector<std::string> unfairReasons(const LogReader& log, const RunDetail& a, const RunDetail& b) {
    std::vector<std::string> reasons;
    const auto differ = [&](const std::string& what, const std::string& left, const std::string& right) {
        if (left != right)
            reasons.push_back(fmt::format("{}: {} against {}", what, left.empty() ? "none" : left, right.empty() ? "none" : right));
    };
    const Recipe left = Recipe::fromJson(a.recipe), right = Recipe::fromJson(b.recipe);
    if (textsOf(a, "evaluation") != textsOf(b, "evaluation"))
        reasons.emplace_back("evaluated on different texts");
    differ("protocol", left.evaluation.protocol, right.evaluation.protocol);
    differ("runtime", left.evaluation.runtime, right.evaluation.runtime);
    differ("evaluation tokens", std::to_string(left.evaluation.tokens), std::to_string(right.evaluation.tokens));
    if (a.summary.status != "done" || b.summary.status != "done")
        reasons.push_back(fmt::format("not both are finished: {} and {}", a.summary.status, b.summary.status));
    const auto baseOf = [](const Recipe& r) { return r.kind == "quantize" && r.base.empty() ? r.checkpoint : r.base; };
    differ("baseline of the KL", baseOf(left), baseOf(right));
    if (const std::string was = loggedBaseline(log, a.summary.id), is = loggedBaseline(log, b.summary.id); !was.empty() && !is.empty())
        differ("weights of the baseline", was.substr(0, 12), is.substr(0, 12));
    differ("program", a.stack.program, b.stack.program);
    differ("device", a.stack.device, b.stack.device);
    differ("CPU", a.stack.cpu, b.stack.cpu);
    return reasons;
}

Json sideJson(const RunDetail& run) {
    return {{"run", run.summary.id.value()}, {"kind", run.summary.kind}, {"name", run.summary.name}, {"checkpoint", run.summary.checkpoint}, {"status", run.summary.status}};
}

Json recipeChanges(const RunDetail& a, const RunDetail& b) {
    Json out = Json::array();
    for (const Json& change : Json::diff(a.recipe, b.recipe))
        if (change.at("path") != "/name")
            out.push_back(change.at("path"));
    return out;
}

Json siteErrors(const RunDetail& a, const RunDetail& b) {
    std::map<std::string, const AssignmentRow*> right;
    for (const AssignmentRow& row : b.assignments)
        right[row.site] = &row;
    Json rows = Json::array();
    for (const AssignmentRow& row : a.assignments)
        if (const auto found = right.find(row.site); found != right.end())
            rows.push_back({{"site", row.site},
                            {"a", row.used},
                            {"b", found->second->used},
                            {"error_a", row.relativeError},
                            {"error_b", found->second->relativeError},
                            {"difference", found->second->relativeError - row.relativeError}});
    return rows;
}

} // namespace

Json Runner::compare(const LogReader& log, RunId a, RunId b) {
    const RunDetail left = log.run(a), right = log.run(b);
    std::vector<std::string> reasons = unfairReasons(log, left, right);
    const TokenComparison tokens = compareTokens(log, left, right);
    if (!tokens.whyNot.empty())
        reasons.push_back("figures by token can't be compared: " + tokens.whyNot);
    const Bands bands{noiseBand(log, a), noiseBand(log, b)};
    return {{"a", sideJson(left)},
            {"b", sideJson(right)},
            {"metrics", compareMetrics(left, right, tokens, bands)},
            {"tokens", tokens.toJson()},
            {"by_text", tokens.byText},
            {"positions", tokens.byPosition},
            {"noise", {{"a", noiseJson(bands.a)}, {"b", noiseJson(bands.b)}}},
            {"fair", reasons.empty()},
            {"unfair_because", reasons},
            {"recipe_changes", recipeChanges(left, right)},
            {"sites", siteErrors(left, right)}};
}

} // namespace bw
