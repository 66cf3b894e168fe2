// SPDX-License-Identifier: GPL-3.0-or-later
// Passes that merge into one, histograms of channels, and calibrators per channel against direct sums.
#include "core/calibrate/pass.h"

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/calibrate/channel_ranges.h"
#include "core/compute/cpu_device.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace bw {
namespace {

/// Windows whose channels have very different scales, some of them skewed or constant.
std::vector<Matrix> windows(int count, std::int64_t rows, std::int64_t channels) {
    std::vector<Matrix> out;
    Random random(7);
    for (int w = 0; w < count; ++w) {
        Matrix x(rows, channels);
        for (std::int64_t t = 0; t < rows; ++t)
            for (std::int64_t c = 0; c < channels; ++c) {
                const double scale = std::exp2(static_cast<double>(c % 11) - 5) * (w == 1 ? 3 : 1), v = random.normal();
                x.row(t)[c] = c == 3 ? 0.0f : static_cast<float>(scale * (c % 4 == 1 ? std::abs(v) : v * v * v));
            }
        out.push_back(std::move(x));
    }
    return out;
}

InputGroup group(std::int64_t width) {
    InputGroup made;
    made.name = "blk.0.attn_in";
    made.width = width;
    return made;
}

GroupPass passOver(const std::vector<Matrix>& x, std::size_t begin, std::size_t end, Device& device) {
    GroupPass pass(group(x.front().cols()), true);
    for (std::size_t w = begin; w < end; ++w)
        pass.add(static_cast<std::int64_t>(w), x[w].view(), device);
    return pass;
}

/// Share of values that two histograms of the same values count in different bins.
double movedShare(const RangeHistogram& a, const RangeHistogram& b) {
    EXPECT_EQ(a.count(), b.count());
    EXPECT_EQ(a.histogram().high, b.histogram().high);
    EXPECT_EQ(a.minimum(), b.minimum());
    EXPECT_EQ(a.maximum(), b.maximum());
    double moved = 0;
    for (std::size_t i = 0; i < a.histogram().bins.size(); ++i)
        moved += std::abs(static_cast<double>(a.histogram().bins[i]) - static_cast<double>(b.histogram().bins[i])) / 2;
    return moved / static_cast<double>(a.count());
}

TEST(Pass, TwoPartsMergeIntoWhatOnePassGives) {
    const auto device = makeCpuDevice();
    const std::vector<Matrix> x = windows(7, 33, 130);
    CalibrateOptions options;
    options.perChannel = true;
    const InputStatistics whole = passOver(x, 0, 7, *device).finish(options);
    for (const std::size_t cut : {1u, 3u, 4u}) {
        SCOPED_TRACE(cut);
        GroupPass merged = passOver(x, 0, cut, *device);
        const GroupPass second = passOver(x, cut, 7, *device);
        merged.merge(second);
        const InputStatistics s = merged.finish(options);
        EXPECT_EQ(s.tokens, whole.tokens);
        EXPECT_EQ(s.sums, whole.sums);
        EXPECT_EQ(s.sumAbsolute, whole.sumAbsolute);
        EXPECT_EQ(s.sumSquares, whole.sumSquares);
        EXPECT_EQ(s.channelMax, whole.channelMax);
        EXPECT_EQ(s.channelLow, whole.channelLow);
        // Many of these cubes lie within f32 rounding of the edge at zero, relative to a range of hundreds.
        EXPECT_LE(movedShare(s.fit, whole.fit), 0.01);
        EXPECT_LE(movedShare(s.heldOut, whole.heldOut), 0.01);
        EXPECT_EQ(s.tokenRms, whole.tokenRms);
        EXPECT_EQ(s.kurtosis, whole.kurtosis);
        for (const auto& [name, error] : whole.heldOutError)
            EXPECT_NEAR(s.heldOutError.at(name), error, 0.01 * error) << name;
        EXPECT_EQ(s.heldOutChannelError, whole.heldOutChannelError);
        EXPECT_EQ(s.heldOutTokenError, whole.heldOutTokenError);
        EXPECT_EQ(s.ranges.at("average").low, whole.ranges.at("average").low);
        EXPECT_EQ(s.channelRanges.at("average").high, whole.channelRanges.at("average").high);
        EXPECT_EQ(s.channelRanges.at("kl").high, whole.channelRanges.at("kl").high);
    }
    GroupPass other(group(5), true);
    EXPECT_THROW(other.merge(passOver(x, 0, 1, *device)), Error);
}

TEST(Pass, AveragesExtremesAndJudgesTokensOnHeldOutWindows) {
    const auto device = makeCpuDevice();
    const std::vector<Matrix> x = windows(4, 16, 12);
    const InputStatistics s = passOver(x, 0, 4, *device).finish({});
    double low = 0, high = 0;
    for (const std::size_t w : {0u, 2u}) {
        const auto [a, b] = std::minmax_element(x[w].data(), x[w].data() + x[w].size());
        low += static_cast<double>(*a) / 2;
        high += static_cast<double>(*b) / 2;
    }
    EXPECT_DOUBLE_EQ(s.ranges.at("average").low, low);
    EXPECT_DOUBLE_EQ(s.ranges.at("average").high, high);
    double error = 0, power = 0;
    for (const std::size_t w : {1u, 3u})
        for (std::int64_t t = 0; t < 16; ++t) {
            double largest = 0;
            for (std::int64_t c = 0; c < 12; ++c)
                largest = std::max(largest, std::abs(static_cast<double>(x[w].row(t)[c])));
            for (std::int64_t c = 0; c < 12; ++c) {
                const auto v = static_cast<double>(x[w].row(t)[c]);
                const double step = largest / 127;
                error += std::pow(v - std::nearbyint(v / step) * step, 2);
                power += v * v;
            }
        }
    // f32 codes differ where a value lies within 1e-6 of the middle of two codes.
    EXPECT_NEAR(s.heldOutTokenError, error / power, 1e-4 * error / power);
}

TEST(ChannelHistogramsTest, CountsDoNotDependOnOrder) {
    const std::vector<Matrix> x = windows(3, 50, 20);
    ChannelHistograms forward(20), backward(20), first(20), second(20);
    for (std::size_t w = 0; w < 3; ++w)
        for (std::int64_t t = 0; t < 50; ++t) {
            forward.addRow(0, x[w].row(t), 20);
            backward.addRow(0, x[2 - w].row(49 - t), 20);
            (w == 0 ? first : second).addRow(0, x[w].row(t), 20);
        }
    EXPECT_EQ(forward, backward);
    second.merge(first);
    EXPECT_EQ(forward, second);
    EXPECT_EQ(forward.count(0), 150u);
    EXPECT_EQ(forward.bins(3)[2 * ChannelHistograms::kSide], 150u) << "a channel of zeros";
    std::string bytes;
    forward.encode(bytes);
    std::string_view in = bytes;
    ChannelHistograms back;
    ASSERT_TRUE(ChannelHistograms::decode(in, 20, back));
    EXPECT_TRUE(in.empty());
    EXPECT_EQ(back, forward);
    for (const std::size_t length : {std::size_t{0}, std::size_t{39}, bytes.size() - 1}) {
        in = std::string_view(bytes).substr(0, length);
        EXPECT_FALSE(ChannelHistograms::decode(in, 20, back)) << length;
    }
    in = bytes;
    EXPECT_FALSE(ChannelHistograms::decode(in, std::int64_t{1} << 60, back)) << "nothing is allocated for a claim";
}

TEST(ChannelRangesTest, ErrorsAndRangesFollowTheValues) {
    Random random(3);
    std::vector<double> values;
    ChannelHistograms h(1);
    for (int i = 0; i < 20'000; ++i) {
        const auto v = static_cast<float>(random.normal());
        values.push_back(static_cast<double>(v));
        h.addRow(0, &v, 1);
    }
    const auto measured = [&](double clip) {
        double sum = 0;
        for (const double v : values) {
            const double code = std::clamp(std::nearbyint(v * 127 / clip), -127.0, 127.0);
            sum += std::pow(v - code * clip / 127, 2);
        }
        return sum / static_cast<double>(values.size());
    };
    // At the clip of 3 the density falls by half within a bin, an eighth of an octave, where it counts as even.
    for (const auto& [clip, tolerance] : {std::pair{4.5, 0.03}, {3.0, 0.2}, {2.0, 0.1}})
        EXPECT_NEAR(channelGridError(h, 0, clip, 8), measured(clip), tolerance * measured(clip)) << clip;
    EXPECT_NEAR(channelPower(h, 0), 1.0, 0.03);
    // The 99.9 % range of a normal distribution ends at 3.29, where a bin is 0.25 wide; only ten values lie past either end.
    const ClipRange range = channelPercentile(h, 0, 99.9);
    EXPECT_NEAR(range.high, 3.29, 0.25);
    EXPECT_NEAR(range.low, -3.29, 0.25);
    const double full = std::abs(*std::max_element(values.begin(), values.end(), [](double a, double b) { return std::abs(a) < std::abs(b); }));
    const double mse = channelMse(h, 0, full, 8);
    EXPECT_LE(measured(mse), 1.02 * measured(full));
    // At 3 bits clipping pays: the best of three levels a side for a normal lies far inside its maximum.
    EXPECT_LT(channelMse(h, 0, full, 3), 0.8 * full);
    const double kl = channelKl(h, 0, full, 8);
    EXPECT_GT(kl, 0.25 * full);
    EXPECT_LE(kl, full);
    ChannelHistograms zeros(1);
    EXPECT_EQ(channelGridError(zeros, 0, 1.0, 8), 0.0);
    EXPECT_EQ(channelKl(zeros, 0, 0.0, 8), 0.0);
}

} // namespace
} // namespace bw
