// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/experiment/runner.h"
#include "core/quantize/runtime_profile.h"
#include "core/report/report.h"
#include "core/report/report_parts.h"
#include "core/report/report_plots.h"
#include "core/report/words.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace bw {
namespace report {
namespace {

double valueOf(const Json& json, const char* key) { return json.contains(key) && json.at(key).is_number() ? json.at(key).get<double>() : plot::kUnknown; }

std::string fairness(const Json& compared) {
    if (compared.at("fair").get<bool>()) return "<p><span class=\"badge good\">fair</span> Same text, tokens, settings, baseline and software.</p>";
    std::string list;
    for (const Json& reason : compared.at("unfair_because")) list += "<li>" + escaped(reason.get<std::string>()) + "</li>";
    return "<p><span class=\"badge warn\">not like with like</span> The differences below are not the recipes' alone:</p><ul>" + list + "</ul>";
}

/// What the figures were computed as: the runtime whose rounding the evaluation followed. Empty where nothing was evaluated.
std::string runtimeOf(const RunDetail& run) {
    const bool evaluated = std::any_of(run.summary.metrics.begin(), run.summary.metrics.end(), [](const MetricRow& metric) { return metric.name == "perplexity"; });
    return evaluated ? Recipe::fromJson(run.recipe).evaluation.runtime : std::string();
}

std::string runtimeWords(const std::string& runtime) {
    if (runtime.empty()) return "not evaluated";
    if (runtime == runtimeProfileName(RuntimeProfile::ideal)) return "exact arithmetic on the decoded weights (ideal)";
    if (runtime == runtimeProfileName(RuntimeProfile::llamaCppCpu)) return "llama.cpp on a CPU, which rounds the input of every product to 8 or 16 bits (llama.cpp-cpu)";
    if (runtime == runtimeProfileName(RuntimeProfile::w8a8)) return "inputs in 8 bits with a scale for each token (w8a8)";
    return runtime;
}

std::string runtimeTable(const RunDetail& a, const RunDetail& b) {
    HtmlTable table{{"", "computed as", "scored by"}, {}, {}};
    for (const auto& [side, run] : {std::pair("A", &a), std::pair("B", &b)}) {
        const std::string runtime = runtimeOf(*run);
        table.rows.push_back({side, escaped(runtimeWords(runtime)), runtime.empty() ? "–" : escaped(Recipe::fromJson(run->recipe).evaluation.protocol)});
    }
    return html(table);
}

std::string verdictCell(const std::string& verdict) {
    const char* look = verdict == "b is better" ? "good" : verdict == "b is worse" ? "bad" : "muted";
    const std::string words = verdict == "b is better" ? "B is better" : verdict == "b is worse" ? "B is worse" : verdict;
    return fmt::format("<span class=\"{}\">{}</span>", look, escaped(words));
}

std::vector<std::string> metricCells(const Json& row, std::string name) {
    const double low = valueOf(row, "ci_low"), high = valueOf(row, "ci_high");
    return {std::move(name), number(valueOf(row, "a"), 5), number(valueOf(row, "b"), 5), number(valueOf(row, "difference"), 3),
            std::isfinite(low) && std::isfinite(high) ? fmt::format("<span title=\"{}\">{} … {}</span>", escaped(row.value("interval", "")), number(low, 3), number(high, 3)) : std::string("–"),
            verdictCell(row.value("verdict", ""))};
}

/// What has a word for people first, in the order that matters; the rest behind a click.
std::string metricsTable(const Json& compared) {
    const std::vector<std::string> head{"figure", "A", "B", "B − A", "95 % interval", "verdict"};
    HtmlTable table{head, {}, {1, 2, 3, 4}}, other{head, {}, {1, 2, 3, 4}};
    for (const Word& word : words())
        for (const Json& row : compared.at("metrics"))
            if (row.at("name") == word.metric) table.rows.push_back(metricCells(row, word.name));
    for (const Json& row : compared.at("metrics"))
        if (const std::string name = row.at("name"); wordOf(name) == nullptr) other.rows.push_back(metricCells(row, escaped(name)));
    if (table.rows.empty() && other.rows.empty()) return "<p class=\"muted\">The runs have no figures in common.</p>";
    return (table.rows.empty() ? std::string() : html(table)) + (other.rows.empty() ? std::string() : details("Other figures", html(other)));
}

std::string sitesTable(const Json& compared) {
    std::vector<Json> rows(compared.at("sites").begin(), compared.at("sites").end());
    std::stable_sort(rows.begin(), rows.end(), [](const Json& a, const Json& b) { return std::abs(valueOf(a, "difference")) > std::abs(valueOf(b, "difference")); });
    HtmlTable table{{"site", "format A", "format B", "error A", "error B"}, {}, {3, 4}};
    for (const Json& row : rows)
        table.rows.push_back({escaped(row.at("site").get<std::string>()), escaped(row.at("a").get<std::string>()), escaped(row.at("b").get<std::string>()), number(valueOf(row, "error_a"), 3), number(valueOf(row, "error_b"), 3)});
    return table.rows.empty() ? std::string() : details(fmt::format("All {} sites, the largest differences first", table.rows.size()), html(table));
}

std::string outputPairs(const RunDetail& a, const RunDetail& b) {
    std::string body;
    for (const OutputRow& left : a.outputs)
        for (const OutputRow& right : b.outputs)
            if (left.prompt == right.prompt)
                body += "<p class=\"muted\">" + escaped(left.prompt) + "</p><p>A</p><pre>" + escaped(left.text) + "</pre><p>B</p><pre>" + escaped(right.text) + "</pre>";
    return body.empty() ? body : section("outputs", "Outputs", body);
}

} // namespace
} // namespace report

