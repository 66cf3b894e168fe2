// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/experiment/task_rows.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace bw {
namespace {

Json collapseJson(const Collapse& c) {
    return {{"longest_loop", c.longestLoop}, {"distinct_1", c.distinct1}, {"distinct_2", c.distinct2}, {"distinct_3", c.distinct3}, {"entropy", c.entropy}, {"collapsed", c.collapsed()}};
}

Json textJson(const JudgedText& text) {
    return {{"text", text.text}, {"ids", text.ids}, {"under_base", text.underBase}, {"under_model", text.underModel}, {"collapse", collapseJson(text.collapse)}};
}

Json candidatesJson(const std::vector<Candidate>& candidates) {
    Json out = Json::array();
    for (const Candidate& c : candidates)
        out.push_back({{"id", c.id}, {"log_probability", c.logProbability}});
    return out;
}

Json rowsJson(const std::vector<TaskRow>& rows) {
    Json out = Json::array();
    for (const TaskRow& row : rows)
        if (row.kind != TaskKind::open)
            out.push_back({{"id", row.id}, {"domain", row.domain}, {"kind", taskName(row.kind)}, {"right", row.right}, {"chosen", row.chosen}, {"log_probability", row.logProbability}, {"text", row.text}});
    return out;
}

/// Figures of several files joined: means by items, errors as of independent samples.
void join(std::map<std::string, TaskFigure>& all, const TaskFigure& figure) {
    const auto [known, made] = all.emplace(figure.name, figure);
    if (made)
        return;
    TaskFigure& sum = known->second;
    const double n = static_cast<double>(sum.items), m = static_cast<double>(figure.items);
    sum.value = (n * sum.value + m * figure.value) / (n + m);
    if (sum.standardError && figure.standardError)
        sum.standardError = std::hypot(n * *sum.standardError, m * *figure.standardError) / (n + m);
    sum.items += figure.items;
}

} // namespace

Json pairJson(const OutputPair& pair) {
    return {{"id", pair.id}, {"domain", pair.domain}, {"base", textJson(pair.base)}, {"model", textJson(pair.model)}, {"divergence", pair.divergence}, {"top_base", candidatesJson(pair.topBase)},
            {"top_model", candidatesJson(pair.topModel)}, {"cosine", pair.cosine}, {"lowest_cosine", pair.lowestCosine}, {"edit_distance", pair.editDistance}};
}

void runPromptSets(const Stage& stage, const WeightSource* source, const Model* base, Json& out) {
    const Recipe::Tasks& wanted = stage.recipe.tasks;
    const std::shared_ptr<const Tokenizer> tokenizer = stage.bench.tokenizer(stage.model);
    std::vector<PromptItem> prompts;
    std::map<std::string, TaskFigure> figures;
    out["tasks"] = Json::array();
    for (const std::string& file : wanted.prompts) {
        const PromptSet set = loadPrompts(file, stage.job);
        stage.log().addDataset(stage.run, TextData{set.path, set.name, set.sha256, set.bytes, {}}, "prompts");
        const TaskReport report = runTasks(stage.model, source, *tokenizer, set, {wanted.maxTokens}, stage.job);
        Json list = Json::array();
        for (const TaskFigure& figure : report.figures) {
            list.push_back({{"name", figure.name}, {"value", figure.value}, {"se", figure.standardError ? Json(*figure.standardError) : Json()}, {"items", figure.items}});
            join(figures, figure);
        }
        for (const auto* told : {&set.warnings, &report.warnings})
            for (const std::string& warning : *told) {
                stage.bench.warn(stage.job, warning);
                out["warnings"].push_back(warning);
            }
        for (std::size_t i = 0; i < report.rows.size(); ++i)
            if (!report.rows[i].text.empty())
                stage.log().addOutput(stage.run, {set.items[i].prompt, report.rows[i].text, report.rows[i].ids});
        out["tasks"].push_back({{"file", set.name}, {"items", set.items.size()}, {"figures", list}, {"rows", rowsJson(report.rows)}});
        prompts.insert(prompts.end(), set.items.begin(), set.items.end());
    }
    std::vector<MetricRow> metrics;
    for (const auto& [name, figure] : figures)
        metrics.push_back({name, figure.value, figure.standardError, name == "cloze_nll" ? "nats/token" : ""});
    if (wanted.compare && base != nullptr) {
        const std::vector<OutputPair> pairs = compareOutputs(stage.model, source, *base, nullptr, *tokenizer, prompts, {.maxTokens = wanted.maxTokens, .seed = stage.recipe.seed}, stage.job);
        const OutputSummary sum = summarize(pairs);
        std::vector<OutputPairRow> rows;
        Json list = Json::array();
        for (const OutputPair& pair : pairs) {
            rows.push_back({pair.id, pair.prompt, pair.divergence, pair.cosine, pairJson(pair)});
            list.push_back(rows.back().json);
            list.back()["prompt"] = pair.prompt;
        }
        stage.log().setOutputPairs(stage.run, rows);
        out["outputs"] = {{"prompts", sum.prompts}, {"same", sum.same}, {"alerts", sum.alerts}, {"collapsed", sum.collapsed}, {"mean_divergence", sum.meanDivergence},
                          {"mean_cosine", sum.meanCosine}, {"log_probability_gap", sum.logProbabilityGap}, {"pairs", list}};
        const double n = static_cast<double>(std::max<std::int64_t>(1, sum.prompts));
        metrics.insert(metrics.end(), {{"outputs_same", static_cast<double>(sum.same) / n, std::nullopt, "share"},
                                       {"outputs_cosine", sum.meanCosine, std::nullopt, ""},
                                       {"outputs_alerts", static_cast<double>(sum.alerts), std::nullopt, "prompts"},
                                       {"outputs_collapsed", static_cast<double>(sum.collapsed), std::nullopt, "prompts"}});
    }
    stage.log().addMetrics(stage.run, metrics);
    for (const MetricRow& metric : metrics)
        out["task_figures"][metric.name] = metric.value;
}

Json checkThresholds(const Stage& stage, const std::vector<MetricRow>& metrics) {
    Json out = Json::array();
    for (const auto& [figure, text] : stage.recipe.tasks.thresholds) {
        const auto found = std::find_if(metrics.begin(), metrics.end(), [&name = figure](const MetricRow& m) { return m.name == name; });
        if (found == metrics.end()) {
            std::string known;
            for (const MetricRow& metric : metrics)
                known += (known.empty() ? "" : ", ") + metric.name;
            throw Error(ErrorCode::usage, "there is no figure '" + figure + "' to hold to \"" + text + "\"", "this run has: " + known);
        }
        const Threshold limit = parseThreshold(text);
        out.push_back({{"figure", figure}, {"limit", limit.text()}, {"value", found->value}, {"holds", limit.holds(found->value)}});
    }
    return out;
}

} // namespace bw
