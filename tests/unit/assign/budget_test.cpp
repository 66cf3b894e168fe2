// SPDX-License-Identifier: GPL-3.0-or-later
// Budget strings, and problems made of a map: ties, pins, forbidden formats, and what they refuse.
#include "core/assign/budget.h"

#include "core/base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace bw {
namespace {

using ::testing::HasSubstr;

std::vector<CostCell> map(int blocks) {
    std::vector<CostCell> cells;
    for (int b = 0; b < blocks; ++b)
        for (const char* kind : {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"}) {
            const std::string site = "blk." + std::to_string(b) + "." + kind;
            cells.push_back({site, "q4_0", 450, 0.5, 0});
            cells.push_back({site, "q8_0", 850, 0.1, 0});
        }
    return cells;
}

template <class Call>
Error thrown(Call call) {
    try {
        call();
    } catch (const Error& e) {
        return e;
    }
    return Error(ErrorCode::internal, "nothing was thrown");
}

TEST(Budget, ReadsEveryKind) {
    EXPECT_EQ(parseBudget("4.5bpw").kind, Budget::Kind::bitsPerWeight);
    EXPECT_EQ(parseBudget("4.5bpw").bytes(1000), 562u); // 562.5 rounded down
    EXPECT_EQ(parseBudget("1.5GiB").bytes(1), 3ull << 29);
    EXPECT_EQ(parseBudget("123456B").bytes(1), 123456u);
    EXPECT_EQ(parseBudget("kl=0.05").kind, Budget::Kind::cost);
    EXPECT_DOUBLE_EQ(parseBudget("kl=0.05").value, 0.05);
}

TEST(Budget, RefusesWhatIsNoBudget) {
    for (const char* text : {"", "4.5", "bpw", "-1bpw", "0bpw", "nanbpw", "infbpw", "1e9bpw", "12345", "1.2XiB",
                             "kl=", "kl=-1", "kl=nan", "mse=3", "0B"}) {
        const Error e = thrown([&] { parseBudget(text); });
        EXPECT_EQ(e.code(), ErrorCode::usage) << text;
        EXPECT_THAT(e.hint(), HasSubstr("4.5bpw")) << text;
    }
    EXPECT_EQ(thrown([] { parseBudget("kl=0.1").bytes(5); }).code(), ErrorCode::usage);
}

TEST(Problem, KeepsSitesAndFormatsInOrder) {
    const AssignProblem problem = makeProblem(map(2), 64, {});
    ASSERT_EQ(problem.items.size(), 14u);
    EXPECT_EQ(problem.fixedBytes, 64u);
    EXPECT_EQ(problem.items[0].name, "blk.0.attn_q");
    EXPECT_EQ(problem.items[8].members, std::vector<std::string>{"blk.1.attn_k"});
    EXPECT_EQ(problem.items[3].options[1].format, "q8_0");
    EXPECT_EQ(problem.items[3].options[1].bytes, 850u);
}

TEST(Problem, TiesWhatRuntimesFuse) {
    ProblemOptions options;
    options.tie = "fused";
    const AssignProblem problem = makeProblem(map(2), 0, options);
    ASSERT_EQ(problem.items.size(), 8u);
    EXPECT_EQ(problem.items[0].name, "blk.0.attn_qkv");
    EXPECT_EQ(problem.items[0].members, (std::vector<std::string>{"blk.0.attn_q", "blk.0.attn_k", "blk.0.attn_v"}));
    EXPECT_EQ(problem.items[0].options[0].bytes, 1350u);
    EXPECT_DOUBLE_EQ(problem.items[0].options[0].cost, 1.5);
    EXPECT_EQ(problem.items[2].members, (std::vector<std::string>{"blk.0.ffn_gate", "blk.0.ffn_up"}));
    EXPECT_EQ(problem.items[4].name, "blk.1.attn_qkv");
}

TEST(Problem, TiedSitesKeepCommonFormatsOnly) {
    std::vector<CostCell> cells = map(1);
    cells.erase(cells.begin() + 2); // attn_k loses q4_0
    ProblemOptions options;
    options.tie = "fused";
    const AssignProblem problem = makeProblem(cells, 0, options);
    ASSERT_EQ(problem.items[0].options.size(), 1u);
    EXPECT_EQ(problem.items[0].options[0].format, "q8_0");
    cells.erase(cells.begin() + 1); // and attn_q loses q8_0
    EXPECT_THAT(thrown([&] { makeProblem(cells, 0, options); }).message(), HasSubstr("blk.0.attn_qkv"));
}

TEST(Problem, PinsByPatternAndByName) {
    ProblemOptions options;
    options.pins = {{"blk.*.ffn_down", "q8_0"}, {"blk.0.ffn_down", "q4_0"}};
    const AssignProblem problem = makeProblem(map(2), 0, options);
    EXPECT_EQ(problem.items[6].options.size(), 1u);
    EXPECT_EQ(problem.items[6].options[0].format, "q4_0") << "the full name wins over the pattern";
    EXPECT_EQ(problem.items[13].options[0].format, "q8_0");
    EXPECT_EQ(problem.items[0].options.size(), 2u);
}

TEST(Problem, APinOnOneTiedSiteDecidesAll) {
    ProblemOptions options;
    options.tie = "fused";
    options.pins = {{"blk.0.attn_v", "q8_0"}};
    const AssignProblem problem = makeProblem(map(1), 0, options);
    ASSERT_EQ(problem.items[0].options.size(), 1u);
    EXPECT_EQ(problem.items[0].options[0].format, "q8_0");
    options.pins["blk.0.attn_q"] = "q4_0";
    EXPECT_EQ(thrown([&] { makeProblem(map(1), 0, options); }).code(), ErrorCode::usage);
}

TEST(Problem, Forbids) {
    ProblemOptions options;
    options.forbid = {"q4_0"};
    for (const AssignItem& item : makeProblem(map(1), 0, options).items) {
        ASSERT_EQ(item.options.size(), 1u);
        EXPECT_EQ(item.options[0].format, "q8_0");
    }
}

TEST(Problem, NamesWhatItCannotDo) {
    const auto message = [](ProblemOptions options) {
        const Error e = thrown([&] { makeProblem(map(1), 0, options); });
        EXPECT_EQ(e.code(), ErrorCode::usage);
        return e.message();
    };
    ProblemOptions options;
    options.pins = {{"blk.7.*", "q4_0"}};
    EXPECT_THAT(message(options), HasSubstr("blk.7.*"));
    options.pins = {{"blk.0.attn_q", "q2_k"}};
    EXPECT_THAT(message(options), HasSubstr("q2_k"));
    options.pins = {{"blk.0.*", "q4_0"}, {"*.attn_q", "q8_0"}};
    EXPECT_THAT(message(options), HasSubstr("blk.0.attn_q"));
    options.pins = {{"blk.0.attn_q", "q4_0"}};
    options.forbid = {"q4_0"};
    EXPECT_THAT(message(options), HasSubstr("forbidden"));
    options.pins.clear();
    options.forbid = {"q4_0", "q8_0"};
    EXPECT_THAT(message(options), HasSubstr("blk.0.attn_q"));
    options.forbid = {"q3_k"};
    EXPECT_THAT(message(options), HasSubstr("q3_k"));
    options.forbid.clear();
    options.tie = "all";
    EXPECT_THAT(message(options), HasSubstr("all"));
    EXPECT_EQ(thrown([] { makeProblem({}, 0, {}); }).code(), ErrorCode::usage);
    std::vector<CostCell> twice = map(1);
    twice.push_back(twice.front());
    EXPECT_EQ(thrown([&] { makeProblem(twice, 0, {}); }).code(), ErrorCode::usage);
}

TEST(Problem, NegativeCostsAreNoiseAndNanIsRefused) {
    std::vector<CostCell> cells = map(1);
    cells[0].value = -1e-7;
    EXPECT_EQ(makeProblem(cells, 0, {}).items[0].options[0].cost, 0.0);
    cells[0].value = std::nan("");
    EXPECT_EQ(thrown([&] { makeProblem(cells, 0, {}); }).code(), ErrorCode::nonFinite);
}

} // namespace
} // namespace bw
