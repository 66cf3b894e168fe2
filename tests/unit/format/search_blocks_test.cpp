// SPDX-License-Identifier: GPL-3.0-or-later
// Searched encoders: what is stored decodes to what was meant, and the search comes close to a dense scan of all scales.
#include "core/base/random.h"
#include "core/format/storage_type.h"

#include <array>
#include <cmath>
#include <gtest/gtest.h>
#include <vector>

using namespace bw;

namespace {

std::vector<float> gaussian(std::size_t n, std::uint64_t seed, double scale) {
    Random random(seed);
    std::vector<float> x(n);
    for (float& v : x) v = static_cast<float>(scale * random.normal());
    return x;
}

std::vector<float> roundTrip(StorageType type, std::span<const float> x, std::span<const float> w) {
    std::vector<std::byte> bytes(storageBytes(type, 1, x.size()));
    encodeRow(type, x, w, bytes.data());
    std::vector<float> y(x.size());
    decodeRow(type, bytes.data(), y);
    return y;
}

double weightedError(std::span<const float> x, std::span<const float> y, std::span<const float> w) {
    double sum = 0;
    for (std::size_t i = 0; i < x.size(); ++i) sum += (w.empty() ? 1.0 : w[i]) * std::pow(static_cast<double>(x[i]) - y[i], 2);
    return sum;
}

double relativeRms(StorageType type) {
    const auto x = gaussian(256 * 512, 7, 0.03);
    return std::sqrt(weightedError(x, roundTrip(type, x, {}), {}) / weightedError(x, std::vector<float>(x.size()), {}));
}

} // namespace

// The bounds are the errors of ggml's own encoders on gaussian weights (0.0761 and 0.1508): the search must not be worse.
TEST(SearchedBlocks, ErrorOnGaussianWeights) {
    EXPECT_LT(relativeRms(StorageType::iq4_nl), 0.0761);
    EXPECT_LT(relativeRms(StorageType::q3_k), 0.1508);
    EXPECT_GT(relativeRms(StorageType::iq4_nl), 0.05); // no 4-bit grid can be much better: guards the measurement itself
}

TEST(SearchedBlocks, NonLinearComesCloseToADenseScan) {
    constexpr std::array<float, 16> levels{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
    double found = 0, dense = 0;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        const auto x = gaussian(32, seed, 1.0);
        found += weightedError(x, roundTrip(StorageType::iq4_nl, x, {}), {});
        double best = 1e30;
        for (int k = -4000; k <= 4000; ++k) {
            const float d = static_cast<float>(k) * 1e-5f; // a gaussian's largest of 32 is below 4: |d| < 0.04
            double sum = 0;
            for (const float v : x) {
                double least = 1e30;
                for (const float l : levels) least = std::min(least, std::pow(static_cast<double>(v) - d * l, 2));
                sum += least;
            }
            best = std::min(best, sum);
        }
        dense += best;
    }
    EXPECT_LT(found, 1.04 * dense); // 24 trials against 8,001
    EXPECT_GE(found, 0.999 * dense);
}

TEST(SearchedBlocks, ImportanceLowersTheWeightedError) {
    for (const StorageType type : {StorageType::iq4_nl, StorageType::q3_k}) {
        const auto x = gaussian(1024, 3, 0.02);
        std::vector<float> w(x.size(), 0.01f);
        for (std::size_t i = 0; i < w.size(); i += 7) w[i] = 10.0f;
        EXPECT_LT(weightedError(x, roundTrip(type, x, w), w), 0.9 * weightedError(x, roundTrip(type, x, {}), w));
    }
}

TEST(SearchedBlocks, EdgeValuesStayFinite) {
    for (const StorageType type : {StorageType::iq4_nl, StorageType::q3_k})
        for (const float v : {0.0f, 1e-40f, 1e-9f, 65504.0f, -3.0f}) {
            const std::vector<float> constant(256, v), zero(256, 0.0f);
            for (const float y : roundTrip(type, constant, {})) {
                EXPECT_TRUE(std::isfinite(y));
                EXPECT_NEAR(y, v, 0.07 * std::abs(v) + 1e-6); // a constant block is a scale times one level; f16 scales end at 6e-8
            }
            EXPECT_EQ(roundTrip(type, constant, zero), roundTrip(type, constant, {})); // no importance at all counts as equal
        }
}

TEST(SearchedBlocks, ValuesPastTheScaleAreClampedNotLost) {
    for (const StorageType type : {StorageType::iq4_nl, StorageType::q3_k})
        for (const float v : {1e10f, -1e25f, 3e38f})
            for (const float y : roundTrip(type, std::vector<float>(256, v), {})) {
                EXPECT_TRUE(std::isfinite(y));
                EXPECT_GT(std::abs(y), 1e5f) << "lost " << v; // the largest f16 scale times a level
                EXPECT_EQ(std::signbit(y), std::signbit(v));
            }
}
