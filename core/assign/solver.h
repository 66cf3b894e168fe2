// SPDX-License-Identifier: GPL-3.0-or-later
// The exact multiple-choice knapsack: one option per item, least total cost with total bytes ≤ budget and, for groups
// of items in a memory of their own, bytes ≤ that memory's limit; with a proven gap. Knows nothing of models: items are
// named, options have bytes and cost. Ties, pins and forbidden formats are expressed before solving (see budget.h).
#pragma once

#include "core/base/job.h"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace bw {

/// `error` is the standard error of `cost` (0: exact); only uncertainItems looks at it.
struct AssignOption { std::string format; std::uint64_t bytes = 0; double cost = 0, error = 0; };
/// One decision; `members` are the sites it decides (several when tied).
struct AssignItem { std::string name; std::vector<std::string> members; std::vector<AssignOption> options; };
/// A memory of its own: the chosen options of `items` (indices) take at most `bytes` together, fixedBytes not counted.
/// An item lies in one limit at most.
struct AssignLimit { std::string name; std::vector<std::size_t> items; std::uint64_t bytes = 0; };

/// `fixedBytes`: everything that is in the file but not decided here (norms, headers, kept tensors).
struct AssignProblem {
    std::vector<AssignItem> items;
    std::uint64_t fixedBytes = 0;
    std::vector<AssignLimit> limits;
};

/// As a budget: only the problem's own limits hold.
inline constexpr std::uint64_t kNoTotal = std::numeric_limits<std::uint64_t>::max();

struct AssignSolution {
    std::vector<int> choice;        ///< option index of each item
    std::uint64_t bytes = 0;        ///< with fixedBytes
    double cost = 0;                ///< Σ cost
    double bound = 0;               ///< proven lower bound of Σ cost at this budget
    double gap() const { return cost - bound; }
    bool optimal = false;           ///< gap closed (to 1e-9 relative)
    std::int64_t nodes = 0;         ///< of branch and bound
    /// What one more byte of the budget would save, by the relaxation; 0 where bytes are not short.
    double price = 0;
    std::vector<double> limitPrices; ///< the same of each limit's own bytes, on top of `price`
};

/// Smallest and largest reachable sizes, fixedBytes included. The ceiling is the least-cost mix: options that cost no
/// less than a smaller one are never bought, so more bytes than that buy nothing. With limits, the ceiling is what they
/// allow.
/// @throws Error(infeasibleBudget) when a limit lies below the smallest mix of its items, saying both bounds.
struct BudgetRange { std::uint64_t floor = 0, ceiling = 0; };
BudgetRange budgetRange(const AssignProblem& problem);

/// Deterministic, whatever the number of threads: equal costs prefer fewer bytes, then the earlier option.
/// @param budgetBytes of everything, fixedBytes included, on top of the problem's own limits.
/// @throws Error(infeasibleBudget) that says floor and ceiling; Error(usage) for limits that share an item;
/// Error(cancelled). Cost: O(N·M log(N·M)) for the bound, branch and bound beyond; thousands of items × ten options in
/// well under a second. Independent limits cost as much as their items; limits that compete for the total, several
/// times.
AssignSolution solve(const AssignProblem& problem, std::uint64_t budgetBytes, JobContext& job);

/// The other way round: least bytes with Σ cost ≤ limit (to rounding, about 1e-15 of the largest costs), and at that
/// size the least cost; `bound` is that of the cost at that size, `optimal` says that both are proven.
/// @throws Error(infeasibleBudget) naming the least damage that can be had; as `solve` otherwise.
AssignSolution solveForCost(const AssignProblem& problem, double costLimit, JobContext& job);

/// The Pareto front (bytes, cost) from floor to ceiling, each point with its mix. Every point is the optimum of its own
/// size. Fronts of more than 4 M choices in all are thinned evenly, both ends stay.
struct ParetoPoint { std::uint64_t bytes = 0; double cost = 0; std::vector<int> choice; };
/// Its convex part: the corners that the greedy order of upgrades passes. With limits: 64 solved budgets.
std::vector<ParetoPoint> paretoFront(const AssignProblem& problem);
/// The convex part, and solved budgets wherever two neighbours lie more than 1/`points` of the whole range apart,
/// unless nothing lies between them. Points that could not be proven to 0.01 % are left out. @throws Error(cancelled).
/// Cost: as paretoFront, and at most 2·points + 64 times that of `solve`.
std::vector<ParetoPoint> paretoFront(const AssignProblem& problem, std::size_t points, JobContext& job);

} // namespace bw
