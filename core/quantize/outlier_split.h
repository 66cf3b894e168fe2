// SPDX-License-Identifier: GPL-3.0-or-later
// The outlier split: what is not rounded because it is large. Whole input channels (LLM.int8(): their inputs and weights stay
// in 16 bits) and single weights (sparse outliers beside the grid). Not for: the inputs' rounding (activation_scheme.h).
#pragma once

#include "core/calibrate/observers.h"
#include "core/quantize/quantized_model.h"
#include "core/quantize/transform.h"

#include <vector>

namespace bw {

/// Of a transform's "outliers" part; zeros where it has none.
struct OutlierSplit {
    double threshold = 0; ///< channels whose input passed it in any calibration token
    double weights = 0;   ///< share of a site's weights
    bool empty() const { return threshold == 0 && weights == 0; }
};
OutlierSplit outlierSplit(const TransformSpec& spec);

/// Input channels by input group, rising: those with max|x| > threshold over the calibration tokens. The set is fixed once and
/// does not depend on what is run later. The head's input, which servers do not round, has none.
/// Source: Dettmers et al. 2022, who look at the tokens at hand instead.
std::vector<std::vector<std::int32_t>> outlierColumns(const Model& model, const CalibrationResult& statistics, double threshold);

/// What of a weight stays in f16 (saturated): these columns, and `share` of all weights, those with the largest |w|·√importance
/// outside them (|w| without importance; of equal ones the first). NaN counts as nothing.
KeptWeights keptWeights(MatrixView<const float> weight, const std::vector<std::int32_t>& columns, double share, std::span<const float> importance);

/// f16 bits of a kept weight, saturated.
std::uint16_t keptHalf(float value);
/// The weight with 0 where something is kept.
Matrix withoutKept(MatrixView<const float> weight, const KeptWeights& kept);

/// quantizeSite() of what is left when the kept weights are taken out, so that no scale is widened by them; relativeError
/// is that of both together.
QuantizedTensor quantizeAround(const Site& site, MatrixView<const float> weight, const FormatPtr& format, std::span<const float> importance,
                               const RounderOptions& options, KeptWeights kept);

/// QuantizedModel::build() around what is kept. @throws as that.
std::shared_ptr<QuantizedModel> buildAround(const Model& model, const std::vector<SiteFormat>& formats, const ImportanceLookup& importance,
                                            const RounderOptions& options, const KeptLookup& kept, JobContext& job);

} // namespace bw
