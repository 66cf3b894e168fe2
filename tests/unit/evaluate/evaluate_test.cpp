// SPDX-License-Identifier: GPL-3.0-or-later
// Evaluation on the demo model: what must hold whatever the numbers are. The numbers are in tests/golden/evaluate.
#include "core/evaluate/evaluate.h"

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/compute/cpu_device.h"
#include "core/evaluate/top_tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace bw {
namespace {

std::shared_ptr<const Checkpoint> checkpoint() {
    static const auto opened = Checkpoint::open(BW_RESOURCES "/demo");
    return opened;
}

const Model& demo() {
    static const auto model = Model::open(checkpoint(), std::shared_ptr<Device>(makeCpuDevice()));
    return *model;
}

Windows someWindows(const char* protocol, std::int64_t tokens) {
    JobContext job;
    const auto tokenizer = Tokenizer::open(*checkpoint());
    const TextData text = loadText(BW_RESOURCES "/texts/eval_prose.txt", *tokenizer, 0, job);
    return cutWindows(text, parseProtocol(protocol), *tokenizer, tokens);
}

EvaluateOptions with(const char* protocol, bool keep = false) {
    EvaluateOptions options;
    options.protocol = parseProtocol(protocol);
    options.keepTokens = keep;
    return options;
}

/// Shrinks every weight of one site; or spoils it.
class Changed final : public WeightSource {
public:
    Changed(std::string site, float factor) : site_(std::move(site)), factor_(factor) {}
    void apply(const Site& site, MatrixView<float> weight) const override {
        if (site.name == site_)
            for (std::int64_t r = 0; r < weight.rows; ++r)
                for (float& w : weight.rowSpan(r))
                    w *= factor_;
    }

private:
    std::string site_;
    float factor_;
};

TEST(Evaluate, ScoresThePositionsOfTheProtocol) {
    JobContext job;
    const Windows windows = someWindows("windows:64", 640);
    const Evaluation all = evaluatePerplexity(demo(), nullptr, windows, with("windows:64", true), job);
    EXPECT_EQ(all.protocol, "windows:64");
    EXPECT_EQ(all.windows, 10);
    EXPECT_EQ(all.tokens, 10 * 63);
    ASSERT_EQ(all.tokensScored.size(), 630u);
    const Evaluation half = evaluatePerplexity(demo(), nullptr, windows, with("llama.cpp:64", true), job);
    EXPECT_EQ(half.tokens, 10 * 31);
    // Position 32 of a window is the first that the second protocol scores; its logits are the same.
    for (std::size_t w = 0; w < 10; ++w)
        for (std::size_t i = 0; i < 31; ++i)
            EXPECT_EQ(half.tokensScored[w * 31 + i].nll, all.tokensScored[w * 63 + 32 + i].nll);
    double sum = 0;
    for (const double w : all.windowNll)
        sum += w;
    EXPECT_NEAR(sum / 630, all.nll, 1e-12);
    EXPECT_DOUBLE_EQ(all.perplexity, std::exp(all.nll));
    EXPECT_DOUBLE_EQ(all.perplexityStandardError, all.perplexity * all.nllStandardError);
    EXPECT_FALSE(all.hasBase);
    EXPECT_GT(all.tokensPerSecond, 0);
}

TEST(Evaluate, LimitsTokens) {
    JobContext job;
    const Windows windows = someWindows("windows:64", 640);
    EvaluateOptions options = with("windows:64");
    options.maxTokens = 200;
    EXPECT_EQ(evaluatePerplexity(demo(), nullptr, windows, options, job).windows, 3);
}

TEST(Evaluate, AModelDoesNotDivergeFromItself) {
    JobContext job;
    const Evaluation e = evaluateAgainstBase(demo(), nullptr, demo(), nullptr, someWindows("windows:128", 1024), with("windows:128"), job);
    EXPECT_TRUE(e.hasBase);
    // Both sides run the same arithmetic, so logits are equal bit for bit and every term is p·0 + q − p = 0.
    EXPECT_EQ(e.klMean, 0.0);
    EXPECT_EQ(e.klMax, 0.0);
    EXPECT_EQ(e.sameTop1, 1.0);
    EXPECT_EQ(e.topOverlap, 1.0);
    EXPECT_EQ(e.deltaPRms, 0.0);
    EXPECT_EQ(e.deltaPP99, 0.0);
    EXPECT_EQ(e.basePerplexity, e.perplexity);
}

TEST(Evaluate, ADamagedModelDiverges) {
    JobContext job;
    const Windows windows = someWindows("windows:128", 1024);
    const Changed slightly("blk.3.ffn_down", 0.95f), strongly("blk.3.ffn_down", 0.0f);
    const Evaluation a = evaluateAgainstBase(demo(), &slightly, demo(), nullptr, windows, with("windows:128", true), job);
    const Evaluation b = evaluateAgainstBase(demo(), &strongly, demo(), nullptr, windows, with("windows:128"), job);
    EXPECT_GT(a.klMean, 0);
    EXPECT_GT(b.klMean, 20 * a.klMean);
    EXPECT_LE(a.klMedian, a.klP90);
    EXPECT_LE(a.klP90, a.klP99);
    EXPECT_LE(a.klP99, a.klP999);
    EXPECT_LE(a.klP999, a.klMax);
    EXPECT_LT(b.sameTop1, a.sameTop1);
    EXPECT_LT(b.topOverlap, a.topOverlap);
    EXPECT_LT(a.deltaPP01, a.deltaPP05);
    EXPECT_LT(a.deltaPP05, a.deltaPMedian);
    EXPECT_LT(a.deltaPP95, a.deltaPP99);
    std::int64_t counted = 0;
    double right = 0, gap = 0;
    for (const ReliabilityBin& bin : a.reliability) {
        counted += bin.count;
        right += bin.accuracy * static_cast<double>(bin.count);
        gap += std::abs(bin.accuracy - bin.confidence) * static_cast<double>(bin.count);
        EXPECT_LE(bin.low, bin.accuracy);
        EXPECT_GE(bin.high, bin.accuracy);
    }
    EXPECT_EQ(counted, a.tokens);
    EXPECT_NEAR(right / static_cast<double>(a.tokens), a.top1, 1e-12);
    EXPECT_NEAR(gap / static_cast<double>(a.tokens), a.ece, 1e-12);
    double kl = 0;
    for (const TokenScore& t : a.tokensScored)
        kl += static_cast<double>(t.kl);
    EXPECT_NEAR(kl / static_cast<double>(a.tokens), a.klMean, 1e-6 * a.klMean);
    // The quantized model's own figures do not depend on whether a base stands beside it.
    EXPECT_DOUBLE_EQ(evaluatePerplexity(demo(), &slightly, windows, with("windows:128"), job).nll, a.nll);
}

TEST(Evaluate, KeptCandidatesAreThoseOfBothModelsLogits) {
    JobContext job;
    const Windows windows = someWindows("windows:64", 128);
    const Changed changed("blk.3.ffn_down", 0.5f);
    const Evaluation e = evaluateAgainstBase(demo(), &changed, demo(), nullptr, windows, with("windows:64", true), job);
    const TopTokenTable table(e.topTokens, e.tokensScored.size());
    ASSERT_EQ(table.size(), 126u);
    EXPECT_LE(e.topTokens.size(), 40u * 126u) << "bytes a token";
    EXPECT_TRUE(evaluateAgainstBase(demo(), &changed, demo(), nullptr, windows, with("windows:64"), job).topTokens.empty());
    const auto logitsOf = [&](const WeightSource* source) {
        Matrix all(windows.tokens(), demo().config().vocabulary);
        const ScratchMatrix states = walkBlocks(demo(), windows, source, nullptr, job, "test");
        walkHead(demo(), windows, states.view(), source, job, [&](std::int64_t window, MatrixView<const float> logits) {
            for (std::int64_t r = 0; r < logits.rows; ++r)
                std::ranges::copy(logits.rowSpan(r), all.view().rowSpan(window * windows.length + r).begin());
        });
        return all;
    };
    Matrix model = logitsOf(&changed), base = logitsOf(nullptr);
    for (std::size_t i = 0; i < table.size(); ++i) {
        const auto row = static_cast<std::int64_t>(i / 63 * 64 + i % 63);
        const std::span<const float> a = model.view().rowSpan(row), b = base.view().rowSpan(row);
        const std::vector<TopToken> found = table.at(i);
        ASSERT_GE(found.size(), 3u);
        const auto share = [](std::span<const float> logits, TokenId id) {
            double sum = 0;
            for (const float v : logits)
                sum += std::exp(static_cast<double>(v));
            return std::exp(static_cast<double>(logits[static_cast<std::size_t>(id)])) / sum;
        };
        const auto has = [&](std::int64_t id) { return std::ranges::any_of(found, [&](const TopToken& t) { return t.id == id; }); };
        EXPECT_EQ(found.front().id, std::ranges::max_element(a) - a.begin());
        EXPECT_TRUE(has(std::ranges::max_element(b) - b.begin()));
        EXPECT_TRUE(has(windows.window(static_cast<std::int64_t>(i / 63))[i % 63 + 1]));
        for (const TopToken& token : found) { // kept with 11 bits
            EXPECT_NEAR(token.probability, share(a, token.id), share(a, token.id) * 0x1p-11 + 0x1p-24);
            EXPECT_NEAR(token.baseProbability, share(b, token.id), share(b, token.id) * 0x1p-11 + 0x1p-24);
        }
    }
}

TEST(Evaluate, DoesNotDependOnThreads) {
    JobContext job;
    const Windows windows = someWindows("windows:128", 512);
    const Changed changed("blk.1.attn_q", 0.9f);
    setThreadCount(1);
    const Evaluation one = evaluateAgainstBase(demo(), &changed, demo(), nullptr, windows, with("windows:128"), job);
    setThreadCount(2);
    const Evaluation two = evaluateAgainstBase(demo(), &changed, demo(), nullptr, windows, with("windows:128"), job);
    setThreadCount(0);
    EXPECT_EQ(one.nll, two.nll);
    EXPECT_EQ(one.klMean, two.klMean);
    EXPECT_EQ(one.ece, two.ece);
}

TEST(Evaluate, RefusesAndStops) {
    JobContext job;
    Windows one = someWindows("windows:64", 64);
    one.length = 1;
    one.count = 64;
    try {
        evaluatePerplexity(demo(), nullptr, one, with("windows:64"), job);
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), ErrorCode::textTooShort);
    }
    const Changed spoilt("blk.3.ffn_down", std::numeric_limits<float>::quiet_NaN());
    try {
        evaluatePerplexity(demo(), &spoilt, someWindows("windows:64", 64), with("windows:64"), job);
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), ErrorCode::nonFinite);
        EXPECT_THAT(e.message(), ::testing::HasSubstr("blk.3"));
    }
    job.requestStop();
    EXPECT_THROW(evaluatePerplexity(demo(), nullptr, someWindows("windows:64", 640), with("windows:64"), job), Error);
}

} // namespace
} // namespace bw
