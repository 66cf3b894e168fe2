// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/assign/uncertain.h"

#include "core/assign/problem.h"
#include "core/base/parallel.h"
#include "core/base/random.h"

#include <algorithm>
#include <map>

namespace bw {
namespace {

constexpr std::int64_t kDraws = 64;
constexpr double kSigmas = 2;

/// A normal number within ±2: what lies outside is drawn again.
double withinTwo(Random& random) {
    for (;;)
        if (const double z = random.normal(); std::abs(z) <= kSigmas)
            return z;
}

AssignProblem perturbed(const AssignProblem& problem, std::uint64_t seed) {
    AssignProblem moved = problem;
    Random random(seed);
    for (AssignItem& item : moved.items)
        for (AssignOption& option : item.options)
            if (option.error > 0)
                option.cost += option.error * withinTwo(random);
    return moved;
}

/// Options that the solution's prices would prefer at the ends of both error bars.
std::vector<int> rivalsAtExtremes(const AssignItem& item, int chosen, double price) {
    std::vector<int> rivals;
    const auto reduced = [price](const AssignOption& o, double sigmas) {
        return o.cost + sigmas * o.error + price * static_cast<double>(o.bytes);
    };
    const AssignOption& now = item.options[static_cast<std::size_t>(chosen)];
    for (std::size_t j = 0; j < item.options.size(); ++j) {
        const AssignOption& other = item.options[j];
        if (static_cast<int>(j) != chosen && now.error + other.error > 0 && reduced(other, -kSigmas) < reduced(now, kSigmas))
            rivals.push_back(static_cast<int>(j));
    }
    return rivals;
}

} // namespace

std::vector<UncertainItem> uncertainItems(const AssignProblem& problem, std::uint64_t budgetBytes, std::uint64_t seed, JobContext& job) {
    const AssignSolution solution = solve(problem, budgetBytes, job);
    const bool exact = std::all_of(problem.items.begin(), problem.items.end(), [](const AssignItem& item) {
        return std::all_of(item.options.begin(), item.options.end(), [](const AssignOption& o) { return !(o.error > 0); });
    });
    if (exact)
        return {};
    std::vector<std::vector<int>> drawn(static_cast<std::size_t>(kDraws));
    parallelFor(kDraws, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t d = begin; d < end; ++d)
            drawn[static_cast<std::size_t>(d)] = solve(perturbed(problem, seed + static_cast<std::uint64_t>(d)), budgetBytes, job).choice;
    });
    const std::vector<int> limitOf = detail::limitOfItems(problem);
    std::vector<UncertainItem> found;
    for (std::size_t i = 0; i < problem.items.size(); ++i) {
        UncertainItem item{i, solution.choice[i], {}, 0};
        std::map<int, int> taken; // option → draws that took it
        for (const std::vector<int>& choice : drawn)
            if (choice[i] != item.chosen)
                ++taken[choice[i]];
        double price = solution.price;
        if (limitOf[i] >= 0 && !solution.limitPrices.empty())
            price += solution.limitPrices[static_cast<std::size_t>(limitOf[i])];
        for (const int rival : rivalsAtExtremes(problem.items[i], item.chosen, price))
            taken.try_emplace(rival, 0);
        if (taken.empty())
            continue;
        std::vector<std::pair<int, int>> order(taken.begin(), taken.end());
        std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
        for (const auto& [option, draws] : order) {
            item.rivals.push_back(option);
            item.share += static_cast<double>(draws) / static_cast<double>(kDraws);
        }
        found.push_back(std::move(item));
    }
    std::stable_sort(found.begin(), found.end(), [](const UncertainItem& a, const UncertainItem& b) { return a.share > b.share; });
    return found;
}

} // namespace bw