Report comparisonReport(const LogReader& log, RunId a, RunId b) {
    using namespace report;
    const RunDetail left = log.run(a), right = log.run(b);
    const Json compared = Runner::compare(log, a, b);
    const std::string nameA = "A: " + runTitle(left), nameB = "B: " + runTitle(right);
    std::string plots;
    if (const auto diagram = reliability({{nameA, evaluationOf(log.result(a))}, {nameB, evaluationOf(log.result(b))}})) plots += figure(*diagram, "On the dashed line confidence is deserved; below it the model is too sure.");
    for (const auto& [name, id] : {std::pair(nameA, a), std::pair(nameB, b)})
        if (const auto scores = log.tokenScores(id))
            if (const auto spread = klByToken(name, *scores)) plots += figure(*spread, "");
    std::string sites;
    if (const auto heat = siteErrors({{nameA, &left}, {nameB, &right}})) sites += figure(*heat, "One colour scale for both.");
    sites += sitesTable(compared);
    std::string changes;
    for (const Json& path : compared.at("recipe_changes")) changes += "<li><code>" + escaped(path.get<std::string>()) + "</code></li>";

    std::string body = section("runs", "What is compared", "<p><b>" + escaped(nameA) + "</b><br><span class=\"muted\">" + escaped(runLine(left)) + "</span></p><p><b>" + escaped(nameB) + "</b><br><span class=\"muted\">" +
                                                               escaped(runLine(right)) + "</span></p>" + runtimeTable(left, right) + fairness(compared) + (changes.empty() ? "" : "<p>The recipes differ at:</p><ul>" + changes + "</ul>"));
    body += section("figures", "Figures", metricsTable(compared)) + pairedPartsSection(compared) + noiseSection(compared.at("noise").at("a"));
    if (compared.at("noise").at("b") != compared.at("noise").at("a")) body += noiseSection(compared.at("noise").at("b"));
    if (!plots.empty()) body += section("confidence", "Confidence and damage", plots);
    if (!sites.empty()) body += section("sites", "Sites", sites);
    body += outputPairs(left, right) + dataSection({&left, &right}) + recipeSection(left, "recipe-a", "Recipe and software of A") + recipeSection(right, "recipe-b", "Recipe and software of B") + footer(right);
    return {page(runTitle(left) + " against " + runTitle(right), fmt::format("runs {} and {} of {}", a.value(), b.value(), left.summary.checkpoint), body),
            {{"comparison", compared}, {"runtime", {{"a", runtimeOf(left)}, {"b", runtimeOf(right)}}}, {"a", metricsJson(left)}, {"b", metricsJson(right)}}};
}

} // namespace bw
