// SPDX-License-Identifier: GPL-3.0-or-later
// The walk backwards against central differences of a naive f64 model: weights, inputs, keys, values and embeddings. And
// what it promises besides: order, batches, threads, replaced weights, stops, numbers gone bad. Other families than
// Llama are compared with autograd in golden/families.
#include "core/base/parallel.h"
#include "tests/support/collect_gradients.h"
#include "tests/support/expect_error.h"
#include "tests/unit/model/naive_llama.h"
#include "tests/unit/model/tiny_model.h"

#include <gtest/gtest.h>

namespace bw {
namespace {

using test::CollectGradients;
using test::Doubles;
using test::expectError;
using test::LabelLoss;
using test::RandomLlama;
using test::randomWindows;
using test::TinyModel;

std::vector<TokenId> labelsOf(std::int64_t length) {
    std::vector<TokenId> labels;
    for (std::int64_t t = 0; t < length; ++t) labels.push_back(static_cast<TokenId>((t * t * 3 + 7) % 50));
    return labels;
}

/// Σ −log p(label) of one window, all in f64.
double naiveLoss(const Model& model, const Windows& windows, const test::NaiveChanges& changes) {
    const auto labels = labelsOf(windows.length);
    const test::Rows logits = test::naiveLogitRows(model, windows.window(0), changes);
    double loss = 0;
    for (std::size_t t = 0; t < logits.size(); ++t) {
        double total = 0;
        for (const double v : logits[t]) total += std::exp(v);
        loss += std::log(total) - logits[t][static_cast<std::size_t>(labels[t])];
    }
    return loss;
}

double direction(std::int64_t r, std::int64_t c) {
    return std::cos(12.9898 * static_cast<double>(r) + 78.233 * static_cast<double>(c));
}

CollectGradients collect(const Model& model, const Windows& windows, std::vector<float> factors = {1.0f},
                         const WeightSource* source = nullptr) {
    const std::vector<std::vector<TokenId>> labels(static_cast<std::size_t>(windows.count), labelsOf(windows.length));
    LabelLoss loss(labels, std::move(factors));
    CollectGradients collected(model);
    JobContext job;
    walkBackwards(model, windows, source, loss, collected, job);
    return collected;
}

/// Moves one site's weight along direction(); remembers by how much, for f32 can't hold every step.
class Moved final : public WeightSource {
public:
    Moved(std::string site, double step) : site_(std::move(site)), step_(step) {}
    void apply(const Site& site, MatrixView<float> weight) const override {
        if (site.name != site_) return;
        moved_.shape(site.rows, site.cols);
        for (std::int64_t r = 0; r < site.rows; ++r)
            for (std::int64_t c = 0; c < site.cols; ++c) {
                const float before = weight(r, c);
                weight(r, c) = static_cast<float>(static_cast<double>(before) + step_ * direction(r, c));
                moved_.at(r, c) = static_cast<double>(weight(r, c)) - static_cast<double>(before);
            }
    }
    const Doubles& moved() const { return moved_; }

private:
    std::string site_;
    double step_;
    mutable Doubles moved_;
};

RandomLlama untied(bool tied) {
    RandomLlama shape;
    shape.tied = tied;
    return shape;
}

/// Central differences err by the step's square times the third derivative, f32 gradients by some 1e-6 of their norm.
constexpr double kTolerance = 2e-5, kStep = 2e-4;

TEST(Reverse, WeightGradientsMatchDifferences) {
    for (const bool tied : {false, true}) {
        const TinyModel tiny(untied(tied));
        const Windows windows = randomWindows(1, 7);
        const CollectGradients collected = collect(*tiny.model, windows);
        for (const Site& site : tiny.model->sites()) {
            const Moved up(site.name, kStep), down(site.name, -kStep);
            const double difference = naiveLoss(*tiny.model, windows, {&up, {}}) - naiveLoss(*tiny.model, windows, {&down, {}});
            const Doubles& gradient = collected.weights.at({site.name, 0, 0});
            double expected = 0;
            for (std::size_t i = 0; i < gradient.values.size(); ++i)
                expected += gradient.values[i] * (up.moved().values[i] - down.moved().values[i]);
            EXPECT_NEAR(expected, difference, kTolerance * 2 * kStep * (gradient.norm() + 1)) << site.name << (tied ? ", tied" : "");
        }
    }
}

TEST(Reverse, GradientsOfInputsKeysAndValuesMatchDifferences) {
    const TinyModel tiny(untied(false));
    const Windows windows = randomWindows(1, 7);
    const CollectGradients collected = collect(*tiny.model, windows);
    auto all = collected.inputs;
    all.insert(collected.caches.begin(), collected.caches.end());
    EXPECT_EQ(all.size(), 2 * 4 + 1 + 1 + 2 * 2) << "input groups, the head's, embedding, keys and values";
    for (const auto& [key, gradient] : all) {
        const auto moved = [&, &name = key.name](double step) {
            return naiveLoss(*tiny.model, windows, {nullptr, [&](const std::string& place, std::size_t t, std::vector<double>& values) {
                if (place != name) return;
                for (std::size_t c = 0; c < values.size(); ++c)
                    values[c] += step * direction(static_cast<std::int64_t>(t), static_cast<std::int64_t>(c));
            }});
        };
        double expected = 0;
        for (std::int64_t r = 0; r < gradient.rows; ++r)
            for (std::int64_t c = 0; c < gradient.cols; ++c) expected += gradient.at(r, c) * direction(r, c);
        EXPECT_NEAR(expected, (moved(kStep) - moved(-kStep)) / (2 * kStep), kTolerance * (gradient.norm() + 1)) << key.name;
    }
}

TEST(Reverse, ComesHeadFirstThenLastBlockAndCountsTokens) {
    const TinyModel tiny;
    const Windows windows = randomWindows(3, 8);
    LabelLoss loss({labelsOf(8), labelsOf(8), labelsOf(8)}, {1, 2});
    CollectGradients collected(*tiny.model);
    JobContext job;
    walkBackwards(*tiny.model, windows, nullptr, loss, collected, job, "sketch");
    EXPECT_EQ(collected.order, (std::vector<int>{-1, 1, 0}));
    EXPECT_EQ(job.snapshot().stage, "sketch");
    EXPECT_EQ(job.snapshot().unit, "tokens");
    EXPECT_EQ(job.snapshot().total, 2 * 3 * 8 * 2) << "draws, windows, tokens, blocks";
    EXPECT_EQ(job.snapshot().done, job.snapshot().total);
    for (std::int64_t w = 0; w < 3; ++w)
        for (int k = 0; k < 2; ++k) EXPECT_TRUE(collected.weights.contains({"blk.0.attn_q", w, k}));
}

/// Several batches of windows in the whole walk (2048 rows are the most, a third of them with three draws), and the same
/// windows one by one. Draws must be no more than factors of each other here.
TEST(Reverse, BatchesAndDrawsAreIndependent) {
    RandomLlama shape;
    shape.context = 256;
    const TinyModel tiny(shape);
    const Windows windows = randomWindows(5, 200);
    ASSERT_LT(tiny.model->batchWindows(200) / 3, 5);
    const CollectGradients together = collect(*tiny.model, windows, {1, -3, 0});
    for (std::int64_t w = 0; w < 5; ++w) {
        const auto ids = windows.window(w);
        const CollectGradients alone = collect(*tiny.model, {1, 200, {ids.begin(), ids.end()}});
        for (const auto& [key, gradient] : alone.weights)
            for (int k = 0; k < 3; ++k) {
                const Doubles& same = together.weights.at({key.name, w, k});
                const double factor = std::vector<double>{1, -3, 0}[static_cast<std::size_t>(k)];
                double gap = 0;
                for (std::size_t i = 0; i < gradient.values.size(); ++i)
                    gap = std::max(gap, std::abs(same.values[i] - factor * gradient.values[i]));
                EXPECT_LE(gap, 1e-5 * gradient.norm()) << key.name << " of window " << w << ", draw " << k;
            }
    }
}

TEST(Reverse, BytesDoNotDependOnThreadsOrSpilling) {
    RandomLlama shape;
    shape.context = 256;
    const TinyModel tiny(shape);
    const Windows windows = randomWindows(4, 150);
    const auto values = [&](int threads) {
        setThreadCount(threads);
        const CollectGradients collected = collect(*tiny.model, windows, {1, 2});
        setThreadCount(0);
        std::vector<double> all;
        for (const auto* found : {&collected.weights, &collected.inputs, &collected.caches})
            for (const auto& [key, gradient] : *found) all.insert(all.end(), gradient.values.begin(), gradient.values.end());
        return all;
    };
    const auto one = values(1);
    EXPECT_EQ(one, values(3));
    setScratchLimit(1, tiny.folder.path().string());
    EXPECT_EQ(one, values(2));
    setScratchLimit(2ull << 30);
}

/// A quantized model's gradients are those of the weights it has.
TEST(Reverse, ReplacedWeightsAreTheOnesThatCount) {
    const TinyModel tiny(untied(false));
    const Windows windows = randomWindows(1, 7);
    const Moved replaced("blk.1.attn_v", 0.3);
    const CollectGradients plain = collect(*tiny.model, windows), moved = collect(*tiny.model, windows, {1}, &replaced);
    const Doubles &before = plain.weights.at({"blk.0.ffn_up", 0, 0}), &after = moved.weights.at({"blk.0.ffn_up", 0, 0});
    EXPECT_GT(std::abs(after.norm() - before.norm()), 1e-3 * before.norm());
    const auto loss = [&](double step) {
        return naiveLoss(*tiny.model, windows, {&replaced, [&](const std::string& place, std::size_t, std::vector<double>& values) {
            if (place == "blk.0.ffn_in") values[2] += step;
        }});
    };
    const Doubles& input = moved.inputs.at({"blk.0.ffn_in", 0, 0});
    double expected = 0;
    for (std::int64_t r = 0; r < input.rows; ++r) expected += input.at(r, 2);
    EXPECT_NEAR(expected, (loss(kStep) - loss(-kStep)) / (2 * kStep), kTolerance * (input.norm() + 1));
}

TEST(Reverse, StopsWhereverItLooksForAStop) {
    RandomLlama shape;
    shape.context = 256;
    const TinyModel tiny(shape);
    const Windows windows = randomWindows(3, 150);
    class Nothing final : public GradientObserver {};
    const auto run = [&](JobContext& job) {
        LabelLoss loss({labelsOf(150), labelsOf(150), labelsOf(150)}, {1, 2});
        Nothing nothing;
        walkBackwards(*tiny.model, windows, nullptr, loss, nothing, job);
    };
    std::atomic<int> looks{0};
    JobContext counted;
    counted.setProbe([&] { ++looks; });
    run(counted);
    EXPECT_GT(looks.load(), 100);
    for (int at = 1; at < looks; at += 37) {
        JobContext job;
        std::atomic<int> seen{0};
        job.setProbe([&] {
            if (++seen == at) job.requestStop();
        });
        expectError(ErrorCode::cancelled, [&] { run(job); });
        // Pieces already handed to other threads may still look.
        EXPECT_LE(seen.load(), at + 64);
    }
}

/// f(gate) of size 1e3, up of 1e-30 and down of 1e27 give a block like any other, but a gradient of 1e9 · 1e27 at the
/// hidden values times 1e3 leaves f32 at `up`.
TEST(Reverse, BadGradientNamesItsSite) {
    RandomLlama shape;
    shape.editTensor = [](RandomLlama::Tensor& tensor) {
        const bool block = tensor.name.starts_with("model.layers.1.mlp.");
        const float factor = !block ? 1.0f : tensor.name.find("gate") != std::string::npos ? 1e4f : tensor.name.find("up") != std::string::npos ? 1e-31f : 1e27f;
        for (float& v : tensor.values) v *= factor;
        return true;
    };
    const TinyModel tiny(shape);
    const Error site = expectError(ErrorCode::nonFinite, [&] { collect(*tiny.model, randomWindows(2, 8), {1, 1e9f}); });
    EXPECT_NE(site.message().find("blk.1.ffn_up has"), std::string::npos) << site.message();
    EXPECT_NE(site.message().find("draw 1"), std::string::npos) << site.message();
    const TinyModel plain;
    const Error head = expectError(ErrorCode::nonFinite, [&] { collect(*plain.model, randomWindows(2, 8), {1, NAN}); });
    EXPECT_NE(head.message().find("token_embd has NaN at window 0, row 0"), std::string::npos) << head.message();
    const Error last = expectError(ErrorCode::nonFinite, [&] { collect(*plain.model, randomWindows(2, 8), {3e38f}); });
    EXPECT_NE(last.message().find("blk.1.ffn_down has infinity"), std::string::npos) << last.message();
}

TEST(Reverse, RefusesWindowsThatMakeNoSense) {
    const TinyModel tiny;
    expectError(ErrorCode::usage, [&] { collect(*tiny.model, randomWindows(1, 65)); });
    expectError(ErrorCode::usage, [&] { collect(*tiny.model, Windows{}); });
}

} // namespace
} // namespace bw
