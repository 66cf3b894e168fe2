// SPDX-License-Identifier: GPL-3.0-or-later
// Scales that did not fit: encoders hold what lies past the largest f16 at ±65504, so that decoded weights stay finite,
// and this counts how often. Not for: scales that are no f16 (mxfp4, fp8).
#pragma once

#include "core/format/format.h"

namespace bw {

/// How many stored f16 scales and minima of an encoded weight stand at ±65504 or beyond; for f16 itself, weights.
/// 0 for formats without f16 scales. @param bytes as Format::encode() wrote them for a rows×cols weight.
/// Cost: one read per block; affine formats are unpacked.
std::int64_t countHeldScales(const Format& format, std::span<const std::byte> bytes, std::int64_t rows, std::int64_t cols);

} // namespace bw
