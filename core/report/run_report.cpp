// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/atomic_file.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/experiment/replicates.h"
#include "core/report/report.h"
#include "core/report/report_parts.h"
#include "core/report/report_plots.h"
#include "core/report/words.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fmt/format.h>
#include <map>

namespace bw {
namespace report {
namespace {

std::string withError(const MetricRow& metric) {
    return number(metric.value, 5) + (metric.standardError ? " ± " + number(*metric.standardError, 2) : "");
}

std::string card(const std::string& value, const std::string& what) {
    return "<div class=\"card\"><b>" + escaped(value) + "</b><span>" + escaped(what) + "</span></div>";
}

std::string cards(const RunDetail& run) {
    std::string out;
    std::map<std::string, const MetricRow*> metrics;
    for (const MetricRow& metric : run.summary.metrics) metrics[metric.name] = &metric;
    if (metrics.contains("bits_per_weight")) out += card(number(metrics["bits_per_weight"]->value, 4), "bits per weight");
    if (metrics.contains("bytes")) out += card(formatBytes(static_cast<std::uint64_t>(std::max(0.0, metrics["bytes"]->value))), "file");
    if (metrics.contains("perplexity"))
        out += card(number(metrics["perplexity"]->value, 4), metrics.contains("base_perplexity") ? "perplexity, full model " + number(metrics["base_perplexity"]->value, 4) : "perplexity");
    if (metrics.contains("kl_mean")) out += card(number(metrics["kl_mean"]->value, 3), "KL, nats per token" + (metrics["kl_mean"]->standardError ? " ± " + number(*metrics["kl_mean"]->standardError, 2) : ""));
    if (metrics.contains("same_top1")) out += card(number(100 * metrics["same_top1"]->value, 3) + " %", "same likeliest token");
    if (const std::string runtime = Recipe::fromJson(run.recipe).evaluation.runtime; runtime != "ideal" && metrics.contains("perplexity")) out += card(runtime, "computed as this runtime does");
    if (metrics.contains("ece")) out += card(number(metrics["ece"]->value, 3), "calibration error of confidence");
    return out.empty() ? out : "<div class=\"cards\">" + out + "</div>\n";
}

std::string sitesSection(const RunDetail& run) {
    std::string body;
    if (const auto heat = siteErrors({{run.summary.name.empty() ? "this run" : run.summary.name, &run}})) body += figure(*heat, "Dark blue: little error. Sites left in full precision are empty.");
    HtmlTable table{{"site", "format", "bytes", "error", ""}, {}, {2, 3}};
    for (const AssignmentRow& row : run.assignments)
        table.rows.push_back({escaped(row.site), escaped(row.used), number(static_cast<double>(row.bytes), 12), number(row.relativeError, 3),
                              row.why.empty() ? std::string() : "asked: " + escaped(row.asked) + " – " + escaped(row.why)});
    if (!table.rows.empty()) body += details(fmt::format("All {} sites", table.rows.size()), html(table));
    return body.empty() ? body : section("sites", "Sites", body);
}

std::string diagnosisSection(const Json& diagnosis) {
    if (!diagnosis.is_object() || !diagnosis.contains("findings")) return {};
    std::string list;
    for (const Json& finding : diagnosis.at("findings"))
        list += "<li><b>" + escaped(finding.value("title", "")) + "</b><br>" + escaped(finding.value("evidence", "")) + "<br><span class=\"muted\">" + escaped(finding.value("advice", "")) + "</span></li>\n";
    std::string body = list.empty() ? "<p>Nothing to report.</p>" : "<ol class=\"findings\">" + list + "</ol>";
    if (const auto blocks = trace(diagnosis)) body += figure(*blocks, "");
    return section("diagnosis", "Diagnosis", body);
}

} // namespace

std::string runTitle(const RunDetail& run) {
    if (!run.summary.name.empty()) return run.summary.name;
    const Recipe recipe = Recipe::fromJson(run.recipe);
    if (run.summary.kind != "quantize") return fmt::format("{} of {}", run.summary.kind, run.summary.checkpoint);
    const std::string rules = recipe.assignment.rules.empty() ? std::string() : fmt::format(" + {} {}", recipe.assignment.rules.size(), recipe.assignment.rules.size() == 1 ? "rule" : "rules");
    const std::string how = (recipe.transform == "none" ? "" : ", " + recipe.transform) + (recipe.rounder == "nearest" ? "" : ", " + recipe.rounder);
    return fmt::format("{} in {}{}{}", run.summary.checkpoint, recipe.assignment.format, rules, how);
}

std::string runLine(const RunDetail& run) {
    return fmt::format("{} run {} of {}, {} UTC, {}, {}", run.summary.kind, run.summary.id.value(), run.summary.checkpoint, run.summary.startedAt, run.summary.status, formatSeconds(run.summary.seconds));
}

Json evaluationOf(const Json& result) {
    if (!result.is_object()) return nullptr;
    if (result.contains("evaluation")) return result.at("evaluation");
    return result.contains("perplexity") ? result : Json();
}

Json metricsJson(const RunDetail& run) {
    Json out = Json::object();
    for (const MetricRow& metric : run.summary.metrics) {
        out[metric.name] = {{"value", metric.value}, {"unit", metric.unit}};
        if (metric.standardError) out[metric.name]["se"] = *metric.standardError;
    }
    return out;
}

std::string metricsSection(const RunDetail& run) {
    HtmlTable table{{"figure", "value ± standard error", "what it is"}, {}, {1}};
    std::string more;
    HtmlTable other{{"figure", "value", "unit"}, {}, {1}};
    for (const Word& word : words())
        for (const MetricRow& metric : run.summary.metrics)
            if (metric.name == word.metric) table.rows.push_back({word.name, withError(metric), word.means});
    for (const MetricRow& metric : run.summary.metrics)
        if (wordOf(metric.name) == nullptr) other.rows.push_back({escaped(metric.name), withError(metric), escaped(metric.unit)});
    if (!other.rows.empty()) more = details("Other figures", html(other));
    return table.rows.empty() && more.empty() ? std::string() : section("figures", "Figures", (table.rows.empty() ? "" : html(table)) + more);
}

std::string dataSection(const std::vector<const RunDetail*>& runs) {
    HtmlTable table{{"run", "use", "file", "tokens", "bytes", "SHA-256"}, {}, {3, 4}};
    for (const RunDetail* run : runs)
        for (const DatasetRow& data : run->datasets)
            table.rows.push_back({std::to_string(run->summary.id.value()), escaped(data.role), escaped(std::filesystem::path(data.path).filename().string()), number(static_cast<double>(data.tokens), 12),
                                  number(static_cast<double>(data.bytes), 12), "<code title=\"" + escaped(data.sha256) + "\">" + escaped(data.sha256.substr(0, 16)) + "…</code>"});
    for (const RunDetail* run : runs)
        table.rows.push_back({std::to_string(run->summary.id.value()), "model", escaped(run->checkpoint.name), number(static_cast<double>(run->checkpoint.parameters), 12) + " parameters",
                              number(static_cast<double>(run->checkpoint.bytes), 12), escaped(run->checkpoint.family)});
    return section("data", "Data sheet", html(table));
}

std::string warningsSection(const LogReader& log, RunId run) {
    const std::vector<DataWarning> warnings = log.warnings(run);
    std::string body;
    for (const DataWarning& warning : warnings) {
        body += "<p><b class=\"warn\">" + escaped(warning.seen) + "</b><br>" + escaped(warning.why) + "<br><span class=\"muted\">" + escaped(warning.remedy) + "</span></p>";
        std::string list;
        for (const std::string& detail : warning.details) list += escaped(detail) + "\n";
        if (!list.empty()) body += details("Details", "<pre>" + list + "</pre>");
    }
    return section("warnings", "Warnings", body.empty() ? "<p class=\"good\">None.</p>" : body);
}

std::string outputsSection(const RunDetail& run) {
    std::string body;
    for (const OutputRow& output : run.outputs) body += "<p class=\"muted\">" + escaped(output.prompt) + "</p><pre>" + escaped(output.text) + "</pre>";
    return body.empty() ? body : section("outputs", "Outputs", body);
}

std::string canarySection(const RunDetail& run) {
    constexpr double kTokens = 2000;
    HtmlTable table{{"watch", "expected", "alarm", "what it tells"}, {}, {1, 2}};
    for (const Canary& canary : canaryAdvice(run, kTokens)) {
        const Word* word = wordOf(canary.metric);
        table.rows.push_back({word == nullptr ? escaped(canary.metric) : word->name, number(canary.expected, 4), (canary.above ? "above " : "below ") + number(canary.alarm, 4), escaped(canary.how)});
    }
    if (table.rows.empty()) return {};
    return section("canary", "What to watch in use",
                   fmt::format("<p>Measure the served model on about {} tokens of the evaluation text now and then. Beyond these values chance is no explanation (three standard errors).</p>", number(kTokens)) + html(table));
}

std::string recipeSection(const RunDetail& run, const std::string& id, const std::string& title) {
    HtmlTable stack{{}, {{"program", escaped(run.stack.program)}, {"compiler", escaped(run.stack.compiler)}, {"libraries", escaped(run.stack.libraries)}, {"processor", escaped(run.stack.cpu)},
                         {"device", escaped(run.stack.device)}, {"threads", std::to_string(run.stack.threads)}}};
    return section(id, title, "<pre>" + escaped(run.commandLine) + "</pre>" + html(stack) + details("The whole recipe", "<pre>" + escaped(run.recipe.dump(2, ' ', false, Json::error_handler_t::replace)) + "</pre>"));
}

std::string footer(const RunDetail& run) {
    return "<footer>Made by " + escaped(run.stack.program) + ". The figures are those of the experiment log; <code>bitwright-cli rerun " + std::to_string(run.summary.id.value()) + "</code> repeats them.</footer>\n";
}

Json diagnosisOf(const LogReader& log, RunId run) {
    for (const RunSummary& other : log.runs()) { // newest first
        if (other.kind != "diagnose" || other.status != "done") continue;
        const Json result = log.result(other.id);
        if (result.is_object() && result.value("of", std::int64_t{0}) == run.value()) return result;
    }
    return nullptr;
}

} // namespace report

Report runReport(const LogReader& log, RunId id) {
    using namespace report;
    const RunDetail run = log.run(id);
    const Json result = log.result(id), diagnosis = run.summary.kind == "diagnose" ? result : diagnosisOf(log, id), evaluation = evaluationOf(result);
    std::string plots;
    if (const auto diagram = reliability({{runTitle(run), evaluation}})) plots += figure(*diagram, "On the dashed line confidence is deserved; below it the model is too sure.");
    if (const auto scores = log.tokenScores(id))
        if (const auto spread = klByToken(runTitle(run), *scores)) plots += figure(*spread, "A long tail at the right means few tokens carry most of the damage.");
    std::string body = cards(run);
    if (!run.summary.error.empty()) body += section("error", "It did not finish", "<p class=\"bad\">" + escaped(run.summary.error) + "</p>");
    const Json noise = noiseJson(noiseBand(log, id));
    body += metricsSection(run) + partsSection(evaluation) + noiseSection(noise);
    if (!plots.empty()) body += section("confidence", "Confidence and damage", plots);
    body += diagnosisSection(diagnosis) + warningsSection(log, id) + sitesSection(run) + outputsSection(run) + canarySection(run) + dataSection({&run}) + recipeSection(run, "recipe", "Recipe and software") + footer(run);

    Json warnings = Json::array(), canary = Json::array(), data = Json::array(), sites = Json::array(), outputs = Json::array();
    for (const DataWarning& warning : log.warnings(id)) warnings.push_back({{"kind", warning.kind}, {"seen", warning.seen}, {"why", warning.why}, {"remedy", warning.remedy}, {"details", warning.details}});
    for (const Canary& watch : canaryAdvice(run)) canary.push_back({{"metric", watch.metric}, {"expected", watch.expected}, {"alarm", watch.alarm}, {"above", watch.above}});
    for (const DatasetRow& set : run.datasets) data.push_back({{"role", set.role}, {"path", set.path}, {"sha256", set.sha256}, {"bytes", set.bytes}, {"tokens", set.tokens}});
    for (const AssignmentRow& row : run.assignments) sites.push_back({{"site", row.site}, {"asked", row.asked}, {"used", row.used}, {"bytes", row.bytes}, {"error", row.relativeError}});
    for (const OutputRow& output : run.outputs) outputs.push_back({{"prompt", output.prompt}, {"text", output.text}});
    return {page(runTitle(run), runLine(run), body),
            {{"run", id.value()}, {"kind", run.summary.kind}, {"name", run.summary.name}, {"status", run.summary.status}, {"checkpoint", run.summary.checkpoint}, {"started_at", run.summary.startedAt},
             {"metrics", metricsJson(run)}, {"evaluation", evaluation}, {"noise", noise}, {"diagnosis", diagnosis}, {"warnings", warnings}, {"canary", canary}, {"data", data}, {"sites", sites}, {"outputs", outputs},
             {"recipe", run.recipe}, {"command_line", run.commandLine},
             {"stack", {{"program", run.stack.program}, {"compiler", run.stack.compiler}, {"libraries", run.stack.libraries}, {"cpu", run.stack.cpu}, {"device", run.stack.device}, {"threads", run.stack.threads}}}}};
}

void writeReport(const Report& report, const std::string& path, bool replace) {
    const std::filesystem::path html(path);
    if (html.extension() != ".html") throw Error(ErrorCode::usage, "a report is written as .html, and '" + escapeForDisplay(path) + "' does not end in it", "name it like report.html");
    const std::string json = std::filesystem::path(html).replace_extension(".json").string();
    const AtomicFile::Replace how = replace ? AtomicFile::Replace::yes : AtomicFile::Replace::no;
    AtomicFile page(path, how), data(json, how);
    page.write(report.html);
    data.write(report.json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
    page.finish();
    data.finish();
    data.commit();
    page.commit();
}

} // namespace bw
