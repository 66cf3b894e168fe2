// SPDX-License-Identifier: GPL-3.0-or-later
// What smoothing, keeping outlier channels apart, clipping or rotating would do to an input and to the error of rounding it,
// from statistics that a calibration left: nothing is run. Not for: doing it (core/quantize/transform.h).
#pragma once

#include "core/base/histogram.h"
#include "core/calibrate/channel_histograms.h"
#include "core/calibrate/observers.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bw {

/// What smoothing multiplies an input channel by, 1/s_j; 1 where the channel or its weights are all zero. Largest magnitudes of both.
double smoothFactor(double channelMax, double weightMax, double alpha);

/// One question. Members work in this order: smooth or rotate, outliers, clip.
struct WhatIf {
    std::optional<double> alpha;      ///< smooth: s_j = max|X_j|^α / max|W_j|^(1−α)
    bool rotate = false;              ///< randomised Hadamard
    std::optional<double> threshold;  ///< outliers: channels with |x| beyond it stay in 16 bits
    enum class Clip { none, share, percentile, mse } clip = Clip::none;
    double clipValue = 0;             ///< share of the largest magnitude, or percent
    std::string text() const;         ///< "smooth:alpha=0.7+clip:share=0.8"; "none" for no change
    friend bool operator==(const WhatIf&, const WhatIf&) = default;
};
/// "smooth:alpha=0.7", "rotate", "outliers:threshold=6", "clip:share=0.8", "clip:percentile=99.9", "clip:mse", joined by '+';
/// "none". @throws Error(usage) naming the part and what is allowed.
WhatIf parseWhatIf(std::string_view text);

/// Relative squared error at the outputs of the sites that read the input, Σ_j e_j·w_j / Σ_j E[x_j²]·w_j with w_j = Σ_o W_oj²:
/// channels' errors count as uncorrelated. Grids are symmetric, 2^bits − 1 codes.
struct RoundingError {
    double clip = 0;    ///< largest magnitude that the static range holds
    double tensor = 0;  ///< inputs, one static range
    double token = 0;   ///< inputs, each token its own range; from the channels taken as independent
    double weight = 0;  ///< weights, one grid for each site's whole matrix, Δ²/12 for each; 0 where weights are not known
};

struct WhatIfResult {
    std::vector<float> channelMax;  ///< of the changed input, I values; predicted, all equal, after a rotation
    Histogram histogram;            ///< values of the changed input, 4,096 equal bins; channels kept apart are not in it
    double absMax = 0;              ///< of what is rounded
    double clippedShare = 0;        ///< of the values, by the range for 8 bits
    int outlierChannels = 0;        ///< maximum beyond 20 × the median channel's
    int keptChannels = 0;           ///< that stay in 16 bits
    RoundingError bits8, bits4;
};

/// The statistics of one input, prepared for questions.
class WhatIfInput {
public:
    WhatIfInput() = default;
    /// @param statistics with weightMax and weightSquares, or without: the weights then count as equal. @param rows outputs of
    /// all sites that read the input together. @param channels histograms of every channel. @throws Error(usage) for another number of channels.
    WhatIfInput(const InputStatistics& statistics, std::int64_t rows, const ChannelHistograms& channels);
    bool empty() const { return channels_.empty(); }
    const std::string& group() const { return group_; }
    /// On the calling thread alone, so that a slider answers while a job has all others: some µs a channel.
    WhatIfResult ask(const WhatIf& question) const;

private:
    struct Bin { float low = 0, high = 0, positive = 0, negative = 0; }; ///< magnitudes; values of either sign
    struct Channel {
        float max = 0, weightMax = 0;
        double power = 0, weightSquare = 0;    ///< E[x²]; Σ_o W_oj²
        double total = 0;                      ///< values
        std::vector<Bin> bins;                 ///< filled ones, rising
    };
    /// A channel after the change: x·factor, left out of the grid when kept.
    struct Change { double factor = 1; bool kept = false; };
    std::vector<Change> changesFor(const WhatIf& question, WhatIfResult& out) const;
    /// @param allWithin values beyond the clip are left out instead of clipped.
    double gridError(const std::vector<Change>& changes, double clip, int bits, bool allWithin) const;
    double tokenError(const std::vector<Change>& changes, const std::vector<double>& maxima, int bits) const;
    double weightError(const std::vector<Change>& changes, int bits) const;
    std::vector<double> tokenMaxima(const std::vector<Change>& changes, double absMax) const;
    Histogram valuesOf(const std::vector<Change>& changes, double absMax) const;
    WhatIfResult askRotated(const WhatIf& question) const;

    std::string group_;
    std::int64_t tokens_ = 0, rows_ = 0;
    bool weightsKnown_ = false;
    double outputPower_ = 0;                           ///< Σ_j E[x_j²]·w_j
    std::vector<Channel> channels_;
    std::vector<std::pair<double, double>> tokenRms_;  ///< root mean squares of tokens, and their shares
};

} // namespace bw
