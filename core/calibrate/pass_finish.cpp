// SPDX-License-Identifier: GPL-3.0-or-later
// What follows from a pass: moments, outliers, and each calibrator's range with its error on windows it has not seen.
#include "core/base/parallel.h"
#include "core/calibrate/channel_ranges.h"
#include "core/calibrate/pass.h"

#include <algorithm>
#include <cmath>

namespace bw {
namespace {

/// An outlier: beyond six standard deviations of its group (Dettmers et al. 2022 use 6.0 on unit-variance inputs).
constexpr double kOutlierSigmas = 6.0;
/// An outlier channel: its maximum this many times the median channel's.
constexpr double kOutlierChannel = 20.0;
/// Channels that one task calibrates: a few ms.
constexpr std::int64_t kChannelsPerTask = 16;
constexpr const char* kFitted[] = {"minmax", "average", "percentile", "kl", "mse"};

/// Values of magnitude past `limit`, those of the bins it cuts taken in proportion.
double massBeyond(const RangeHistogram& h, double limit) {
    const Histogram& bins = h.histogram();
    const double half = static_cast<double>(bins.bins.size()) / 2.0;
    const double edge = limit / static_cast<double>(bins.high) * half;
    double sum = 0;
    for (std::size_t i = 0; i < bins.bins.size(); ++i) {
        const double inner = static_cast<double>(i) >= half ? static_cast<double>(i) - half : half - 1.0 - static_cast<double>(i);
        sum += static_cast<double>(bins.bins[i]) * std::clamp(inner + 1.0 - edge, 0.0, 1.0);
    }
    return sum;
}

double largerSide(const ClipRange& range) { return std::max(std::abs(range.low), std::abs(range.high)); }

} // namespace

void GroupPass::finishMoments(InputStatistics& out) const {
    ExactSum first, third, fourth;
    double second = 0;
    for (const Channel& channel : channels_) {
        out.sums.push_back(channel.first.value());
        out.sumAbsolute.push_back(channel.absolute.value());
        out.sumSquares.push_back(channel.second.value());
        out.channelLow.push_back(channel.low);
        out.channelHigh.push_back(channel.high);
        out.channelMax.push_back(std::max(std::abs(channel.low), std::abs(channel.high)));
        second += channel.second.value();
        first.add(channel.first.value());
        third.add(channel.third.value());
        fourth.add(channel.fourth.value());
    }
    std::vector<float> sorted = out.channelMax;
    const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
    std::nth_element(sorted.begin(), middle, sorted.end());
    for (const float m : out.channelMax)
        out.outlierChannels += *middle > 0 && static_cast<double>(m) > kOutlierChannel * static_cast<double>(*middle) ? 1 : 0;
    const double n = static_cast<double>(tokens_) * static_cast<double>(channels_.size());
    if (n <= 0 || second <= 0)
        return;
    const double s1 = first.value(), s3 = third.value(), s4 = fourth.value();
    const double mean = s1 / n, variance = second / n - mean * mean;
    const double central = s4 / n - 4 * mean * s3 / n + 6 * mean * mean * second / n - 3 * mean * mean * mean * mean;
    out.kurtosis = variance > 0 ? central / (variance * variance) - 3.0 : 0.0;
    const double limit = kOutlierSigmas * std::sqrt(second / n);
    double beyond = 0, total = 0;
    for (const RangeHistogram* half : {&fit_, &heldOut_})
        if (half->count() > 0) {
            beyond += massBeyond(*half, limit);
            total += static_cast<double>(half->count());
        }
    out.outlierShare = total > 0 ? beyond / total : 0.0;
}

void GroupPass::finishRanges(InputStatistics& out, const CalibrateOptions& options) const {
    auto& ranges = out.ranges;
    ranges["minmax"] = rangeMinMax(out.fit);
    const double windows = std::max(1.0, static_cast<double>(fitWindows_));
    ranges["average"] = fitWindows_ > 0 ? ClipRange{lowSum_.value() / windows, highSum_.value() / windows} : ranges["minmax"];
    ranges["percentile"] = rangePercentile(out.fit, options.percentile);
    ranges["kl"] = rangeKl(out.fit, options.bits);
    ranges["mse"] = rangeMse(out.fit, options.bits);
    const double power = rangeError(out.heldOut, {0, 0}, options.bits);
    for (const auto& [name, range] : ranges)
        out.heldOutError[name] = power > 0 ? rangeSymmetricError(out.heldOut, largerSide(range), options.bits) / power : 0.0;
    const std::size_t judged = hasHeldOut() ? 1 : 0;
    out.heldOutTokenError = tokenPower_[judged].value() > 0 ? tokenError_[judged].value() / tokenPower_[judged].value() : 0.0;
}

void GroupPass::finishChannelRanges(InputStatistics& out, const CalibrateOptions& options) const {
    const auto n = static_cast<std::int64_t>(channels_.size());
    const bool all = options.perChannel && !fitChannels_.empty();
    for (const char* name : kFitted)
        if (all || std::string_view(name) == "minmax" || std::string_view(name) == "average")
            out.channelRanges[name] = {std::vector<float>(channels_.size()), std::vector<float>(channels_.size())};
    const ChannelHistograms& fit = fitWindows_ > 0 ? fitChannels_ : heldOutChannels_;
    const ChannelHistograms& judged = hasHeldOut() ? heldOutChannels_ : fitChannels_;
    const double windows = std::max(1.0, static_cast<double>(fitWindows_));
    std::map<std::string, std::vector<double>> errors;
    for (const auto& [name, ranges] : out.channelRanges)
        errors[name].assign(all ? channels_.size() : 0, 0.0);
    std::vector<double> power(all ? channels_.size() : 0);
    parallelFor((n + kChannelsPerTask - 1) / kChannelsPerTask, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t c = begin * kChannelsPerTask; c < std::min(n, end * kChannelsPerTask); ++c) {
            const auto at = static_cast<std::size_t>(c);
            const Channel& channel = channels_[at];
            std::map<std::string, ClipRange> found;
            // An expert that no fitted window reached is known by its held-out ones.
            found["minmax"] = fitWindows_ > 0 ? ClipRange{static_cast<double>(channel.fitLow), static_cast<double>(channel.fitHigh)}
                                              : ClipRange{static_cast<double>(channel.low), static_cast<double>(channel.high)};
            found["average"] = fitWindows_ > 0 ? ClipRange{channel.lowSum.value() / windows, channel.highSum.value() / windows} : found["minmax"];
            if (all) {
                const double full = largerSide(found["minmax"]);
                const double kl = channelKl(fit, c, full, options.bits), mse = channelMse(fit, c, full, options.bits);
                const ClipRange percentile = channelPercentile(fit, c, options.percentile);
                found["percentile"] = {std::max(percentile.low, found["minmax"].low), std::min(percentile.high, found["minmax"].high)};
                found["kl"] = {-kl, kl};
                found["mse"] = {-mse, mse};
                power[at] = channelPower(judged, c) * static_cast<double>(judged.count(c));
            }
            for (const auto& [name, range] : found) {
                out.channelRanges.at(name).low[at] = static_cast<float>(range.low);
                out.channelRanges.at(name).high[at] = static_cast<float>(range.high);
                if (all)
                    errors.at(name)[at] = channelGridError(judged, c, largerSide(range), options.bits) * static_cast<double>(judged.count(c));
            }
        }
    });
    double total = 0;
    for (const double p : power)
        total += p;
    for (const auto& [name, values] : errors) {
        double sum = 0;
        for (const double e : values)
            sum += e;
        if (all)
            out.heldOutChannelError[name] = total > 0 ? sum / total : 0.0;
    }
}

InputStatistics GroupPass::finish(const CalibrateOptions& options) const {
    InputStatistics out;
    out.group = group_;
    out.sites = sites_;
    out.tokens = tokens_;
    out.fit = fitWindows_ > 0 ? fit_ : heldOut_;
    out.heldOut = hasHeldOut() ? heldOut_ : fit_;
    out.tokenRms = tokenRms_;
    finishMoments(out);
    finishRanges(out, options);
    finishChannelRanges(out, options);
    return out;
}

} // namespace bw
