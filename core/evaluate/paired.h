// SPDX-License-Identifier: GPL-3.0-or-later
// Is one run better than another on the same tokens? Neighbouring tokens of a text are not independent, so whole blocks of
// them are drawn anew (block bootstrap, Künsch 1989), pairs kept together.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace bw {

/// Of b − a. All in the unit of the values.
struct PairedDifference {
    double difference = 0, standardError = 0;
    double low = 0, high = 0;   ///< interval of the asked confidence
    std::int64_t blocks = 0, blockTokens = 0; ///< tokens: on average
    /// Zero is outside the interval.
    bool distinguishable() const { return low > 0 || high < 0; }
};

struct PairedOptions {
    std::int64_t resamples = 2000;
    double confidence = 0.95;
    std::uint64_t seed = 1234;
};

/// @param a, b values of the same tokens in the same order, `windows` runs of equal length one after the other. Windows are
/// the blocks when there are at least twelve; else each is cut into parts of no fewer than 16 tokens. Without two blocks
/// nothing is known: the interval is infinite.
/// @throws Error(usage) for different lengths or none. Cost: resamples × blocks.
PairedDifference pairedDifference(std::span<const float> a, std::span<const float> b, std::int64_t windows, const PairedOptions& options = {});

/// The same with blocks of given lengths, documents say: whole ones are drawn, long ones weigh more. Fewer than
/// kLeastDocuments tell nothing: the interval is infinite.
/// @throws Error(usage) also for lengths that do not add up to the values, or none ≥ 1.
PairedDifference pairedByBlocks(std::span<const float> a, std::span<const float> b, std::span<const std::int64_t> lengths, const PairedOptions& options = {});
/// Intervals from fewer blocks than this miss the truth far too often.
inline constexpr std::int64_t kLeastDocuments = 12;

} // namespace bw
