// SPDX-License-Identifier: GPL-3.0-or-later
// Collecting: every window's inputs are folded into sums and histograms as they pass, nothing is kept of them.
#include "core/calibrate/pass.h"

#include "core/base/error.h"
#include "core/base/parallel.h"

#include <algorithm>
#include <cfloat>
#include <cmath>

namespace bw {
namespace {

/// Channels added by one thread at a time.
constexpr std::int64_t kChannels = 64;

/// The least and largest of all.
std::pair<float, float> extremesOf(const InputSums& sums) {
    std::pair<float, float> all{FLT_MAX, -FLT_MAX};
    for (const InputSums::Channel& c : sums.channels)
        all = {std::min(all.first, c.low), std::max(all.second, c.high)};
    return all;
}

bool isFinite(const std::pair<float, float>& extremes) { return extremes.first >= -FLT_MAX && extremes.second <= FLT_MAX; }

} // namespace

GroupPass::GroupPass(const InputGroup& group, bool perChannel) : group_(group.name), sites_(group.sites), channels_(static_cast<std::size_t>(group.width)), tokenRms_(1) {
    if (perChannel) {
        fitChannels_ = ChannelHistograms(group.width);
        heldOutChannels_ = ChannelHistograms(group.width);
    }
}

void GroupPass::add(std::int64_t window, MatrixView<const float> x, Device& device) {
    InputSums sums;
    device.inputSums(x, sums);
    add(window, x, sums, device);
}

void GroupPass::add(std::int64_t window, MatrixView<const float> x, const InputSums& sums, Device& device) {
    if (x.rows == 0)
        return;
    const bool fitted = window % 2 == 0;
    const std::pair<float, float> extremes = extremesOf(sums);
    // What the device can fail at comes first, and is added to nothing yet but by the last of it.
    const bool counts = device.keepsResults() && isFinite(extremes);
    ChannelHistograms& histograms = fitted ? fitChannels_ : heldOutChannels_;
    ChannelHistograms::Counted counted;
    if (!histograms.empty() && counts)
        counted = histograms.counted(x, sums.channels, device);
    if (!counts || x.stride != x.cols)
        device.toHost(x);
    RangeHistogram& histogram = fitted ? fit_ : heldOut_;
    if (x.stride != x.cols)
        for (std::int64_t t = 0; t < x.rows; ++t)
            histogram.add(x.rowSpan(t), device);
    else if (isFinite(extremes))
        histogram.add({x.data, static_cast<std::size_t>(x.size())}, extremes.first, extremes.second, device);
    else
        histogram.add({x.data, static_cast<std::size_t>(x.size())}, device);
    if (!histograms.empty() && counts)
        histograms.add(counted);
    parallelFor((x.cols + kChannels - 1) / kChannels, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t p = begin; p < end; ++p) {
            const std::int64_t first = p * kChannels, last = std::min(x.cols, first + kChannels);
            addChannels(sums, first, last, fitted);
            for (std::int64_t t = 0; !histograms.empty() && !counts && t < x.rows; ++t)
                histograms.addRow(first, x.row(t) + first, last - first);
        }
    });
    if (fitted) {
        lowSum_.add(static_cast<double>(extremes.first));
        highSum_.add(static_cast<double>(extremes.second));
        ++fitWindows_;
    }
    addTokens(sums, !fitted);
    tokens_ += x.rows;
}

void GroupPass::addChannels(const InputSums& sums, std::int64_t begin, std::int64_t end, bool fitted) {
    const bool firstWindow = tokens_ == 0, firstFit = fitWindows_ == 0;
    for (std::int64_t c = begin; c < end; ++c) {
        Channel& channel = channels_[static_cast<std::size_t>(c)];
        const InputSums::Channel& sum = sums.channels[static_cast<std::size_t>(c)];
        channel.first.add(sum.first);
        channel.absolute.add(sum.absolute);
        channel.second.add(sum.second);
        channel.third.add(sum.third);
        channel.fourth.add(sum.fourth);
        channel.low = firstWindow ? sum.low : std::min(channel.low, sum.low);
        channel.high = firstWindow ? sum.high : std::max(channel.high, sum.high);
        if (!fitted)
            continue;
        channel.fitLow = firstFit ? sum.low : std::min(channel.fitLow, sum.low);
        channel.fitHigh = firstFit ? sum.high : std::max(channel.fitHigh, sum.high);
        channel.lowSum.add(static_cast<double>(sum.low));
        channel.highSum.add(static_cast<double>(sum.high));
    }
}

void GroupPass::addTokens(const InputSums& sums, bool heldOut) {
    double error = 0, power = 0;
    const auto width = static_cast<double>(channels_.size());
    for (const InputSums::Row& row : sums.rows) {
        error += row.error;
        power += row.power;
        const auto rms = static_cast<float>(std::sqrt(row.power / width));
        tokenRms_.addRow(0, &rms, 1);
    }
    tokenError_[heldOut ? 1 : 0].add(error);
    tokenPower_[heldOut ? 1 : 0].add(power);
}

void GroupPass::merge(const GroupPass& other) {
    if (other.group_ != group_ || other.channels_.size() != channels_.size() || other.fitChannels_.empty() != fitChannels_.empty())
        throw Error(ErrorCode::usage, "statistics of '" + group_ + "' and of '" + other.group_ + "' can't be added", "merge passes over the same model with the same options");
    if (other.tokens_ == 0)
        return;
    for (std::size_t c = 0; c < channels_.size(); ++c) {
        Channel& mine = channels_[c];
        const Channel& theirs = other.channels_[c];
        for (const auto member : {&Channel::first, &Channel::absolute, &Channel::second, &Channel::third, &Channel::fourth, &Channel::lowSum, &Channel::highSum})
            (mine.*member).add(theirs.*member);
        mine.low = tokens_ == 0 ? theirs.low : std::min(mine.low, theirs.low);
        mine.high = tokens_ == 0 ? theirs.high : std::max(mine.high, theirs.high);
        if (other.fitWindows_ == 0)
            continue;
        mine.fitLow = fitWindows_ == 0 ? theirs.fitLow : std::min(mine.fitLow, theirs.fitLow);
        mine.fitHigh = fitWindows_ == 0 ? theirs.fitHigh : std::max(mine.fitHigh, theirs.fitHigh);
    }
    lowSum_.add(other.lowSum_);
    highSum_.add(other.highSum_);
    for (const int half : {0, 1}) {
        tokenError_[half].add(other.tokenError_[half]);
        tokenPower_[half].add(other.tokenPower_[half]);
    }
    fit_.merge(other.fit_);
    heldOut_.merge(other.heldOut_);
    tokenRms_.merge(other.tokenRms_);
    if (!fitChannels_.empty()) {
        fitChannels_.merge(other.fitChannels_);
        heldOutChannels_.merge(other.heldOutChannels_);
    }
    tokens_ += other.tokens_;
    fitWindows_ += other.fitWindows_;
}

ChannelHistograms GroupPass::channels() const {
    ChannelHistograms all = fitChannels_;
    if (!all.empty())
        all.merge(heldOutChannels_);
    return all;
}

void GroupPass::forgetChannels() {
    fitChannels_.clear();
    heldOutChannels_.clear();
}

void mergePasses(std::vector<GroupPass>& into, const std::vector<GroupPass>& from) {
    if (into.size() != from.size())
        throw Error(ErrorCode::usage, "passes over models with different inputs can't be merged", "merge passes over the same model");
    for (std::size_t g = 0; g < into.size(); ++g)
        into[g].merge(from[g]);
}

} // namespace bw
