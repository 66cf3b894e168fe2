// SPDX-License-Identifier: GPL-3.0-or-later
// The exact multiple-choice knapsack: one option per item, least total cost with total bytes ≤ budget, with a proven gap.
// Knows nothing of models: items are named, options have bytes and cost. Ties and pins are expressed before solving
// (see `Problem`).
#pragma once

#include "core/base/job.h"

#include <cstdint>
#include <string>
#include <vector>

namespace bw {

struct AssignOption { std::string format; std::uint64_t bytes = 0; double cost = 0; };
/// One decision; `members` are the sites it decides (several when tied).
struct AssignItem { std::string name; std::vector<std::string> members; std::vector<AssignOption> options; };

/// `fixedBytes`: everything that is in the file but not decided here (norms, headers, kept tensors).
struct AssignProblem { std::vector<AssignItem> items; std::uint64_t fixedBytes = 0; };

struct AssignSolution {
    std::vector<int> choice;        ///< option index of each item
    std::uint64_t bytes = 0;        ///< with fixedBytes
    double cost = 0;                ///< Σ cost
    double bound = 0;               ///< proven lower bound of Σ cost at this budget
    double gap() const { return cost - bound; }
    bool optimal = false;           ///< gap closed (to 1e-9 relative)
    std::int64_t nodes = 0;         ///< of branch and bound
};

/// Smallest and largest reachable sizes, fixedBytes included. The ceiling is the least-cost mix: options that cost no less
/// than a smaller one are never bought, so more bytes than that buy nothing.
struct BudgetRange { std::uint64_t floor = 0, ceiling = 0; };
BudgetRange budgetRange(const AssignProblem& problem);

/// Deterministic: equal costs prefer fewer bytes, then the earlier option. @throws Error(infeasibleBudget) that says
/// floor and ceiling; Error(cancelled). Cost: O(N·M log(N·M)) for the bound, branch and bound beyond; thousands of items
/// × ten options in well under a second.
AssignSolution solve(const AssignProblem& problem, std::uint64_t budgetBytes, JobContext& job);

/// The other way round: least bytes with Σ cost ≤ limit (to rounding, about 1e-15 of the largest costs), and at that size
/// the least cost; `bound` is that of the cost at that size, `optimal` says that both are proven.
/// @throws Error(infeasibleBudget) naming the least damage that can be had; as `solve` otherwise.
AssignSolution solveForCost(const AssignProblem& problem, double costLimit, JobContext& job);

/// The convex part of the Pareto front (bytes, cost) from floor to ceiling, each point with its mix. Every point is the
/// optimum of its own size. Fronts of more than 4 M choices in all are thinned evenly, both ends stay.
struct ParetoPoint { std::uint64_t bytes = 0; double cost = 0; std::vector<int> choice; };
std::vector<ParetoPoint> paretoFront(const AssignProblem& problem);

} // namespace bw
