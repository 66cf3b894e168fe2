// SPDX-License-Identifier: GPL-3.0-or-later
// Row and statistic kernels on every Highway target of this processor against f64, at lengths around register sizes.
#include "core/compute/kernels.h"

#include "tests/unit/compute/reference.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <hwy/highway.h>
#include <hwy/targets.h>
#include <limits>

namespace bw {
namespace {

using test::kEps;
using test::randomMatrix;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<std::int64_t> targets() {
    std::vector<std::int64_t> all;
    hwy::SetSupportedTargetsForTest(0);
    for (std::int64_t left = hwy::SupportedTargets() & HWY_TARGETS; left != 0; left &= left - 1)
        all.push_back(left & -left);
    return all;
}

class KernelTest : public testing::TestWithParam<std::int64_t> {
protected:
    void SetUp() override {
        hwy::SetSupportedTargetsForTest(GetParam());
        hwy::GetChosenTarget().Update(GetParam());
    }
    void TearDown() override {
        hwy::SetSupportedTargetsForTest(0);
        hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    }
    const std::int64_t lengths_[14] = {1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 33, 64, 100, 577};
};

TEST_P(KernelTest, RmsNorm) {
    for (const auto n : lengths_) {
        const Matrix x = randomMatrix(1, n, 11, 3.0), weight = randomMatrix(1, n, 12);
        Matrix y(1, n);
        kernels::rmsNormRow(x.data(), weight.data(), 1e-5f, y.data(), n);
        double sum = 0;
        for (std::int64_t i = 0; i < n; ++i) sum += std::pow(static_cast<double>(x.data()[i]), 2);
        const double factor = 1 / std::sqrt(sum / static_cast<double>(n) + static_cast<double>(1e-5f));
        for (std::int64_t i = 0; i < n; ++i) {
            const double reference = static_cast<double>(x.data()[i]) * factor * static_cast<double>(weight.data()[i]);
            // The sum of n squares errs by √n·eps/2 after the root, and five more operations by half an eps each.
            EXPECT_NEAR(static_cast<double>(y.data()[i]), reference,
                        std::abs(reference) * kEps * (std::sqrt(static_cast<double>(n)) / 2 + 3));
        }
    }
}

TEST_P(KernelTest, RmsNormInPlaceAndOfZeros) {
    std::vector<float> x(37, 0.0f), weight(37, 2.0f);
    kernels::rmsNormRow(x.data(), weight.data(), 1e-5f, x.data(), 37);
    for (const float v : x) EXPECT_EQ(v, 0.0f);
}

TEST_P(KernelTest, RopeRotatesHalfSplitPairs) {
    for (const std::int64_t half : {1, 2, 5, 8, 16, 19, 32, 48}) {
        const std::int64_t heads = 3;
        Matrix x = randomMatrix(1, heads * 2 * half, 13);
        const Matrix before = randomMatrix(1, heads * 2 * half, 13), angle = randomMatrix(1, half, 14);
        std::vector<float> cosine, sine;
        for (std::int64_t i = 0; i < half; ++i) {
            cosine.push_back(std::cos(angle.data()[i]));
            sine.push_back(std::sin(angle.data()[i]));
        }
        kernels::ropeRow(x.data(), heads, 2 * half, half, cosine.data(), sine.data());
        for (std::int64_t h = 0; h < heads; ++h) {
            for (std::int64_t i = 0; i < half; ++i) {
                const auto at = static_cast<std::size_t>(i);
                const double c = static_cast<double>(cosine[at]), s = static_cast<double>(sine[at]);
                const double a = static_cast<double>(before.data()[h * 2 * half + i]);
                const double b = static_cast<double>(before.data()[h * 2 * half + half + i]);
                const double tolerance = 2 * kEps * (std::abs(a) + std::abs(b)); // two products and a sum
                EXPECT_NEAR(static_cast<double>(x.data()[h * 2 * half + i]), a * c - b * s, tolerance);
                EXPECT_NEAR(static_cast<double>(x.data()[h * 2 * half + half + i]), b * c + a * s, tolerance);
            }
        }
    }
}

TEST_P(KernelTest, SoftmaxSumsToOneAndClearsThePadding) {
    for (const auto n : lengths_) {
        const std::int64_t padded = n + 21;
        Matrix x = randomMatrix(1, padded, 15, 8.0);
        const Matrix before = randomMatrix(1, padded, 15, 8.0);
        const float scale = 0.125f;
        kernels::softmaxRow(x.data(), n, padded, scale);
        double peak = -1e300, total = 0;
        for (std::int64_t i = 0; i < n; ++i) peak = std::max(peak, static_cast<double>(before.data()[i]) * 0.125);
        for (std::int64_t i = 0; i < n; ++i) total += std::exp(static_cast<double>(before.data()[i]) * 0.125 - peak);
        for (std::int64_t i = 0; i < n; ++i) {
            const double z = static_cast<double>(before.data()[i]) * 0.125 - peak;
            // The argument's rounding (|z|·eps), exp (1 ulp), the sum (√n), inverse and product.
            const double tolerance = kEps * (std::abs(z) + std::sqrt(static_cast<double>(n)) + 4);
            const double reference = std::exp(z) / total;
            EXPECT_NEAR(static_cast<double>(x.data()[i]), reference, reference * tolerance);
        }
        for (std::int64_t i = n; i < padded; ++i) EXPECT_EQ(x.data()[i], 0.0f);
    }
}

TEST_P(KernelTest, SoftmaxKeepsNanVisibleAndSurvivesLargeScores) {
    std::vector<float> x(20, 1.0f);
    x[7] = kNan;
    kernels::softmaxRow(x.data(), 20, 20, 1.0f);
    EXPECT_TRUE(std::isnan(x[3]));
    std::vector<float> large{3e4f, -3e4f, 3e4f};
    kernels::softmaxRow(large.data(), 3, 3, 1.0f);
    EXPECT_EQ(large, (std::vector<float>{0.5f, 0.0f, 0.5f}));
    // A scale that is no power of two: the product peak·scale is off by far more than exp can take.
    std::vector<float> huge{3.1e13f, -3e13f, 3.1e13f, 3.0e13f};
    kernels::softmaxRow(huge.data(), 4, 4, 0.17677669f);
    EXPECT_EQ(huge, (std::vector<float>{0.5f, 0.0f, 0.5f, 0.0f}));
    std::vector<float> ends{3e38f, -3e38f};
    kernels::softmaxRow(ends.data(), 2, 2, 0.3f);
    EXPECT_EQ(ends, (std::vector<float>{1.0f, 0.0f}));
}

TEST_P(KernelTest, RmsNormOfValuesWhoseSquaresOverflow) {
    const std::vector<float> x{3e30f, -4e30f, 0.0f, 1e3f, 5e30f}, weight{1, 1, 1, 1, 2};
    std::vector<float> y(x.size());
    kernels::rmsNormRow(x.data(), weight.data(), 1e-5f, y.data(), 5);
    const double rms = std::sqrt((9.0 + 16 + 25) / 5) * 1e30;
    for (std::size_t i = 0; i < x.size(); ++i)
        EXPECT_NEAR(static_cast<double>(y[i]), static_cast<double>(x[i]) / rms * static_cast<double>(weight[i]), 4 * kEps); // factor, two products
    std::vector<float> bad{1.0f, std::numeric_limits<float>::infinity()};
    kernels::rmsNormRow(bad.data(), weight.data(), 1e-5f, bad.data(), 2);
    EXPECT_TRUE(std::isnan(bad[1])) << "an infinity stays visible";
}

TEST_P(KernelTest, SiluMultiply) {
    for (const auto n : lengths_) {
        Matrix gate = randomMatrix(1, n, 16, 6.0);
        const Matrix before = randomMatrix(1, n, 16, 6.0), up = randomMatrix(1, n, 17);
        kernels::siluMultiply(gate.data(), up.data(), n);
        for (std::int64_t i = 0; i < n; ++i) {
            const double g = static_cast<double>(before.data()[i]);
            const double reference = g / (1 + std::exp(-g)) * static_cast<double>(up.data()[i]);
            EXPECT_NEAR(static_cast<double>(gate.data()[i]), reference, std::abs(reference) * 4 * kEps);
        }
    }
}

TEST_P(KernelTest, LayerNormRow) {
    for (const auto n : lengths_) {
        // Far from zero: a one-pass variance would lose three digits here.
        Matrix x = randomMatrix(1, n, 61);
        for (std::int64_t i = 0; i < n; ++i) x.data()[i] += 30.0f;
        const Matrix weight = randomMatrix(1, n, 62), bias = randomMatrix(1, n, 63);
        double mean = 0, variance = 0;
        for (std::int64_t i = 0; i < n; ++i) mean += static_cast<double>(x.data()[i]) / static_cast<double>(n);
        for (std::int64_t i = 0; i < n; ++i)
            variance += (static_cast<double>(x.data()[i]) - mean) * (static_cast<double>(x.data()[i]) - mean) / static_cast<double>(n);
        const double deviation = std::sqrt(variance + 1e-2);
        for (const bool withBias : {true, false}) {
            Matrix y(1, n);
            kernels::layerNormRow(x.data(), weight.data(), withBias ? bias.data() : nullptr, 1e-2f, y.data(), n);
            for (std::int64_t i = 0; i < n; ++i) {
                const double w = static_cast<double>(weight.data()[i]), b = withBias ? static_cast<double>(bias.data()[i]) : 0.0;
                const double reference = (static_cast<double>(x.data()[i]) - mean) / deviation * w + b;
                // The mean of values of size 30 errs by some eps of it, against a deviation of 1 (0.1 for one value).
                EXPECT_NEAR(static_cast<double>(y.data()[i]), reference, kEps * (8 * 30 * std::abs(w) / deviation + 4 * std::abs(b)));
            }
        }
    }
    std::vector<float> same(19, 3.0f), ones(19, 1.0f);
    kernels::layerNormRow(same.data(), ones.data(), nullptr, 1e-5f, same.data(), 19);
    for (const float v : same) EXPECT_NEAR(v, 0.0f, 1e-3f); // in place, and a constant row has no direction
}

TEST_P(KernelTest, GeluInBothForms) {
    for (const auto n : lengths_) {
        const Matrix before = randomMatrix(1, n, 64, 3.0), up = randomMatrix(1, n, 65);
        Matrix tanhForm(1, n), erfForm(1, n), plain(1, n);
        for (Matrix* m : {&tanhForm, &erfForm, &plain}) std::copy_n(before.data(), n, m->data());
        kernels::geluTanhMultiply(tanhForm.data(), up.data(), n);
        kernels::geluErfMultiply(erfForm.data(), up.data(), n);
        kernels::geluTanhMultiply(plain.data(), nullptr, n);
        for (std::int64_t i = 0; i < n; ++i) {
            const double x = static_cast<double>(before.data()[i]), u = static_cast<double>(up.data()[i]);
            const double inner = std::sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x);
            const double tanhReference = x / (1 + std::exp(-2 * inner)), erfReference = 0.5 * x * std::erfc(-x / std::sqrt(2.0));
            // exp multiplies the rounding of its argument; the floor is where both are far below one part of x.
            const double tolerance = kEps * (6 + 4 * std::abs(inner));
            EXPECT_NEAR(static_cast<double>(tanhForm.data()[i]), tanhReference * u, tolerance * std::abs(tanhReference * u) + 1e-30) << x;
            EXPECT_NEAR(static_cast<double>(plain.data()[i]), tanhReference, tolerance * std::abs(tanhReference) + 1e-30) << x;
            EXPECT_NEAR(static_cast<double>(erfForm.data()[i]), erfReference * u, kEps * (6 + 2 * x * x) * std::abs(erfReference * u) + 1e-30) << x;
        }
    }
    std::vector<float> ends{-1e30f, -50.0f, 0.0f, 50.0f, 1e30f, kNan};
    kernels::geluTanhMultiply(ends.data(), nullptr, 6);
    EXPECT_EQ(std::vector<float>(ends.begin(), ends.begin() + 4), (std::vector<float>{0.0f, 0.0f, 0.0f, 50.0f}));
    EXPECT_EQ(ends[4], 1e30f);
    EXPECT_TRUE(std::isnan(ends[5]));
}

TEST_P(KernelTest, SoftCapIsTanh) {
    for (const auto n : lengths_) {
        Matrix x = randomMatrix(1, n, 66, 40.0);
        const Matrix before = randomMatrix(1, n, 66, 40.0);
        kernels::softCap(x.data(), n, 0.5f, 20.0f);
        for (std::int64_t i = 0; i < n; ++i) {
            const double reference = 20 * std::tanh(static_cast<double>(before.data()[i]) * 0.5 / 20);
            EXPECT_NEAR(static_cast<double>(x.data()[i]), reference, 8 * kEps * std::abs(reference));
        }
    }
    std::vector<float> ends{-1e30f, kInfinity, kNan, 0.0f};
    kernels::softCap(ends.data(), 4, 1.0f, 5.0f);
    EXPECT_EQ(ends[0], -5.0f);
    EXPECT_EQ(ends[1], 5.0f);
    EXPECT_TRUE(std::isnan(ends[2])); // a bad score must stay visible
    EXPECT_EQ(ends[3], 0.0f);
}

TEST_P(KernelTest, RopeLeavesTheOtherChannelsOfAHead) {
    Matrix x = randomMatrix(1, 2 * 10, 67);
    const Matrix before = randomMatrix(1, 2 * 10, 67);
    const std::vector<float> cosine(3, 0.6f), sine(3, 0.8f);
    kernels::ropeRow(x.data(), 2, 10, 3, cosine.data(), sine.data());
    for (std::int64_t h = 0; h < 2; ++h) {
        for (std::int64_t i = 0; i < 3; ++i) {
            const float a = before.data()[h * 10 + i], b = before.data()[h * 10 + 3 + i];
            EXPECT_NEAR(x.data()[h * 10 + i], a * 0.6f - b * 0.8f, 1e-6f);
            EXPECT_NEAR(x.data()[h * 10 + 3 + i], b * 0.6f + a * 0.8f, 1e-6f);
        }
        for (std::int64_t i = 6; i < 10; ++i) EXPECT_EQ(x.data()[h * 10 + i], before.data()[h * 10 + i]);
    }
}

TEST_P(KernelTest, SiluAtTheEnds) {
    std::vector<float> gate{-1e30f, -200.0f, -90.0f, 0.0f, 90.0f, 1e30f, kNan, kInfinity}, up(8, 1.0f);
    kernels::siluMultiply(gate.data(), up.data(), 8);
    EXPECT_EQ(gate[0], 0.0f);
    EXPECT_EQ(gate[1], 0.0f);
    EXPECT_NEAR(gate[2], 0.0f, 1e-36f);
    EXPECT_EQ(gate[3], 0.0f);
    EXPECT_EQ(gate[4], 90.0f);
    EXPECT_EQ(gate[5], 1e30f);
    EXPECT_TRUE(std::isnan(gate[6]));
    EXPECT_EQ(gate[7], kInfinity);
}

TEST_P(KernelTest, AddAndFinite) {
    for (const auto n : lengths_) {
        Matrix x = randomMatrix(1, n, 18);
        const Matrix before = randomMatrix(1, n, 18), y = randomMatrix(1, n, 19);
        kernels::addInPlace(x.data(), y.data(), n);
        for (std::int64_t i = 0; i < n; ++i) EXPECT_EQ(x.data()[i], before.data()[i] + y.data()[i]);
        EXPECT_TRUE(kernels::allFinite(x.data(), n));
        for (const float bad : {kNan, kInfinity, -kInfinity}) {
            for (const std::int64_t at : {std::int64_t{0}, n / 2, n - 1}) {
                Matrix spoiled = randomMatrix(1, n, 18);
                spoiled.data()[at] = bad;
                EXPECT_FALSE(kernels::allFinite(spoiled.data(), n)) << n << " at " << at;
            }
        }
    }
}

TEST_P(KernelTest, LogSumExp) {
    for (const auto n : lengths_) {
        const Matrix x = randomMatrix(1, n, 20, 12.0);
        double peak = -1e300, sum = 0;
        for (std::int64_t i = 0; i < n; ++i) peak = std::max(peak, static_cast<double>(x.data()[i]));
        for (std::int64_t i = 0; i < n; ++i) sum += std::exp(static_cast<double>(x.data()[i]) - peak);
        // Each term: the difference's rounding (at most 70·eps/2 of its exponent where it still counts) and 1 ulp of
        // exp.
        EXPECT_NEAR(kernels::logSumExp(x.data(), n), peak + std::log(sum), 20 * kEps) << n;
    }
    const std::vector<float> far{1000.0f, 0.0f, -1000.0f};
    EXPECT_EQ(kernels::logSumExp(far.data(), 3), 1000.0);
    std::vector<float> spoiled(40, 1.0f);
    spoiled[21] = kNan;
    EXPECT_TRUE(std::isnan(kernels::logSumExp(spoiled.data(), 40)));
}

double referenceKl(const Matrix& p, const Matrix& q, std::int64_t n) {
    long double sumP = 0, sumQ = 0, kl = 0;
    for (std::int64_t i = 0; i < n; ++i) {
        sumP += std::exp(static_cast<long double>(p.data()[i]));
        sumQ += std::exp(static_cast<long double>(q.data()[i]));
    }
    for (std::int64_t i = 0; i < n; ++i) {
        const long double a = static_cast<long double>(p.data()[i]) - std::log(sumP);
        const long double b = static_cast<long double>(q.data()[i]) - std::log(sumQ);
        kl += std::exp(a) * (a - b);
    }
    return static_cast<double>(kl);
}

TEST_P(KernelTest, KlDivergence) {
    for (const auto n : lengths_) {
        const Matrix p = randomMatrix(1, n, 21, 4.0);
        EXPECT_NEAR(kernels::klDivergence(p.data(), p.data(), n), 0.0, 1e-14);
        for (const double distance : {2.0, 1e-2, 1e-4}) {
            Matrix q = randomMatrix(1, n, 22, distance);
            for (std::int64_t i = 0; i < n; ++i) q.data()[i] += p.data()[i];
            const double reference = referenceKl(p, q, n), value = kernels::klDivergence(p.data(), q.data(), n);
            // An error of a normaliser (f32 exp) scales the result and otherwise enters squared.
            EXPECT_NEAR(value, reference, kEps * reference + 1e-12) << n << " " << distance;
            EXPECT_GE(value, -1e-9);
        }
    }
}

TEST_P(KernelTest, KlOfExtremesAndNan) {
    // q gives p's only token almost nothing: 200 nats, where exp() of f32 would have underflown.
    const std::vector<float> p{0.0f, -500.0f, -500.0f}, q{-200.0f, 0.0f, -500.0f};
    EXPECT_NEAR(kernels::klDivergence(p.data(), q.data(), 3), 200.0, 1e-6);
    std::vector<float> spoiled(40, 1.0f);
    const std::vector<float> good(40, 1.0f);
    spoiled[39] = kNan;
    EXPECT_TRUE(std::isnan(kernels::klDivergence(good.data(), spoiled.data(), 40)));
    EXPECT_TRUE(std::isnan(kernels::klDivergence(spoiled.data(), good.data(), 40)));
}

TEST_P(KernelTest, KlDivergenceFast) {
    const auto fast = [](const float* p, const float* q, std::int64_t n) {
        return kernels::klDivergenceFast(p, kernels::logSumExp(p, n), q, n);
    };
    for (const auto n : lengths_) {
        const Matrix p = randomMatrix(1, n, 21, 4.0);
        EXPECT_NEAR(fast(p.data(), p.data(), n), 0.0, 2e-13); // half the square of a normaliser's error
        for (const double distance : {8.0, 2.0, 1e-2, 1e-4}) {
            Matrix q = randomMatrix(1, n, 22, distance);
            for (std::int64_t i = 0; i < n; ++i) q.data()[i] += p.data()[i];
            const double reference = referenceKl(p, q, n), value = fast(p.data(), q.data(), n);
            // f32 terms of which none is negative, and normalisers rounded to f32, whose errors of 1e-7 enter squared.
            EXPECT_NEAR(value, reference, 1e-5 * reference + 1e-12) << n << " " << distance;
        }
    }
    const std::vector<float> p{0.0f, -500.0f, -500.0f}, q{-200.0f, 0.0f, -500.0f};
    EXPECT_NEAR(fast(p.data(), q.data(), 3), 200.0, 2e-3);
    constexpr float kNone = -std::numeric_limits<float>::infinity();
    const std::vector<float> a{0.0f, 1.0f, kNone}, b{0.5f, 1.0f, kNone};
    EXPECT_NEAR(fast(a.data(), b.data(), 3), fast(a.data(), b.data(), 2), 1e-7) << "a token that neither gives adds nothing";
    for (const std::size_t at : {std::size_t{3}, std::size_t{39}}) {
        std::vector<float> spoiled(40, 1.0f);
        const std::vector<float> good(40, 1.0f);
        spoiled[at] = kNan;
        EXPECT_TRUE(std::isnan(fast(good.data(), spoiled.data(), 40)));
        EXPECT_TRUE(std::isnan(fast(spoiled.data(), good.data(), 40)));
    }
}

TEST_P(KernelTest, SquaredDistance) {
    for (const auto n : lengths_) {
        const Matrix a = randomMatrix(1, n, 23), b = randomMatrix(1, n, 24);
        double sum = 0;
        for (std::int64_t i = 0; i < n; ++i)
            sum += std::pow(static_cast<double>(a.data()[i]) - static_cast<double>(b.data()[i]), 2);
        EXPECT_NEAR(kernels::squaredDistance(a.data(), b.data(), n), sum, 1e-13 * sum); // f64 sums of ≤ 577 terms
    }
}

TEST_P(KernelTest, HistogramCountsEveryValueOnce) {
    for (const auto n : lengths_) {
        Matrix x = randomMatrix(1, n, 25, 2.0);
        if (n > 8) {
            x.data()[0] = kNan;
            x.data()[3] = kInfinity;
            x.data()[4] = -kInfinity;
            x.data()[5] = -3.0f; // the lower end belongs to the first bin
            x.data()[6] = 3.0f;  // the upper end lies above
            x.data()[n - 1] = std::nextafter(3.0f, 0.0f);
        }
        constexpr std::int64_t kBins = 10;
        const float scale = static_cast<float>(kBins) / 6.0f;
        std::vector<std::uint64_t> counts(kBins + 4, 0), expected(kBins + 4, 0);
        kernels::histogram(x.data(), n, -3.0f, 3.0f, scale, kBins, counts.data());
        for (std::int64_t i = 0; i < n; ++i) {
            const float v = x.data()[i];
            std::size_t slot = 0;
            if (std::isnan(v))
                slot = kBins + 2;
            else if (std::isinf(v))
                slot = kBins + 3;
            else if (v < -3.0f)
                slot = kBins;
            else if (v >= 3.0f)
                slot = kBins + 1;
            else
                slot = std::min<std::size_t>(kBins - 1, static_cast<std::size_t>((v + 3.0f) * scale));
            ++expected[slot];
        }
        EXPECT_EQ(counts, expected) << n;
    }
}

INSTANTIATE_TEST_SUITE_P(EveryTarget, KernelTest, testing::ValuesIn(targets()),
                         [](const auto& each) { return std::string(hwy::TargetName(each.param)); });

} // namespace
} // namespace bw
