// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/assign/hull.h"
#include "core/assign/problem.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

namespace bw {
namespace {

/// Choices kept over all points (16 MB): longer fronts are thinned evenly, floor and ceiling always stay.
constexpr std::size_t kMaxChoices = 4'000'000;
/// Points of a front that limits leave no greedy order for.
constexpr std::size_t kLimitedPoints = 64;
/// A point is called an optimum when its proven gap is no wider.
constexpr double kFrontGap = 1e-4;

std::vector<ParetoPoint> convexFront(const AssignProblem& problem) {
    const detail::IntProblem ints = detail::toIntegers(problem);
    std::vector<std::vector<detail::IntOption>> hulls;
    std::vector<int> choice;
    for (const auto& item : ints.items) {
        hulls.push_back(detail::convexOptions(detail::efficientOptions(item)));
        choice.push_back(hulls.back().front().index);
    }
    const auto increments = detail::sortedIncrements(hulls);
    const std::size_t room = std::max<std::size_t>(2, kMaxChoices / std::max<std::size_t>(1, choice.size()));
    const std::size_t every = (increments.size() + room - 1) / room;
    std::vector<ParetoPoint> front;
    const auto add = [&] {
        front.push_back({detail::choiceBytes(problem, choice), detail::choiceCost(problem, choice), choice});
    };
    add();
    for (std::size_t k = 0; k < increments.size(); ++k) {
        const auto& step = increments[k];
        const auto item = static_cast<std::size_t>(step.item);
        choice[item] = hulls[item][static_cast<std::size_t>(step.step) + 1].index;
        if (every <= 1 || (k + 1) % every == 0 || k + 1 == increments.size())
            add();
    }
    return front;
}

/// Points by their size, and what is known to be empty between them.
class FrontFiller {
public:
    FrontFiller(const AssignProblem& problem, JobContext& job) : problem_(problem), job_(job) {}

    void add(ParetoPoint point) { points_.emplace(point.bytes, std::move(point)); }

    /// Solves the middle of the widest stretch until none is wider than `widest` bytes or `solves` are used up.
    void fill(std::uint64_t widest, std::size_t solves) {
        for (; solves > 0; --solves) {
            const auto [from, to] = widestStretch();
            if (to <= from || to - from <= widest)
                return;
            const std::uint64_t budget = from + (to - from + 1) / 2;
            AssignSolution s = solve(problem_, budget, job_);
            // Every budget from the solution's size up to this one has this optimum.
            if (const auto below = std::prev(points_.upper_bound(budget)); s.bytes <= below->first)
                emptyUpTo_[below->first] = std::max(budget, s.bytes);
            else if (s.gap() > kFrontGap * std::abs(s.cost))
                return;
            else {
                emptyUpTo_[s.bytes] = budget;
                add({s.bytes, s.cost, std::move(s.choice)});
            }
        }
    }

    std::vector<ParetoPoint> take() {
        std::vector<ParetoPoint> front;
        for (auto& [bytes, point] : points_)
            if (front.empty() || point.cost < front.back().cost)
                front.push_back(std::move(point));
        return front;
    }

private:
    /// Between a point (or what is known to be empty above it) and the next one.
    std::pair<std::uint64_t, std::uint64_t> widestStretch() const {
        std::pair<std::uint64_t, std::uint64_t> widest{0, 0};
        for (auto it = points_.begin(); it != points_.end() && std::next(it) != points_.end(); ++it) {
            const auto empty = emptyUpTo_.find(it->first);
            const std::uint64_t from = empty == emptyUpTo_.end() ? it->first : empty->second;
            // The budget one byte below the next point is the last that may hold another one.
            const std::uint64_t to = std::next(it)->first - 1;
            if (to > from && to - from > widest.second - widest.first)
                widest = {from, to};
        }
        return widest;
    }

    const AssignProblem& problem_;
    JobContext& job_;
    std::map<std::uint64_t, ParetoPoint> points_;
    std::map<std::uint64_t, std::uint64_t> emptyUpTo_;
};

} // namespace

std::vector<ParetoPoint> paretoFront(const AssignProblem& problem) {
    if (problem.limits.empty())
        return convexFront(problem);
    JobContext job;
    return paretoFront(problem, kLimitedPoints, job);
}

std::vector<ParetoPoint> paretoFront(const AssignProblem& problem, std::size_t points, JobContext& job) {
    FrontFiller filler(problem, job);
    const BudgetRange range = budgetRange(problem);
    if (problem.limits.empty()) {
        for (ParetoPoint& point : convexFront(problem))
            filler.add(std::move(point));
    } else {
        for (const std::uint64_t budget : {range.floor, range.ceiling}) {
            AssignSolution s = solve(problem, budget, job);
            filler.add({s.bytes, s.cost, std::move(s.choice)});
        }
    }
    points = std::max<std::size_t>(points, 1);
    filler.fill((range.ceiling - range.floor) / points, 2 * points + 64);
    return filler.take();
}

} // namespace bw
