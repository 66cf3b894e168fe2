// SPDX-License-Identifier: GPL-3.0-or-later
// What a problem is made of: ties of experts, formats forbidden at some sites, memories of their own, and what is
// refused.
#include "core/assign/budget.h"

#include "core/base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bw {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

template <class Call>
Error thrown(Call call) {
    try {
        call();
    } catch (const Error& e) {
        return e;
    }
    return Error(ErrorCode::internal, "nothing was thrown");
}

/// A block of a mixture with two experts and a shared one; q8_0 of 850, q4_0 of 450 bytes, 800 weights each.
std::vector<CostCell> mixture(int blocks) {
    std::vector<CostCell> cells;
    for (int b = 0; b < blocks; ++b)
        for (const char* kind : {"attn_q", "attn_k", "ffn_gate.e0", "ffn_gate.e1", "ffn_up.e0", "ffn_up.e1",
                                 "ffn_down.e0", "ffn_down.e1", "ffn_gate_shexp", "ffn_up_shexp"}) {
            const std::string site = "blk." + std::to_string(b) + "." + kind;
            cells.push_back({site, "q4_0", 450, 0.5, 0.03, 800});
            cells.push_back({site, "q8_0", 850, 0.1, 0.04, 800});
        }
    return cells;
}

std::vector<std::string> itemNames(const std::string& tie) {
    ProblemOptions options;
    options.tie = tie;
    std::vector<std::string> names;
    for (const AssignItem& item : makeProblem(mixture(1), 0, options).items)
        names.push_back(item.name + "×" + std::to_string(item.members.size()));
    return names;
}

TEST(Ties, FollowTheRuntime) {
    using Names = std::vector<std::string>;
    EXPECT_EQ(itemNames("none").size(), 10u);
    EXPECT_EQ(itemNames("fused"), (Names{"blk.0.attn_qkv×2", "blk.0.ffn_gate_up.e0×2", "blk.0.ffn_gate_up.e1×2",
                                         "blk.0.ffn_down.e0×1", "blk.0.ffn_down.e1×1", "blk.0.ffn_gate_up_shexp×2"}));
    EXPECT_EQ(itemNames("stacks"),
              (Names{"blk.0.attn_q×1", "blk.0.attn_k×1", "blk.0.ffn_gate_exps×2", "blk.0.ffn_up_exps×2",
                     "blk.0.ffn_down_exps×2", "blk.0.ffn_gate_shexp×1", "blk.0.ffn_up_shexp×1"}));
    EXPECT_EQ(itemNames("fused+stacks"), (Names{"blk.0.attn_qkv×2", "blk.0.ffn_gate_up_exps×4", "blk.0.ffn_down_exps×2",
                                                "blk.0.ffn_gate_up_shexp×2"}));
    EXPECT_EQ(itemNames("experts+fused"), (Names{"blk.0.attn_qkv×2", "blk.0.ffn_exps×6", "blk.0.ffn_gate_up_shexp×2"}));
    EXPECT_EQ(tiedItemName("blk.12.ffn_down", "fused+stacks+experts"), "blk.12.ffn_down");
    EXPECT_EQ(tiedItemName("token_embd", "fused"), "token_embd");
    EXPECT_EQ(withStacks("none"), "stacks");
    EXPECT_EQ(withStacks("fused"), "fused+stacks");
    EXPECT_EQ(withStacks("experts+fused"), "experts+fused") << "that ties more already";
    for (const char* tie : {"", "all", "fused+", "none+fused", "fused stacks"})
        EXPECT_FALSE(isTie(tie)) << tie;
}

TEST(Ties, AddSizesCostsAndErrors) {
    ProblemOptions options;
    options.tie = "stacks";
    const AssignItem item = makeProblem(mixture(1), 0, options).items[2];
    EXPECT_EQ(item.options[1].bytes, 1700u);
    EXPECT_DOUBLE_EQ(item.options[1].cost, 0.2);
    EXPECT_DOUBLE_EQ(item.options[1].error, 0.04 * std::sqrt(2.0)) << "independent errors add in squares";
}

