// SPDX-License-Identifier: GPL-3.0-or-later
// The forward pass agrees with itself along every road: a naive f64 model, the cache, batches of windows, other thread
// counts; and with replaced weights.
#include "core/base/parallel.h"
#include "tests/support/expect_error.h"
#include "tests/unit/model/naive_llama.h"
#include "tests/unit/model/tiny_model.h"

#include <cstring>
#include <gtest/gtest.h>

namespace bw {
namespace {

using test::allLogits;
using test::kRoundOff;
using test::RandomLlama;
using test::randomWindows;
using test::TinyModel;
using test::worstDifference;

TEST(Forward, EqualsANaiveModelInDoublePrecision) {
    for (const bool tied : {true, false}) {
        RandomLlama shape;
        shape.tied = tied;
        const TinyModel tiny(shape);
        const Windows windows = randomWindows(2, 19);
        const std::vector<float> logits = allLogits(*tiny.model, windows);
        std::vector<float> naive;
        for (std::int64_t w = 0; w < windows.count; ++w) {
            const auto one = test::naiveLogits(*tiny.model, windows.window(w));
            naive.insert(naive.end(), one.begin(), one.end());
        }
        EXPECT_LE(worstDifference(logits, naive), kRoundOff) << (tied ? "tied" : "untied");
    }
}

/// Logits of one window, fed to a cache in pieces of the given sizes.
std::vector<float> cachedLogits(const Model& model, std::span<const TokenId> ids,
                                std::span<const std::int64_t> pieces) {
    KvCache cache(model.config().blocks, model.config().kvHeads * model.config().headDim,
                  static_cast<std::int64_t>(ids.size()));
    const auto embedding = model.loadEmbedding();
    const auto head = model.loadHead();
    std::vector<float> all;
    std::size_t at = 0;
    for (const std::int64_t piece : pieces) {
        Matrix x(piece, model.config().width), logits(piece, model.config().vocabulary);
        model.embed(*embedding, ids.subspan(at, static_cast<std::size_t>(piece)), x.view());
        for (int b = 0; b < model.config().blocks; ++b)
            model.runBlock(*model.loadBlock(BlockIndex{b}), x.view(), &cache, nullptr, 0);
        cache.setLength(cache.length() + piece);
        model.logits(*head, std::as_const(x).view(), logits.view());
        all.insert(all.end(), logits.data(), logits.data() + logits.size());
        at += static_cast<std::size_t>(piece);
    }
    return all;
}

TEST(Forward, CacheGivesTheSameLogitsAsTheFullPass) {
    const TinyModel tiny;
    const Windows windows = randomWindows(1, 30);
    const std::vector<float> full = allLogits(*tiny.model, windows);
    const std::vector<std::int64_t> oneByOne(30, 1), pieces{7, 1, 12, 10};
    EXPECT_LE(worstDifference(cachedLogits(*tiny.model, windows.ids, oneByOne), full), kRoundOff);
    EXPECT_LE(worstDifference(cachedLogits(*tiny.model, windows.ids, pieces), full), kRoundOff);
}

TEST(Forward, BatchedWindowsEqualSingleOnes) {
    const TinyModel tiny;
    const Windows windows = randomWindows(5, 16);
    const auto embedding = tiny.model->loadEmbedding();
    Matrix batch(80, 24), single(80, 24);
    tiny.model->embed(*embedding, windows.ids, batch.view());
    std::copy_n(batch.data(), batch.size(), single.data());
    const auto block = tiny.model->loadBlock(BlockIndex{0});
    tiny.model->runBlockWindows(*block, batch.view(), 16, nullptr, 0);
    for (std::int64_t w = 0; w < 5; ++w)
        tiny.model->runBlock(*block, single.view().middleRows(w * 16, 16), nullptr, nullptr, w);
    EXPECT_LE(worstDifference({batch.data(), 80 * 24}, {single.data(), 80 * 24}), kRoundOff);
}

TEST(Forward, BytesDoNotDependOnThreads) {
    RandomLlama shape; // wide enough that every product and loop is split
    shape.width = 160;
    shape.feedForward = 1100;
    shape.heads = 8;
    shape.kvHeads = 4;
    shape.headDim = 20;
    shape.vocabulary = 1300;
    shape.context = 160;
    const TinyModel tiny(shape);
    const Windows windows = randomWindows(3, 150, 1300);
    setThreadCount(1);
    const std::vector<float> one = allLogits(*tiny.model, windows);
    for (const int threads : {2, 5}) {
        setThreadCount(threads);
        const std::vector<float> many = allLogits(*tiny.model, windows);
        ASSERT_EQ(one.size(), many.size());
        EXPECT_EQ(std::memcmp(one.data(), many.data(), one.size() * sizeof(float)), 0) << threads << " threads";
    }
    setThreadCount(0);
}

/// Turns the sign of every weight of one kind of site.
struct Negating final : WeightSource {
    explicit Negating(SiteKind wanted) : kind(wanted) {}
    void apply(const Site& site, MatrixView<float> weight) const override {
        if (site.kind != kind) return;
        for (std::int64_t i = 0; i < weight.size(); ++i) weight.data[i] = -weight.data[i];
    }
    SiteKind kind;
};

TEST(Forward, TiedReplacementReachesLookUpAndHead) {
    const TinyModel tiny;
    const Windows windows = randomWindows(1, 8);
    const std::vector<float> plain = allLogits(*tiny.model, windows);
    const Negating source(SiteKind::tokenEmbedding);
    // A block is odd in nothing: look-up and head both negated is not the plain result, nor its negative.
    const std::vector<float> replaced = allLogits(*tiny.model, windows, &source);
    EXPECT_GT(worstDifference(plain, replaced), 1e-2f);
    const auto embedding = tiny.model->loadEmbedding(&source);
    Matrix a(8, 24), b(8, 24);
    tiny.model->embed(*embedding, windows.ids, a.view());
    tiny.model->embed(*tiny.model->loadEmbedding(), windows.ids, b.view());
    for (std::int64_t i = 0; i < a.size(); ++i) ASSERT_EQ(a.data()[i], -b.data()[i]);
    const auto head = tiny.model->loadHead(&source), plainHead = tiny.model->loadHead();
    for (std::int64_t i = 0; i < head->owned.size(); ++i) ASSERT_EQ(head->owned.data()[i], -plainHead->owned.data()[i]);
}

TEST(Forward, UntiedHeadIsReplacedAlone) {
    RandomLlama shape;
    shape.tied = false;
    const TinyModel tiny(shape);
    const Windows windows = randomWindows(1, 8);
    const std::vector<float> plain = allLogits(*tiny.model, windows);
    const Negating head(SiteKind::output);
    std::vector<float> replaced = allLogits(*tiny.model, windows, &head);
    for (float& v : replaced) v = -v;
    EXPECT_EQ(replaced, plain);
}

TEST(Forward, IdsOutsideTheVocabularyAreRefused) {
    const TinyModel tiny;
    for (const TokenId bad : {-1, 50}) {
        Windows windows = randomWindows(1, 8);
        windows.ids[3] = bad;
        const Error error = test::expectError(ErrorCode::vocabularyMismatch, [&] { allLogits(*tiny.model, windows); });
        EXPECT_NE(error.message().find(std::to_string(bad)), std::string::npos) << error.message();
    }
}

} // namespace
} // namespace bw
