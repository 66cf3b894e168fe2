// SPDX-License-Identifier: GPL-3.0-or-later
// Means with errors, quantiles and calibration figures of scored positions. Knows nothing of models. Private to
// core/evaluate and core/diagnose.
#pragma once

#include "core/evaluate/reliability.h"

#include <cstdint>
#include <span>
#include <vector>

namespace bw::detail {

struct MeanError { double mean = 0, error = 0; };

/// Mean and σ/√n with the n−1 variance; the error of one value is 0.
MeanError meanOf(std::span<const double> values);

/// Mean over all values; its error over the means of `groups` equal runs of values when there are at least 8 of them
/// (neighbouring tokens of one window are not independent), else over the values themselves.
MeanError groupedMean(std::span<const double> values, std::int64_t groups);

/// Quantile of ascending values by linear interpolation at fraction·(n−1); 0 when there are none.
double quantile(std::span<const double> ascending, double fraction);

/// One prediction: the probability of the most likely token, and whether that token came.
struct Prediction { double confidence = 0; bool correct = false; };

/// Expected calibration error: |mean confidence − accuracy| of `bins` bins of equal mass, weighted by their sizes.
/// Sorted by confidence, then by order given.
double calibrationError(std::span<const Prediction> predictions, int bins = 15);
/// The bins that calibrationError sums over, ascending in confidence; empty bins are left out.
std::vector<ReliabilityBin> reliability(std::span<const Prediction> predictions, int bins = 15);
/// Mean (confidence − correct)².
double brierScore(std::span<const Prediction> predictions);

/// First index of the largest value; NaN is never the largest unless all are.
std::int64_t argmax(std::span<const float> values);

/// Indices of the k largest values, ascending; of equal values the first. NaN counts as the smallest.
/// @param k clamped to the number of values. Cost: one pass with a heap of k.
std::vector<std::int64_t> largest(std::span<const float> values, std::int64_t k);

} // namespace bw::detail
