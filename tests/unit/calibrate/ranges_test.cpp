// SPDX-License-Identifier: GPL-3.0-or-later
// Range calibrators on distributions whose answer is known or can be found by trying everything.
#include "core/calibrate/ranges.h"

#include "core/base/random.h"
#include "core/compute/cpu_device.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace bw {
namespace {

std::vector<float> gaussian(std::size_t n, std::uint64_t seed) {
    Random random(seed);
    std::vector<float> x(n);
    for (float& v : x)
        v = static_cast<float>(random.normal());
    return x;
}

std::vector<float> laplace(std::size_t n, std::uint64_t seed) {
    Random random(seed);
    std::vector<float> x(n);
    for (float& v : x) {
        const double u = random.uniform() - 0.5;
        v = static_cast<float>((u < 0 ? 1 : -1) * std::log(1 - 2 * std::abs(u)));
    }
    return x;
}

std::vector<float> withOutliers(std::vector<float> x) {
    for (std::size_t i = 0; i < x.size(); i += 5000)
        x[i] = i % 10000 ? 60.0f : -55.0f;
    return x;
}

RangeHistogram histogramOf(const std::vector<float>& x) {
    const auto device = makeCpuDevice();
    RangeHistogram h;
    h.add(x, *device);
    return h;
}

double width(const RangeHistogram& h) {
    return (static_cast<double>(h.histogram().high) - static_cast<double>(h.histogram().low)) / static_cast<double>(h.histogram().bins.size());
}

TEST(RangeHistogramTest, GrowsWithoutLosingAValue) {
    const auto device = makeCpuDevice();
    RangeHistogram grown, direct;
    std::vector<float> all;
    for (int step = 0; step < 12; ++step) {
        std::vector<float> x = gaussian(1000, static_cast<std::uint64_t>(step));
        for (float& v : x)
            v *= std::ldexp(1.0f, step - 8);
        grown.add(x, *device);
        all.insert(all.end(), x.begin(), x.end());
    }
    direct.add(all, *device);
    EXPECT_EQ(grown.count(), all.size());
    // Merged in pairs, bins equal those of the final range, but for values within an f32 rounding of a bin's edge: about
    // one in 2^12.
    std::uint64_t moved = 0;
    for (std::size_t b = 0; b < grown.histogram().bins.size(); ++b) {
        const std::uint64_t g = grown.histogram().bins[b], d = direct.histogram().bins[b];
        moved += g > d ? g - d : d - g;
    }
    EXPECT_LE(moved, all.size() / 500);
    EXPECT_EQ(grown.histogram().high, direct.histogram().high);
    EXPECT_EQ(grown.minimum(), static_cast<double>(*std::min_element(all.begin(), all.end())));
    EXPECT_EQ(grown.maximum(), static_cast<double>(*std::max_element(all.begin(), all.end())));
    EXPECT_LE(grown.histogram().high, 2 * std::max(std::abs(grown.minimum()), grown.maximum()));
}

TEST(RangeHistogramTest, SetsNonFiniteAsideAndTakesExtremes) {
    const auto device = makeCpuDevice();
    RangeHistogram h;
    h.add(std::vector<float>{0.0f, 0.0f}, *device);
    h.add(std::vector<float>{std::nanf(""), std::numeric_limits<float>::infinity(), -2.0f, 1.0f}, *device);
    EXPECT_EQ(h.nonFinite(), 2u);
    EXPECT_EQ(h.count(), 4u);
    EXPECT_EQ(h.minimum(), -2.0);
    EXPECT_EQ(h.maximum(), 1.0);
    h.add(std::vector<float>{std::numeric_limits<float>::max(), -std::numeric_limits<float>::max(), 1e-42f}, *device);
    EXPECT_EQ(h.count(), 7u);
    EXPECT_TRUE(std::isfinite(h.histogram().high));
    RangeHistogram onlyNan;
    onlyNan.add(std::vector<float>{std::nanf("")}, *device);
    EXPECT_EQ(onlyNan.count(), 0u);
    for (const ClipRange& range : {rangeMinMax(onlyNan), rangePercentile(onlyNan, 99), rangeKl(onlyNan, 8), rangeMse(onlyNan, 8)}) {
        EXPECT_EQ(range.low, 0.0);
        EXPECT_EQ(range.high, 0.0);
    }
    EXPECT_EQ(rangeError(onlyNan, {-1, 1}, 8), 0.0);
}

TEST(Percentile, CutsTheShareItNames) {
    for (const auto& x : {gaussian(200'000, 3), laplace(200'000, 4), withOutliers(gaussian(200'000, 5))}) {
        const RangeHistogram h = histogramOf(x);
        std::vector<float> sorted = x;
        std::sort(sorted.begin(), sorted.end());
        for (const double percent : {90.0, 99.0, 99.9, 99.99}) {
            const ClipRange range = rangePercentile(h, percent);
            const auto cut = static_cast<std::size_t>(static_cast<double>(x.size()) * (100.0 - percent) / 200.0);
            // The exact quantile lies in the same bin or, on a bin's edge, in its neighbour.
            EXPECT_NEAR(range.low, static_cast<double>(sorted[cut]), 2 * width(h)) << percent;
            EXPECT_NEAR(range.high, static_cast<double>(sorted[sorted.size() - 1 - cut]), 2 * width(h)) << percent;
        }
        const ClipRange whole = rangePercentile(h, 100);
        EXPECT_EQ(whole.low, rangeMinMax(h).low);
        EXPECT_EQ(whole.high, rangeMinMax(h).high);
    }
}

TEST(RangeErrorTest, EqualsRoundingTheValuesThemselves) {
    const std::vector<float> x = gaussian(100'000, 6);
    const RangeHistogram h = histogramOf(x);
    for (const ClipRange range : {ClipRange{-4, 4}, ClipRange{-2.5, 2.5}, ClipRange{-1, 3}}) {
        const double step = (range.high - range.low) / 15.0, zero = std::nearbyint(-range.low / step);
        double sum = 0;
        for (const float v : x) {
            const double code = std::clamp(std::nearbyint(static_cast<double>(v) / step) + zero, 0.0, 15.0);
            sum += std::pow(static_cast<double>(v) - (code - zero) * step, 2);
        }
        const double exact = sum / static_cast<double>(x.size());
        // Bins are 1/100 of a step wide: centres instead of values change the error by far less than 1 %.
        EXPECT_NEAR(rangeError(h, range, 4), exact, 0.01 * exact);
    }
    // A uniform distribution has the textbook error of step²/12 inside the grid.
    std::vector<float> uniform(400'000);
    Random random(9);
    for (float& v : uniform)
        v = static_cast<float>(2 * random.uniform() - 1);
    const double step = 2.0 / 255.0;
    EXPECT_NEAR(rangeError(histogramOf(uniform), {-1, 1}, 8), step * step / 12, 0.03 * step * step / 12);
}

TEST(MseRange, BeatsEveryClipOnAFineGrid) {
    for (const int bits : {4, 8})
        for (const auto& x : {gaussian(50'000, 7), laplace(50'000, 8), withOutliers(gaussian(50'000, 9)), withOutliers(laplace(50'000, 2))}) {
            const RangeHistogram h = histogramOf(x);
            const ClipRange best = rangeMse(h, bits);
            const double error = rangeError(h, best, bits);
            const double full = std::max(std::abs(h.minimum()), std::abs(h.maximum()));
            EXPECT_LE(error, rangeError(h, {-full, full}, bits));
            EXPECT_EQ(best.low, -best.high);
            // The search visits every bin edge; between two edges the error ripples by a few percent at most.
            for (int i = 1; i <= 1500; ++i) {
                const double clip = full * i / 1500.0;
                EXPECT_LE(error, 1.05 * rangeError(h, {-clip, clip}, bits)) << bits << " bits, clip " << clip;
            }
            for (double edge = width(h); edge < full; edge += width(h))
                ASSERT_LE(error, rangeError(h, {-edge, edge}, bits) * (1 + 1e-12));
        }
}

TEST(MseRange, FindsTheKnownClipOfAGaussian) {
    // The optimal uniform quantizer of N(0,1) with 16 levels clips at 8 steps of 0.3352 (Max 1960, table II).
    const ClipRange range = rangeMse(histogramOf(gaussian(400'000, 10)), 4);
    EXPECT_NEAR(range.high, 8 * 0.3352, 0.15) << "this grid has a level at zero, which shifts the optimum a little";
}

TEST(KlRange, ClipsOutliersButNotPlainDistributions) {
    const RangeHistogram plain = histogramOf(gaussian(200'000, 12));
    const RangeHistogram spiked = histogramOf(withOutliers(gaussian(200'000, 12)));
    const ClipRange plainRange = rangeKl(plain, 8), spikedRange = rangeKl(spiked, 8);
    EXPECT_GT(plainRange.high, 3.0) << "8 bits hold a Gaussian almost whole";
    EXPECT_LT(spikedRange.high, 12.0) << "forty values of 60 in 200,000 are not worth the range";
    EXPECT_GT(spikedRange.high, 3.0);
    EXPECT_EQ(plainRange.low, -plainRange.high);
    EXPECT_LT(rangeError(spiked, spikedRange, 4), 1.0);
    EXPECT_LT(rangeKl(plain, 4).high, plainRange.high) << "fewer levels are worth a tighter clip";
}

TEST(KlRange, KeepsWhatFitsTheLevelsExactly) {
    // 100 distinct magnitudes within 128 levels: nothing is gained by clipping.
    std::vector<float> x;
    for (int i = 0; i < 100; ++i)
        x.insert(x.end(), 50, static_cast<float>(i) / 100.0f);
    const ClipRange range = rangeKl(histogramOf(x), 8);
    EXPECT_GT(range.high, 0.97);
}

TEST(Ranges, ConstantAndZeroInputs) {
    const RangeHistogram zero = histogramOf(std::vector<float>(100, 0.0f));
    EXPECT_EQ(rangeMse(zero, 8).high, 0.0);
    EXPECT_EQ(rangeMinMax(zero).high, 0.0);
    const RangeHistogram constant = histogramOf(std::vector<float>(100, -3.0f));
    EXPECT_EQ(rangeMinMax(constant).low, -3.0);
    EXPECT_LE(rangeError(constant, rangeMse(constant, 8), 8), 1e-3);
    EXPECT_TRUE(std::isfinite(rangeKl(constant, 8).high));
}

} // namespace
} // namespace bw
