// SPDX-License-Identifier: GPL-3.0-or-later
// The solver against trying every mix, on hundreds of random small problems, and its speed on a large one.
#include "core/assign/solver.h"

#include "core/assign/knapsack.h"
#include "core/base/error.h"
#include "tests/support/cpu_timer.h"
#include "tests/unit/assign/random_problem.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace bw {
namespace {

using ::testing::HasSubstr;
using test::Best;
using test::modelLike;
using test::randomProblem;
using test::Shape;
using test::tryAll;

/// Sums of a few costs near 1 differ by rounding only.
constexpr double kRounding = 1e-12;

void expectConsistent(const AssignProblem& problem, const AssignSolution& s) {
    std::uint64_t bytes = problem.fixedBytes;
    double cost = 0;
    ASSERT_EQ(s.choice.size(), problem.items.size());
    for (std::size_t i = 0; i < s.choice.size(); ++i) {
        bytes += problem.items[i].options[static_cast<std::size_t>(s.choice[i])].bytes;
        cost += problem.items[i].options[static_cast<std::size_t>(s.choice[i])].cost;
    }
    EXPECT_EQ(bytes, s.bytes);
    EXPECT_DOUBLE_EQ(cost, s.cost);
    EXPECT_LE(s.bound, s.cost);
}

class SolverProperty : public ::testing::TestWithParam<Shape> {};

TEST_P(SolverProperty, FindsTheBestMixUnderABudget) {
    Random random(17 + static_cast<std::uint64_t>(GetParam()));
    JobContext job;
    for (int trial = 0; trial < 300; ++trial) {
        const AssignProblem problem = randomProblem(random, GetParam(), 1 + static_cast<int>(random.below(6)),
                                                    1 + static_cast<int>(random.below(4)));
        const BudgetRange range = budgetRange(problem);
        const std::uint64_t budget = range.floor + random.below(range.ceiling - range.floor + 3);
        const Best best = tryAll(problem, [&](std::uint64_t b, double) { return b <= budget; },
                                 [](std::uint64_t b, double c, const Best& now) {
                                     return c < now.cost - kRounding || (c < now.cost + kRounding && b < now.bytes);
                                 });
        const AssignSolution s = solve(problem, budget, job);
        expectConsistent(problem, s);
        ASSERT_TRUE(best.any);
        EXPECT_NEAR(s.cost, best.cost, kRounding) << "trial " << trial;
        EXPECT_EQ(s.bytes, best.bytes) << "trial " << trial << ": of equal costs the smaller";
        EXPECT_TRUE(s.optimal);
    }
}

TEST_P(SolverProperty, FindsTheSmallestMixForADamage) {
    Random random(91 + static_cast<std::uint64_t>(GetParam()));
    JobContext job;
    for (int trial = 0; trial < 200; ++trial) {
        const AssignProblem problem = randomProblem(random, GetParam(), 1 + static_cast<int>(random.below(6)),
                                                    1 + static_cast<int>(random.below(4)));
        const Best least = tryAll(problem, [](std::uint64_t, double) { return true; },
                                  [](std::uint64_t, double c, const Best& now) { return c < now.cost; });
        const double limit = least.cost + std::abs(least.cost + 0.3) * random.uniform();
        const Best best = tryAll(problem, [&](std::uint64_t, double c) { return c <= limit + kRounding; },
                                 [](std::uint64_t b, double c, const Best& now) {
                                     return b < now.bytes || (b == now.bytes && c < now.cost);
                                 });
        const AssignSolution s = solveForCost(problem, limit, job);
        expectConsistent(problem, s);
        EXPECT_EQ(s.bytes, best.bytes) << "trial " << trial;
        EXPECT_NEAR(s.cost, best.cost, kRounding) << "trial " << trial;
        EXPECT_TRUE(s.optimal);
    }
}

TEST_P(SolverProperty, FrontIsConvexAndEachPointIsTheOptimumOfItsSize) {
    Random random(5 + static_cast<std::uint64_t>(GetParam()));
    JobContext job;
    for (int trial = 0; trial < 60; ++trial) {
        const AssignProblem problem = randomProblem(random, GetParam(), 2 + static_cast<int>(random.below(5)),
                                                    2 + static_cast<int>(random.below(4)));
        const auto front = paretoFront(problem);
        const BudgetRange range = budgetRange(problem);
        ASSERT_FALSE(front.empty());
        EXPECT_EQ(front.front().bytes, range.floor);
        EXPECT_EQ(front.back().bytes, range.ceiling);
        for (std::size_t k = 0; k < front.size(); ++k) {
            EXPECT_NEAR(solve(problem, front[k].bytes, job).cost, front[k].cost, kRounding);
            if (k == 0)
                continue;
            EXPECT_GT(front[k].bytes, front[k - 1].bytes);
            EXPECT_LT(front[k].cost, front[k - 1].cost);
            if (k == 1)
                continue;
            const auto slope = [&](std::size_t a) {
                return (front[a - 1].cost - front[a].cost) / static_cast<double>(front[a].bytes - front[a - 1].bytes);
            };
            EXPECT_LE(slope(k), slope(k - 1) * (1 + 1e-9));
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Shapes, SolverProperty,
                         ::testing::Values(Shape::free, Shape::falling, Shape::ties, Shape::negative, Shape::hard,
                                           Shape::alike));

TEST(Solver, SolvesThousandsOfItemsInWellUnderASecond) {
    JobContext job;
    Random random(8);
    for (const AssignProblem& problem : {modelLike(2000, 10), randomProblem(random, Shape::free, 2000, 10),
                                         randomProblem(random, Shape::hard, 2000, 10)}) {
        const BudgetRange range = budgetRange(problem);
        const test::CpuTimer timer;
        const AssignSolution s = solve(problem, range.floor + (range.ceiling - range.floor) / 3, job);
        EXPECT_TRUE(s.optimal);
        EXPECT_LT(timer.seconds(), 1.0 * test::kSlowdown) << s.nodes << " nodes";
    }
}

TEST(Solver, ProvesSitesThatAreAllAlike) {
    JobContext job;
    const AssignProblem one = modelLike(3, 10);
    AssignProblem problem;
    for (int i = 0; i < 3000; ++i)
        problem.items.push_back(one.items[static_cast<std::size_t>(i % 3)]);
    const BudgetRange range = budgetRange(problem);
    for (std::uint64_t part = 1; part < 16; ++part) {
        const AssignSolution s = solve(problem, range.floor + (range.ceiling - range.floor) * part / 16, job);
        EXPECT_TRUE(s.optimal) << part;
        EXPECT_LT(s.nodes, 100'000) << "which of them takes what is not tried out";
    }
}

TEST(Knapsack, StaysHonestWhenItGivesUp) {
    Random random(44);
    JobContext job;
    int unproven = 0;
    for (int trial = 0; trial < 200; ++trial) {
        std::vector<std::vector<detail::IntOption>> items(6);
        std::int64_t least = 0, most = 0;
        for (auto& item : items) {
            for (int j = 0; j < 4; ++j) {
                const auto weight = static_cast<std::int64_t>(1 + random.below(50));
                item.push_back({weight, 1000 - 10 * weight + static_cast<std::int64_t>(random.below(60)), j});
            }
            const auto [low, high] = std::minmax_element(
                item.begin(), item.end(), [](const auto& a, const auto& b) { return a.weight < b.weight; });
            least += low->weight;
            most += high->weight;
        }
        const std::int64_t capacity =
            least + static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(most - least + 1)));
        const detail::KnapsackResult exact = detail::minimise(items, capacity, 1'000'000, job);
        EXPECT_EQ(exact.bound, exact.cost);
        const detail::KnapsackResult hasty = detail::minimise(items, capacity, 5, job);
        EXPECT_LE(hasty.bound, exact.cost);
        EXPECT_GE(hasty.cost, exact.cost);
        EXPECT_LE(hasty.weight, capacity);
        unproven += hasty.bound < hasty.cost ? 1 : 0;
    }
    EXPECT_GT(unproven, 50);
}

TEST(Pareto, ThinsALongFrontButKeepsItsEnds) {
    const AssignProblem problem = modelLike(3000, 10);
    const auto front = paretoFront(problem);
    const BudgetRange range = budgetRange(problem);
    EXPECT_EQ(front.front().bytes, range.floor);
    EXPECT_EQ(front.back().bytes, range.ceiling);
    EXPECT_GT(front.size(), 1000u);
    EXPECT_LE(front.size() * 3000, 4'100'000u);
}

TEST(Solver, ReportsFloorAndCeilingOfAnInfeasibleBudget) {
    AssignProblem problem;
    problem.fixedBytes = 100;
    problem.items.push_back({"a", {"a"}, {{"q4_0", 500, 1.0}, {"q8_0", 900, 0.1}}});
    JobContext job;
    try {
        solve(problem, 599, job);
        FAIL() << "must not be solvable";
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), ErrorCode::infeasibleBudget);
        EXPECT_THAT(e.message(), HasSubstr("600 bytes"));
        EXPECT_THAT(e.message(), HasSubstr("1000 bytes"));
        EXPECT_THAT(e.hint(), HasSubstr("600B"));
    }
    EXPECT_EQ(solve(problem, 600, job).choice, std::vector<int>{0});
    EXPECT_EQ(solve(problem, std::numeric_limits<std::uint64_t>::max(), job).choice, std::vector<int>{1});
    try {
        solveForCost(problem, 0.05, job);
        FAIL() << "must not be solvable";
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), ErrorCode::infeasibleBudget);
        EXPECT_THAT(e.message(), HasSubstr("0.1"));
    }
    EXPECT_EQ(solveForCost(problem, 0.1, job).choice, std::vector<int>{1});
    EXPECT_EQ(solveForCost(problem, 1e300, job).choice, std::vector<int>{0});
}

