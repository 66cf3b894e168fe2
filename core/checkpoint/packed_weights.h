// SPDX-License-Identifier: GPL-3.0-or-later
// How a quantized linear lies in a safetensors folder: one function per question, one Packing per layout that loaders know.
// Names and shapes of the parts, and their bytes from a format's own encoding. Reading them again: quantized_linear.h.
//   packQuantized  compressed-tensors, affine codes of 2–8 bits in words along I (packed_affine.h)
//   gptq, gptqV2   qweight, qzeros, scales, g_idx, input-major; the first generation stores zero points less one
//   awq            qweight, qzeros, scales, input-major, four bits, eight outputs interleaved in a word ("gemm")
//   intQuantized   weight i8, weight_scale: compressed-tensors' integers beside rounded activations
//   llmInt8        weight i8, SCB: bitsandbytes' 8 bit
//   mxfp4          weight_packed u8 [O, I/2], first code in the low nibble; weight_scale u8 [O, I/32], powers of two
//   floatQuantized, fp8, mxfp8, nvfp4   small floats with their scales (packed_floats.h)
//   nf4            bitsandbytes' 4 bit (packed_nf4.h)
#pragma once

#include "core/checkpoint/writer.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace bw {

enum class Packing { packQuantized, gptq, gptqV2, awq, intQuantized, llmInt8, mxfp4, floatQuantized, fp8, mxfp8, nvfp4, nf4 };

/// Can an O×I weight of this format lie so? Empty when it can, else why not ("5 bits; GPTQ has 2, 3, 4 or 8").
std::string packingRefuses(Packing packing, const Format& format, std::int64_t rows, std::int64_t cols);

/// The tensors that hold `module` (name without ".weight"), in writing order. Needs an empty packingRefuses().
/// @param dtype of the checkpoint's plain weights, which nf4 files name ("bfloat16").
std::vector<OutputTensor> packedTensors(Packing packing, const std::string& module, const Format& format, std::int64_t rows, std::int64_t cols, const std::string& dtype);

/// Their bytes in the same order. @param encoded in the format's own layout (Format::encode). Memory: twice the weight's bytes.
std::vector<std::vector<std::byte>> packedBytes(Packing packing, const Format& format, std::span<const std::byte> encoded, std::int64_t rows, std::int64_t cols, const std::string& dtype);

/// The word that readers of this program have for it ("gptq int4:g128"), so that an audit can hold it against the plan.
std::string packedName(Packing packing, const Format& format, std::int64_t rows, std::int64_t cols);

/// Zero points of 0, which the first generation of GPTQ can't hold: 0 − 1 wraps, and loaders that add 1 to whole words carry
/// into the neighbour. Counted over groups; 0 for symmetric grids.
std::int64_t zerosOfZero(const Format& format, std::span<const std::byte> encoded, std::int64_t rows, std::int64_t cols);

} // namespace bw
