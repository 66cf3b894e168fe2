// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/calibrate/channel_histograms.h"

#include "core/base/error.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <fmt/format.h>

namespace bw {
namespace {

constexpr int kStepBits = 3; ///< of the mantissa that tell the bins of an octave apart
static_assert((1 << kStepBits) == ChannelHistograms::kPerOctave);
constexpr int kShift = 23 - kStepBits;
constexpr std::uint32_t kInfinity = 0x7f800000u;
constexpr int kBias = 127;
/// Exponents that a float's magnitude can have as limits: 2^−126 (denormals) … 2^128.
constexpr int kLeastTop = -126, kMostTop = 128;

} // namespace

ChannelHistograms::ChannelHistograms(std::int64_t channels)
    : counts_(static_cast<std::size_t>(channels * kBins), 0u), top_(static_cast<std::size_t>(channels), kNothing) {}

void ChannelHistograms::clear() { *this = ChannelHistograms(); }

void ChannelHistograms::raise(std::int64_t channel, int exponent) {
    std::int16_t& top = top_[static_cast<std::size_t>(channel)];
    if (exponent <= top)
        return;
    if (top != kNothing) {
        std::uint32_t* const bins = counts_.data() + channel * kBins;
        const int gone = std::min(kSide, (exponent - top) * kPerOctave);
        for (std::uint32_t* side : {bins, bins + kSide}) {
            for (int i = 0; i < gone; ++i)
                bins[2 * kSide] += side[i];
            std::copy(side + gone, side + kSide, side);
            std::fill(side + kSide - gone, side + kSide, 0u);
        }
    }
    top = static_cast<std::int16_t>(exponent);
}

void ChannelHistograms::addRow(std::int64_t first, const float* row, std::int64_t n) {
    for (std::int64_t c = 0; c < n; ++c) {
        const auto bits = std::bit_cast<std::uint32_t>(row[c]);
        const std::uint32_t magnitude = bits & 0x7fffffffu;
        if (magnitude >= kInfinity)
            continue;
        const std::int64_t channel = first + c;
        std::uint32_t* const bins = counts_.data() + channel * kBins;
        if (magnitude == 0) {
            ++bins[2 * kSide];
            continue;
        }
        const int exponent = static_cast<int>(magnitude >> 23) - kBias + 1; // |x| < 2^exponent
        if (exponent > top_[static_cast<std::size_t>(channel)])
            raise(channel, exponent);
        const int least = (top_[static_cast<std::size_t>(channel)] + kBias - kOctaves) * kPerOctave;
        const int bin = static_cast<int>(magnitude >> kShift) - least;
        ++bins[bin < 0 ? 2 * kSide : bin + ((bits >> 31) != 0 ? kSide : 0)];
    }
}

ChannelHistograms::Counted ChannelHistograms::counted(MatrixView<const float> x, std::span<const InputSums::Channel> known, Device& device) const {
    Counted out{top_, std::vector<std::uint32_t>(counts_.size(), 0u)};
    std::vector<std::int32_t> least(top_.size());
    for (std::size_t c = 0; c < top_.size(); ++c) {
        const auto bits = std::bit_cast<std::uint32_t>(std::max(std::abs(known[c].low), std::abs(known[c].high)));
        if (bits > 0)
            out.tops[c] = std::max(out.tops[c], static_cast<std::int16_t>(static_cast<int>(bits >> 23) - kBias + 1));
        least[c] = (out.tops[c] + kBias - kOctaves) * kPerOctave;
    }
    device.logHistograms(x, least, kSide, out.counts);
    return out;
}

void ChannelHistograms::add(const Counted& counted) {
    for (std::size_t c = 0; c < top_.size(); ++c)
        raise(static_cast<std::int64_t>(c), counted.tops[c]);
    for (std::size_t i = 0; i < counts_.size(); ++i)
        counts_[i] += counted.counts[i];
}

void ChannelHistograms::merge(const ChannelHistograms& other) {
    if (other.channels() != channels())
        throw Error(ErrorCode::usage, fmt::format("histograms of {} and of {} channels can't be added", channels(), other.channels()));
    ChannelHistograms theirs = other;
    for (std::int64_t channel = 0; channel < channels(); ++channel) {
        const auto c = static_cast<std::size_t>(channel);
        const int top = std::max(top_[c], theirs.top_[c]);
        raise(channel, top);
        theirs.raise(channel, top);
        for (int i = 0; i < kBins; ++i)
            counts_[c * kBins + static_cast<std::size_t>(i)] += theirs.counts_[c * kBins + static_cast<std::size_t>(i)];
    }
}

std::uint64_t ChannelHistograms::count(std::int64_t channel) const {
    std::uint64_t sum = 0;
    for (const std::uint32_t n : bins(channel))
        sum += n;
    return sum;
}

double ChannelHistograms::edge(std::int64_t channel, int i) const {
    const int top = top_[static_cast<std::size_t>(channel)];
    if (top == kNothing)
        return 0;
    const int octave = i / kPerOctave;
    return std::ldexp(1.0 + static_cast<double>(i % kPerOctave) / kPerOctave, top - kOctaves + octave);
}

void ChannelHistograms::encode(std::string& out) const {
    for (const std::int16_t top : top_) {
        const auto bits = static_cast<std::uint16_t>(top);
        out.push_back(static_cast<char>(bits & 0xff));
        out.push_back(static_cast<char>(bits >> 8));
    }
    for (std::uint32_t count : counts_) {
        for (; count >= 0x80; count >>= 7)
            out.push_back(static_cast<char>(0x80 | (count & 0x7f)));
        out.push_back(static_cast<char>(count));
    }
}

bool ChannelHistograms::decode(std::string_view& in, std::int64_t channels, ChannelHistograms& out) {
    // Every channel takes at least two bytes and one a bin: a claim of more is no file of ours, and nothing is allocated for it.
    if (channels < 0 || in.size() / (2 + kBins) < static_cast<std::uint64_t>(channels))
        return false;
    out = ChannelHistograms(channels);
    for (std::int16_t& top : out.top_) {
        top = static_cast<std::int16_t>(static_cast<std::uint16_t>(static_cast<unsigned char>(in[0]) | (static_cast<unsigned char>(in[1]) << 8)));
        in.remove_prefix(2);
        if (top != kNothing && (top < kLeastTop || top > kMostTop))
            return false;
    }
    for (std::uint32_t& count : out.counts_) {
        std::uint64_t value = 0;
        for (int shift = 0;; shift += 7) {
            if (in.empty() || shift > 28)
                return false;
            const auto byte = static_cast<unsigned char>(in.front());
            in.remove_prefix(1);
            value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
            if (byte < 0x80)
                break;
        }
        if (value > UINT32_MAX)
            return false;
        count = static_cast<std::uint32_t>(value);
    }
    return true;
}

} // namespace bw
