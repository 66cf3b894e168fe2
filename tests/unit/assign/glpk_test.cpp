// SPDX-License-Identifier: GPL-3.0-or-later
// An independent solver agrees: GLPK's branch and cut on the same problems as integer programs, too large to try all
// mixes.
#include "core/assign/budget.h"
#include "core/assign/solver.h"
#include "tests/unit/assign/random_problem.h"

#include <glpk.h>
#include <gtest/gtest.h>

#include <memory>

namespace bw {
namespace {

using test::addRandomLimits;
using test::randomProblem;
using test::Shape;

/// GLPK prunes with a relative tolerance of 1e-7 on the objective; costs here are of the order of 1 to 10.
constexpr double kTolerance = 1e-6;

/// One binary column per option, one row per item (exactly one option), per limit, for the total and for the damage.
class Program {
public:
    explicit Program(const AssignProblem& problem) : problem_(problem), lp_(glp_create_prob()) {
        glp_set_obj_dir(lp_.get(), GLP_MIN);
        for (const AssignItem& item : problem.items) {
            const int row = glp_add_rows(lp_.get(), 1);
            glp_set_row_bnds(lp_.get(), row, GLP_FX, 1, 1);
            for (std::size_t j = 0; j < item.options.size(); ++j) {
                const int column = glp_add_cols(lp_.get(), 1);
                glp_set_col_kind(lp_.get(), column, GLP_BV);
                put(row, column, 1);
            }
        }
        for (const AssignLimit& limit : problem.limits)
            addRow(static_cast<double>(limit.bytes), limit.items,
                   [](const AssignOption& o) { return static_cast<double>(o.bytes); });
    }

    void limitBytes(std::uint64_t total) {
        addRow(static_cast<double>(total - problem_.fixedBytes), allItems(),
               [](const AssignOption& o) { return static_cast<double>(o.bytes); });
    }
    void limitCost(double cost) {
        addRow(cost, allItems(), [](const AssignOption& o) { return o.cost; });
    }

    /// The least Σ value(option); the found choice is added up anew, so that no tolerance of a solver is in it.
    template <class Value>
    double least(Value value) {
        int column = 0;
        for (const AssignItem& item : problem_.items)
            for (const AssignOption& option : item.options)
                glp_set_obj_coef(lp_.get(), ++column, value(option));
        glp_load_matrix(lp_.get(), static_cast<int>(rows_.size()) - 1, rows_.data(), columns_.data(), values_.data());
        glp_iocp options;
        glp_init_iocp(&options);
        options.presolve = GLP_ON;
        options.msg_lev = GLP_MSG_OFF;
        EXPECT_EQ(glp_intopt(lp_.get(), &options), 0);
        EXPECT_EQ(glp_mip_status(lp_.get()), GLP_OPT);
        double sum = 0;
        column = 0;
        for (const AssignItem& item : problem_.items)
            for (const AssignOption& option : item.options)
                sum += glp_mip_col_val(lp_.get(), ++column) > 0.5 ? value(option) : 0.0;
        return sum;
    }

private:
    std::vector<std::size_t> allItems() const {
        std::vector<std::size_t> all(problem_.items.size());
        for (std::size_t i = 0; i < all.size(); ++i)
            all[i] = i;
        return all;
    }

    template <class Value>
    void addRow(double most, const std::vector<std::size_t>& items, Value value) {
        if (items.empty())
            return;
        const int row = glp_add_rows(lp_.get(), 1);
        glp_set_row_bnds(lp_.get(), row, GLP_UP, 0, most);
        for (const std::size_t i : items) {
            int column = 1;
            for (std::size_t before = 0; before < i; ++before)
                column += static_cast<int>(problem_.items[before].options.size());
            for (const AssignOption& option : problem_.items[i].options)
                put(row, column++, value(option));
        }
    }

    void put(int row, int column, double value) {
        rows_.push_back(row);
        columns_.push_back(column);
        values_.push_back(value);
    }

