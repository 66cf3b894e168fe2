// SPDX-License-Identifier: GPL-3.0-or-later
// From scales at fold points to edits of a checkpoint's tensors. Private to core/quantize.
#pragma once

#include "core/checkpoint/derived.h"
#include "core/quantize/transform.h"

namespace bw {

/// Scales of the input channels of a point from one factor for each row of its producer.
std::vector<float> expandOverHeads(const FoldPoint& point, std::span<const float> perRow);
/// The largest value of the channels that share a row of the producer, one for each row.
std::vector<float> largestOverHeads(const FoldPoint& point, std::span<const float> perChannel);

/// Adds to `edits` what dividing the producer by the scales and multiplying the consumers takes.
/// @throws Error(usage) for scales of another number, unequal over heads that share values, or not above 0.
void foldScales(const Model& model, const FoldPoint& point, std::span<const float> scales, std::map<std::string, TensorEdit>& edits);

/// All elements of a tensor; a norm's with the family's offset, so that 1 stands for 1.
std::vector<float> tensorValues(const Model& model, const std::string& canonical);
std::vector<float> normWeight(const Model& model, const std::string& canonical);
/// The way back to what the checkpoint stores.
std::vector<float> storedNorm(const Model& model, std::vector<float> weight);

/// Where a site lies in its tensor: column scales of an edit are set for those rows alone.
void scaleColumns(const Model& model, const std::string& tensor, std::int64_t firstRow, std::int64_t rows, std::span<const float> factors,
                  TensorEdit& edit);

} // namespace bw
