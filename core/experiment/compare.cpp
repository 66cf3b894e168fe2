// SPDX-License-Identifier: GPL-3.0-or-later
// Two logged runs side by side: differences with 95 % intervals, and whether the comparison is fair.
#include "core/evaluate/paired.h"
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
    static const std::set<std::string> higher{"same_top1"};
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

/// Both runs scored the same tokens, so what the text adds to the spread cancels.
std::optional<Difference> paired(const std::vector<float>& a, const std::vector<float>& b, std::int64_t windows) {
    if (a.size() != b.size() || a.empty())
        return std::nullopt;
    const PairedDifference d = pairedDifference(a, b, windows);
    if (d.blocks < 2)
        return std::nullopt;
    return Difference{d.difference, d.low, d.high, true, fmt::format("paired, {} blocks of {} tokens", d.blocks, d.blockTokens)};
}

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

struct Pairing { std::optional<Difference> nll, kl; };

/// How many windows the run's tokens came from; 1 when it does not say.
std::int64_t windowsOf(const RunDetail& run) {
    for (const MetricRow& metric : run.summary.metrics)
        if (metric.name == "evaluation_windows")
            return static_cast<std::int64_t>(metric.value);
    return 1;
}

Pairing pairTokens(const LogReader& log, RunId a, RunId b, std::int64_t windows) {
    const std::optional<TokenScoreRow> left = log.tokenScores(a), right = log.tokenScores(b);
    if (!left || !right || left->ids != right->ids)
        return {};
    return {paired(left->nll, right->nll, windows), paired(left->kl, right->kl, windows)};
}

Json compareMetrics(const RunDetail& a, const RunDetail& b, const Pairing& pairing) {
    std::map<std::string, const MetricRow*> right;
    for (const MetricRow& metric : b.summary.metrics)
        right[metric.name] = &metric;
    Json rows = Json::array();
    for (const MetricRow& metric : a.summary.metrics) {
        const auto found = right.find(metric.name);
        if (found == right.end())
            continue;
        Difference d = unpaired(metric, *found->second);
        if (metric.name == "nll" && pairing.nll)
            d = *pairing.nll;
        if (metric.name == "kl_mean" && pairing.kl)
            d = *pairing.kl;
        if (metric.name == "perplexity" && pairing.nll) {
            // exp is steep but smooth: the paired interval of the mean log-likelihood times the perplexity, to first order.
            const double scale = 0.5 * (metric.value + found->second->value);
            d.low = d.value + (pairing.nll->low - pairing.nll->value) * scale;
            d.high = d.value + (pairing.nll->high - pairing.nll->value) * scale;
            d.hasError = true;
            d.how = pairing.nll->how;
        }
        rows.push_back({{"name", metric.name},
                        {"unit", metric.unit},
                        {"a", metric.value},
                        {"b", found->second->value},
                        {"difference", d.value},
                        {"ci_low", d.hasError ? Json(d.low) : Json()},
                        {"ci_high", d.hasError ? Json(d.high) : Json()},
                        {"interval", d.how},
                        {"verdict", verdict(d, betterOf(metric.name), metric.name == "bytes" || metric.name == "bits_per_weight")}});
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

std::vector<std::string> unfairReasons(const RunDetail& a, const RunDetail& b) {
    std::vector<std::string> reasons;
    const auto differ = [&](const std::string& what, const std::string& left, const std::string& right) {
        if (left != right)
            reasons.push_back(fmt::format("{}: {} against {}", what, left.empty() ? "none" : left, right.empty() ? "none" : right));
    };
    const Recipe left = Recipe::fromJson(a.recipe), right = Recipe::fromJson(b.recipe);
    if (textsOf(a, "evaluation") != textsOf(b, "evaluation"))
        reasons.emplace_back("evaluated on different texts");
    differ("protocol", left.evaluation.protocol, right.evaluation.protocol);
    differ("evaluation tokens", std::to_string(left.evaluation.tokens), std::to_string(right.evaluation.tokens));
    if (a.summary.status != "done" || b.summary.status != "done")
        reasons.push_back(fmt::format("not both are finished: {} and {}", a.summary.status, b.summary.status));
    const auto baseOf = [](const Recipe& r) { return r.kind == "quantize" && r.base.empty() ? r.checkpoint : r.base; };
    differ("baseline of the KL", baseOf(left), baseOf(right));
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
    const std::vector<std::string> reasons = unfairReasons(left, right);
    return {{"a", sideJson(left)},
            {"b", sideJson(right)},
            {"metrics", compareMetrics(left, right, pairTokens(log, a, b, windowsOf(left)))},
            {"fair", reasons.empty()},
            {"unfair_because", reasons},
            {"recipe_changes", recipeChanges(left, right)},
            {"sites", siteErrors(left, right)}};
}

} // namespace bw
