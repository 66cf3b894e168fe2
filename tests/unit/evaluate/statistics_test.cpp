// SPDX-License-Identifier: GPL-3.0-or-later
// Means, errors, quantiles and calibration figures on values worked out by hand.
#include "core/evaluate/statistics.h"

#include "core/base/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace bw::detail {
namespace {

TEST(MeanOf, HandCheckedValues) {
    const std::vector<double> x{1, 2, 3, 6};
    EXPECT_DOUBLE_EQ(meanOf(x).mean, 3.0);
    EXPECT_DOUBLE_EQ(meanOf(x).error, std::sqrt((4.0 + 1 + 0 + 9) / 3 / 4));
    EXPECT_EQ(meanOf(std::vector<double>{5}).error, 0.0);
    EXPECT_EQ(meanOf({}).mean, 0.0);
}

TEST(GroupedMean, TakesWindowsWhenThereAreEight) {
    std::vector<double> x;
    for (int window = 0; window < 8; ++window)
        x.insert(x.end(), {window - 1.0, window + 1.0});
    std::vector<double> means{0, 1, 2, 3, 4, 5, 6, 7};
    EXPECT_DOUBLE_EQ(groupedMean(x, 8).mean, 3.5);
    EXPECT_DOUBLE_EQ(groupedMean(x, 8).error, meanOf(means).error);
    EXPECT_DOUBLE_EQ(groupedMean(std::span(x).first(14), 7).error, meanOf(std::span(x).first(14)).error);
}

TEST(Quantile, InterpolatesBetweenRanks) {
    const std::vector<double> x{10, 20, 30, 40, 50};
    EXPECT_DOUBLE_EQ(quantile(x, 0), 10);
    EXPECT_DOUBLE_EQ(quantile(x, 1), 50);
    EXPECT_DOUBLE_EQ(quantile(x, 0.5), 30);
    EXPECT_DOUBLE_EQ(quantile(x, 0.9), 46);
    EXPECT_DOUBLE_EQ(quantile(std::vector<double>{7}, 0.99), 7);
    EXPECT_EQ(quantile({}, 0.5), 0.0);
}

TEST(CalibrationError, HandCheckedBins) {
    // Two bins of two: confidences .2 .4 with one right (|.6−1|/2 = .2 each value's share), .8 .9 with none right (.85).
    const std::vector<Prediction> p{{0.9, false}, {0.2, true}, {0.8, false}, {0.4, false}};
    EXPECT_NEAR(calibrationError(p, 2), (0.4 + 1.7) / 4, 1e-15);
    EXPECT_NEAR(brierScore(p), (0.81 + 0.64 + 0.64 + 0.16) / 4, 1e-15);
    EXPECT_EQ(calibrationError({}), 0.0);
    EXPECT_EQ(brierScore({}), 0.0);
}

TEST(CalibrationError, IsSmallForACalibratedForecaster) {
    Random random(5);
    std::vector<Prediction> honest, boastful;
    for (int i = 0; i < 60'000; ++i) {
        const double c = random.uniform();
        honest.push_back({c, random.uniform() < c});
        boastful.push_back({std::min(1.0, c + 0.2), random.uniform() < c});
    }
    // 4,000 per bin: the noise of a bin's accuracy is below 0.008, the mean of 15 absolute values below that.
    EXPECT_LT(calibrationError(honest), 0.012);
    EXPECT_NEAR(calibrationError(boastful), 0.18, 0.01); // 0.2, less where the confidence is capped at 1
}

TEST(Reliability, WilsonIntervalsOfEqualBins) {
    // Ten predictions in two bins; by hand: 4 of 5 right, z = 1.96: centre (0.8 + 0.38415)/1.76829, half width 0.33340.
    std::vector<Prediction> p;
    for (int i = 0; i < 5; ++i)
        p.push_back({0.1, i == 0});
    for (int i = 0; i < 5; ++i)
        p.push_back({0.9, i != 0});
    const std::vector<ReliabilityBin> bins = reliability(p, 2);
    ASSERT_EQ(bins.size(), 2u);
    EXPECT_EQ(bins[1].count, 5);
    EXPECT_NEAR(bins[1].confidence, 0.9, 1e-12);
    EXPECT_NEAR(bins[1].accuracy, 0.8, 1e-12);
    EXPECT_NEAR(bins[1].low, 0.3755, 1e-4); // the textbook interval of 4 in 5: 37.6 … 96.4 %
    EXPECT_NEAR(bins[1].high, 0.9638, 1e-4);
    EXPECT_NEAR(bins[0].low, 1 - bins[1].high, 1e-12);
    EXPECT_NEAR(bins[0].high, 1 - bins[1].low, 1e-12);
    EXPECT_EQ(reliability(std::span(p).first(3), 15).size(), 3u);
    EXPECT_TRUE(reliability({}, 15).empty());
}

TEST(Largest, AgreesWithSorting) {
    Random random(7);
    for (const std::int64_t k : {0, 1, 2, 10, 40, 100}) {
        std::vector<float> x(40);
        for (float& v : x)
            v = static_cast<float>(random.below(12)) - 6.0f; // many ties
        std::vector<std::int64_t> order(x.size());
        std::iota(order.begin(), order.end(), std::int64_t{0});
        std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) { return x[static_cast<std::size_t>(a)] > x[static_cast<std::size_t>(b)]; });
        order.resize(static_cast<std::size_t>(std::min<std::int64_t>(k, 40)));
        std::sort(order.begin(), order.end());
        EXPECT_EQ(largest(x, k), order) << k;
    }
    EXPECT_EQ(largest(std::vector<float>{std::nanf(""), -2.0f, -1.0f}, 2), (std::vector<std::int64_t>{1, 2}));
    EXPECT_TRUE(largest({}, 3).empty());
}

TEST(Argmax, FindsTheFirstLargest) {
    Random random(6);
    for (const std::size_t n : {1u, 3u, 15u, 16u, 17u, 100u, 2048u}) {
        std::vector<float> x(n);
        for (float& v : x)
            v = static_cast<float>(random.below(50)) - 25.0f;
        EXPECT_EQ(argmax(x), std::max_element(x.begin(), x.end()) - x.begin()) << n;
    }
    EXPECT_EQ(argmax(std::vector<float>{std::nanf(""), -2.0f, -1.0f}), 2);
    EXPECT_EQ(argmax(std::vector<float>{std::nanf("")}), 0);
}

} // namespace
} // namespace bw::detail
