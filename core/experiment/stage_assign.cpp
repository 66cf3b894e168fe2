// SPDX-License-Identifier: GPL-3.0-or-later
// The assign stage: a logged sensitivity map becomes a mix under a budget, with its proof, its prediction and its
// reasons.
#include "core/experiment/assign_problem.h"
#include "core/experiment/plan_rows.h"

#include "core/assign/explain.h"
#include "core/base/text.h"

#include <algorithm>
#include <fmt/format.h>

namespace bw {
namespace {

constexpr std::size_t kParetoPoints = 64;
constexpr std::size_t kExplainedSteps = 24; ///< more is no explanation any more

Json paretoJson(const AssignProblem& problem, JobContext& job) {
    Json points = Json::array();
    for (const ParetoPoint& point : paretoFront(problem, kParetoPoints, job))
        points.push_back({{"bytes", point.bytes}, {"cost", point.cost}});
    return points;
}

Json explanationsJson(const PreparedAssign& p, const AssignSolution& solution) {
    Json out = Json::array();
    for (const AssignStep& step : explain(p.problem, solution, p.limit)) {
        if (out.size() == kExplainedSteps)
            break;
        const AssignItem& item = p.problem.items[step.item];
        out.push_back({{"kind", step.kind == AssignStep::Kind::upgrade ? "upgrade" : "downgrade"},
                       {"item", item.name},
                       {"sites", item.members},
                       {"from", item.options[static_cast<std::size_t>(step.from)].format},
                       {"to", item.options[static_cast<std::size_t>(step.to)].format},
                       {"bytes", step.bytes},
                       {"cost", step.cost},
                       {"per_megabyte", step.perMegabyte},
                       {"fits", step.fits},
                       {"text", stepText(p.problem, step, p.map.unit())}});
    }
    return out;
}

std::vector<AssignmentRow> chosenRows(const Model& model, const PreparedAssign& p, const SolvedAssign& solved) {
    std::map<std::string, std::string> chosen;
    for (const FormatRule& rule : solved.recipe.assignment.rules)
        chosen[rule.pattern] = rule.format;
    std::vector<AssignmentRow> rows = assignmentRows(model, solved.plan, recipeFormats(model, solved.recipe));
    for (AssignmentRow& row : rows)
        row.cost = std::max(0.0, p.map.cells.at(row.site).at(chosen.at(row.site)).solving);
    return rows;
}

Json predictionJson(const Prediction& p) {
    return {{"sum", p.sum}, {"sum_se", p.sumSe}, {"interaction", p.interaction}, {"shrinkage", p.shrinkage},
            {"kl", p.kl},   {"se", p.klSe}};
}

std::vector<MetricRow> assignMetrics(const PreparedAssign& p, const SolvedAssign& solved, double bits) {
    std::vector<MetricRow> rows{{"bytes", static_cast<double>(solved.plan.fileBytes), std::nullopt, "bytes"},
                                {"bits_per_weight", bits, std::nullopt, "bits"},
                                {"bound", solved.solution.bound, std::nullopt, p.map.unit()},
                                {"gap", solved.solution.gap(), std::nullopt, p.map.unit()},
                                {"floor_bytes", static_cast<double>(p.range.floor), std::nullopt, "bytes"},
                                {"ceiling_bytes", static_cast<double>(p.range.ceiling), std::nullopt, "bytes"}};
    if (solved.prediction)
        rows.push_back({"predicted_kl", solved.prediction->kl, solved.prediction->klSe, "nats/token"});
    else
        rows.push_back({"predicted_error", solved.solution.cost, std::nullopt, ""});
    return rows;
}

Json starvedJson(const AssignMap& map) {
    Json out = Json::array();
    for (const StarvedExpert& expert : map.starved)
        out.push_back({{"site", expert.name}, {"tokens", expert.tokens}, {"share", expert.share}, {"why", expert.why}});
    return out;
}

/// What a person should know before taking the mix.
std::vector<std::string> assignWarnings(const Stage& stage, const PreparedAssign& p) {
    std::vector<std::string> out;
    if (!p.map.starved.empty())
        out.push_back(fmt::format("{} expert weights saw too few tokens to be measured; policy '{}': {}{}",
                                  p.map.starved.size(), stage.recipe.assignment.starved, p.map.starved.front().why,
                                  p.map.starved.size() > 1 ? " (and so on)" : ""));
    if (p.limit != kNoTotal && p.limit > p.range.ceiling)
        out.push_back(fmt::format("the budget of {} bytes is more than the best mix of these formats takes ({} bytes; "
                                  "the smallest takes {}): the rest buys nothing",
                                  p.limit, p.range.ceiling, p.range.floor));
    for (const std::string& warning : out)
        stage.bench.warn(stage.job, warning);
    return out;
}

} // namespace

Json runAssign(const Stage& stage) {
    const PreparedAssign prepared = prepareAssign(stage.bench, stage.model, stage.recipe, stage.job);
    const SolvedAssign solved = solveAssign(prepared, stage.model, stage.recipe, stage.job);
    const std::vector<AssignmentRow> rows = chosenRows(stage.model, prepared, solved);
    const double bits = siteBitsPerWeight(stage.model, solved.plan);
    stage.log().addAssignments(stage.run, rows);
    stage.log().addMetrics(stage.run, assignMetrics(prepared, solved, bits));
    Json chosen = Json::object();
    for (const AssignmentRow& row : rows)
        chosen[row.site] = row.used;
    const std::optional<Prediction>& predicted = solved.prediction;
    return {{"bytes", solved.plan.fileBytes},
            {"bits_per_weight", bits},
            {"file_bits_per_weight", solved.plan.bitsPerWeight},
            {"budget_bytes", prepared.limit == kNoTotal ? Json(0) : Json(prepared.limit)},
            {"metric", prepared.map.metric},
            {"predicted_kl", predicted ? Json(predicted->kl) : Json()},
            {"predicted_se", predicted ? Json(predicted->klSe) : Json()},
            {"prediction", predicted ? predictionJson(*predicted) : Json()},
            {"predicted_cost", solved.solution.cost},
            {"bound", solved.solution.bound},
            {"gap", solved.solution.gap()},
            {"optimal", solved.solution.optimal},
            {"moves", solved.moves},
            {"saturation", {{"limit", prepared.map.saturation.limit}, {"scale", prepared.map.saturation.scale}}},
            {"floor", prepared.range.floor},
            {"ceiling", prepared.range.ceiling},
            {"formats", chosen},
            {"pareto", paretoJson(prepared.problem, stage.job)},
            {"explanations", explanationsJson(prepared, solved.solution)},
            {"budget_text", budgetText(prepared.problem, solved.solution, prepared.limit, prepared.map.unit())},
            {"starved", starvedJson(prepared.map)},
            {"warnings", assignWarnings(stage, prepared)},
            {"recipe", solved.recipe.toJson()}};
}

} // namespace bw
