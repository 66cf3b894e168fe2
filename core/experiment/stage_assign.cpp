// SPDX-License-Identifier: GPL-3.0-or-later
// The assign stage: a logged sensitivity map becomes a mix under a budget, exact to the byte of the file it will be.
#include "core/experiment/plan_rows.h"
#include "core/experiment/workbench.h"

#include "core/assign/budget.h"
#include "core/base/text.h"

#include <algorithm>
#include <fmt/format.h>

namespace bw {
namespace {

/// GGUF aligns every tensor to this many bytes (general.alignment's default, which the writer keeps).
constexpr std::uint64_t kGgufAlignment = 32;

struct Map {
    std::vector<SensitivityRow> rows;
    std::string metric;
    std::vector<std::string> formats; ///< in the order of the sweep's recipe
};

Map readMap(const LogReader& log, std::int64_t run) {
    const RunDetail detail = log.run(RunId(run));
    if (detail.summary.kind != "sweep")
        throw Error(ErrorCode::usage, fmt::format("run {} is of kind '{}', not a sweep", run, detail.summary.kind), "name a sweep: 'bitwright-cli runs list'");
    if (detail.summary.status != "done")
        throw Error(ErrorCode::usage, fmt::format("sweep {} is {}, not done", run, detail.summary.status), fmt::format("finish it first: sweep --resume {}", run));
    const Recipe recipe = Recipe::fromJson(detail.recipe);
    return {log.sensitivities(RunId(run)), recipe.sweep.metric, recipe.sweep.formats};
}

using CostTable = std::map<std::string, std::map<std::string, CostCell>>; ///< site → format → cost

CostTable tableOf(const Map& map) {
    CostTable table;
    for (const SensitivityRow& row : map.rows)
        if (row.metric == map.metric)
            table[row.site][row.format] = {row.site, row.format, row.bytes, row.value, row.standardError};
    return table;
}

/// Formats that were not measured get cost(f₀)·error(f)/error(f₀): damage of one site grows in proportion to its squared
/// output error while it is small, and f₀, the most damaging format measured there, has the least relative noise.
CostTable scaled(const CostTable& measured, const CostTable& errors) {
    CostTable out = measured;
    for (const auto& [site, cells] : errors) {
        const auto known = measured.find(site);
        if (known == measured.end() || known->second.empty())
            continue;
        const auto anchor = std::max_element(known->second.begin(), known->second.end(),
                                             [](const auto& a, const auto& b) { return a.second.value < b.second.value; });
        const auto anchorError = cells.find(anchor->first);
        for (const auto& [format, error] : cells) {
            if (known->second.contains(format) || anchorError == cells.end())
                continue;
            const double ratio = anchorError->second.value > 0 ? error.value / anchorError->second.value : 1.0;
            out[site][format] = {site, format, error.bytes, anchor->second.value * ratio, anchor->second.standardError * ratio};
        }
    }
    return out;
}

struct Sizes {
    std::uint64_t fixed = 0; ///< everything in the file that is no site
    struct Cell { std::uint64_t bytes = 0; std::string used; }; ///< with alignment; what the container really holds
    std::map<std::string, std::map<std::string, Cell>> cells;     ///< site → format
};

std::uint64_t aligned(std::uint64_t bytes, ExportKind kind) {
    return kind == ExportKind::gguf ? (bytes + kGgufAlignment - 1) / kGgufAlignment * kGgufAlignment : bytes;
}

/// What each site takes in the target container, from the exporter's own plan of every uniform mix.
Sizes measureSizes(const Stage& stage, const std::vector<std::string>& formats) {
    Sizes sizes;
    for (const std::string& format : formats) {
        Recipe uniform = stage.recipe;
        uniform.assignment = {};
        uniform.assignment.format = format;
        uniform.exporting.replace = true; // only planned
        const ExportPlan plan = planFor(stage.model, recipeFormats(stage.model, uniform), uniform);
        std::uint64_t inSites = 0;
        for (const PlannedTensor& tensor : plan.tensors) {
            if (tensor.site.value() < 0)
                continue;
            const std::uint64_t bytes = aligned(tensor.bytes, plan.kind) / tensor.sites.size(); // experts of a stack share it
            for (const SiteId site : tensor.sites)
                sizes.cells[stage.model.site(site).name][format] = {bytes, tensor.used};
            inSites += bytes * tensor.sites.size();
        }
        sizes.fixed = std::max(sizes.fixed, plan.fileBytes > inSites ? plan.fileBytes - inSites : 0);
        stage.job.checkpoint();
    }
    return sizes;
}

/// A format that falls back to another one of the list at this site is no choice of its own there, unless a pin asks for it.
bool isDuplicate(const Stage& stage, const std::string& site, const std::string& format, const std::string& used, const std::vector<std::string>& formats) {
    if (parseFormat(format)->name() == used)
        return false;
    for (const auto& [pattern, pinned] : stage.recipe.assignment.pins)
        if (pinned == format && globMatches(pattern, site))
            return false;
    return std::any_of(formats.begin(), formats.end(), [&](const std::string& other) { return parseFormat(other)->name() == used; });
}

/// Cells in model order with the container's bytes. @throws Error(usage) for a site or cell that the map lacks.
std::vector<CostCell> problemCells(const Stage& stage, CostTable& costs, const std::vector<std::string>& formats, const Sizes& sizes) {
    std::vector<CostCell> cells;
    for (const Site& site : stage.model.sites()) {
        for (const std::string& format : formats) {
            const auto found = costs[site.name].find(format);
            if (found == costs[site.name].end())
                throw Error(ErrorCode::usage, fmt::format("run {} has no cost of '{}' at '{}'", stage.recipe.assignment.sweepRun, format, site.name),
                            "sweep every format and site, or name an output-error sweep that has them");
            const Sizes::Cell& size = sizes.cells.at(site.name).at(format);
            if (isDuplicate(stage, site.name, format, size.used, formats))
                continue;
            CostCell cell = found->second;
            cell.bytes = size.bytes;
            cells.push_back(std::move(cell));
        }
    }
    return cells;
}

std::uint64_t budgetBytes(const Stage& stage, const Budget& budget, const Sizes& sizes) {
    if (budget.kind == Budget::Kind::bytes)
        return budget.bytes(0);
    // Bits per weight count the quantizable weights; norms and headers come on top.
    return sizes.fixed + budget.bytes(siteWeights(stage.model));
}

Recipe mixRecipe(const Recipe& from, const AssignProblem& problem, const AssignSolution& solution) {
    Recipe made = from;
    made.kind = "quantize";
    made.assignment.rules.clear();
    made.assignment.pins.clear();
    std::map<std::string, int> uses;
    for (std::size_t i = 0; i < problem.items.size(); ++i)
        for (const std::string& site : problem.items[i].members) {
            const std::string& format = problem.items[i].options[static_cast<std::size_t>(solution.choice[i])].format;
            made.assignment.rules.push_back({site, format});
            ++uses[format];
        }
    // The most used format becomes the default, so that a person reads it first; every site still has its own rule.
    made.assignment.format = std::max_element(uses.begin(), uses.end(), [](const auto& a, const auto& b) { return a.second < b.second; })->first;
    return made;
}

struct Solved { AssignSolution solution; Recipe recipe; ExportPlan plan; };

/// Solves, then holds the exporter's exact plan against the budget; a header that grew with the mix costs another round.
Solved solveExactly(const Stage& stage, const AssignProblem& problem, const Budget& budget, std::uint64_t limit) {
    std::uint64_t target = limit;
    for (int round = 0;; ++round) {
        Solved out;
        out.solution = budget.kind == Budget::Kind::cost ? solveForCost(problem, budget.value, stage.job) : solve(problem, target, stage.job);
        out.recipe = mixRecipe(stage.recipe, problem, out.solution);
        Recipe planned = out.recipe;
        planned.exporting.replace = true; // only planned
        out.plan = planFor(stage.model, recipeFormats(stage.model, planned), planned);
        if (budget.kind == Budget::Kind::cost || out.plan.fileBytes <= limit || round == 3)
            return out;
        target -= out.plan.fileBytes - limit;
    }
}

/// Floor and ceiling in the units that people give budgets in.
void addReach(Error& e, const Stage& stage, const BudgetRange& range, const Sizes& sizes) {
    const auto inUnits = [&](std::uint64_t bytes) {
        const double bits = 8.0 * static_cast<double>(bytes - std::min(bytes, sizes.fixed)) / static_cast<double>(std::max<std::int64_t>(1, siteWeights(stage.model)));
        return fmt::format("{}B = {:.4f}bpw", bytes, bits);
    };
    e.add("floor", inUnits(range.floor));
    e.add("ceiling", inUnits(range.ceiling));
}

Json paretoJson(const AssignProblem& problem) {
    Json points = Json::array();
    for (const ParetoPoint& point : paretoFront(problem))
        points.push_back({{"bytes", point.bytes}, {"cost", point.cost}});
    return points;
}

std::vector<AssignmentRow> chosenRows(const Stage& stage, const AssignProblem& problem, const Solved& solved, CostTable& costs) {
    std::map<std::string, std::string> chosen;
    for (std::size_t i = 0; i < problem.items.size(); ++i)
        for (const std::string& site : problem.items[i].members)
            chosen[site] = problem.items[i].options[static_cast<std::size_t>(solved.solution.choice[i])].format;
    std::vector<AssignmentRow> rows = assignmentRows(stage.model, solved.plan);
    for (AssignmentRow& row : rows)
        row.cost = std::max(0.0, costs[row.site][chosen[row.site]].value);
    return rows;
}

std::vector<std::string> withoutDuplicates(const std::vector<std::string>& words) {
    std::vector<std::string> out;
    for (const std::string& word : words)
        if (std::find(out.begin(), out.end(), word) == out.end())
            out.push_back(word);
    return out;
}

} // namespace

Json runAssign(const Stage& stage) {
    const Recipe::Assignment& wanted = stage.recipe.assignment;
    if (wanted.sweepRun == 0)
        throw Error(ErrorCode::usage, "there is no sensitivity map to solve", "name a sweep with --run ID");
    if (wanted.budget.empty())
        throw Error(ErrorCode::usage, "there is no budget to solve for", "add --budget 4.5bpw, 1.2GiB or kl=0.05");
    const Budget budget = parseBudget(wanted.budget);
    const LogReader reader(stage.log().path());
    const Map map = readMap(reader, wanted.sweepRun);
    if (budget.kind == Budget::Kind::cost && map.metric != "kl" && wanted.budget.starts_with("kl"))
        throw Error(ErrorCode::usage, fmt::format("sweep {} measured output error, so a budget in KL has no meaning on it", wanted.sweepRun),
                    "sweep with --metric kl, or give a budget in bytes or bpw");
    CostTable costs = tableOf(map);
    std::vector<std::string> formats = withoutDuplicates(map.formats);
    if (wanted.scaleRun != 0) {
        const Map errors = readMap(reader, wanted.scaleRun);
        costs = scaled(costs, tableOf(errors));
        formats = withoutDuplicates(errors.formats);
    }
    const Sizes sizes = measureSizes(stage, formats);
    const AssignProblem problem = makeProblem(problemCells(stage, costs, formats, sizes), sizes.fixed, {wanted.tie, wanted.pins, wanted.forbid, {}});
    const BudgetRange range = budgetRange(problem);
    const std::uint64_t limit = budget.kind == Budget::Kind::cost ? 0 : budgetBytes(stage, budget, sizes);
    const Solved solved = [&] {
        try {
            return solveExactly(stage, problem, budget, limit);
        } catch (Error& e) {
            if (e.code() == ErrorCode::infeasibleBudget)
                addReach(e, stage, range, sizes);
            throw;
        }
    }();

    const std::vector<AssignmentRow> rows = chosenRows(stage, problem, solved, costs);
    stage.log().addAssignments(stage.run, rows);
    const double bits = siteBitsPerWeight(stage.model, solved.plan);
    const bool isKl = map.metric == "kl";
    stage.log().addMetrics(stage.run, {{"bytes", static_cast<double>(solved.plan.fileBytes), std::nullopt, "bytes"},
                                       {"bits_per_weight", bits, std::nullopt, "bits"},
                                       {isKl ? "predicted_kl" : "predicted_error", solved.solution.cost, std::nullopt, isKl ? "nats/token" : ""},
                                       {"bound", solved.solution.bound, std::nullopt, ""},
                                       {"gap", solved.solution.gap(), std::nullopt, ""},
                                       {"floor_bytes", static_cast<double>(range.floor), std::nullopt, "bytes"},
                                       {"ceiling_bytes", static_cast<double>(range.ceiling), std::nullopt, "bytes"}});
    Json chosen = Json::object();
    for (const AssignmentRow& row : rows)
        chosen[row.site] = row.used;
    return {{"bytes", solved.plan.fileBytes},
            {"bits_per_weight", bits},
            {"file_bits_per_weight", solved.plan.bitsPerWeight},
            {"budget_bytes", limit},
            {"metric", map.metric},
            {"predicted_kl", isKl ? Json(solved.solution.cost) : Json()},
            {"predicted_cost", solved.solution.cost},
            {"bound", solved.solution.bound},
            {"gap", solved.solution.gap()},
            {"optimal", solved.solution.optimal},
            {"floor", range.floor},
            {"ceiling", range.ceiling},
            {"formats", chosen},
            {"pareto", paretoJson(problem)},
            {"recipe", solved.recipe.toJson()}};
}

} // namespace bw
