// SPDX-License-Identifier: GPL-3.0-or-later
// The reverse operations of a device against central differences of the forward formulas in f64.
#include "core/base/parallel.h"
#include "core/compute/cpu_device.h"
#include "tests/unit/compute/reference.h"

#include <cstring>
#include <functional>
#include <gtest/gtest.h>

namespace bw {
namespace {

using test::kEps;
using test::randomMatrix;

using Vector = std::vector<double>;

Vector valuesOf(MatrixView<const float> x) {
    Vector out;
    for (std::int64_t r = 0; r < x.rows; ++r)
        for (const float v : x.rowSpan(r)) out.push_back(static_cast<double>(v));
    return out;
}

/// ∂f/∂x by central differences; their own error is of order 1e-10 for functions of size 1.
Vector slopesOf(const std::function<double(const Vector&)>& f, Vector x) {
    constexpr double kStep = 1e-5;
    Vector slopes;
    for (double& v : x) {
        const double middle = v;
        v = middle + kStep;
        const double above = f(x);
        v = middle - kStep;
        slopes.push_back((above - f(x)) / (2 * kStep));
        v = middle;
    }
    return slopes;
}

double dot(const Vector& a, const Vector& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
}

Vector naiveNorm(bool layer, const Vector& x, const Vector& weight, double epsilon) {
    const auto n = static_cast<double>(x.size());
    double mean = 0, square = 0;
    for (const double v : x) mean += layer ? v / n : 0;
    for (const double v : x) square += (v - mean) * (v - mean) / n;
    Vector y;
    for (std::size_t i = 0; i < x.size(); ++i) y.push_back((x[i] - mean) / std::sqrt(square + epsilon) * weight[i]);
    return y;
}

/// K gradients below each other, a row narrower and wider than any vector, written, added and in place.
TEST(Back, NormsMatchDifferences) {
    const auto device = makeCpuDevice();
    constexpr float kEpsilon = 0.01f;
    constexpr std::int64_t kRows = 3, kDraws = 2;
    for (const bool layer : {false, true})
        for (const std::int64_t n : {1, 5, 16, 83}) {
            const Matrix x = randomMatrix(kRows, n, 1), weight = randomMatrix(1, n, 2), dy = randomMatrix(kDraws * kRows, n, 3);
            const std::span<const float> w(weight.data(), static_cast<std::size_t>(n));
            const auto back = [&](MatrixView<const float> given, MatrixView<float> to, bool add) {
                if (layer) device->layerNormBack(x.view(), w, kEpsilon, given, to, add);
                else device->rmsNormBack(x.view(), w, kEpsilon, given, to, add);
            };
            Matrix written(dy.rows(), n), added = randomMatrix(dy.rows(), n, 4), inPlace = randomMatrix(dy.rows(), n, 3);
            const Matrix before = randomMatrix(dy.rows(), n, 4);
            back(dy.view(), written.view(), false);
            back(dy.view(), added.view(), true);
            back(std::as_const(inPlace).view(), inPlace.view(), false);
            for (std::int64_t r = 0; r < dy.rows(); ++r) {
                const Vector given = valuesOf(dy.view().middleRows(r, 1)), scale = valuesOf(weight.view());
                const Vector right = slopesOf([&](const Vector& v) { return dot(given, naiveNorm(layer, v, scale, static_cast<double>(kEpsilon))); },
                                              valuesOf(x.view().middleRows(r % kRows, 1)));
                // Sums of n products in f32 and up to three terms that cancel; values are of size 1 to 30.
                const double size = 1 + std::sqrt(dot(right, right));
                for (std::int64_t i = 0; i < n; ++i) {
                    const double value = static_cast<double>(written.row(r)[i]);
                    EXPECT_NEAR(value, right[static_cast<std::size_t>(i)], 64 * kEps * size) << layer << " of " << n;
                    EXPECT_NEAR(static_cast<double>(added.row(r)[i]), value + static_cast<double>(before.row(r)[i]), 4 * kEps * size);
                    EXPECT_EQ(inPlace.row(r)[i], written.row(r)[i]);
                }
            }
        }
}

double naiveActivation(Activation f, double x) {
    switch (f) {
    case Activation::silu: return x / (1 + std::exp(-x));
    case Activation::geluTanh: return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Activation::geluErf: return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
    }
    return 0;
}

TEST(Back, SlopesOfActivationsMatchDifferences) {
    const auto device = makeCpuDevice();
    for (const Activation f : {Activation::silu, Activation::geluTanh, Activation::geluErf}) {
        Matrix x(1, 801), d(1, 801);
        for (int i = 0; i <= 800; ++i) x.data()[i] = static_cast<float>(i - 400) / 40.0f;
        d.fill(1.0f);
        device->activateBack(f, x.view(), d.view());
        for (int i = 0; i <= 800; ++i) {
            const Vector right = slopesOf([&](const Vector& v) { return naiveActivation(f, v[0]); }, {static_cast<double>(x.data()[i])});
            // 1 − σ is rounded at eps/2 and multiplied by up to x·z' = 30 where it is not yet 0.
            EXPECT_NEAR(static_cast<double>(d.data()[i]), right[0], 30 * kEps) << x.data()[i];
        }
        Matrix far(1, 4), one(1, 4);
        const float ends[] = {-1e4f, 1e4f, -200.0f, 200.0f};
        std::copy_n(ends, 4, far.data());
        one.fill(1.0f);
        device->activateBack(f, far.view(), one.view());
        for (int i = 0; i < 4; ++i) EXPECT_EQ(one.data()[i], i % 2 == 0 ? 0.0f : 1.0f);
        far.data()[0] = NAN;
        device->activateBack(f, far.view().middleCols(0, 1), one.view().middleCols(0, 1));
        EXPECT_TRUE(std::isnan(one.data()[0])) << "a bad number must stay visible";
    }
}

/// Wider than the piece that is kept for all draws; the gate's result over the gradient itself, and both side by side.
TEST(Back, GatesMatchDifferences) {
    const auto device = makeCpuDevice();
    constexpr std::int64_t kRows = 2, kDraws = 3, kWidth = 2051;
    const Matrix gate = randomMatrix(kRows, kWidth, 5), up = randomMatrix(kRows, kWidth, 6), d = randomMatrix(kDraws * kRows, kWidth, 7);
    Matrix dGate = randomMatrix(kDraws * kRows, kWidth, 7), dUp(kDraws * kRows, kWidth), both(kDraws * kRows, 2 * kWidth);
    device->activateMultiplyBack(Activation::silu, gate.view(), up.view(), std::as_const(dGate).view(), dGate.view(), dUp.view());
    device->activateMultiplyBack(Activation::silu, gate.view(), up.view(), d.view(), both.view().middleCols(0, kWidth),
                                 both.view().middleCols(kWidth, kWidth));
    for (std::int64_t r = 0; r < d.rows(); ++r)
        for (std::int64_t c = 0; c < kWidth; ++c) {
            const auto g = static_cast<double>(gate.row(r % kRows)[c]), u = static_cast<double>(up.row(r % kRows)[c]);
            const auto given = static_cast<double>(d.row(r)[c]);
            const double sigma = 1 / (1 + std::exp(-g));
            EXPECT_NEAR(static_cast<double>(dUp.row(r)[c]), given * g * sigma, 1e-5);
            EXPECT_NEAR(static_cast<double>(dGate.row(r)[c]), given * u * sigma * (1 + g * (1 - sigma)), 1e-5);
            EXPECT_EQ(both.row(r)[c], dGate.row(r)[c]);
            EXPECT_EQ(both.row(r)[kWidth + c], dUp.row(r)[c]);
        }
}

TEST(Back, SoftCapMatchesDifferences) {
    const auto device = makeCpuDevice();
    const Matrix x = randomMatrix(2, 9, 8, 4.0);
    Matrix y = randomMatrix(2, 9, 8, 4.0), d(4, 9);
    device->softCap(y.view(), 3.0f);
    d.fill(-2.0f);
    device->softCapBack(std::as_const(y).view(), 3.0f, d.view());
    for (std::int64_t r = 0; r < 4; ++r)
        for (std::int64_t c = 0; c < 9; ++c) {
            const double t = std::tanh(static_cast<double>(x.row(r % 2)[c]) / 3);
            EXPECT_NEAR(static_cast<double>(d.row(r)[c]), -2 * (1 - t * t), 2e-6);
        }
}

struct Case {
    std::int64_t tokens, heads, kvHeads, headDim, windows = 1, draws = 1;
    std::int64_t window = 0;
    double scale = 0, softCap = 0;
    AttentionShape shape() const {
        return {heads, kvHeads, headDim, 0, window, static_cast<float>(scale), static_cast<float>(softCap)};
    }
};

/// Σ dOut·attention(q, k, v) of all windows; rows as in the device's.
double naiveLoss(const Case& c, const Vector& q, const Vector& k, const Vector& v, const Vector& dOut) {
    const std::int64_t qWidth = c.heads * c.headDim, kvWidth = c.kvHeads * c.headDim;
    const double scale = c.scale > 0 ? c.scale : 1 / std::sqrt(static_cast<double>(c.headDim));
    const auto at = [](const Vector& x, std::int64_t i) { return x[static_cast<std::size_t>(i)]; };
    double loss = 0;
    for (std::int64_t row = 0; row < c.windows * c.tokens; ++row)
        for (std::int64_t h = 0; h < c.heads; ++h) {
            const std::int64_t first = row / c.tokens * c.tokens, column = h / (c.heads / c.kvHeads) * c.headDim;
            const std::int64_t oldest = c.window > 0 ? std::max(first, row - c.window + 1) : first;
            double total = 0, sum = 0;
            for (std::int64_t j = oldest; j <= row; ++j) {
                double score = 0, value = 0;
                for (std::int64_t d = 0; d < c.headDim; ++d) {
                    score += at(q, row * qWidth + h * c.headDim + d) * at(k, j * kvWidth + column + d);
                    value += at(dOut, row * qWidth + h * c.headDim + d) * at(v, j * kvWidth + column + d);
                }
                score *= scale;
                if (c.softCap > 0) score = c.softCap * std::tanh(score / c.softCap);
                total += std::exp(score);
                sum += std::exp(score) * value;
            }
            loss += sum / total;
        }
    return loss;
}

class AttentionBack : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Shapes, AttentionBack,
                         testing::Values(Case{1, 1, 1, 2}, Case{5, 3, 1, 6, 2, 3}, Case{64, 4, 2, 8}, Case{130, 6, 2, 8, 2, 2},
                                         Case{70, 4, 2, 6, 2, 2, 10}, Case{130, 2, 1, 4, 1, 2, 64}, Case{20, 2, 1, 4, 1, 1, 1},
                                         Case{66, 3, 1, 8, 1, 1, 0, 0.7}, Case{66, 3, 3, 8, 1, 2, 0, 0, 1.5}, Case{140, 4, 2, 4, 1, 1, 31, 0.4, 2.0}));

/// Derivatives along random directions: every entry of every gradient takes part in them.
TEST_P(AttentionBack, MatchesDifferences) {
    const Case& c = GetParam();
    const std::int64_t rows = c.windows * c.tokens;
    const Matrix q = randomMatrix(rows, c.heads * c.headDim, 10), k = randomMatrix(rows, c.kvHeads * c.headDim, 11);
    const Matrix v = randomMatrix(rows, c.kvHeads * c.headDim, 12), dOut = randomMatrix(c.draws * rows, q.cols(), 13);
    Matrix dq(dOut.rows(), q.cols()), dk(dOut.rows(), k.cols()), dv(dOut.rows(), k.cols());
    for (Matrix* m : {&dq, &dk, &dv}) m->fill(NAN); // overwritten, not added to
    makeCpuDevice()->attentionBack(q.view(), k.view(), v.view(), c.shape(), c.tokens, dOut.view(), dq.view(), dk.view(), dv.view());
    for (std::int64_t draw = 0; draw < c.draws; ++draw) {
        const Vector given = valuesOf(dOut.view().middleRows(draw * rows, rows));
        const Matrix* inputs[] = {&q, &k, &v};
        const Matrix* gradients[] = {&dq, &dk, &dv};
        for (std::size_t which = 0; which < 3; ++which)
            for (std::uint64_t seed = 20; seed < 22; ++seed) {
                const Vector gradient = valuesOf(gradients[which]->view().middleRows(draw * rows, rows));
                const Vector direction = valuesOf(randomMatrix(rows, inputs[which]->cols(), seed).view());
                const auto moved = [&](double step) {
                    Vector parts[] = {valuesOf(q.view()), valuesOf(k.view()), valuesOf(v.view())};
                    for (std::size_t i = 0; i < direction.size(); ++i) parts[which][i] += step * direction[i];
                    return naiveLoss(c, parts[0], parts[1], parts[2], given);
                };
                constexpr double kStep = 1e-4; // the differences err by its square
                const double right = (moved(kStep) - moved(-kStep)) / (2 * kStep);
                EXPECT_NEAR(dot(gradient, direction), right, 1e-5 * (1 + std::sqrt(dot(gradient, gradient))))
                    << "qkv"[which] << ", draw " << draw;
            }
    }
}

TEST(Back, BytesDoNotDependOnThreads) {
    const auto device = makeCpuDevice();
    const Matrix q = randomMatrix(300, 48, 36), k = randomMatrix(300, 24, 37), v = randomMatrix(300, 24, 38), dOut = randomMatrix(900, 48, 39);
    const Matrix weight = randomMatrix(48, 700, 40);
    const auto run = [&](int threads) {
        setThreadCount(threads);
        Matrix all(900, 48 + 24 + 24 + 700);
        const auto part = [&](std::int64_t first, std::int64_t count) { return all.view().middleCols(first, count); };
        device->attentionBack(q.view(), k.view(), v.view(), {6, 3, 8, 0, 0, 0, 0}, 150, dOut.view(), part(0, 48), part(48, 24), part(72, 24));
        device->multiplyBack(dOut.view(), *device->prepare(weight.view()), part(96, 700));
        setThreadCount(0);
        return all;
    };
    const Matrix one = run(1), many = run(3);
    EXPECT_EQ(std::memcmp(one.data(), many.data(), static_cast<std::size_t>(one.size()) * sizeof(float)), 0);
}

} // namespace
} // namespace bw
