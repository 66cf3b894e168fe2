// SPDX-License-Identifier: GPL-3.0-or-later
// Clip search under the inputs: how much of its range each group of a row keeps, judged by what rounding does to the output
// and not to the weights. The scales that follow serve whatever rounds to them: nearest, stochastic, GPTQ. Not for: the
// search on the weights' own error (EncodeOptions::clipSearch); GGML blocks, which choose their scales themselves.
#pragma once

#include "core/calibrate/input_walk.h"
#include "core/quantize/quantized_model.h"

namespace bw {

/// Columns of a row that share a scale, and so a range to cut; 0 where a scale serves several rows or is no free number.
std::int64_t clipUnit(const Format& format, std::int64_t cols);

/// Factors 1, 0.975 … 0.525 for each row and unit, O×⌈I/unit⌉: that with the least e·G·eᵀ of the row's rounding error e, the row's
/// other units as they were chosen so far. Units are gone through in order, twice: what one does wrong at the output the next
/// may undo. Empty where nothing is to choose: no clipUnit(), no tokens.
/// Rows are independent; any number of threads gives the same. Cost: 40 roundings and O·I·(4·I + 80·unit) flops; I² floats of
/// scratch. Source: the clip search of AWQ (Lin et al. 2023), with G in place of sampled inputs and with cross terms.
/// @throws Error(nonFinite) as Format::encode() does; cancelled.
std::vector<float> searchClip(MatrixView<const float> weight, const Format& format, const Gram& gram, JobContext& job);

/// The weight held within the ranges that searchClip() leaves: encoding it without any search gives their scales, and to what
/// lies outside the outermost codes. Empty where searchClip() is.
Matrix clippedWeight(MatrixView<const float> weight, const Format& format, const Gram& gram, JobContext& job);
/// quantizeSite() with the scales of a clipped weight. @param kept stays beside the grid; `clipped` is of the weight without it.
QuantizedTensor quantizeClipped(const Site& site, MatrixView<const float> weight, MatrixView<const float> clipped, const FormatPtr& format,
                                const RounderOptions& rounder, const KeptWeights& kept = {});

/// As QuantizedModel::build(), with clipped weights for every site that reads calibrated inputs; the embedding, formats that
/// can't be clipped and experts that no token reached are rounded as build() does it. One walk over `windows`, of inputs
/// before rounding, or none where `store` (may be null) has them. Memory: one block's weights and Gram matrices.
std::shared_ptr<QuantizedModel> clippedModel(const Model& model, const std::vector<SiteFormat>& formats, const Windows& windows,
                                             const ImportanceLookup& importance, const RounderOptions& rounder, JobContext& job, const KeptLookup& kept = {}, InputStore* store = nullptr);

} // namespace bw
