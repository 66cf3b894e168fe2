// SPDX-License-Identifier: GPL-3.0-or-later
// Observers at site inputs, filled by one walk: histogram and ranges, per-channel maxima and second moments, outlier share.
#pragma once

#include "core/calibrate/ranges.h"
#include "core/model/walk.h"

#include <map>
#include <string>
#include <vector>

namespace bw {

/// Everything known of the activations that enter one group of sites. Statistics in f32, sums in f64.
struct InputStatistics {
    std::string group;                ///< InputGroup::name
    std::vector<SiteId> sites;
    std::int64_t tokens = 0;
    std::vector<float> channelMax;    ///< max |x_j|, I values
    std::vector<double> sumSquares;   ///< Σ x_j² over tokens, I values (importance = sumSquares/tokens)
    RangeHistogram fit;               ///< values of the even windows (calibrators are fitted here)
    RangeHistogram heldOut;           ///< odd windows (errors are reported here); with one window, the same as fit
    double outlierShare = 0;          ///< share of |x| > 6·rms of the group
    int outlierChannels = 0;          ///< channels whose max > 20 × the median channel's max
    double kurtosis = 0;              ///< of all values, excess
    std::map<std::string, ClipRange> ranges;      ///< "minmax", "percentile", "kl", "mse"
    std::map<std::string, double> heldOutError;   ///< relative MSE of an 8-bit grid over that range, on heldOut
    std::vector<float> importance() const;        ///< mean squared input per channel
};

struct CalibrationResult {
    std::vector<InputStatistics> inputs; ///< one per input group, in model order
    std::int64_t tokens = 0;
    std::vector<std::string> warnings;
    const InputStatistics* forSite(SiteId site) const;
};

struct CalibrateOptions {
    double percentile = 99.9;
    int bits = 8;
    bool includeHead = true; ///< also the input of the output matrix
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
