// SPDX-License-Identifier: GPL-3.0-or-later
// Rotary frequencies against the formulas of the papers, in f64 and written another way.
#include "core/checkpoint/rope_frequencies.h"

#include <cmath>
#include <gtest/gtest.h>

namespace bw::test {
namespace {

constexpr double kPi = 3.14159265358979323846;

RopeConfig plain(double theta = 10000.0, std::int64_t dims = 64) {
    RopeConfig rope;
    rope.theta = theta;
    rope.dims = dims;
    rope.originalContext = 512;
    return rope;
}

double base(const RopeConfig& rope, std::size_t i) {
    return std::exp(-std::log(rope.theta) * 2 * static_cast<double>(i) / static_cast<double>(rope.dims));
}

/// f32 frequencies come from an f32 exponent: 1 − 2i/D errs by eps/2, times ln θ ≈ 13.
void expectNear(const std::vector<float>& frequencies, const std::vector<double>& expected) {
    ASSERT_EQ(frequencies.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(static_cast<double>(frequencies[i]) / expected[i], 1.0, 2e-6) << i;
}

TEST(RopeFrequencies, plainAndLinear) {
    RopeConfig rope = plain(500000.0, 6);
    std::vector<double> expected;
    for (std::size_t i = 0; i < 3; ++i) expected.push_back(base(rope, i));
    expectNear(ropeFrequencies(rope), expected);
    EXPECT_EQ(ropeDivisors(rope), std::vector<float>(3, 1.0f));
    rope.scaling = RopeScaling::linear;
    rope.factor = 8;
    for (double& e : expected) e /= 8;
    expectNear(ropeFrequencies(rope), expected);
    for (const float d : ropeDivisors(rope)) EXPECT_NEAR(d, 8.0f, 1e-5f);
}

TEST(RopeFrequencies, llama3KeepsShortWavesAndSlowsLongOnes) {
    RopeConfig rope = plain();
    rope.scaling = RopeScaling::llama3;
    rope.factor = 8;
    std::vector<double> expected;
    int kept = 0, slowed = 0;
    for (std::size_t i = 0; i < 32; ++i) {
        // Share of the unscaled frequency by how often a wave fits the original context: 1 from four times on.
        const double share = std::min(1.0, std::max(0.0, (512 * base(rope, i) / (2 * kPi) - 1) / 3));
        kept += share == 1 ? 1 : 0;
        slowed += share == 0 ? 1 : 0;
        expected.push_back(base(rope, i) * (share + (1 - share) / 8));
    }
    EXPECT_GT(kept, 5);
    EXPECT_GT(slowed, 5);
    EXPECT_LT(kept + slowed, 32);
    expectNear(ropeFrequencies(rope), expected);
}

TEST(RopeFrequencies, yarnRampsBetweenTwoChannels) {
    for (const bool truncate : {true, false}) {
        RopeConfig rope = plain();
        rope.scaling = RopeScaling::yarn;
        rope.factor = 4;
        rope.truncate = truncate;
        // Channels that turn 32 times and once within 512 tokens.
        double from = std::log(512 / (32 * 2 * kPi)) / std::log(10000.0) * 32, to = std::log(512 / (2 * kPi)) / std::log(10000.0) * 32;
        if (truncate) {
            from = std::floor(from);
            to = std::ceil(to);
        }
        std::vector<double> expected;
        for (std::size_t i = 0; i < 32; ++i) {
            const double slowed = std::min(1.0, std::max(0.0, (static_cast<double>(i) - from) / (to - from)));
            expected.push_back(base(rope, i) * (1 - slowed * 0.75));
        }
        expectNear(ropeFrequencies(rope), expected);
    }
}

TEST(RopeFrequencies, listsDivideAndDependOnTheLength) {
    RopeConfig rope = plain(10000.0, 4);
    rope.scaling = RopeScaling::longrope;
    rope.factors = {1.0, 2.0};
    rope.longFactors = {3.0, 40.0};
    expectNear(ropeFrequencies(rope), {1.0, 0.01 / 2});
    expectNear(ropeFrequencies(rope, true), {1.0 / 3, 0.01 / 40});
    rope.longFactors.clear(); // GGUF's rope_freqs hold for every length
    expectNear(ropeFrequencies(rope, true), {1.0, 0.01 / 2});
}

} // namespace
} // namespace bw::test
