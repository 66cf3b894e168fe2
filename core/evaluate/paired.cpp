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

/// Blocks of nearly equal length inside each window.
std::vector<detail::MeanError> blockMeans(std::span<const double> differences, std::int64_t windows, std::vector<double>& weights) {
    const auto n = static_cast<std::int64_t>(differences.size());
    const std::int64_t length = n / windows;
    std::int64_t parts = 1;
    if (windows < kLeastBlocks) parts = std::clamp<std::int64_t>(length / kLeastTokens, 1, (kLeastBlocks + windows - 1) / windows);
    std::vector<detail::MeanError> means;
    for (std::int64_t w = 0; w < windows; ++w)
        for (std::int64_t p = 0; p < parts; ++p) {
            const std::int64_t first = w * length + p * length / parts, last = w * length + (p + 1) * length / parts;
            means.push_back(detail::meanOf(differences.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(last - first))));
            weights.push_back(static_cast<double>(last - first));
        }
    return means;
}

} // namespace

PairedDifference pairedDifference(std::span<const float> a, std::span<const float> b, std::int64_t windows, const PairedOptions& options) {
    if (a.size() != b.size() || a.empty())
        throw Error(ErrorCode::usage, fmt::format("{} and {} tokens can't be compared in pairs", a.size(), b.size()), "Compare runs over the same texts and protocol.");
    if (windows < 1 || static_cast<std::int64_t>(a.size()) % windows != 0) windows = 1;
    std::vector<double> differences(a.size());
    for (std::size_t i = 0; i < a.size(); ++i) differences[i] = static_cast<double>(b[i]) - static_cast<double>(a[i]);
    std::vector<double> weights;
    const std::vector<detail::MeanError> means = blockMeans(differences, windows, weights);
    PairedDifference out;
    out.blocks = static_cast<std::int64_t>(means.size());
    out.blockTokens = static_cast<std::int64_t>(a.size()) / out.blocks;
    out.difference = detail::meanOf(differences).mean;
    if (means.size() < 2) {
        out.standardError = out.high = std::numeric_limits<double>::infinity();
        out.low = -out.high;
        return out;
    }
    Random random(options.seed);
    std::vector<double> drawn(static_cast<std::size_t>(std::max<std::int64_t>(2, options.resamples)));
    // A draw of n of n blocks spreads less than the truth by √((n−1)/n).
    const double widen = std::sqrt(static_cast<double>(means.size()) / static_cast<double>(means.size() - 1));
    for (double& value : drawn) {
        double sum = 0, weight = 0;
        for (std::size_t k = 0; k < means.size(); ++k) {
            const auto block = static_cast<std::size_t>(random.below(means.size()));
            sum += means[block].mean * weights[block];
            weight += weights[block];
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

} // namespace bw
