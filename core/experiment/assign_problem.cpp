// SPDX-License-Identifier: GPL-3.0-or-later
// Sizes and the problem.
#include "core/experiment/assign_problem.h"

#include "core/base/text.h"
#include "core/experiment/plan_rows.h"

#include <algorithm>
#include <fmt/format.h>

namespace bw {
namespace {

/// GGUF aligns every tensor to this many bytes (general.alignment's default, which the writer keeps).
constexpr std::uint64_t kGgufAlignment = 32;

std::uint64_t aligned(std::uint64_t bytes, ExportKind kind) {
    return kind == ExportKind::gguf ? (bytes + kGgufAlignment - 1) / kGgufAlignment * kGgufAlignment : bytes;
}

ContainerSizes measureSizes(const Model& model, const Recipe& recipe, const std::vector<std::string>& formats,
                            JobContext& job) {
    ContainerSizes sizes;
    for (const std::string& format : formats) {
        Recipe uniform = recipe;
        uniform.assignment = {};
        uniform.assignment.format = format;
        uniform.exporting.replace = true; // only planned
        const ExportPlan plan = planFor(model, recipeFormats(model, uniform), uniform);
        std::uint64_t inSites = 0;
        for (const PlannedTensor& tensor : plan.tensors) {
            if (tensor.site.value() < 0)
                continue;
            const std::uint64_t bytes =
                aligned(tensor.bytes, plan.kind) / tensor.sites.size(); // experts of a stack share it
            for (const SiteId site : tensor.sites)
                sizes.cells[model.site(site).name][format] = {bytes, tensor.used};
            inSites += bytes * tensor.sites.size();
            sizes.stacked = sizes.stacked || tensor.sites.size() > 1;
        }
        sizes.fixed = std::max(sizes.fixed, plan.fileBytes > inSites ? plan.fileBytes - inSites : 0);
        job.checkpoint();
    }
    return sizes;
}

/// A format that falls back to another one of the list at this site is no choice of its own there, unless a pin asks
/// for it.
bool isDuplicate(const Recipe& recipe, const std::string& site, const std::string& format, const std::string& used,
                 const std::vector<std::string>& formats) {
    const SiteChoice choice = parseChoice(format);
    if (choice.format->name() == used)
        return false;
    for (const auto& [pattern, pinned] : recipe.assignment.pins)
        if (pinned == format && globMatches(pattern, site))
            return false;
    return std::any_of(formats.begin(), formats.end(),
                       [&](const std::string& other) { return parseChoice(other).name() == choice.withRounder(used); });
}

/// Cells in model order with the container's bytes. @throws Error(usage) for a site or cell that the map lacks.
std::vector<CostCell> problemCells(const Model& model, const Recipe& recipe, const AssignMap& map,
                                   const ContainerSizes& sizes) {
    std::vector<CostCell> cells;
    for (const Site& site : model.sites()) {
        const auto known = map.cells.find(site.name);
        for (const std::string& format : map.formats) {
            if (known == map.cells.end() || !known->second.contains(format))
                throw Error(
                    ErrorCode::usage,
                    fmt::format("run {} has no cost of '{}' at '{}'", recipe.assignment.sweepRun, format, site.name),
                    "sweep every format and site, or name an output-error sweep that has them");
            const ContainerSizes::Cell& size = sizes.cells.at(site.name).at(format);
            if (isDuplicate(recipe, site.name, format, size.used, map.formats))
                continue;
            const MapCell& cell = known->second.at(format);
            cells.push_back({site.name, format, size.bytes, cell.solving, cell.standardError, site.rows * site.cols});
        }
    }
    return cells;
}

/// Bits per weight count the quantizable weights; norms and headers come on top.
std::uint64_t budgetBytes(const Model& model, const Budget& budget, const ContainerSizes& sizes) {
    if (budget.kind == Budget::Kind::cost)
        return kNoTotal;
    return budget.kind == Budget::Kind::bytes ? budget.bytes(0) : sizes.fixed + budget.bytes(siteWeights(model));
}

/// The options that a logged mix took; −1 where its sites took none of the map's, or tied ones different ones.
std::vector<int> startOf(const LogReader& log, const Recipe& recipe, const Model& model, const AssignProblem& problem) {
    const std::int64_t run = recipe.assignment.startRun;
    const RunDetail detail = log.run(RunId(run));
    if (detail.assignments.empty())
        throw Error(ErrorCode::usage, fmt::format("run {} has no mix to start from", run),
                    "name a run of kind quantize or assign");
    const std::string rounder = Recipe::fromJson(detail.recipe).rounder;
    const auto full = [](const SiteChoice& choice, const std::string& otherwise) {
        return (choice.rounder.empty() ? otherwise : choice.rounder);
    };
    std::map<std::string, std::string> taken; // site → format@rounder
    for (const AssignmentRow& row : detail.assignments)
        taken[row.site] = row.used.find('@') == std::string::npos ? row.used + '@' + rounder : row.used;
    const auto isTaken = [&](const std::string& member, const std::string& format) {
        const Site* site = model.findSite(member);
        const SiteChoice choice = parseChoice(format);
        const auto found = taken.find(member);
        return site && found != taken.end() &&
               found->second ==
                   fallbackFormat(choice.format, site->rows, site->cols)->name() + '@' + full(choice, recipe.rounder);
    };
    std::vector<int> start;
    for (const AssignItem& item : problem.items) {
        const auto option = std::find_if(item.options.begin(), item.options.end(), [&](const AssignOption& o) {
            return std::all_of(item.members.begin(), item.members.end(),
                               [&](const std::string& member) { return isTaken(member, o.format); });
        });
        start.push_back(option == item.options.end() ? -1 : static_cast<int>(option - item.options.begin()));
    }
    return start;
}

} // namespace

PreparedAssign prepareAssign(Workbench& bench, const Model& model, const Recipe& recipe, JobContext& job) {
    const Recipe::Assignment& wanted = recipe.assignment;
    if (wanted.sweepRun == 0)
        throw Error(ErrorCode::usage, "there is no sensitivity map to solve", "name a sweep with --run ID");
    if (wanted.budget.empty() && wanted.budgets.empty())
        throw Error(ErrorCode::usage, "there is no budget to solve for", "add --budget 4.5bpw, 1.2GiB or kl=0.05");
    PreparedAssign out;
    if (!wanted.budget.empty())
        out.budget = parseBudget(wanted.budget);
    out.map = readAssignMap(bench, model, wanted, job);
    if (out.budget && out.budget->kind == Budget::Kind::cost && !out.map.inNats() && wanted.budget.starts_with("kl"))
        throw Error(
            ErrorCode::usage,
            fmt::format("sweep {} measured output error, so a budget in KL has no meaning on it", wanted.sweepRun),
            "sweep with --metric fisher or kl, or give a budget in bytes or bpw");
    out.sizes = measureSizes(model, recipe, out.map.formats, job);
    ProblemOptions options{out.sizes.stacked ? withStacks(wanted.tie) : wanted.tie, wanted.pins, wanted.forbid, {}};
    options.forbid.insert(options.forbid.end(), out.map.forbid.begin(), out.map.forbid.end());
    for (const Recipe::Assignment::PartBudget& part : wanted.budgets)
        options.limits.push_back({part.sites, part.budget});
    out.problem = makeProblem(problemCells(model, recipe, out.map, out.sizes), out.sizes.fixed, options);
    out.range = budgetRange(out.problem);
    if (wanted.startRun != 0)
        out.start = startOf(LogReader(bench.log().path()), recipe, model, out.problem);
    if (out.budget)
        out.limit = budgetBytes(model, *out.budget, out.sizes);
    return out;
}

Recipe mixRecipe(const Recipe& from, const AssignProblem& problem, const std::vector<int>& choice) {
    Recipe made = from;
    made.kind = "quantize";
    made.assignment.rules.clear();
    made.assignment.pins.clear();
    std::map<std::string, int> uses;
    for (std::size_t i = 0; i < problem.items.size(); ++i)
        for (const std::string& site : problem.items[i].members) {
            const std::string& format = problem.items[i].options[static_cast<std::size_t>(choice[i])].format;
            made.assignment.rules.push_back({site, format});
            ++uses[format];
        }
    // The most used format becomes the default, so that a person reads it first; every site still has its own rule.
    made.assignment.format = std::max_element(uses.begin(), uses.end(), [](const auto& a, const auto& b) {
                                 return a.second < b.second;
                             })->first;
    return made;
}

} // namespace bw
