// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/assign/solver.h"

#include "core/assign/knapsack.h"
#include "core/assign/problem.h"
#include "core/base/error.h"
#include "core/base/text.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace bw {
namespace {

/// About a second and 70 MB of partial choices; real maps need thousands.
constexpr std::int64_t kMaxNodes = 2'000'000;
constexpr double kClosedGap = 1e-9;

std::string costText(double cost) { return fmt::format("{:.6g}", cost); }

std::string sizeText(std::uint64_t bytes) { return formatBytes(bytes) + " (" + std::to_string(bytes) + " bytes)"; }

[[noreturn]] void throwBelowFloor(std::uint64_t budget, const BudgetRange& range) {
    throw Error(ErrorCode::infeasibleBudget,
                "a budget of " + sizeText(budget) + " lies below the smallest mix, " + sizeText(range.floor) +
                    "; the largest useful budget is " + sizeText(range.ceiling),
                "ask for at least " + std::to_string(range.floor) + "B, or offer formats with fewer bits");
}

/// The integer problem with the roles exchanged: cost is the resource, bytes are paid.
std::vector<std::vector<detail::IntOption>> exchanged(std::vector<std::vector<detail::IntOption>> items) {
    for (auto& item : items)
        for (auto& option : item)
            std::swap(option.weight, option.cost);
    return items;
}

} // namespace

BudgetRange budgetRange(const AssignProblem& problem) {
    const detail::IntProblem ints = detail::toIntegers(problem);
    BudgetRange range{problem.fixedBytes, problem.fixedBytes};
    for (const auto& item : ints.items) {
        const auto efficient = detail::efficientOptions(item);
        range.floor += static_cast<std::uint64_t>(efficient.front().weight);
        range.ceiling += static_cast<std::uint64_t>(efficient.back().weight);
    }
    return range;
}

AssignSolution solve(const AssignProblem& problem, std::uint64_t budgetBytes, JobContext& job) {
    const detail::IntProblem ints = detail::toIntegers(problem);
    const BudgetRange range = budgetRange(problem);
    if (budgetBytes < range.floor)
        throwBelowFloor(budgetBytes, range);
    // Nothing is bought past the ceiling; the smaller number also fits the signed capacity.
    const std::uint64_t capacity = std::min(budgetBytes, range.ceiling) - problem.fixedBytes;
    const detail::KnapsackResult found = detail::minimise(ints.items, static_cast<std::int64_t>(capacity), kMaxNodes, job);
    AssignSolution solution;
    solution.choice = found.choice;
    solution.bytes = detail::choiceBytes(problem, found.choice);
    solution.cost = detail::choiceCost(problem, found.choice);
    solution.nodes = found.nodes;
    solution.bound = solution.cost;
    if (found.bound < found.cost)
        solution.bound = std::min(solution.cost, std::ldexp(static_cast<double>(found.bound), -ints.exponent));
    solution.optimal = solution.gap() <= kClosedGap * std::abs(solution.cost);
    return solution;
}

AssignSolution solveForCost(const AssignProblem& problem, double costLimit, JobContext& job) {
    if (std::isnan(costLimit))
        throw Error(ErrorCode::usage, "the limit of damage is not a number");
    const detail::IntProblem ints = detail::toIntegers(problem);
    std::int64_t least = 0, most = 0;
    for (const auto& item : ints.items) {
        const auto [low, high] = std::minmax_element(item.begin(), item.end(), [](const auto& a, const auto& b) { return a.cost < b.cost; });
        least += low->cost;
        most += high->cost;
    }
    // Each cost was rounded to a whole number: N units keep a limit that is exactly reached reachable.
    const auto slack = static_cast<std::int64_t>(ints.items.size());
    const double scaled = std::ldexp(costLimit, ints.exponent);
    std::int64_t limit = most;
    if (scaled < static_cast<double>(most))
        limit = scaled < static_cast<double>(least) - 2.0 * static_cast<double>(slack) ? least - slack - 1 : std::llround(scaled) + slack;
    if (limit < least) {
        const BudgetRange range = budgetRange(problem);
        throw Error(ErrorCode::infeasibleBudget,
                    "a predicted damage of " + costText(costLimit) + " cannot be kept: the best mix, " +
                        sizeText(range.ceiling) + ", has " + costText(std::ldexp(static_cast<double>(least), -ints.exponent)),
                    "allow more damage or offer formats with more bits");
    }
    const detail::KnapsackResult found = detail::minimise(exchanged(ints.items), std::min(limit, most), kMaxNodes, job);
    // At that size, the least cost and its proof.
    AssignSolution solution = solve(problem, detail::choiceBytes(problem, found.choice), job);
    solution.nodes += found.nodes;
    solution.optimal = solution.optimal && found.bound == found.cost;
    return solution;
}

} // namespace bw
