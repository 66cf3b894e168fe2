// SPDX-License-Identifier: GPL-3.0-or-later
// Which decisions hang on noise.
#include "core/assign/uncertain.h"

#include "core/base/parallel.h"
#include "tests/unit/assign/random_problem.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace bw {
namespace {

/// Four sites alike in size; room to raise two. a's worth is sure, b and c are close to each other, d is worth nothing.
AssignProblem closeCall(double error) {
    AssignProblem problem;
    const auto add = [&](const char* name, double cost) {
        problem.items.push_back({name, {name}, {{"q4_k", 100, cost, error}, {"q8_0", 200, 0.001, error / 10}}});
    };
    add("a", 0.500);
    add("b", 0.101);
    add("c", 0.100);
    add("d", 0.002);
    return problem;
}

TEST(Uncertain, FindsTheCloseCallAndNothingElse) {
    JobContext job;
    const AssignProblem problem = closeCall(0.005);
    ASSERT_EQ(solve(problem, 600, job).choice, (std::vector<int>{1, 1, 0, 0}));
    const std::vector<UncertainItem> found = uncertainItems(problem, 600, 1, job);
    ASSERT_EQ(found.size(), 2u);
    std::vector<std::size_t> items{found[0].item, found[1].item};
    std::sort(items.begin(), items.end());
    EXPECT_EQ(items, (std::vector<std::size_t>{1, 2}));
    for (const UncertainItem& item : found) {
        EXPECT_EQ(item.rivals, std::vector<int>{1 - item.chosen});
        EXPECT_GT(item.share, 0.2) << "0.001 apart with errors of 0.005: nearly a coin";
        EXPECT_LT(item.share, 0.7);
    }
}

TEST(Uncertain, ExactCostsLeaveNoDoubt) {
    JobContext job;
    EXPECT_TRUE(uncertainItems(closeCall(0), 600, 1, job).empty());
    EXPECT_TRUE(uncertainItems(closeCall(1e-6), 600, 1, job).empty()) << "the call is not that close";
}

TEST(Uncertain, MoreDoubtWithLargerErrors) {
    JobContext job;
    AssignProblem problem = test::modelLike(60, 5);
    std::size_t before = 0;
    for (const double relative : {0.02, 0.1, 0.4}) {
        for (AssignItem& item : problem.items)
            for (AssignOption& option : item.options)
                option.error = relative * option.cost;
        const BudgetRange range = budgetRange(problem);
        const auto found = uncertainItems(problem, (range.floor + range.ceiling) / 2, 7, job);
        EXPECT_GT(found.size(), before);
        before = found.size();
        for (std::size_t k = 1; k < found.size(); ++k)
            EXPECT_LE(found[k].share, found[k - 1].share);
    }
    EXPECT_LT(before, 60u) << "not every site hangs on noise";
}

TEST(Uncertain, SameWithOneAndTwoThreads) {
    AssignProblem problem = test::modelLike(60, 5);
    for (AssignItem& item : problem.items)
        for (AssignOption& option : item.options)
            option.error = 0.1 * option.cost;
    const BudgetRange range = budgetRange(problem);
    std::vector<std::vector<UncertainItem>> found;
    for (const int threads : {1, 2}) {
        setThreadCount(threads);
        JobContext job;
        found.push_back(uncertainItems(problem, (range.floor + range.ceiling) / 2, 7, job));
    }
    setThreadCount(0);
    ASSERT_EQ(found[0].size(), found[1].size());
    for (std::size_t k = 0; k < found[0].size(); ++k) {
        EXPECT_EQ(found[0][k].item, found[1][k].item);
        EXPECT_EQ(found[0][k].rivals, found[1][k].rivals);
        EXPECT_EQ(found[0][k].share, found[1][k].share);
    }
}

} // namespace
} // namespace bw
