// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/assign/solver.h"

#include "core/assign/limits.h"
#include "core/assign/problem.h"
#include "core/base/error.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace bw {
namespace {

/// A second and 20 MB of partial choices; real maps need thousands.
constexpr std::int64_t kMaxNodes = 2'000'000;
constexpr double kClosedGap = 1e-9;

std::string costText(double cost) { return fmt::format("{:.6g}", cost); }

[[noreturn]] void throwBelowFloor(std::uint64_t budget, const BudgetRange& range) {
    throw Error(ErrorCode::infeasibleBudget,
                "a budget of " + detail::sizeText(budget) + " lies below the smallest mix, " +
                    detail::sizeText(range.floor) + "; the largest useful budget is " + detail::sizeText(range.ceiling),
                "ask for at least " + std::to_string(range.floor) + "B, or offer formats with fewer bits");
}

/// The integer problem with the roles exchanged: cost is the resource, bytes are paid.
std::vector<std::vector<detail::IntOption>> exchanged(std::vector<std::vector<detail::IntOption>> items) {
    for (auto& item : items)
        for (auto& option : item)
            std::swap(option.weight, option.cost);
    return items;
}

std::uint64_t lightest(const AssignProblem& problem, const detail::IntProblem& ints) {
    std::uint64_t bytes = problem.fixedBytes;
    for (const auto& item : ints.items)
        bytes +=
            static_cast<std::uint64_t>(std::min_element(item.begin(), item.end(), [](const auto& a, const auto& b) {
                                           return a.weight < b.weight;
                                       })->weight);
    return bytes;
}

/// @param capacity of the items' bytes, detail::kUnlimited for none. Precondition: at least the lightest mix.
AssignSolution solveIntegers(const AssignProblem& problem, const detail::IntProblem& ints, std::int64_t capacity,
                             JobContext& job) {
    AssignSolution solution;
    const double unit = std::ldexp(1.0, -ints.exponent);
    detail::LimitedResult found;
    if (ints.limitOf.empty()) {
        static_cast<detail::KnapsackResult&>(found) = detail::minimise(ints.items, capacity, kMaxNodes, job);
    } else {
        detail::LimitedProblem limited{ints.items, ints.limitOf, {}, capacity};
        for (const AssignLimit& limit : problem.limits)
            limited.groupCapacity.push_back(
                static_cast<std::int64_t>(std::min<std::uint64_t>(limit.bytes, detail::kUnlimited)));
        found = detail::minimiseWithin(limited, kMaxNodes, job);
    }
    for (const double price : found.groupPrices)
        solution.limitPrices.push_back(price * unit);
    solution.price = found.price * unit;
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

bool keepsLimits(const AssignProblem& problem, const std::vector<int>& choice) {
    const std::vector<std::uint64_t> use = detail::limitUse(problem, choice);
    for (std::size_t k = 0; k < use.size(); ++k)
        if (use[k] > problem.limits[k].bytes)
            return false;
    return true;
}

[[noreturn]] void throwBelowLeastCost(const AssignProblem& problem, double costLimit, double least) {
    const BudgetRange range = budgetRange(problem);
    throw Error(ErrorCode::infeasibleBudget,
                "a predicted damage of " + costText(costLimit) + " cannot be kept: the best mix, " +
                    detail::sizeText(range.ceiling) + ", has " + costText(least),
                "allow more damage or offer formats with more bits");
}

/// With limits, least cost falls as the total grows: the smallest total that reaches the cost, by halving. What the
/// problem without its limits needs is a lower bound to start from.
AssignSolution smallestTotal(const AssignProblem& problem, const detail::IntProblem& ints, std::uint64_t from,
                             std::int64_t costLimit, JobContext& job) {
    const auto costOf = [&](const AssignSolution& s) {
        std::int64_t cost = 0;
        for (std::size_t i = 0; i < s.choice.size(); ++i)
            cost += ints.items[i][static_cast<std::size_t>(s.choice[i])].cost;
        return cost;
    };
    AssignSolution best = solveIntegers(problem, ints, detail::kUnlimited, job);
    if (costOf(best) > costLimit)
        throwBelowLeastCost(problem, std::ldexp(static_cast<double>(costLimit), -ints.exponent), best.cost);
    std::uint64_t low = std::max(from, lightest(problem, ints)), high = best.bytes;
    std::int64_t nodes = best.nodes;
    bool proven = best.optimal;
    while (low < high) {
        const std::uint64_t middle = low + (high - low) / 2;
        AssignSolution tried =
            solveIntegers(problem, ints, static_cast<std::int64_t>(middle - problem.fixedBytes), job);
        nodes += tried.nodes;
        if (costOf(tried) <= costLimit) {
            high = tried.bytes;
            best = std::move(tried);
        } else {
            proven = proven && std::ldexp(tried.bound, ints.exponent) > static_cast<double>(costLimit);
            low = middle + 1;
        }
    }
    best.nodes = nodes;
    best.optimal = best.optimal && proven;
    return best;
}

} // namespace

BudgetRange budgetRange(const AssignProblem& problem) {
    const detail::IntProblem ints = detail::toIntegers(problem);
    BudgetRange range{lightest(problem, ints), problem.fixedBytes};
    if (!ints.limitOf.empty()) {
        JobContext job;
        range.ceiling = solveIntegers(problem, ints, detail::kUnlimited, job).bytes;
        return range;
    }
    for (const auto& item : ints.items)
        range.ceiling += static_cast<std::uint64_t>(detail::efficientOptions(item).back().weight);
    return range;
}

AssignSolution solve(const AssignProblem& problem, std::uint64_t budgetBytes, JobContext& job) {
    const detail::IntProblem ints = detail::toIntegers(problem);
    if (budgetBytes < lightest(problem, ints))
        throwBelowFloor(budgetBytes, budgetRange(problem));
    // Sizes add up to less than 2^60, so the smaller number never binds and fits the signed capacity.
    const std::uint64_t capacity = std::min<std::uint64_t>(budgetBytes - problem.fixedBytes, detail::kUnlimited);
    return solveIntegers(problem, ints, static_cast<std::int64_t>(capacity), job);
}

AssignSolution solveForCost(const AssignProblem& problem, double costLimit, JobContext& job) {
    if (std::isnan(costLimit))
        throw Error(ErrorCode::usage, "the limit of damage is not a number");
    const detail::IntProblem ints = detail::toIntegers(problem);
    std::int64_t least = 0, most = 0;
    for (const auto& item : ints.items) {
        const auto [low, high] =
            std::minmax_element(item.begin(), item.end(), [](const auto& a, const auto& b) { return a.cost < b.cost; });
        least += low->cost;
        most += high->cost;
    }
    // Each cost was rounded to a whole number: N units keep a limit that is exactly reached reachable.
    const auto slack = static_cast<std::int64_t>(ints.items.size());
    const double scaled = std::ldexp(costLimit, ints.exponent);
    std::int64_t limit = most;
    if (scaled < static_cast<double>(most))
        limit = scaled < static_cast<double>(least) - 2.0 * static_cast<double>(slack) ? least - slack - 1
                                                                                       : std::llround(scaled) + slack;
    if (limit < least)
        throwBelowLeastCost(problem, costLimit, std::ldexp(static_cast<double>(least), -ints.exponent));
    const detail::KnapsackResult found = detail::minimise(exchanged(ints.items), std::min(limit, most), kMaxNodes, job);
    const std::uint64_t bytes = detail::choiceBytes(problem, found.choice);
    // At that size, the least cost and its proof.
    AssignSolution solution;
    if (keepsLimits(problem, found.choice))
        solution = solve(problem, bytes, job);
    else
        solution = smallestTotal(problem, ints, found.bound == found.cost ? bytes : 0, limit, job);
    solution.nodes += found.nodes;
    solution.optimal = solution.optimal && found.bound == found.cost;
    return solution;
}

} // namespace bw
