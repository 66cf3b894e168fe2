// SPDX-License-Identifier: GPL-3.0-or-later
// Affine codes in safetensors the way compressed-tensors' "pack-quantized" stores them: per linear `X.weight_packed`
// int32 [O, ⌈I·B/32⌉] (unsigned code k at bit k·B, dense across words), `X.weight_scale` f16 [O, I/G] ([O,1] per
// channel, [1] per tensor), `X.weight_shape` int64[2], and for asym `X.weight_zero_point` int32 [⌈O·B/32⌉, I/G] packed
// along O.
#pragma once

#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/writer.h"
#include "core/format/affine.h"


namespace bw {

/// The tensors that hold module `module` (name without ".weight") in `format`, O×I, in writing order.
std::vector<OutputTensor> packedAffineTensors(const std::string& module, const AffineFormat& format, std::int64_t rows,
                                              std::int64_t cols);
/// Their bytes, in the same order, from the format's own encoding.
std::vector<std::vector<std::byte>> packedAffineBytes(const AffineFormat& format, std::span<const std::byte> encoded,
                                                      std::int64_t rows, std::int64_t cols);

} // namespace bw
