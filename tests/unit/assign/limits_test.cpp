// SPDX-License-Identifier: GPL-3.0-or-later
// Several budgets at once against trying every mix: memories of their own, with and without a total above them, and the
// other way round; the filled Pareto front.
#include "core/assign/limits.h"
#include "core/assign/solver.h"

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "tests/support/cpu_timer.h"
#include "tests/unit/assign/random_problem.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bw {
namespace {

using ::testing::HasSubstr;
using test::addRandomLimits;
using test::Best;
using test::modelLike;
using test::randomProblem;
using test::Shape;
using test::tryAll;

/// Sums of a few costs near 1 differ by rounding only.
constexpr double kRounding = 1e-12;

bool cheaperThenSmaller(std::uint64_t b, double c, const Best& now) {
    return c < now.cost - kRounding || (c < now.cost + kRounding && b < now.bytes);
}

void expectKeepsLimits(const AssignProblem& problem, const AssignSolution& s) {
    for (const AssignLimit& limit : problem.limits) {
        std::uint64_t use = 0;
        for (const std::size_t i : limit.items)
            use += problem.items[i].options[static_cast<std::size_t>(s.choice[i])].bytes;
        EXPECT_LE(use, limit.bytes) << limit.name;
    }
    EXPECT_EQ(s.limitPrices.size(), problem.limits.size());
    EXPECT_LE(s.bound, s.cost);
}

AssignProblem limitedProblem(Random& random, Shape shape) {
    AssignProblem problem =
        randomProblem(random, shape, 2 + static_cast<int>(random.below(5)), 1 + static_cast<int>(random.below(4)));
    addRandomLimits(random, problem, 3);
    return problem;
}

class LimitsProperty : public ::testing::TestWithParam<Shape> {};

TEST_P(LimitsProperty, FindsTheBestMixUnderLimitsAndATotal) {
    Random random(23 + static_cast<std::uint64_t>(GetParam()));
    JobContext job;
    int tight = 0;
    for (int trial = 0; trial < 400; ++trial) {
        const AssignProblem problem = limitedProblem(random, GetParam());
        const BudgetRange range = budgetRange(problem);
        const std::uint64_t budget =
            trial % 4 == 0 ? kNoTotal : range.floor + random.below(range.ceiling - range.floor + 3);
        const Best best = tryAll(problem, [&](std::uint64_t b, double) { return b <= budget; }, cheaperThenSmaller);
        const AssignSolution s = solve(problem, budget, job);
        expectKeepsLimits(problem, s);
        ASSERT_TRUE(best.any);
        EXPECT_NEAR(s.cost, best.cost, kRounding) << "trial " << trial;
        EXPECT_EQ(s.bytes, best.bytes) << "trial " << trial << ": of equal costs the smaller";
        EXPECT_TRUE(s.optimal) << "trial " << trial;
        AssignProblem free = problem;
        free.limits.clear();
        tight += solve(free, budget, job).cost < s.cost && budget < range.ceiling ? 1 : 0;
    }
    EXPECT_GT(tight, 3) << "limits and total must both matter in some trials";
}

TEST_P(LimitsProperty, FindsTheSmallestMixForADamageUnderLimits) {
    Random random(57 + static_cast<std::uint64_t>(GetParam()));
    JobContext job;
    for (int trial = 0; trial < 150; ++trial) {
        const AssignProblem problem = limitedProblem(random, GetParam());
        const Best least = tryAll(problem, [](std::uint64_t, double) { return true; },
                                  [](std::uint64_t, double c, const Best& now) { return c < now.cost; });
        const double limit = least.cost + std::abs(least.cost + 0.3) * random.uniform();
        const Best best = tryAll(problem, [&](std::uint64_t, double c) { return c <= limit + kRounding; },
                                 [](std::uint64_t b, double c, const Best& now) {
                                     return b < now.bytes || (b == now.bytes && c < now.cost);
                                 });
        const AssignSolution s = solveForCost(problem, limit, job);
        expectKeepsLimits(problem, s);
        EXPECT_EQ(s.bytes, best.bytes) << "trial " << trial;
        EXPECT_NEAR(s.cost, best.cost, kRounding) << "trial " << trial;
        EXPECT_TRUE(s.optimal) << "trial " << trial;
    }
}

TEST_P(LimitsProperty, FrontIsTheSmallestMixOfEachCost) {
    Random random(77 + static_cast<std::uint64_t>(GetParam()));
    JobContext job;
    for (int trial = 0; trial < 60; ++trial) {
        AssignProblem problem = limitedProblem(random, GetParam());
        if (trial % 2 == 0)
            problem.limits.clear();
        const auto front = paretoFront(problem, 100'000, job); // more than there are bytes
        const BudgetRange range = budgetRange(problem);
        ASSERT_FALSE(front.empty());
        EXPECT_EQ(front.front().bytes, range.floor);
        EXPECT_EQ(front.back().bytes, range.ceiling);
        for (std::size_t k = 0; k < front.size(); ++k) {
            const Best best = tryAll(
                problem, [&](std::uint64_t b, double) { return b <= front[k].bytes; }, cheaperThenSmaller);
            EXPECT_EQ(front[k].bytes, best.bytes) << "trial " << trial;
            EXPECT_NEAR(front[k].cost, best.cost, kRounding);
            if (k + 1 == front.size())
                continue;
            EXPECT_LT(front[k + 1].cost, front[k].cost);
            const Best between = tryAll(
                problem, [&](std::uint64_t b, double) { return b < front[k + 1].bytes; }, cheaperThenSmaller);
            EXPECT_EQ(between.bytes, front[k].bytes)
                << "trial " << trial << ": nothing lies between two points of a filled front";
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Shapes, LimitsProperty,
                         ::testing::Values(Shape::free, Shape::falling, Shape::ties, Shape::negative, Shape::hard,
                                           Shape::alike));

/// Four memories of which two are short, and a total that is short as well.
AssignProblem fourMemories(int items) {
    AssignProblem problem = modelLike(items, 12);
    const BudgetRange range = budgetRange(problem);
    problem.limits.resize(4);
    for (std::size_t i = 0; i < problem.items.size(); ++i)
        problem.limits[i * 4 / problem.items.size()].items.push_back(i);
    for (std::size_t k = 0; k < 4; ++k) {
        problem.limits[k].name = "memory" + std::to_string(k);
        problem.limits[k].bytes = (range.floor + (range.ceiling - range.floor) * (k < 2 ? 1 : 4) / 4) / 4;
    }
    return problem;
}

TEST(Limits, ProvesThousandsOfItemsUnderFourMemoriesAndATotal) {
    JobContext job;
    const AssignProblem problem = fourMemories(2000);
    const BudgetRange range = budgetRange(problem);
    const test::CpuTimer timer;
    const AssignSolution s = solve(problem, range.floor + (range.ceiling - range.floor) / 2, job);
    expectKeepsLimits(problem, s);
    EXPECT_LE(s.gap(), 1e-4 * s.cost) << "0.01 % is what is promised";
    EXPECT_LT(timer.seconds(), 10.0 * test::kSlowdown);
    EXPECT_GT(s.price, 0);
    EXPECT_GT(s.limitPrices[0], 0) << "a short memory has a price on top of the total's";
    EXPECT_EQ(s.limitPrices[3], 0);
}

TEST(Limits, GiveTheSameMixWithOneAndTwoThreads) {
    const AssignProblem problem = fourMemories(300);
    const BudgetRange range = budgetRange(problem);
    std::vector<std::vector<int>> choices;
    for (const int threads : {1, 2}) {
        setThreadCount(threads);
        JobContext job;
        choices.push_back(solve(problem, range.floor + (range.ceiling - range.floor) / 2, job).choice);
    }
    setThreadCount(0);
    EXPECT_EQ(choices[0], choices[1]);
}

TEST(Limits, StayHonestWhenTheSearchGivesUp) {
    Random random(4);
    JobContext job;
    int unproven = 0;
    for (int trial = 0; trial < 200; ++trial) {
        detail::LimitedProblem problem;
        problem.groupCapacity = {0, 0};
        problem.capacity = 0;
        for (int i = 0; i < 8; ++i) {
            auto& item = problem.items.emplace_back();
            problem.groupOf.push_back(i % 3 - 1);
            std::int64_t least = 1000, most = 0;
            for (int j = 0; j < 4; ++j) {
                const auto weight = static_cast<std::int64_t>(1 + random.below(50));
                item.push_back({weight, 1000 - 10 * weight + static_cast<std::int64_t>(random.below(60)), j});
                least = std::min(least, weight);
                most = std::max(most, weight);
            }
            if (i % 3 > 0)
                problem.groupCapacity[static_cast<std::size_t>(i % 3 - 1)] += (least + most) / 2;
            problem.capacity += (2 * least + most) / 3;
        }
        const detail::LimitedResult exact = detail::minimiseWithin(problem, 1'000'000, job);
        EXPECT_EQ(exact.bound, exact.cost);
        const detail::LimitedResult hasty = detail::minimiseWithin(problem, 8, job);
        EXPECT_LE(hasty.bound, exact.cost);
        EXPECT_GE(hasty.cost, exact.cost);
        EXPECT_LE(hasty.weight, problem.capacity);
        unproven += hasty.bound < hasty.cost ? 1 : 0;
    }
    EXPECT_GT(unproven, 50);
}

TEST(Limits, SayWhatIsPossible) {
    AssignProblem problem;
    problem.items.push_back({"a", {"a"}, {{"q4_0", 500, 1.0}, {"q8_0", 900, 0.1}}});
    problem.items.push_back({"b", {"b"}, {{"q4_0", 500, 1.0}, {"q8_0", 900, 0.1}}});
    problem.limits = {{"blk.0.*", {0}, 499}};
    JobContext job;
    const auto message = [&] {
        try {
            solve(problem, kNoTotal, job);
        } catch (const Error& e) {
            return std::string(errorCodeName(e.code())) + ": " + e.message();
        }
        return std::string();
    };
    EXPECT_THAT(message(), ::testing::AllOf(HasSubstr("infeasibleBudget"), HasSubstr("blk.0.*"), HasSubstr("500 bytes"),
                                            HasSubstr("900 bytes")));
    problem.limits[0].bytes = 500;
    EXPECT_EQ(solve(problem, kNoTotal, job).choice, (std::vector<int>{0, 1}));
    EXPECT_EQ(budgetRange(problem).ceiling, 1400u);
    problem.limits.push_back({"all", {0, 1}, 5000});
    EXPECT_THAT(message(),
                ::testing::AllOf(HasSubstr("'a' lies in two limits"), HasSubstr("blk.0.*"), HasSubstr("all")));
    problem.limits[1].items = {7};
    EXPECT_THAT(message(), HasSubstr("names item 7 of 2"));
    problem.limits[1].items = {1, 1};
    EXPECT_THAT(message(), HasSubstr("twice"));
    problem.limits.pop_back();
    EXPECT_THROW(solveForCost(problem, 0.5, job), Error) << "a's limit leaves it at 1.0";
    EXPECT_EQ(solveForCost(problem, 1.2, job).bytes, 1400u);
}

TEST(Pareto, FillsTheStretchesBetweenFarCorners) {
    JobContext job;
    // One item larger than all others together, bought before their last steps: the convex front jumps over what these
    // can do without it.
    AssignProblem problem = modelLike(200, 4);
    const BudgetRange small = budgetRange(problem);
    const double others = solve(problem, small.floor + (small.ceiling - small.floor) / 2, job).cost;
    problem.items.push_back({"head", {"head"}, {{"f0", small.floor, others}, {"f1", 2 * small.floor, 0}}});
    const BudgetRange range = budgetRange(problem);
    const auto widest = [&](const std::vector<ParetoPoint>& front) {
        std::uint64_t gap = 0;
        for (std::size_t k = 1; k < front.size(); ++k)
            gap = std::max(gap, front[k].bytes - front[k - 1].bytes);
        return static_cast<double>(gap) / static_cast<double>(range.ceiling - range.floor);
    };
    EXPECT_GT(widest(paretoFront(problem)), 0.2);
    const auto filled = paretoFront(problem, 64, job);
    EXPECT_GE(filled.size(), 64u);
    for (std::size_t k = 0; k < filled.size(); k += 37) {
        const AssignSolution s = solve(problem, filled[k].bytes, job);
        EXPECT_NEAR(s.cost, filled[k].cost, 1e-4 * s.cost);
    }
    EXPECT_LT(widest(filled), widest(paretoFront(problem)));
}

} // namespace
} // namespace bw