    struct Delete {
        void operator()(glp_prob* p) const { glp_delete_prob(p); }
    };
    const AssignProblem& problem_;
    std::unique_ptr<glp_prob, Delete> lp_;
    std::vector<int> rows_{0}, columns_{0}; ///< GLPK counts from 1
    std::vector<double> values_{0};
};

double cost(const AssignOption& option) { return option.cost; }
double bytes(const AssignOption& option) { return static_cast<double>(option.bytes); }

/// Costs on a grid of 1/64, so that a limit between two grid lines means the same to every tolerance.
void putOnGrid(AssignProblem& problem) {
    for (AssignItem& item : problem.items)
        for (AssignOption& option : item.options)
            option.cost = std::round(64 * option.cost) / 64;
}

class GlpkAgrees : public ::testing::TestWithParam<Shape> {};

TEST_P(GlpkAgrees, OnTheLeastDamageUnderABudgetAndLimits) {
    Random random(301 + static_cast<std::uint64_t>(GetParam()));
    JobContext job;
    for (int trial = 0; trial < 40; ++trial) {
        AssignProblem problem = randomProblem(random, GetParam(), 5 + static_cast<int>(random.below(16)),
                                              2 + static_cast<int>(random.below(4)));
        if (trial % 2 == 1)
            addRandomLimits(random, problem, 3);
        const BudgetRange range = budgetRange(problem);
        const std::uint64_t budget = range.floor + random.below(range.ceiling - range.floor + 1);
        const AssignSolution s = solve(problem, budget, job);
        Program program(problem);
        program.limitBytes(budget);
        EXPECT_NEAR(s.cost, program.least(cost), kTolerance * std::max(1.0, std::abs(s.cost))) << "trial " << trial;
        EXPECT_TRUE(s.optimal);
    }
}

TEST_P(GlpkAgrees, OnTheSmallestMixForADamage) {
    Random random(911 + static_cast<std::uint64_t>(GetParam()));
    JobContext job;
    for (int trial = 0; trial < 30; ++trial) {
        AssignProblem problem = randomProblem(random, GetParam(), 5 + static_cast<int>(random.below(12)),
                                              2 + static_cast<int>(random.below(4)));
        putOnGrid(problem);
        if (trial % 2 == 1)
            addRandomLimits(random, problem, 3);
        const BudgetRange range = budgetRange(problem);
        const double least = solve(problem, kNoTotal, job).cost, most = solve(problem, range.floor, job).cost;
        const double limit = std::round(64 * (least + (most - least) * random.uniform())) / 64 + 1.0 / 128;
        const AssignSolution s = solveForCost(problem, limit, job);
        Program program(problem);
        program.limitCost(limit);
        EXPECT_DOUBLE_EQ(static_cast<double>(s.bytes - problem.fixedBytes), program.least(bytes)) << "trial " << trial;
        EXPECT_LE(s.cost, limit);
        EXPECT_TRUE(s.optimal);
    }
}

INSTANTIATE_TEST_SUITE_P(Shapes, GlpkAgrees,
                         ::testing::Values(Shape::free, Shape::falling, Shape::ties, Shape::negative, Shape::hard,
                                           Shape::alike));

TEST(GlpkAgrees, OnAMapWithTiesPinsForbiddenFormatsAndMemories) {
    Random random(12);
    std::vector<CostCell> cells;
    for (int b = 0; b < 6; ++b)
        for (const char* kind : {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate.e0", "ffn_gate.e1", "ffn_up.e0",
                                 "ffn_up.e1", "ffn_down.e0", "ffn_down.e1"})
            for (int f = 0; f < 5; ++f) {
                const double weight = std::exp(random.normal());
                cells.push_back({"blk." + std::to_string(b) + "." + kind, "f" + std::to_string(f),
                                 100 + 40 * static_cast<std::uint64_t>(f) + random.below(20),
                                 weight * std::pow(0.25, f), 0, 300});
            }
    ProblemOptions options;
    options.tie = "fused+stacks";
    options.pins = {{"blk.2.attn_output", "f3"}};
    options.forbid = {"blk.0.*=f0", "blk.5.*=f0", "blk.5.*=f1"};
    options.limits = {{"blk.0.*,blk.1.*,blk.2.*", "4bpw"}, {"blk.3.*,blk.4.*,blk.5.*", "5600B"}};
    const AssignProblem problem = makeProblem(cells, 0, options);
    const BudgetRange range = budgetRange(problem);
    JobContext job;
    for (int step = 0; step <= 8; ++step) {
        const std::uint64_t budget = range.floor + (range.ceiling - range.floor) * static_cast<std::uint64_t>(step) / 8;
        Program program(problem);
        program.limitBytes(budget);
        const AssignSolution s = solve(problem, budget, job);
        EXPECT_NEAR(s.cost, program.least(cost), kTolerance * s.cost);
        EXPECT_TRUE(s.optimal);
    }
}

} // namespace
} // namespace bw
