// SPDX-License-Identifier: GPL-3.0-or-later
// Observers at site inputs, filled by one walk: histograms and ranges, sums and extremes per channel, outlier share. Passes
// over parts of the text can be merged (pass.h).
#pragma once

#include "core/calibrate/channel_histograms.h"
#include "core/calibrate/ranges.h"
#include "core/model/walk.h"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace bw {

/// Clip ranges of every channel of an input, I values each.
struct ChannelRanges { std::vector<float> low, high; };

/// Everything known of the activations that enter one group of sites. Statistics in f32, sums in f64.
/// Calibrators see the even windows ("fit") and are judged on the odd ones ("held-out"); with one window both are it.
struct InputStatistics {
    std::string group;                ///< InputGroup::name
    std::vector<SiteId> sites;
    std::int64_t tokens = 0;
    std::vector<float> channelMax;    ///< max |x_j|, I values
    std::vector<float> channelLow, channelHigh; ///< min and max x_j
    std::vector<double> sums, sumAbsolute; ///< Σ x_j and Σ |x_j| over tokens, I values
    std::vector<double> sumSquares;   ///< Σ x_j² over tokens, I values (importance = sumSquares/tokens)
    RangeHistogram fit;               ///< values of the even windows
    RangeHistogram heldOut;           ///< of the odd windows
    ChannelHistograms tokenRms;       ///< one channel: root mean squares of the tokens' inputs
    double outlierShare = 0;          ///< share of |x| > 6·rms of the group
    int outlierChannels = 0;          ///< channels whose max > 20 × the median channel's max
    double kurtosis = 0;              ///< of all values, excess
    std::map<std::string, ClipRange> ranges;      ///< "minmax", "average", "percentile", "kl", "mse"
    /// Relative squared error on held-out windows of a symmetric grid as wide as the range's larger side, as runtimes
    /// lay it: codes −(2^(bits−1)−1)…2^(bits−1)−1.
    std::map<std::string, double> heldOutError;   ///< one range for the input
    std::map<std::string, double> heldOutChannelError; ///< one range a channel; empty unless CalibrateOptions::perChannel
    double heldOutTokenError = 0;                 ///< each token its own absolute maximum: no calibration at all
    std::map<std::string, ChannelRanges> channelRanges; ///< "minmax" and "average" always; "percentile", "kl", "mse" with perChannel
    std::vector<float> weightMax;     ///< max |W_j| over the column in all sites of the group, I values; with weightFacts
    std::vector<double> weightSquares; ///< Σ W_j² over the same
    std::vector<float> importance() const;        ///< mean squared input per channel
};

struct CalibrationResult {
    std::vector<InputStatistics> inputs; ///< one per input group, in model order
    std::int64_t tokens = 0;
    std::vector<std::string> warnings;
    const InputStatistics* forSite(SiteId site) const;
};

class GroupPass; // pass.h
class InputRecorder; // input_walk.h

struct CalibrateOptions {
    double percentile = 99.9;
    int bits = 8;
    bool includeHead = true;   ///< also the input of the output matrix
    bool perChannel = false;   ///< calibrators for every channel, too: about 0.1 ms a channel, and 1.5 kB of one block's channels
    bool channelHistograms = false; ///< histograms of channels are collected for onPass although perChannel is off
    bool weightFacts = false;  ///< weightMax and weightSquares: every weight is read once
    /// Where the histograms of a group's channels go once its block is done (perChannel); they are not kept in the result.
    std::function<void(const InputStatistics&, const ChannelHistograms&)> onChannels = {};
    /// What was collected of a group and what followed from it, once its block is done; groups that no token reached are left out.
    std::function<void(const GroupPass&, const InputStatistics&)> onPass = {};
    /// Told of every input of the same walk, and of the ends of its blocks (input_walk.h); they live until it returns.
    std::vector<InputRecorder*> recorders = {};
};

/// One walk over the windows. @throws Error(nonFinite) at the first block that makes NaN/Inf, naming it.
CalibrationResult calibrate(const Model& model, const Windows& windows, const CalibrateOptions& options, JobContext& job);

/// Weight statistics for the Model workspace (no calibration needed).
struct WeightStatistics {
    Histogram histogram; ///< 256 bins over ±max|W|
    double mean = 0, deviation = 0, kurtosis = 0, maximum = 0, outlierShare = 0; ///< |w| > 6σ
    std::vector<float> rowMax; ///< per output channel max |W|
    std::int64_t nan = 0, infinite = 0;
};
WeightStatistics weightStatistics(MatrixView<const float> weight);

} // namespace bw
