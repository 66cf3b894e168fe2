// SPDX-License-Identifier: GPL-3.0-or-later
// What one pass over calibration windows collects before anything is concluded from it. Passes over parts of the windows
// merge into what one pass over all of them gives: sums, extremes and channel histograms bit for bit, so that shards
// and later additions lose nothing; of the equal-bin histograms, a value within f32 rounding of an edge may be a bin off.
// Not for: Gram matrices (gram.h), which merge up to f32 rounding.
#pragma once

#include "core/calibrate/observers.h"

#include <optional>
#include <string_view>

namespace bw {

/// A sum of doubles that keeps what rounding takes away (Neumaier 1974; Knuth's two-sum): twice the digits, so that the
/// order of additions is not seen in value().
struct ExactSum {
    double high = 0, low = 0;
    void add(double x) {
        const double sum = high + x, part = sum - high;
        low += (high - (sum - part)) + (x - part);
        high = sum;
    }
    void add(const ExactSum& other) {
        add(other.high);
        low += other.low;
    }
    double value() const { return high + low; }
};

/// Raw collections of one input group.
class GroupPass {
public:
    GroupPass(const InputGroup& group, bool perChannel);
    /// x: T×I, all tokens of the group in one window, where `device` has it. Even windows are fitted to, odd ones held out.
    /// @throws DeviceLost with nothing added.
    void add(std::int64_t window, MatrixView<const float> x, Device& device);
    /// The same with what inputSums() of x gave.
    void add(std::int64_t window, MatrixView<const float> x, const InputSums& sums, Device& device);
    /// As if `other`'s windows had been added here. @throws Error(usage) for another group.
    void merge(const GroupPass& other);
    /// What follows from it. The calibrators' cost does not grow with the number of tokens.
    InputStatistics finish(const CalibrateOptions& options) const;
    std::int64_t tokens() const { return tokens_; }
    /// Of fitted and held-out windows together; empty without perChannel.
    ChannelHistograms channels() const;
    /// Lets the histograms of channels go.
    void forgetChannels();
    const std::string& group() const { return group_; }
    std::int64_t width() const { return static_cast<std::int64_t>(channels_.size()); }
    /// Bytes for a store; decode() takes them off the front of `in`, or nothing that could not be such bytes. What it gives
    /// merges and finishes as the original, bit for bit.
    void encode(std::string& out) const;
    static std::optional<GroupPass> decode(std::string_view& in, std::vector<SiteId> sites);

private:
    GroupPass() : tokenRms_(1) {}
    struct Channel {
        ExactSum first, absolute, second, third, fourth;
        ExactSum lowSum, highSum;              ///< Σ over fitted windows of the window's extremes
        float low = 0, high = 0;               ///< of all windows
        float fitLow = 0, fitHigh = 0;         ///< of the fitted ones
    };
    /// Channels [begin, end) of one window.
    void addChannels(const InputSums& sums, std::int64_t begin, std::int64_t end, bool fitted);
    void addTokens(const InputSums& sums, bool heldOut);
    void finishMoments(InputStatistics& out) const;
    void finishRanges(InputStatistics& out, const CalibrateOptions& options) const;
    void finishChannelRanges(InputStatistics& out, const CalibrateOptions& options) const;
    bool hasHeldOut() const { return heldOut_.count() > 0; }

    std::string group_;
    std::vector<SiteId> sites_;
    std::int64_t tokens_ = 0, fitWindows_ = 0;
    std::vector<Channel> channels_;
    ExactSum lowSum_, highSum_;                ///< Σ over fitted windows of the whole input's extremes
    ExactSum tokenError_[2], tokenPower_[2];   ///< 8-bit grid per token: fitted, held out
    RangeHistogram fit_, heldOut_;
    ChannelHistograms tokenRms_, fitChannels_, heldOutChannels_;
};

/// Collects the groups of a model as a walk goes by. `firstWindow`: number of the first window in the whole set, so that
/// parts agree on which windows are held out.
/// @throws as calibrate().
std::vector<GroupPass> collectPass(const Model& model, const Windows& windows, const CalibrateOptions& options, std::int64_t firstWindow, JobContext& job);
/// Adds the second pass to the first. @throws Error(usage) for passes over another model.
void mergePasses(std::vector<GroupPass>& into, const std::vector<GroupPass>& from);
/// The statistics of what was collected; groups that no token reached are left out.
CalibrationResult finishPass(const Model& model, const std::vector<GroupPass>& passes, const CalibrateOptions& options, JobContext& job);

} // namespace bw
