// SPDX-License-Identifier: GPL-3.0-or-later
// Decoders of the element types that are one number each (half.cpp) and of the 256-weight blocks (super_blocks.cpp).
// Private to core/format.
#pragma once

#include "core/format/storage_type.h"

namespace bw {

/// Decodes plain numbers other than f16 and bf16; false when `type` is none of them.
bool decodePlain(StorageType type, const std::byte* in, std::span<float> out);

/// Encodes n weights (a multiple of 32) of q4_0 … q8_0 minimising Σ w·(x−x̂)² per block; never worse in that sum than the
/// reference rounding, whose bytes stay where a block's weights are all zero. One thread.
void encodeWeightedBlocks(StorageType type, const float* x, const float* importance, std::byte* out, std::size_t n);

} // namespace bw
