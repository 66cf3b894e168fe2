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

/// Channels summed by one thread at a time; fixed, so that sums do not depend on the number of threads.
constexpr std::int64_t kChannels = 64;
/// Tokens whose own 8-bit grids one task lays.
constexpr std::int64_t kTokens = 16;
/// Levels on one side of the 8-bit grid that a token is judged on.
constexpr float kTokenLevels = 127.0f;
/// Adding and subtracting 1.5·2^23 rounds a float of |x| < 2^22 to the nearest integer, ties to even.
constexpr float kRoundingShift = 12582912.0f;

/// Squared error and power of one token rounded to its own grid.
void judgeToken(std::span<const float> row, double& error, double& power) {
    float largest = 0;
    for (const float v : row)
        largest = std::max(largest, std::abs(v));
    const float step = largest / kTokenLevels;
    error = power = 0;
    if (!(step > 0) || !(largest <= FLT_MAX))
        return;
    const float inverse = kTokenLevels / largest;
    for (const float v : row) {
        const float code = (v * inverse + kRoundingShift) - kRoundingShift;
        const auto rest = static_cast<double>(v - code * step), value = static_cast<double>(v);
        error += rest * rest;
        power += value * value;
    }
}

/// Sums over one window of one piece of channels.
struct WindowSums {
    double first[kChannels] = {}, absolute[kChannels] = {}, second[kChannels] = {}, third[kChannels] = {}, fourth[kChannels] = {};
    float low[kChannels], high[kChannels];
};

void sumWindow(MatrixView<const float> x, std::int64_t begin, std::int64_t n, WindowSums& sums) {
    std::fill(sums.low, sums.low + kChannels, FLT_MAX);
    std::fill(sums.high, sums.high + kChannels, -FLT_MAX);
    for (std::int64_t t = 0; t < x.rows; ++t) {
        const float* row = x.row(t) + begin;
        for (std::int64_t c = 0; c < n; ++c) {
            const auto v = static_cast<double>(row[c]);
            const double square = v * v;
            sums.first[c] += v;
            sums.absolute[c] += std::abs(v);
            sums.second[c] += square;
            sums.third[c] += square * v;
            sums.fourth[c] += square * square;
            sums.low[c] = std::min(sums.low[c], row[c]);
            sums.high[c] = std::max(sums.high[c], row[c]);
        }
    }
}

} // namespace

GroupPass::GroupPass(const InputGroup& group, bool perChannel) : group_(group.name), sites_(group.sites), channels_(static_cast<std::size_t>(group.width)), tokenRms_(1) {
    if (perChannel) {
        fitChannels_ = ChannelHistograms(group.width);
        heldOutChannels_ = ChannelHistograms(group.width);
    }
}

void GroupPass::add(std::int64_t window, MatrixView<const float> x, Device& device) {
    if (x.rows == 0)
        return;
    const bool fitted = window % 2 == 0;
    RangeHistogram& histogram = fitted ? fit_ : heldOut_;
    if (x.stride == x.cols)
        histogram.add({x.data, static_cast<std::size_t>(x.size())}, device);
    else
        for (std::int64_t t = 0; t < x.rows; ++t)
            histogram.add(x.rowSpan(t), device);
    const std::int64_t pieces = (x.cols + kChannels - 1) / kChannels;
    std::vector<std::pair<float, float>> extremes(static_cast<std::size_t>(pieces), {FLT_MAX, -FLT_MAX});
    parallelFor(pieces, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t p = begin; p < end; ++p)
            extremes[static_cast<std::size_t>(p)] = addChannels(x, p * kChannels, std::min(x.cols, (p + 1) * kChannels), fitted);
    });
    if (fitted) {
        std::pair<float, float> all = extremes.front();
        for (const auto& [low, high] : extremes)
            all = {std::min(all.first, low), std::max(all.second, high)};
        lowSum_.add(static_cast<double>(all.first));
        highSum_.add(static_cast<double>(all.second));
        ++fitWindows_;
    }
    addTokens(x, !fitted);
    tokens_ += x.rows;
}

std::pair<float, float> GroupPass::addChannels(MatrixView<const float> x, std::int64_t begin, std::int64_t end, bool fitted) {
    WindowSums sums;
    const std::int64_t n = end - begin;
    sumWindow(x, begin, n, sums);
    const bool firstWindow = tokens_ == 0, firstFit = fitWindows_ == 0;
    std::pair<float, float> extremes{FLT_MAX, -FLT_MAX};
    for (std::int64_t c = 0; c < n; ++c) {
        Channel& channel = channels_[static_cast<std::size_t>(begin + c)];
        channel.first.add(sums.first[c]);
        channel.absolute.add(sums.absolute[c]);
        channel.second.add(sums.second[c]);
        channel.third.add(sums.third[c]);
        channel.fourth.add(sums.fourth[c]);
        const float low = sums.low[c], high = sums.high[c];
        channel.low = firstWindow ? low : std::min(channel.low, low);
        channel.high = firstWindow ? high : std::max(channel.high, high);
        extremes = {std::min(extremes.first, low), std::max(extremes.second, high)};
        if (!fitted)
            continue;
        channel.fitLow = firstFit ? low : std::min(channel.fitLow, low);
        channel.fitHigh = firstFit ? high : std::max(channel.fitHigh, high);
        channel.lowSum.add(static_cast<double>(low));
        channel.highSum.add(static_cast<double>(high));
    }
    ChannelHistograms& histograms = fitted ? fitChannels_ : heldOutChannels_;
    for (std::int64_t t = 0; !histograms.empty() && t < x.rows; ++t)
        histograms.addRow(begin, x.row(t) + begin, n);
    return extremes;
}

void GroupPass::addTokens(MatrixView<const float> x, bool heldOut) {
    std::vector<double> errors(static_cast<std::size_t>(x.rows)), powers(static_cast<std::size_t>(x.rows));
    parallelFor((x.rows + kTokens - 1) / kTokens, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t t = begin * kTokens; t < std::min(x.rows, end * kTokens); ++t)
            judgeToken(x.rowSpan(t), errors[static_cast<std::size_t>(t)], powers[static_cast<std::size_t>(t)]);
    });
    double error = 0, power = 0;
    for (std::size_t t = 0; t < errors.size(); ++t) {
        error += errors[t];
        power += powers[t];
        const auto rms = static_cast<float>(std::sqrt(powers[t] / static_cast<double>(x.cols)));
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
