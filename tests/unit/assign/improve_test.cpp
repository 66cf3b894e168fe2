// SPDX-License-Identifier: GPL-3.0-or-later
// Local search on objectives that are no plain sum.
#include "core/assign/improve.h"

#include "core/base/error.h"
#include "tests/unit/assign/random_problem.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace bw {
namespace {

using test::Shape;

/// ½·mean_k(Σ_i c[k,i])² as signed projections have it.
class Projections final : public AssignObjective {
public:
    Projections(const AssignProblem& problem, int probes, Random& random) : choice_(problem.items.size(), 0) {
        for (const AssignItem& item : problem.items) {
            auto& options = c_.emplace_back();
            for (const AssignOption& option : item.options) {
                auto& c = options.emplace_back();
                for (int k = 0; k < probes; ++k)
                    c.push_back(std::sqrt(2 * std::abs(option.cost)) * random.normal());
            }
        }
        sum_.assign(static_cast<std::size_t>(probes), 0.0);
        for (std::size_t i = 0; i < choice_.size(); ++i)
            for (std::size_t k = 0; k < sum_.size(); ++k)
                sum_[k] += c_[i][0][k];
    }
    double cost() const override { return half(sum_); }
    double costIf(std::size_t item, int option) const override {
        ++asked;
        std::vector<double> sum = sum_;
        for (std::size_t k = 0; k < sum.size(); ++k)
            sum[k] += at(item, option)[k] - at(item, choice_[item])[k];
        return half(sum);
    }
    void set(std::size_t item, int option) override {
        for (std::size_t k = 0; k < sum_.size(); ++k)
            sum_[k] += at(item, option)[k] - at(item, choice_[item])[k];
        choice_[item] = option;
    }
    mutable std::int64_t asked = 0;
    const std::vector<int>& choice() const { return choice_; }

private:
    static double half(const std::vector<double>& sum) {
        double total = 0;
        for (const double s : sum)
            total += s * s;
        return total / (2 * static_cast<double>(sum.size()));
    }
    const std::vector<double>& at(std::size_t item, int option) const {
        return c_[item][static_cast<std::size_t>(option)];
    }
    std::vector<std::vector<std::vector<double>>> c_;
    std::vector<double> sum_;
    std::vector<int> choice_;
};

TEST(Improve, BettersTheAdditiveOptimumAndEndsWhereNothingSmallHelps) {
    Random random(31);
    JobContext job;
    int bettered = 0, several = 0;
    for (int trial = 0; trial < 40; ++trial) {
        AssignProblem problem = test::randomProblem(random, Shape::falling, 10, 4);
        if (trial % 2 == 1)
            test::addRandomLimits(random, problem, 2);
        const BudgetRange range = budgetRange(problem);
        const std::uint64_t budget = (range.floor + range.ceiling) / 2;
        const AssignSolution start = solve(problem, budget, job);
        Projections objective(problem, 16, random);
        const Improvement found = improve(problem, start.choice, budget, objective, job);
        EXPECT_LE(found.after, found.before);
        EXPECT_LE(found.bytes, budget);
        EXPECT_EQ(objective.choice(), found.choice) << "the objective ends at the result";
        EXPECT_NEAR(objective.cost(), found.after, 1e-12);
        bettered += found.after < found.before ? 1 : 0;
        // Every single change that keeps the limits, tried by hand.
        const auto allowed = [&](const std::vector<int>& choice) {
            std::uint64_t bytes = problem.fixedBytes;
            for (std::size_t i = 0; i < choice.size(); ++i)
                bytes += problem.items[i].options[static_cast<std::size_t>(choice[i])].bytes;
            for (const AssignLimit& limit : problem.limits) {
                std::uint64_t use = 0;
                for (const std::size_t i : limit.items)
                    use += problem.items[i].options[static_cast<std::size_t>(choice[i])].bytes;
                if (use > limit.bytes)
                    return false;
            }
            return bytes <= budget;
        };
        EXPECT_TRUE(allowed(found.choice));
        std::vector<int> tried = found.choice;
        for (std::size_t i = 0; i < tried.size(); ++i)
            for (int j = 0; j < 4; ++j) {
                tried[i] = j;
                if (allowed(tried)) {
                    EXPECT_GE(objective.costIf(i, j), found.after * (1 - 1e-9)) << "a single move was missed";
                }
                tried[i] = found.choice[i];
            }
        std::size_t differing = 0;
        for (std::size_t i = 0; i < tried.size(); ++i)
            if (found.choice[i] != start.choice[i])
                ++differing;
        several += differing >= 2 ? 1 : 0;
    }
    EXPECT_GT(bettered, 20);
    EXPECT_GT(several, 10);
}

TEST(Improve, FindsThePairThatPaysOnlyTogether) {
    // No room for an upgrade alone: b must shrink so that a can grow.
    AssignProblem problem;
    problem.items.push_back({"a", {"a"}, {{"small", 10, 0}, {"big", 20, 0}}});
    problem.items.push_back({"b", {"b"}, {{"small", 10, 0}, {"big", 20, 0}}});
    struct Table final : AssignObjective {
        int a = 0, b = 0;
        static double value(int x, int y) { return x == 1 ? (y == 1 ? 0.5 : 1.0) : (y == 1 ? 2.0 : 9.0); }
        double cost() const override { return value(a, b); }
        double costIf(std::size_t item, int option) const override {
            return item == 0 ? value(option, b) : value(a, option);
        }
        void set(std::size_t item, int option) override { (item == 0 ? a : b) = option; }
    } objective;
    JobContext job;
    const Improvement found = improve(problem, {0, 1}, 30, objective, job);
    EXPECT_EQ(found.choice, (std::vector<int>{1, 0}));
    EXPECT_EQ(found.before, 2.0);
    EXPECT_EQ(found.after, 1.0);
    EXPECT_EQ(found.bytes, 30u);
    EXPECT_EQ(found.moves, 1);
}

TEST(Improve, RefusesAStartThatDoesNotFit) {
    AssignProblem problem;
    problem.items.push_back({"a", {"a"}, {{"small", 10, 2}, {"big", 20, 1}}});
    problem.limits = {{"device", {0}, 15}};
    Random random(1);
    Projections objective(problem, 2, random);
    JobContext job;
    EXPECT_THROW(improve(problem, {1}, kNoTotal, objective, job), Error) << "the limit";
    EXPECT_THROW(improve(problem, {0}, 9, objective, job), Error) << "the budget";
    EXPECT_THROW(improve(problem, {2}, kNoTotal, objective, job), Error) << "no such option";
    EXPECT_THROW(improve(problem, {}, kNoTotal, objective, job), Error) << "not this problem's";
}

TEST(Improve, StopsWhenAsked) {
    Random random(1);
    const AssignProblem problem = test::randomProblem(random, Shape::falling, 10, 4);
    Projections objective(problem, 2, random);
    JobContext job;
    job.requestStop();
    EXPECT_THROW(improve(problem, std::vector<int>(10, 0), kNoTotal, objective, job), Error);
}

} // namespace
} // namespace bw
