// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/evaluate/paired.h"

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/evaluate/statistics.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <limits>
#include <vector>

namespace bw {
namespace {

constexpr std::int64_t kLeastBlocks = 12; ///< fewer give intervals that miss the truth far too often
constexpr std::int64_t kLeastTokens = 16; ///< of a block: correlations of a model's scores die out within a few tokens

/// Lengths of blocks of nearly equal length inside each window.
std::vector<std::int64_t> blocksOfWindows(std::int64_t tokens, std::int64_t windows) {
    const std::int64_t length = tokens / windows;
    std::int64_t parts = 1;
    if (windows < kLeastBlocks) parts = std::clamp<std::int64_t>(length / kLeastTokens, 1, (kLeastBlocks + windows - 1) / windows);
    std::vector<std::int64_t> lengths;
    for (std::int64_t w = 0; w < windows; ++w)
        for (std::int64_t p = 0; p < parts; ++p)
            lengths.push_back((p + 1) * length / parts - p * length / parts);
    return lengths;
}

PairedDifference unknown(double difference, std::size_t blocks, std::size_t tokens) {
    PairedDifference out;
    out.difference = difference;
    out.blocks = static_cast<std::int64_t>(blocks);
    out.blockTokens = static_cast<std::int64_t>(tokens / std::max<std::size_t>(1, blocks));
    out.standardError = out.high = std::numeric_limits<double>::infinity();
    out.low = -out.high;
    return out;
}

std::vector<double> differencesOf(std::span<const float> a, std::span<const float> b) {
    if (a.size() != b.size() || a.empty())
        throw Error(ErrorCode::usage, fmt::format("{} and {} tokens can't be compared in pairs", a.size(), b.size()), "Compare runs over the same texts and protocol.");
    std::vector<double> out(a.size());
    for (std::size_t i = 0; i < a.size(); ++i) out[i] = static_cast<double>(b[i]) - static_cast<double>(a[i]);
    return out;
}

PairedDifference bootstrap(const std::vector<double>& differences, std::span<const std::int64_t> lengths, const PairedOptions& options) {
    std::vector<double> sums;
    std::size_t at = 0;
    for (const std::int64_t length : lengths) {
        double sum = 0;
        for (std::int64_t i = 0; i < length; ++i) sum += differences[at++];
        sums.push_back(sum);
    }
    PairedDifference out = unknown(detail::meanOf(differences).mean, sums.size(), differences.size());
    if (sums.size() < 2) return out;
    Random random(options.seed);
    std::vector<double> drawn(static_cast<std::size_t>(std::max<std::int64_t>(2, options.resamples)));
    // A draw of n of n blocks spreads less than the truth by √((n−1)/n).
    const double widen = std::sqrt(static_cast<double>(sums.size()) / static_cast<double>(sums.size() - 1));
    for (double& value : drawn) {
        double sum = 0, weight = 0;
        for (std::size_t k = 0; k < sums.size(); ++k) {
            const auto block = static_cast<std::size_t>(random.below(sums.size()));
            sum += sums[block];
            weight += static_cast<double>(lengths[block]);
        }
        value = widen * (sum / weight - out.difference);
    }
    std::sort(drawn.begin(), drawn.end());
    const double tail = (1 - options.confidence) / 2;
    out.standardError = detail::meanOf(drawn).error * std::sqrt(static_cast<double>(drawn.size()));
    // Basic interval: what a draw is off from the sample, the sample is off from the truth, the other way round.
    out.low = out.difference - detail::quantile(drawn, 1 - tail);
    out.high = out.difference - detail::quantile(drawn, tail);
    return out;
}

} // namespace

PairedDifference pairedDifference(std::span<const float> a, std::span<const float> b, std::int64_t windows, const PairedOptions& options) {
    const std::vector<double> differences = differencesOf(a, b);
    if (windows < 1 || static_cast<std::int64_t>(a.size()) % windows != 0) windows = 1;
    return bootstrap(differences, blocksOfWindows(static_cast<std::int64_t>(a.size()), windows), options);
}

PairedDifference pairedByBlocks(std::span<const float> a, std::span<const float> b, std::span<const std::int64_t> lengths, const PairedOptions& options) {
    const std::vector<double> differences = differencesOf(a, b);
    std::int64_t sum = 0;
    for (const std::int64_t length : lengths) {
        if (length < 1 || length > static_cast<std::int64_t>(a.size()) - sum) sum = INT64_MIN / 2;
        else sum += length;
        if (sum < 0) break;
    }
    if (sum != static_cast<std::int64_t>(a.size()))
        throw Error(ErrorCode::usage, fmt::format("{} blocks do not add up to {} tokens", lengths.size(), a.size()), "give each block's length in tokens, in their order");
    if (static_cast<std::int64_t>(lengths.size()) < kLeastDocuments) return unknown(detail::meanOf(differences).mean, lengths.size(), a.size());
    return bootstrap(differences, lengths, options);
}

} // namespace bw
