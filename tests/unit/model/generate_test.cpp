// SPDX-License-Identifier: GPL-3.0-or-later
// Generation: greedy equals repeated full passes; sampling follows seed, temperature and top-p; where it ends.
#include "core/model/generate.h"
#include "tests/support/expect_error.h"
#include "tests/unit/model/tiny_model.h"

#include <gtest/gtest.h>
#include <map>

namespace bw {
namespace {

using test::expectError;
using test::RandomLlama;
using test::TinyModel;

std::vector<TokenId> run(const Model& model, const std::vector<TokenId>& prompt, const GenerateOptions& options) {
    JobContext job;
    return generate(model, prompt, options, nullptr, job).ids;
}

std::vector<float> lastLogits(const Model& model, const std::vector<TokenId>& ids) {
    const auto all = test::allLogits(model, Windows{1, static_cast<std::int64_t>(ids.size()), ids});
    return {all.end() - model.config().vocabulary, all.end()};
}

TEST(Generate, GreedyEqualsRepeatedFullPasses) {
    const TinyModel tiny;
    std::vector<TokenId> sequence{3, 14, 15}, expected;
    GenerateOptions options;
    options.maxTokens = 10;
    options.stopAtEos = false;
    const auto result = run(*tiny.model, sequence, options);
    for (int i = 0; i < 10; ++i) {
        const auto logits = lastLogits(*tiny.model, sequence);
        expected.push_back(static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin()));
        sequence.push_back(expected.back());
    }
    EXPECT_EQ(result, expected);
}

TEST(Generate, TokensAreReportedAsTheyCome) {
    const TinyModel tiny;
    const std::vector<TokenId> prompt{1, 2};
    GenerateOptions options;
    options.maxTokens = 5;
    JobContext job;
    std::vector<TokenId> seen;
    const auto result = generate(*tiny.model, prompt, options, nullptr, job, [&](TokenId id) { seen.push_back(id); });
    EXPECT_EQ(seen, result.ids);
    EXPECT_GT(result.tokensPerSecond, 0);
    EXPECT_EQ(job.snapshot().done, 5);
}

TEST(Generate, SeedDecidesTheSample) {
    const TinyModel tiny;
    GenerateOptions options;
    options.maxTokens = 12;
    options.temperature = 1.5;
    options.stopAtEos = false;
    const auto first = run(*tiny.model, {7}, options);
    EXPECT_EQ(run(*tiny.model, {7}, options), first);
    options.seed = 4321;
    EXPECT_NE(run(*tiny.model, {7}, options), first);
}

TEST(Generate, TinyTopPIsGreedy) {
    const TinyModel tiny;
    GenerateOptions greedy, narrow;
    greedy.maxTokens = narrow.maxTokens = 8;
    narrow.temperature = 2.0;
    narrow.topP = 1e-9;
    EXPECT_EQ(run(*tiny.model, {5, 6}, narrow), run(*tiny.model, {5, 6}, greedy));
}

TEST(Generate, SamplesFollowTheDistribution) {
    const TinyModel tiny;
    const std::vector<TokenId> prompt{9, 4};
    const auto logits = lastLogits(*tiny.model, prompt);
    const double norm = logSumExp(logits);
    std::map<TokenId, int> counts;
    GenerateOptions options;
    options.maxTokens = 1;
    options.temperature = 1.0;
    options.stopAtEos = false;
    constexpr int kDraws = 2000;
    for (int i = 0; i < kDraws; ++i) {
        options.seed = static_cast<std::uint64_t>(i);
        ++counts[run(*tiny.model, prompt, options).at(0)];
    }
    for (std::size_t v = 0; v < logits.size(); ++v) {
        const double p = std::exp(static_cast<double>(logits[v]) - norm);
        // Five standard deviations of a binomial count; one in 30,000 per token by chance, and the seeds are fixed.
        EXPECT_NEAR(counts[static_cast<TokenId>(v)], kDraws * p, 5 * std::sqrt(kDraws * p * (1 - p)) + 1)
            << "token " << v;
    }
}

TEST(Generate, TopPCutsTheTail) {
    const TinyModel tiny;
    const std::vector<TokenId> prompt{9, 4};
    const auto logits = lastLogits(*tiny.model, prompt);
    const double norm = logSumExp(logits);
    std::vector<std::pair<double, TokenId>> ranked;
    for (std::size_t v = 0; v < logits.size(); ++v)
        ranked.emplace_back(-std::exp(static_cast<double>(logits[v]) - norm), static_cast<TokenId>(v));
    std::sort(ranked.begin(), ranked.end());
    std::vector<TokenId> allowed;
    double kept = 0;
    for (const auto& [negative, id] : ranked) {
        if (kept >= 0.5) break;
        kept -= negative;
        allowed.push_back(id);
    }
    ASSERT_LT(allowed.size(), logits.size() / 2);
    GenerateOptions options;
    options.maxTokens = 1;
    options.temperature = 1.0;
    options.topP = 0.5;
    options.stopAtEos = false;
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
        options.seed = seed;
        const TokenId id = run(*tiny.model, prompt, options).at(0);
        EXPECT_NE(std::find(allowed.begin(), allowed.end(), id), allowed.end()) << id;
    }
}

