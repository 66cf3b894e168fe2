// SPDX-License-Identifier: GPL-3.0-or-later
// The words of a mix: what each step buys, and why the budget ends where it does.
#include "core/assign/explain.h"
#include "tests/unit/assign/random_problem.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bw {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

AssignProblem twoSites() {
    AssignProblem problem;
    problem.fixedBytes = 1'000'000;
    problem.items.push_back({"blk.3.attn_v",
                             {"blk.3.attn_v"},
                             {{"q4_k", 4'200'000, 0.0030}, {"q6_k", 6'000'000, 0.0009}, {"q8_0", 8'000'000, 0.0008}}});
    problem.items.push_back(
        {"blk.0.ffn_up", {"blk.0.ffn_up"}, {{"q4_k", 10'000'000, 0.0100}, {"q6_k", 16'000'000, 0.0020}}});
    return problem;
}

TEST(Explain, ListsNextAndLastStepsByWorth) {
    JobContext job;
    const AssignProblem problem = twoSites();
    const std::uint64_t budget = 1'000'000 + 4'200'000 + 16'000'000 + 500'000;
    const AssignSolution s = solve(problem, budget, job);
    ASSERT_EQ(s.choice, (std::vector<int>{0, 1}));
    const std::vector<AssignStep> steps = explain(problem, s, budget);
    ASSERT_EQ(steps.size(), 2u);
    EXPECT_EQ(stepText(problem, steps[0], "nats"), "6.0 MB on blk.0.ffn_up (q4_k → q6_k) bought −0.008 nats");
    EXPECT_NEAR(steps[0].perMegabyte, 0.008 / 6, 1e-12);
    EXPECT_TRUE(steps[0].fits);
    EXPECT_EQ(stepText(problem, steps[1], "nats"), "+1.8 MB on blk.3.attn_v (q4_k → q6_k) buys −0.0021 nats");
    EXPECT_EQ(steps[1].bytes, 1'800'000);
    EXPECT_DOUBLE_EQ(steps[1].cost, 0.0009 - 0.0030);
    EXPECT_FALSE(steps[1].fits) << "only half a megabyte is left";
}

TEST(Explain, SaysWhyTheBudgetEndsThere) {
    JobContext job;
    AssignProblem problem = twoSites();
    const std::uint64_t budget = 1'000'000 + 4'200'000 + 16'000'000 + 500'000;
    EXPECT_THAT(budgetText(problem, solve(problem, budget, job), budget, "nats"),
                AllOf(HasSubstr("0.5 MB left"), HasSubstr("the smallest upgrade, blk.3.attn_v to q6_k, takes 1.8 MB"),
                      HasSubstr("One more megabyte would buy about −0.00117 nats"), HasSubstr("No other mix")));
    EXPECT_THAT(budgetText(problem, solve(problem, 1'000'000'000, job), 1'000'000'000, "nats"),
                AllOf(HasSubstr("more bytes buy nothing"), Not(HasSubstr("One more megabyte"))));
    problem.limits = {{"device", {0}, 5'000'000}};
    const std::string text = budgetText(problem, solve(problem, kNoTotal, job), kNoTotal, "nats");
    EXPECT_THAT(text, AllOf(HasSubstr("'device' has 0.8 MB left"), HasSubstr("blk.3.attn_v to q6_k"),
                            Not(HasSubstr("The budget"))));
    AssignSolution open = solve(problem, kNoTotal, job);
    open.optimal = false;
    open.bound = 0.99 * open.cost;
    EXPECT_THAT(budgetText(problem, open, kNoTotal, "nats"), HasSubstr("1 % less is not ruled out"));
}

TEST(Explain, HoldsOnRandomMixes) {
    Random random(6);
    JobContext job;
    for (int trial = 0; trial < 50; ++trial) {
        AssignProblem problem = test::randomProblem(random, test::Shape::falling, 12, 4);
        test::addRandomLimits(random, problem, 2);
        const BudgetRange range = budgetRange(problem);
        const std::uint64_t budget = (range.floor + range.ceiling) / 2;
        const AssignSolution s = solve(problem, budget, job);
        double last = 1e300;
        for (const AssignStep& step : explain(problem, s, budget)) {
            EXPECT_LE(step.perMegabyte, last);
            last = step.perMegabyte;
            EXPECT_EQ(step.from, s.choice[step.item]);
            const bool upgrade = step.kind == AssignStep::Kind::upgrade;
            EXPECT_EQ(step.bytes > 0, upgrade);
            EXPECT_FALSE(upgrade && step.fits) << "an upgrade that fits contradicts the optimum";
        }
    }
}

} // namespace
} // namespace bw
