// SPDX-License-Identifier: GPL-3.0-or-later
// Log-binned histograms of signed values, one per channel: 8 bins an octave over the 12 octaves below each channel's
// largest magnitude, and one bin around zero for what is smaller (less than a hundredth of an 8-bit step). The counts are
// the same in whatever order and parts values were added. Not for: per-tensor ranges, which have finer, equal bins (ranges.h).
#pragma once

#include "core/compute/device.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bw {

class ChannelHistograms {
public:
    static constexpr int kOctaves = 12, kPerOctave = 8;
    static constexpr int kSide = kOctaves * kPerOctave; ///< bins of one sign
    static constexpr int kBins = 2 * kSide + 1;         ///< kSide positive, kSide negative, both by rising magnitude, then zero

    explicit ChannelHistograms(std::int64_t channels = 0);
    std::int64_t channels() const { return static_cast<std::int64_t>(top_.size()); }
    bool empty() const { return top_.empty(); }
    void clear();

    /// Counts row[0…n) as one value each of the channels first, first+1, …; not-finite values are left out. Different
    /// channels may be worked on by different threads.
    void addRow(std::int64_t first, const float* row, std::int64_t n);
    /// Counts of all of x, T×channels and finite, as the device makes them. @param known their extremes. @throws DeviceLost.
    struct Counted {
        std::vector<std::int16_t> tops;
        std::vector<std::uint32_t> counts;
    };
    Counted counted(MatrixView<const float> x, std::span<const InputSums::Channel> known, Device& device) const;
    void add(const Counted& counted); ///< to what was here when it was made
    /// As if all of `other`'s values had been added here. @throws Error(usage) for another number of channels.
    void merge(const ChannelHistograms& other);

    std::uint64_t count(std::int64_t channel) const;
    std::span<const std::uint32_t> bins(std::int64_t channel) const { return {counts_.data() + channel * kBins, static_cast<std::size_t>(kBins)}; }
    /// All magnitudes are below 2^limitExponent; very negative where only zeros were seen.
    int limitExponent(std::int64_t channel) const { return top_[static_cast<std::size_t>(channel)]; }
    /// Magnitudes [low, high) of positive bin i of a channel (negative ones mirror it); the zero bin reaches to edge(0).
    /// edge(i) is the lower edge of bin i, edge(kSide) the upper edge of the last.
    double edge(std::int64_t channel, int i) const;

    /// Bytes for a file: exponents, then counts as variable-length integers. decode() accepts nothing but what encode() writes.
    void encode(std::string& out) const;
    static bool decode(std::string_view& in, std::int64_t channels, ChannelHistograms& out);

    friend bool operator==(const ChannelHistograms&, const ChannelHistograms&) = default;

private:
    static constexpr std::int16_t kNothing = -1000; ///< exponent of a channel that saw zeros only
    void raise(std::int64_t channel, int exponent);
    std::vector<std::uint32_t> counts_;
    std::vector<std::int16_t> top_;
};

} // namespace bw
