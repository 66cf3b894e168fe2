// SPDX-License-Identifier: GPL-3.0-or-later
// Affine codes as signed bytes: compressed-tensors' int-quantized, and bitsandbytes' LLM.int8. Private to core/checkpoint.
#pragma once

#include "core/checkpoint/writer.h"
#include "core/format/affine.h"

namespace bw {

/// weight i8 [O, I] = code − 2^(B−1); weight_scale f32 [O, I/G], [O, 1] or [1]; asym: weight_zero_point i8 like the scales.
std::vector<OutputTensor> integerTensors(const std::string& module, const AffineGrid& grid, std::int64_t rows, std::int64_t cols);
std::vector<std::vector<std::byte>> integerBytes(const AffineFormat& format, std::span<const std::byte> encoded, std::int64_t rows, std::int64_t cols);

/// weight i8 [O, I], SCB f32 [O] with w = code·SCB/127, weight_format u8 0 (row by row). One symmetric scale per row.
std::vector<OutputTensor> llmInt8Tensors(const std::string& module, std::int64_t rows, std::int64_t cols);
std::vector<std::vector<std::byte>> llmInt8Bytes(const AffineFormat& format, std::span<const std::byte> encoded, std::int64_t rows, std::int64_t cols);

} // namespace bw
