// SPDX-License-Identifier: GPL-3.0-or-later
// NF4 as bitsandbytes stores it: weight u8 [O·I/2, 1], first code in the high nibble; weight.absmax per block, f32 or u8 codes
// into weight.nested_quant_map × weight.nested_absmax; weight.quant_map; and the rest as JSON in weight.quant_state.*. Private
// to core/checkpoint; read again by quantized_float4.cpp.
#pragma once

#include "core/checkpoint/packed_weights.h"
#include "core/format/nf4.h"

namespace bw {

std::string nf4Refuses(const Nf4Grid& grid);
/// @param dtype that loaders decode to, of the checkpoint: "bfloat16".
std::vector<OutputTensor> nf4Tensors(const std::string& module, const Nf4Grid& grid, std::int64_t rows, std::int64_t cols, const std::string& dtype);
std::vector<std::vector<std::byte>> nf4Bytes(const Nf4Format& format, std::span<const std::byte> encoded, std::int64_t rows, std::int64_t cols, const std::string& dtype);
std::string nf4Name(const Nf4Grid& grid);

} // namespace bw