TEST(Solver, PrefersFewerBytesThenTheEarlierOption) {
    AssignProblem problem;
    problem.items.push_back({"a", {"a"}, {{"big", 9, 1.0}, {"first", 5, 1.0}, {"second", 5, 1.0}}});
    JobContext job;
    EXPECT_EQ(solve(problem, 100, job).choice, std::vector<int>{1});
    EXPECT_EQ(budgetRange(problem).ceiling, 5u) << "an option that costs no less is never bought";
}

TEST(Solver, RefusesWhatCannotBeCompared) {
    JobContext job;
    AssignProblem problem;
    problem.items.push_back({"blk.0.attn_q", {"blk.0.attn_q"}, {{"q4_0", 5, std::nan("")}}});
    const auto codeOf = [&] {
        try {
            solve(problem, 100, job);
        } catch (const Error& e) {
            EXPECT_THAT(e.message(), HasSubstr("blk.0.attn_q"));
            return e.code();
        }
        return ErrorCode::internal;
    };
    EXPECT_EQ(codeOf(), ErrorCode::nonFinite);
    problem.items[0].options[0].cost = std::numeric_limits<double>::infinity();
    EXPECT_EQ(codeOf(), ErrorCode::nonFinite);
    problem.items[0].options.clear();
    EXPECT_EQ(codeOf(), ErrorCode::usage);
}

TEST(Solver, StopsWhenAsked) {
    JobContext job;
    job.requestStop();
    Random random(2);
    const AssignProblem problem = randomProblem(random, Shape::hard, 50, 5);
    const BudgetRange range = budgetRange(problem);
    EXPECT_THROW(solve(problem, (range.floor + range.ceiling) / 2, job), Error);
}

TEST(Solver, HandlesAProblemWithoutItems) {
    AssignProblem problem;
    problem.fixedBytes = 7;
    JobContext job;
    const AssignSolution s = solve(problem, 7, job);
    EXPECT_EQ(s.bytes, 7u);
    EXPECT_TRUE(s.optimal);
    EXPECT_EQ(paretoFront(problem).size(), 1u);
}

} // namespace
} // namespace bw
