// SPDX-License-Identifier: GPL-3.0-or-later
// Products of differences in bf16: against f64 sums of the rounded factors, odd shapes, what equal inputs give.
#include "core/compute/half_product.h"

#include "core/base/matrix.h"
#include "core/base/parallel.h"
#include "core/base/random.h"
#include "core/compute/cpu_device.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

namespace bw {
namespace {

Matrix randomMatrix(std::int64_t rows, std::int64_t cols, float scale, std::uint64_t seed) {
    Matrix m(rows, cols);
    Random random(seed);
    for (std::int64_t i = 0; i < m.size(); ++i)
        m.data()[i] = scale * static_cast<float>(random.uniform() - random.uniform());
    return m;
}

double half(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    return static_cast<double>(std::bit_cast<float>((bits + 0x7fffu + ((bits >> 16) & 1u)) & 0xffff0000u));
}

class HalfProduct : public ::testing::Test {
protected:
    void SetUp() override {
        if (!hasHalfProducts()) GTEST_SKIP() << "this processor has no AVX-512 BF16";
    }
};

TEST_F(HalfProduct, AddsTheProductOfRoundedDifferences) {
    // Rows beside the tile of 8, outputs beside the panel of 48, odd inputs.
    struct Shape { std::int64_t m, o, i; };
    for (const Shape s : {Shape{1, 1, 1}, {7, 48, 33}, {8, 49, 64}, {67, 100, 577}, {130, 800, 96}})
        for (const bool add : {false, true}) {
            const Matrix near = randomMatrix(s.m, s.i, 2, 1), step = randomMatrix(s.m, s.i, 0.01f, 2);
            const Matrix w = randomMatrix(s.o, s.i, 1, 3), known = randomMatrix(s.m, s.o, 1, 4);
            Matrix x(s.m, s.i), y = randomMatrix(s.m, s.o, 1, 5);
            const Matrix before = randomMatrix(s.m, s.o, 1, 5);
            for (std::int64_t i = 0; i < x.size(); ++i) x.data()[i] = near.data()[i] + step.data()[i];
            multiplyDifference({x.view(), near.view()}, known.view(), HalfPanels(w.view()), y.view(), add);
            for (std::int64_t r = 0; r < s.m; ++r)
                for (std::int64_t o = 0; o < s.o; ++o) {
                    double sum = 0, sizes = 0;
                    for (std::int64_t i = 0; i < s.i; ++i) {
                        const double term = half(x.row(r)[i] - near.row(r)[i]) * half(w.row(o)[i]);
                        sum += term;
                        sizes += std::abs(term);
                    }
                    const double start = static_cast<double>(known.row(r)[o]) + (add ? static_cast<double>(before.row(r)[o]) : 0.0);
                    // f32 sums of up to 577 terms, and three roundings of values up to 2.
                    EXPECT_NEAR(static_cast<double>(y.row(r)[o]), start + sum, 1e-5 * sizes + 4e-7)
                        << s.m << "x" << s.o << "x" << s.i << " at " << r << "," << o;
                }
        }
}

TEST_F(HalfProduct, WeightsMultiplyForwardsAndBack) {
    const std::unique_ptr<Device> device = makeCpuDevice();
    const Matrix w = randomMatrix(101, 75, 1, 1), x = randomMatrix(37, 75, 1, 2), dy = randomMatrix(37, 101, 1, 3);
    const DeviceWeightPtr exact = device->prepare(w.view());
    const HalfWeight whole(exact), back(exact, false);
    const auto expectNear = [](const Matrix& found, const auto& factors, std::int64_t inner, double start) {
        for (std::int64_t r = 0; r < found.rows(); ++r)
            for (std::int64_t c = 0; c < found.cols(); ++c) {
                double sum = start, sizes = 0;
                for (std::int64_t i = 0; i < inner; ++i) {
                    const auto [a, b] = factors(r, c, i);
                    sum += half(a) * half(b);
                    sizes += std::abs(half(a) * half(b));
                }
                EXPECT_NEAR(static_cast<double>(found.row(r)[c]), sum, 1e-5 * sizes + 4e-7) << r << "," << c;
            }
    };
    Matrix y(37, 101), dx(37, 75), plain(37, 101), expected(37, 101);
    device->multiply(x.view(), whole, y.view());
    expectNear(y, [&](auto r, auto c, auto i) { return std::pair(x.row(r)[i], w.row(c)[i]); }, 75, 0);
    dx.fill(1.0f);
    device->multiplyBack(dy.view(), whole, dx.view(), true);
    expectNear(dx, [&](auto r, auto c, auto i) { return std::pair(dy.row(r)[i], w.row(i)[c]); }, 101, 1);
    device->multiplyBack(dy.view(), back, dx.view());
    expectNear(dx, [&](auto r, auto c, auto i) { return std::pair(dy.row(r)[i], w.row(i)[c]); }, 101, 0);
    device->multiply(x.view(), back, plain.view()); // forwards in full
    device->multiply(x.view(), *exact, expected.view());
    for (std::int64_t i = 0; i < plain.size(); ++i) EXPECT_EQ(plain.data()[i], expected.data()[i]);
}

TEST_F(HalfProduct, TakesWhatIsKnownForTheSameInput) {
    const Matrix near = randomMatrix(9, 70, 1, 1), w = randomMatrix(50, 70, 1, 2), known = randomMatrix(9, 50, 1, 3);
    Matrix y(9, 50), sum = randomMatrix(9, 50, 1, 4);
    const Matrix before = randomMatrix(9, 50, 1, 4);
    const HalfPanels panels(w.view());
    multiplyDifference({near.view(), near.view()}, known.view(), panels, y.view(), false);
    multiplyDifference({near.view(), near.view()}, known.view(), panels, sum.view(), true);
    EXPECT_TRUE(HalfDifference(near.view(), near.view()).isZero());
    for (std::int64_t i = 0; i < y.size(); ++i) {
        EXPECT_EQ(y.data()[i], known.data()[i]);
        EXPECT_EQ(sum.data()[i], before.data()[i] + known.data()[i]);
    }
}

TEST_F(HalfProduct, KeepsWhatIsNoNumber) {
    const Matrix near = randomMatrix(2, 16, 1, 1), w = randomMatrix(4, 16, 1, 2), known = randomMatrix(2, 4, 1, 3);
    Matrix x = randomMatrix(2, 16, 1, 1), y(2, 4);
    x.row(1)[3] = std::numeric_limits<float>::quiet_NaN();
    multiplyDifference({x.view(), near.view()}, known.view(), HalfPanels(w.view()), y.view(), false);
    for (int o = 0; o < 4; ++o) {
        EXPECT_EQ(y.row(0)[o], known.row(0)[o]);
        EXPECT_TRUE(std::isnan(y.row(1)[o]));
    }
}

TEST_F(HalfProduct, DoesNotDependOnThreads) {
    const Matrix near = randomMatrix(200, 96, 1, 1), x = randomMatrix(200, 96, 1, 2), w = randomMatrix(1000, 96, 1, 3);
    const Matrix known = randomMatrix(200, 1000, 1, 4);
    Matrix one(200, 1000), two(200, 1000);
    setThreadCount(1);
    multiplyDifference({x.view(), near.view()}, known.view(), HalfPanels(w.view()), one.view(), false);
    setThreadCount(2);
    multiplyDifference({x.view(), near.view()}, known.view(), HalfPanels(w.view()), two.view(), false);
    setThreadCount(0);
    EXPECT_TRUE(std::equal(one.data(), one.data() + one.size(), two.data()));
}

} // namespace
} // namespace bw
