// SPDX-License-Identifier: GPL-3.0-or-later
// Causal grouped-query attention against a naive f64 loop.
#include "core/base/parallel.h"
#include "core/compute/cpu_device.h"
#include "tests/unit/compute/reference.h"

#include <cstring>
#include <gtest/gtest.h>

namespace bw {
namespace {

using test::kEps;
using test::randomMatrix;

struct Case {
    std::int64_t tokens, heads, kvHeads, headDim, position0;
    std::int64_t window = 0;
    double scale = 0, softCap = 0;
};

/// Largest error in units of eps·Σ probability·|v|.
double worstError(const Case& c, MatrixView<const float> q, MatrixView<const float> k, MatrixView<const float> v,
                  MatrixView<const float> out) {
    double worst = 0;
    const double scale = c.scale > 0 ? c.scale : 1 / std::sqrt(static_cast<double>(c.headDim));
    for (std::int64_t h = 0; h < c.heads; ++h) {
        const std::int64_t kv = h / (c.heads / c.kvHeads);
        for (std::int64_t t = 0; t < c.tokens; ++t) {
            const std::int64_t keys = c.position0 + t + 1, oldest = c.window > 0 ? std::max<std::int64_t>(0, keys - c.window) : 0;
            std::vector<double> p(static_cast<std::size_t>(oldest), -INFINITY);
            double peak = -1e300, total = 0, scoreSize = 0;
            for (std::int64_t j = oldest; j < keys; ++j) {
                double score = 0, size = 0;
                for (std::int64_t d = 0; d < c.headDim; ++d) {
                    const double product =
                        static_cast<double>(q(t, h * c.headDim + d)) * static_cast<double>(k(j, kv * c.headDim + d));
                    score += product;
                    size += std::abs(product);
                }
                p.push_back(c.softCap > 0 ? c.softCap * std::tanh(score * scale / c.softCap) : score * scale);
                peak = std::max(peak, p.back());
                scoreSize = std::max(scoreSize, size * scale);
            }
            for (double& x : p) total += x = std::exp(x - peak);
            for (std::int64_t d = 0; d < c.headDim; ++d) {
                double sum = 0, size = 0;
                for (std::int64_t j = 0; j < keys; ++j) {
                    const double product =
                        p[static_cast<std::size_t>(j)] / total * static_cast<double>(v(j, kv * c.headDim + d));
                    sum += product;
                    size += std::abs(product);
                }
                // A score's error (eps·Σ|q||k|/√D, at most a few of them) multiplies its probability; the sums over
                // keys and channels err by √n·eps.
                const double tolerance =
                    kEps * size * (4 * scoreSize + std::sqrt(static_cast<double>(keys)) + 8) + 1e-30;
                const double error = std::abs(static_cast<double>(out(t, h * c.headDim + d)) - sum) / tolerance;
                worst = std::isnan(error) ? 1e300 : std::max(worst, error);
            }
        }
    }
    return worst;
}

TEST(Attention, MatchesReference) {
    const auto device = makeCpuDevice();
    for (const Case& c :
         {Case{1, 1, 1, 2, 0}, Case{5, 3, 1, 6, 0}, Case{64, 4, 2, 8, 0}, Case{65, 6, 2, 32, 0}, Case{130, 9, 3, 64, 0},
          Case{1, 9, 3, 64, 77}, Case{3, 4, 4, 16, 61}, Case{70, 4, 1, 10, 33}}) {
        const Matrix q = randomMatrix(c.tokens, c.heads * c.headDim, 30);
        const Matrix k = randomMatrix(c.position0 + c.tokens, c.kvHeads * c.headDim, 31);
        const Matrix v = randomMatrix(c.position0 + c.tokens, c.kvHeads * c.headDim, 32);
        Matrix out(c.tokens, c.heads * c.headDim);
        device->attention(q.view(), k.view(), v.view(), {c.heads, c.kvHeads, c.headDim, c.position0, 0, 0, 0}, out.view());
        EXPECT_LE(worstError(c, q.view(), k.view(), v.view(), std::as_const(out).view()), 1.0)
            << c.tokens << " tokens, " << c.heads << "/" << c.kvHeads << " heads of " << c.headDim << " at "
            << c.position0;
    }
}

/// Windows shorter than a block of queries, longer than the text, of one key; soft caps that bite; both together.
TEST(Attention, WindowsScalesAndSoftCapsMatchReference) {
    const auto device = makeCpuDevice();
    for (const Case& c : {Case{130, 4, 2, 8, 0, 10}, Case{130, 4, 2, 8, 0, 64}, Case{70, 2, 1, 6, 33, 17}, Case{5, 2, 2, 4, 0, 100},
                          Case{20, 2, 1, 4, 0, 1}, Case{1, 4, 2, 8, 77, 9}, Case{66, 3, 1, 8, 0, 0, 0.7}, Case{66, 3, 1, 8, 0, 0, 0, 1.5},
                          Case{140, 4, 2, 16, 9, 31, 0.4, 2.0}}) {
        const Matrix q = randomMatrix(c.tokens, c.heads * c.headDim, 30);
        const Matrix k = randomMatrix(c.position0 + c.tokens, c.kvHeads * c.headDim, 31);
        const Matrix v = randomMatrix(c.position0 + c.tokens, c.kvHeads * c.headDim, 32);
        Matrix out(c.tokens, c.heads * c.headDim);
        device->attention(q.view(), k.view(), v.view(),
                          {c.heads, c.kvHeads, c.headDim, c.position0, c.window, static_cast<float>(c.scale), static_cast<float>(c.softCap)},
                          out.view());
        EXPECT_LE(worstError(c, q.view(), k.view(), v.view(), std::as_const(out).view()), 1.0)
            << c.tokens << " tokens at " << c.position0 << ", window " << c.window << ", scale " << c.scale << ", cap " << c.softCap;
    }
}

TEST(Attention, LaterTokensHaveNoInfluence) {
    const auto device = makeCpuDevice();
    const Matrix q = randomMatrix(100, 32, 33);
    Matrix k = randomMatrix(100, 16, 34), v = randomMatrix(100, 16, 35), first(100, 32), second(100, 32);
    const AttentionShape shape{4, 2, 8, 0, 0, 0, 0};
    device->attention(q.view(), std::as_const(k).view(), std::as_const(v).view(), shape, first.view());
    for (std::int64_t i = 0; i < 16; ++i) k.row(99)[i] = v.row(99)[i] = 1e6f;
    device->attention(q.view(), std::as_const(k).view(), std::as_const(v).view(), shape, second.view());
    EXPECT_EQ(std::memcmp(first.data(), second.data(), 99 * 32 * sizeof(float)), 0);
    EXPECT_NE(std::memcmp(first.row(99), second.row(99), 32 * sizeof(float)), 0);
}

TEST(Attention, BytesDoNotDependOnThreads) {
    const auto device = makeCpuDevice();
    const Matrix q = randomMatrix(150, 48, 36), k = randomMatrix(150, 24, 37), v = randomMatrix(150, 24, 38);
    Matrix one(150, 48), many(150, 48);
    setThreadCount(1);
    device->attention(q.view(), k.view(), v.view(), {6, 3, 8, 0, 0, 0, 0}, one.view());
    setThreadCount(3);
    device->attention(q.view(), k.view(), v.view(), {6, 3, 8, 0, 0, 0, 0}, many.view());
    setThreadCount(0);
    EXPECT_EQ(std::memcmp(one.data(), many.data(), static_cast<std::size_t>(one.size()) * sizeof(float)), 0);
}

} // namespace
} // namespace bw