TEST(Forbid, AtSomeSites) {
    ProblemOptions options;
    options.forbid = {"blk.*.ffn_down.e?=q4_0", "blk.1.attn_q=q8_0"};
    const AssignProblem problem = makeProblem(mixture(2), 0, options);
    for (const AssignItem& item : problem.items) {
        const bool down = item.name.find("ffn_down") != std::string::npos;
        const std::string only = down ? "q8_0" : item.name == "blk.1.attn_q" ? "q4_0" : "";
        ASSERT_EQ(item.options.size(), only.empty() ? 2u : 1u) << item.name;
        EXPECT_TRUE(only.empty() || item.options[0].format == only) << item.name;
    }
}

TEST(Forbid, NamesTheSiteThatHasNothingLeft) {
    ProblemOptions options;
    options.forbid = {"q8_0", "blk.1.ffn_up.*=q4_0"};
    const Error e = thrown([&] { makeProblem(mixture(2), 0, options); });
    EXPECT_EQ(e.code(), ErrorCode::usage);
    EXPECT_THAT(e.message(),
                AllOf(HasSubstr("every format of 'blk.1.ffn_up.e0' is forbidden"), HasSubstr("q4_0, q8_0")));
    options.forbid = {"blk.9.*=q4_0"};
    EXPECT_THAT(thrown([&] { makeProblem(mixture(2), 0, options); }).message(), HasSubstr("blk.9.*"));
    options.forbid = {"blk.0.*=q9"};
    EXPECT_THAT(thrown([&] { makeProblem(mixture(2), 0, options); }).message(), HasSubstr("'q9'"));
    options.forbid = {"blk.0.attn_q=q4_0"};
    options.pins = {{"blk.0.attn_q", "q4_0"}};
    EXPECT_THAT(thrown([&] { makeProblem(mixture(2), 0, options); }).message(),
                HasSubstr("forbidden at 'blk.0.attn_q'"));
}

TEST(Limits, CountTheWeightsOfTheirSites) {
    ProblemOptions options;
    options.limits = {{"blk.0.*", "5bpw"}, {"blk.1.attn_q,blk.1.attn_k", "1234B"}};
    const AssignProblem problem = makeProblem(mixture(2), 77, options);
    ASSERT_EQ(problem.limits.size(), 2u);
    EXPECT_EQ(problem.limits[0].bytes, 5000u) << "10 sites of 800 weights, norms not counted";
    EXPECT_EQ(problem.limits[0].items.size(), 10u);
    EXPECT_EQ(problem.limits[1].bytes, 1234u);
    EXPECT_EQ(problem.limits[1].items, (std::vector<std::size_t>{10, 11}));
}

TEST(Limits, RefuseWhatContradicts) {
    const auto message = [](std::vector<SiteLimit> limits, const std::string& tie = "none") {
        ProblemOptions options;
        options.limits = std::move(limits);
        options.tie = tie;
        const Error e = thrown([&] { makeProblem(mixture(2), 0, options); });
        EXPECT_EQ(e.code(), ErrorCode::usage);
        return e.message();
    };
    EXPECT_THAT(message({{"blk.0.*", "1MB"}, {"*.attn_q", "1MB"}}),
                AllOf(HasSubstr("'blk.0.attn_q' lies in two limits"), HasSubstr("*.attn_q")));
    EXPECT_THAT(message({{"blk.0.*,blk.7.*", "1MB"}}), HasSubstr("'blk.7.*', which matches no site"));
    EXPECT_THAT(message({{"", "1MB"}}), HasSubstr("matches no site"));
    EXPECT_THAT(message({{"blk.0.*", "kl=0.1"}}), HasSubstr("damage"));
    EXPECT_THAT(message({{"blk.0.attn_q", "1MB"}}, "fused"), HasSubstr("'blk.0.attn_qkv' lie in different memories"));
    std::vector<CostCell> cells = mixture(1);
    for (CostCell& cell : cells)
        cell.weights = 0;
    ProblemOptions options;
    options.limits = {{"*", "4bpw"}};
    EXPECT_THAT(thrown([&] { makeProblem(cells, 0, options); }).message(), HasSubstr("bits per weight"));
}

} // namespace
} // namespace bw
