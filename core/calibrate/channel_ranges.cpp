// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/calibrate/channel_ranges.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace bw {
namespace {

constexpr int kSide = ChannelHistograms::kSide;
constexpr int kZeroBin = 2 * kSide;
constexpr int kCandidates = 24;
constexpr double kShrink = 1.0 / 12; ///< octaves between two candidates

/// Magnitudes of a channel: edges of the bins from 0 (the first is the bin around zero) and their counts.
struct Folded {
    std::array<double, kSide + 2> edge{};
    std::array<double, kSide + 1> count{};
    double total = 0;
};

/// @param limit no value is larger: the bin that holds it ends there.
Folded foldedOf(const ChannelHistograms& h, std::int64_t channel, double limit = std::numeric_limits<double>::infinity()) {
    Folded out;
    const auto bins = h.bins(channel);
    out.count[0] = bins[kZeroBin];
    for (int i = 0; i < kSide; ++i) {
        const auto at = static_cast<std::size_t>(i);
        out.edge[at + 1] = h.edge(channel, i);
        out.count[at + 1] = static_cast<double>(bins[at]) + static_cast<double>(bins[at + kSide]);
    }
    out.edge[kSide + 1] = h.edge(channel, kSide);
    for (double& edge : out.edge)
        edge = std::min(edge, limit);
    for (const double c : out.count)
        out.total += c;
    return out;
}

/// ∫₀ᵘ (t − min(rne(t), levels))² dt: a twelfth for every whole cell and the rest of a cubic.
double errorIntegral(double u, double levels) {
    const double code = std::min(std::nearbyint(u), levels), rest = u - code;
    return code / 12.0 + rest * rest * rest / 3.0;
}

double powerOf(const Folded& f) {
    double sum = 0;
    for (std::size_t i = 0; i < f.count.size(); ++i)
        if (f.count[i] > 0) {
            const double a = f.edge[i], b = f.edge[i + 1];
            sum += f.count[i] * (a * a + a * b + b * b) / 3.0;
        }
    return f.total > 0 ? sum / f.total : 0.0;
}

double gridError(const Folded& f, double clip, int bits) {
    if (!(clip > 0))
        return powerOf(f);
    const double levels = std::ldexp(1.0, bits - 1) - 1.0, step = clip / levels;
    double sum = 0;
    for (std::size_t i = 0; i < f.count.size(); ++i) {
        const double width = (f.edge[i + 1] - f.edge[i]) / step;
        if (f.count[i] > 0 && width > 0)
            sum += f.count[i] * (errorIntegral(f.edge[i + 1] / step, levels) - errorIntegral(f.edge[i] / step, levels)) / width;
    }
    return f.total > 0 ? sum / f.total * step * step : 0.0;
}

/// KL divergence of a reference whose mass past `clip` stands in the last level, from one that has the unclipped mass of
/// each level spread evenly over it.
double clippedDivergence(const Folded& f, double clip, int levels) {
    double inside = 0, cross = 0, self = 0, edgeLevel = 0;
    const double width = clip / levels;
    std::size_t bin = 0;
    for (int j = 0; j < levels; ++j) {
        const double low = j * width, high = j + 1 == levels ? clip : (j + 1) * width;
        double mass = 0, levelSelf = 0;
        while (bin > 0 && f.edge[bin] > low)
            --bin;
        for (std::size_t i = bin; i < f.count.size() && f.edge[i] < high; ++i) {
            bin = i;
            const double part = std::min(high, f.edge[i + 1]) - std::max(low, f.edge[i]);
            if (!(part > 0) || f.count[i] <= 0)
                continue;
            const double density = f.count[i] / (f.edge[i + 1] - f.edge[i]), m = density * part;
            mass += m;
            levelSelf += m * std::log(density);
        }
        if (mass <= 0)
            continue;
        inside += mass;
        self += levelSelf;
        edgeLevel = j + 1 == levels ? mass : 0.0;
        cross += mass * std::log(mass / width);
    }
    const double clipped = f.total - inside;
    if (inside <= 0 || (clipped > 1e-9 * f.total && edgeLevel <= 0))
        return std::numeric_limits<double>::infinity();
    if (clipped > 0 && edgeLevel > 0) {
        // The clipped mass lies on top of the last level, whose density grows by this factor.
        const double grown = edgeLevel + clipped;
        self += grown * std::log(grown / width) - edgeLevel * std::log(edgeLevel / width);
        cross += clipped * std::log(edgeLevel / width);
    }
    return (self - cross) / f.total - std::log(f.total) + std::log(inside);
}

template <class Cost>
double bestClip(double full, Cost cost) {
    double best = full, least = std::numeric_limits<double>::infinity();
    for (int k = 0; k < kCandidates; ++k) {
        const double clip = full * std::exp2(-k * kShrink), value = cost(clip);
        if (value < least) {
            least = value;
            best = clip;
        }
    }
    return best;
}

} // namespace

double channelGridError(const ChannelHistograms& h, std::int64_t channel, double clip, int bits) { return gridError(foldedOf(h, channel), clip, bits); }

double channelPower(const ChannelHistograms& h, std::int64_t channel) { return powerOf(foldedOf(h, channel)); }

ClipRange channelPercentile(const ChannelHistograms& h, std::int64_t channel, double percent) {
    const auto bins = h.bins(channel);
    const double cut = static_cast<double>(h.count(channel)) * (100.0 - std::clamp(percent, 0.0, 100.0)) / 200.0;
    /// From the far end of one side inwards; past its bins come the one around zero and the other side.
    const auto end = [&](std::size_t near, std::size_t far) {
        double passed = 0;
        const auto part = [&](double count, double from, double to) { return from + (to - from) * (cut - passed) / count; };
        for (int i = kSide - 1; i >= 0; --i) {
            const double count = bins[near + static_cast<std::size_t>(i)];
            if (passed + count > cut)
                return part(count, h.edge(channel, i + 1), h.edge(channel, i));
            passed += count;
        }
        const double zero = bins[kZeroBin], inner = h.edge(channel, 0);
        if (passed + zero > cut)
            return part(zero, inner, -inner);
        passed += zero;
        for (int i = 0; i < kSide; ++i) {
            const double count = bins[far + static_cast<std::size_t>(i)];
            if (passed + count > cut)
                return -part(count, h.edge(channel, i), h.edge(channel, i + 1));
            passed += count;
        }
        return 0.0;
    };
    return {-end(kSide, 0), end(0, kSide)};
}

double channelMse(const ChannelHistograms& h, std::int64_t channel, double full, int bits) {
    const Folded f = foldedOf(h, channel, full);
    return bestClip(full, [&](double clip) { return gridError(f, clip, bits); });
}

double channelKl(const ChannelHistograms& h, std::int64_t channel, double full, int bits) {
    const Folded f = foldedOf(h, channel, full);
    if (!(full > 0) || f.total <= 0)
        return full;
    return bestClip(full, [&](double clip) { return clippedDivergence(f, clip, 1 << (bits - 1)); });
}

} // namespace bw
