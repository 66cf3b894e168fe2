// SPDX-License-Identifier: GPL-3.0-or-later
// From a map to a mix: sizes in the target container, the problem with its pins and limits, its solution improved on
// sites that act together, exact to the byte of the file it will be. Private to core/experiment.
#pragma once

#include "core/experiment/assign_map.h"
#include "core/quantize/export.h"

namespace bw {

/// What every site takes in the target container, from the exporter's own plan of every uniform mix.
struct ContainerSizes {
    std::uint64_t fixed = 0; ///< everything in the file that is no site
    bool stacked = false;    ///< it keeps the experts of a block in one tensor, which has one type
    struct Cell { std::uint64_t bytes = 0; std::string used; }; ///< with alignment; what the container really holds
    std::map<std::string, std::map<std::string, Cell>> cells;     ///< site → format
};

struct PreparedAssign {
    AssignMap map;
    ContainerSizes sizes;
    AssignProblem problem;
    BudgetRange range;
    std::optional<Budget> budget;   ///< none: only budgets of parts
    std::vector<int>
        start; ///< option of each item in the mix that is started from, −1 where it has none; empty = no start
    std::uint64_t limit = kNoTotal; ///< bytes of the file; of a budget in damage and of none: kNoTotal
};

/// @throws Error(usage) for a recipe without a map or a budget, a budget in KL on a map in other units, a site or cell
/// that the map lacks; Error(infeasibleBudget) for a part's budget below its smallest mix; as readAssignMap and
/// makeProblem.
PreparedAssign prepareAssign(Workbench& bench, const Model& model, const Recipe& recipe, JobContext& job);

struct SolvedAssign {
    AssignSolution solution;
    Recipe recipe;                 ///< of kind quantize, a rule per site
    ExportPlan plan;
    std::optional<Prediction> prediction; ///< of the mix; maps in nats only
    double additive = 0;           ///< predicted KL before sites that act together were looked at
    std::int64_t moves = 0;        ///< of the local search
};

/// Solves, then holds the exporter's exact plan against the budget; a header that grew with the mix costs another
/// round.
/// @throws Error(infeasibleBudget) with floor and ceiling in bytes and bits per weight.
SolvedAssign solveAssign(const PreparedAssign& prepared, const Model& model, const Recipe& recipe, JobContext& job);

/// The mix that a choice of the problem's options means.
Recipe mixRecipe(const Recipe& from, const AssignProblem& problem, const std::vector<int>& choice);

} // namespace bw
