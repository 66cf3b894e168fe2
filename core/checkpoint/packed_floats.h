// SPDX-License-Identifier: GPL-3.0-or-later
// Small floats as layouts of safetensors hold them: fp8 with scales, MX and NVFP4. Private to core/checkpoint; read again by
// quantized_scaled.cpp (a byte per weight) and quantized_float4.cpp (two weights a byte).
//   floatQuantized  weight f8 [O, I]; weight_scale [1], [O, 1], [⌈O/128⌉, ⌈I/128⌉] or [O, I/G]
//   fp8             the same with one scale; blocks name their scales weight_scale_inv, which multiply all the same
//   mxfp8           weight f8 [O, I]; weight_scale u8 [O, I/32], powers of two
//   nvfp4           weight_packed u8 [O, I/2], first code in the low nibble; weight_scale f8 [O, I/16]; weight_global_scale f32 [1]
#pragma once

#include "core/checkpoint/packed_weights.h"
#include "core/format/float_format.h"

namespace bw {

/// Empty when the grid can lie so, else why not.
std::string floatRefuses(Packing packing, const FloatGrid& grid);
std::vector<OutputTensor> floatTensors(Packing packing, const std::string& module, const FloatGrid& grid, std::int64_t rows, std::int64_t cols);
std::vector<std::vector<std::byte>> floatBytes(Packing packing, const FloatFormat& format, std::span<const std::byte> encoded, std::int64_t rows, std::int64_t cols);
/// As quantized_*.cpp name it, which tell the scope by the number of scales.
std::string floatName(const FloatFormat& format, std::int64_t rows, std::int64_t cols);

} // namespace bw
