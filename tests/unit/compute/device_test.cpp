// SPDX-License-Identifier: GPL-3.0-or-later
// The CPU device as callers see it: weights, strided views, rotary angles, histograms, thread independence.
#include "core/base/parallel.h"
#include "core/compute/cpu_device.h"
#include "tests/unit/compute/reference.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>

namespace bw {
namespace {

using test::kEps;
using test::randomMatrix;

class CpuDeviceTest : public testing::Test {
protected:
    void TearDown() override { setThreadCount(0); }
    std::unique_ptr<Device> device_ = makeCpuDevice();
};

TEST_F(CpuDeviceTest, NamesItself) {
    setThreadCount(1);
    EXPECT_EQ(device_->name(), "cpu");
    EXPECT_EQ(device_->description(), "CPU, 1 thread, " + cpuInstructionSet());
}

TEST_F(CpuDeviceTest, MultipliesByAPreparedWeight) {
    const Matrix x = randomMatrix(9, 33, 40), w = randomMatrix(21, 33, 41);
    const DeviceWeightPtr weight = device_->prepare(w.view());
    EXPECT_EQ(weight->rows, 21);
    EXPECT_EQ(weight->cols, 33);
    Matrix y(9, 21), direct(9, 21);
    device_->multiply(x.view(), *weight, y.view());
    gemmTransposed(x.view(), w.view(), direct.view());
    EXPECT_EQ(std::memcmp(y.data(), direct.data(), 9 * 21 * sizeof(float)), 0);
    device_->multiply(x.view(), *weight, y.view(), true);
    for (std::int64_t i = 0; i < y.size(); ++i)
        EXPECT_NEAR(y.data()[i], 2 * direct.data()[i], 40 * static_cast<float>(kEps)); // another order of additions
}

TEST_F(CpuDeviceTest, RopeTurnsByPositionTimesFrequency) {
    const std::int64_t headDim = 12, heads = 2;
    const double theta = 10000.0;
    for (const std::int64_t position0 : {std::int64_t{0}, std::int64_t{5}, std::int64_t{700}}) {
        Matrix x = randomMatrix(20, heads * headDim, 42);
        const Matrix before = randomMatrix(20, heads * headDim, 42);
        device_->rope(x.view(), {headDim, test::rotaryFrequencies(headDim, theta)}, position0);
        for (std::int64_t t = 0; t < 20; ++t) {
            for (std::int64_t h = 0; h < heads; ++h) {
                for (std::int64_t i = 0; i < headDim / 2; ++i) {
                    const auto position = static_cast<double>(position0 + t);
                    const double angle =
                        position * std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(headDim));
                    const double a = static_cast<double>(before.row(t)[h * headDim + i]);
                    const double b = static_cast<double>(before.row(t)[h * headDim + headDim / 2 + i]);
                    // Frequency and angle are f32: the angle errs by about eps·angle.
                    const double tolerance = (std::abs(a) + std::abs(b)) * kEps * (2 + 2 * angle);
                    EXPECT_NEAR(static_cast<double>(x.row(t)[h * headDim + i]),
                                a * std::cos(angle) - b * std::sin(angle), tolerance);
                    EXPECT_NEAR(static_cast<double>(x.row(t)[h * headDim + headDim / 2 + i]),
                                b * std::cos(angle) + a * std::sin(angle), tolerance);
                }
            }
        }
    }
}

TEST_F(CpuDeviceTest, RopeTablesOfTwoModelsDoNotMix) {
    Matrix a = randomMatrix(4, 8, 43), b = randomMatrix(4, 8, 43), again = randomMatrix(4, 8, 43);
    const auto slow = test::rotaryFrequencies(8, 500000.0), usual = test::rotaryFrequencies(8, 10000.0);
    device_->rope(a.view(), {8, usual}, 3);
    device_->rope(b.view(), {8, slow}, 3);
    device_->rope(again.view(), {8, usual}, 3);
    EXPECT_NE(std::memcmp(a.data(), b.data(), 32 * sizeof(float)), 0);
    EXPECT_EQ(std::memcmp(a.data(), again.data(), 32 * sizeof(float)), 0);
}

TEST_F(CpuDeviceTest, ElementwiseOperationsHonourStrides) {
    Matrix gate = randomMatrix(6, 20, 44);
    const Matrix before = randomMatrix(6, 20, 44), up = randomMatrix(6, 20, 45);
    device_->activateMultiply(Activation::silu, MatrixView<float>(gate.data() + 2, 6, 13, 20),
                              MatrixView<const float>(up.data() + 1, 6, 13, 20));
    device_->add(MatrixView<float>(gate.data() + 15, 6, 5, 20), MatrixView<const float>(up.data() + 15, 6, 5, 20));
    for (std::int64_t r = 0; r < 6; ++r) {
        for (std::int64_t c = 0; c < 20; ++c) {
            const double g = static_cast<double>(before.row(r)[c]);
            double reference = g;
            if (c >= 2 && c < 15) reference = g / (1 + std::exp(-g)) * static_cast<double>(up.row(r)[c - 1]);
            if (c >= 15) reference = g + static_cast<double>(up.row(r)[c]);
            EXPECT_NEAR(static_cast<double>(gate.row(r)[c]), reference, 4 * kEps * std::abs(reference))
                << r << "," << c;
        }
    }
}

TEST_F(CpuDeviceTest, NormOfManyRowsDoesNotDependOnThreads) {
    const Matrix x = randomMatrix(300, 257, 46);
    const std::vector<float> weight(257, 1.5f);
    Matrix one(300, 257), many(300, 257);
    setThreadCount(1);
    device_->rmsNorm(x.view(), weight, 1e-5f, one.view());
    setThreadCount(3);
    device_->rmsNorm(x.view(), weight, 1e-5f, many.view());
    EXPECT_EQ(std::memcmp(one.data(), many.data(), static_cast<std::size_t>(one.size()) * sizeof(float)), 0);
}

TEST_F(CpuDeviceTest, HistogramAddsUpOverCallsAndPieces) {
    const std::int64_t count = (1 << 19) + 77; // three pieces
    const Matrix x = randomMatrix(1, count, 47);
    Histogram histogram{-2.0f, 2.0f, std::vector<std::uint64_t>(100, 0), 0, 0, 0, 0};
    const std::span<const float> values(x.data(), static_cast<std::size_t>(count));
    device_->histogram(values, histogram);
    device_->histogram(values, histogram);
    std::uint64_t total = histogram.below + histogram.above + histogram.nan + histogram.infinite;
    for (const auto bin : histogram.bins) total += bin;
    EXPECT_EQ(total, 2 * static_cast<std::uint64_t>(count));
    EXPECT_EQ(histogram.nan + histogram.infinite, 0u);
    // 2.275 % of a normal distribution lie beyond 2 σ on each side; four standard deviations of that count.
    const double expected = 0.02275 * static_cast<double>(count);
    EXPECT_NEAR(static_cast<double>(histogram.below) / 2, expected, 4 * std::sqrt(expected));
    EXPECT_NEAR(static_cast<double>(histogram.above) / 2, expected, 4 * std::sqrt(expected));
}

TEST_F(CpuDeviceTest, EmptyInputsAreFine) {
    const Matrix w = randomMatrix(5, 4, 48);
    const auto weight = device_->prepare(w.view());
    Matrix none(0, 4), out(0, 5);
    device_->multiply(std::as_const(none).view(), *weight, out.view());
    Histogram histogram{0, 1, std::vector<std::uint64_t>(4, 0), 0, 0, 0, 0};
    device_->histogram({}, histogram);
    EXPECT_EQ(histogram.bins, std::vector<std::uint64_t>(4, 0));
    EXPECT_TRUE(allFinite({}));
    EXPECT_EQ(squaredDistance({}, {}), 0.0);
}

TEST_F(CpuDeviceTest, SumsInputsByChannelAndByRow) {
    Matrix x = randomMatrix(70, 130, 44); // more than a piece of channels, and of rows
    x.row(3)[5] = -40.0f;
    std::fill_n(x.row(9), 130, 0.0f);
    InputSums sums;
    device_->inputSums(x.view(), sums);
    ASSERT_EQ(sums.channels.size(), 130u);
    ASSERT_EQ(sums.rows.size(), 70u);
    for (const std::int64_t c : {std::int64_t{0}, std::int64_t{5}, std::int64_t{129}}) {
        double first = 0, absolute = 0, second = 0, third = 0, fourth = 0;
        for (std::int64_t t = 0; t < 70; ++t) {
            const auto v = static_cast<double>(x.row(t)[c]);
            first += v;
            absolute += std::abs(v);
            second += v * v;
            third += v * v * v;
            fourth += v * v * v * v;
        }
        const InputSums::Channel& made = sums.channels[static_cast<std::size_t>(c)];
        EXPECT_NEAR(made.first, first, 1e-12 * absolute);
        EXPECT_NEAR(made.absolute, absolute, 1e-12 * absolute);
        EXPECT_NEAR(made.second, second, 1e-12 * second);
        EXPECT_NEAR(made.third, third, 1e-12 * fourth);
        EXPECT_NEAR(made.fourth, fourth, 1e-12 * fourth);
    }
    EXPECT_EQ(sums.channels[5].low, -40.0f);
    EXPECT_EQ(sums.rows[9].power, 0.0);
    EXPECT_EQ(sums.rows[9].error, 0.0);
    // Row 3 is as wide as 40: a step of 40/127, whose square over twelve is the mean error of the many small values.
    const double step = 40.0 / 127.0;
    EXPECT_NEAR(sums.rows[3].error / 129, step * step / 12, 0.5 * step * step / 12);
    EXPECT_GT(sums.rows[3].power, 1600.0);
}

TEST_F(CpuDeviceTest, CountsChannelsInEighthsOfAnOctave) {
    // Channel 0: 1 and 1.124 share a bin, 1.126 has the next; channel 1: signs, zero, and what is too small.
    const std::vector<float> values{1.0f, -2.0f, 1.124f, 0.0f, 1.126f, 1e-30f, 1.99f, -2.25f};
    const std::vector<std::int32_t> least{127 * 8, 127 * 8};
    std::vector<std::uint32_t> counts(2 * 33);
    counts[0] = 5; // is added to
    device_->logHistograms({values.data(), 4, 2}, least, 16, counts);
    EXPECT_EQ(counts[0], 7u);
    EXPECT_EQ(counts[1], 1u);
    EXPECT_EQ(counts[7], 1u);
    EXPECT_EQ(counts[33 + 16 + 8], 1u);  // −2
    EXPECT_EQ(counts[33 + 16 + 9], 1u);  // −2.25
    EXPECT_EQ(counts[33 + 32], 2u);      // zero and 1e-30
}

TEST_F(CpuDeviceTest, GivesRowsOfAWeight) {
    const Matrix w = randomMatrix(7, 33, 45);
    Matrix y(3, 33);
    const std::vector<std::int32_t> rows{6, 0, 6};
    device_->rowsOf(*device_->prepare(w.view()), rows, y.view());
    for (std::int64_t t = 0; t < 3; ++t) EXPECT_EQ(std::memcmp(y.row(t), w.row(rows[static_cast<std::size_t>(t)]), 33 * sizeof(float)), 0);
}

} // namespace
} // namespace bw
