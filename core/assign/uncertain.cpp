// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/assign/uncertain.h"

#include "core/assign/problem.h"
#include "core/base/parallel.h"
#include "core/base/random.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

namespace bw {
namespace {

constexpr std::int64_t kDraws = 64;
constexpr double kSigmas = 2;
/// Extremes that are solved anew: as many again as four times the draws. Past that the prices' word is taken.
constexpr std::size_t kSolvedExtremes = 256;

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

/// An option that the solution's prices prefer when both error bars are at their ends, and by how much.
struct Extreme { std::size_t item = 0; int rival = 0; double margin = 0; };

void addExtremes(std::vector<Extreme>& found, const AssignItem& item, std::size_t index, int chosen, double price) {
    const auto reduced = [price](const AssignOption& o, double sigmas) {
        return o.cost + sigmas * o.error + price * static_cast<double>(o.bytes);
    };
    const AssignOption& now = item.options[static_cast<std::size_t>(chosen)];
    for (std::size_t j = 0; j < item.options.size(); ++j) {
        const AssignOption& other = item.options[j];
        const double margin = reduced(now, kSigmas) - reduced(other, -kSigmas);
        if (static_cast<int>(j) != chosen && now.error + other.error > 0 && margin > 0)
            found.push_back({index, static_cast<int>(j), margin});
    }
}

/// Whether the solution really leaves the chosen option when the two costs are at their ends and all others stay.
bool turns(const AssignProblem& problem, const Extreme& extreme, int chosen, std::uint64_t budgetBytes,
           JobContext& job) {
    AssignProblem moved = problem;
    auto& options = moved.items[extreme.item].options;
    AssignOption &now = options[static_cast<std::size_t>(chosen)],
                 &rival = options[static_cast<std::size_t>(extreme.rival)];
    now.cost += kSigmas * now.error;
    rival.cost -= kSigmas * rival.error;
    return solve(moved, budgetBytes, job).choice[extreme.item] == extreme.rival;
}

using Votes = std::vector<std::map<int, int>>; ///< of each item: option → draws that took it instead

Votes drawVotes(const AssignProblem& problem, const AssignSolution& solution, std::uint64_t budgetBytes,
                std::uint64_t seed, JobContext& job) {
    std::vector<std::vector<int>> drawn(static_cast<std::size_t>(kDraws));
    parallelFor(kDraws, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t d = begin; d < end; ++d)
            drawn[static_cast<std::size_t>(d)] =
                solve(perturbed(problem, seed + static_cast<std::uint64_t>(d)), budgetBytes, job).choice;
    });
    Votes votes(problem.items.size());
    for (const std::vector<int>& choice : drawn)
        for (std::size_t i = 0; i < votes.size(); ++i)
            if (choice[i] != solution.choice[i])
                ++votes[i][choice[i]];
    return votes;
}

/// Adds, without votes, what only the ends of single error bars turn.
void addTurned(Votes& votes, const AssignProblem& problem, const AssignSolution& solution, std::uint64_t budgetBytes,
               JobContext& job) {
    const std::vector<int> limitOf = detail::limitOfItems(problem);
    std::vector<Extreme> extremes;
    for (std::size_t i = 0; i < problem.items.size(); ++i) {
        double price = solution.price;
        if (limitOf[i] >= 0)
            price += solution.limitPrices[static_cast<std::size_t>(limitOf[i])];
        addExtremes(extremes, problem.items[i], i, solution.choice[i], price);
    }
    std::erase_if(extremes, [&](const Extreme& e) { return votes[e.item].contains(e.rival); });
    // The narrowest first: what the prices say by far needs no second look.
    std::stable_sort(extremes.begin(), extremes.end(),
                     [](const Extreme& a, const Extreme& b) { return a.margin < b.margin; });
    std::vector<char> turned(extremes.size(), 1);
    parallelFor(static_cast<std::int64_t>(std::min(extremes.size(), kSolvedExtremes)), 1,
                [&](std::int64_t begin, std::int64_t end) {
                    for (auto e = static_cast<std::size_t>(begin); e < static_cast<std::size_t>(end); ++e)
                        turned[e] =
                            turns(problem, extremes[e], solution.choice[extremes[e].item], budgetBytes, job) ? 1 : 0;
                });
    for (std::size_t e = 0; e < extremes.size(); ++e)
        if (turned[e])
            votes[extremes[e].item].try_emplace(extremes[e].rival, 0);
}

} // namespace

std::vector<UncertainItem> uncertainItems(const AssignProblem& problem, std::uint64_t budgetBytes, std::uint64_t seed,
                                          JobContext& job) {
    const AssignSolution solution = solve(problem, budgetBytes, job);
    const bool exact = std::all_of(problem.items.begin(), problem.items.end(), [](const AssignItem& item) {
        return std::all_of(item.options.begin(), item.options.end(),
                           [](const AssignOption& o) { return !(o.error > 0); });
    });
    if (exact)
        return {};
    Votes votes = drawVotes(problem, solution, budgetBytes, seed, job);
    addTurned(votes, problem, solution, budgetBytes, job);
    std::vector<UncertainItem> found;
    for (std::size_t i = 0; i < votes.size(); ++i) {
        if (votes[i].empty())
            continue;
        UncertainItem item{i, solution.choice[i], {}, 0};
        std::vector<std::pair<int, int>> order(votes[i].begin(), votes[i].end());
        std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
        for (const auto& [option, draws] : order) {
            item.rivals.push_back(option);
            item.share += static_cast<double>(draws) / static_cast<double>(kDraws);
        }
        found.push_back(std::move(item));
    }
    std::stable_sort(found.begin(), found.end(),
                     [](const UncertainItem& a, const UncertainItem& b) { return a.share > b.share; });
    return found;
}

} // namespace bw