TEST(Generate, StopsAtTheEndOfText) {
    const TinyModel plain;
    GenerateOptions options;
    options.maxTokens = 6;
    const auto ids = run(*plain.model, {3, 14, 15}, options);
    ASSERT_EQ(ids.size(), 6u);
    // The same model whose end-of-text id is the third token of that continuation (or an earlier twin of it).
    RandomLlama shape;
    shape.editConfig = [&](nlohmann::json& config) { config["eos_token_id"] = ids[2]; };
    const TinyModel ending(shape);
    const std::vector<TokenId> prompt{3, 14, 15};
    JobContext job;
    const auto result = generate(*ending.model, prompt, options, nullptr, job);
    EXPECT_TRUE(result.hitEos);
    const auto end = std::find(ids.begin(), ids.end(), ids[2]);
    EXPECT_EQ(result.ids, std::vector<TokenId>(ids.begin(), end));
    options.stopAtEos = false;
    EXPECT_EQ(run(*ending.model, prompt, options), ids);
}

TEST(Generate, EndsAtTheContext) {
    const TinyModel tiny; // context 64
    GenerateOptions options;
    options.maxTokens = 1000;
    options.stopAtEos = false;
    EXPECT_EQ(run(*tiny.model, std::vector<TokenId>(60, 1), options).size(), 4u);
}

TEST(Generate, RefusesImpossibleRequests) {
    const TinyModel tiny;
    GenerateOptions options;
    expectError(ErrorCode::usage, [&] { run(*tiny.model, {}, options); });
    const Error full = expectError(ErrorCode::usage, [&] { run(*tiny.model, std::vector<TokenId>(64, 1), options); });
    EXPECT_NE(full.message().find("64"), std::string::npos);
    options.topP = 0;
    expectError(ErrorCode::usage, [&] { run(*tiny.model, {1}, options); });
    options.topP = 1;
    options.temperature = -1;
    expectError(ErrorCode::usage, [&] { run(*tiny.model, {1}, options); });
    options.temperature = 0;
    expectError(ErrorCode::vocabularyMismatch, [&] { run(*tiny.model, {50}, options); });
}

TEST(Generate, CanBeCancelled) {
    const TinyModel tiny;
    GenerateOptions options;
    options.maxTokens = 50;
    options.stopAtEos = false;
    JobContext job;
    const std::vector<TokenId> prompt{1};
    int tokens = 0;
    expectError(ErrorCode::cancelled, [&] {
        generate(*tiny.model, prompt, options, nullptr, job, [&](TokenId) {
            if (++tokens == 3) job.requestStop();
        });
    });
    EXPECT_EQ(tokens, 3);
}

} // namespace
} // namespace bw
