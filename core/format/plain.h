// SPDX-License-Identifier: GPL-3.0-or-later
// Codecs behind decodeRow and encodeRow: single numbers (half.cpp), decoders of blocks (super_blocks.cpp,
// codebook_blocks.cpp), encoders without a search (simple_blocks.cpp), and importance-weighted blocks (weighted_blocks.cpp).
// Private to core/format.
#pragma once

#include "core/format/storage_type.h"

namespace bw {

/// Decodes plain numbers other than f16 and bf16; false when `type` is none of them.
bool decodePlain(StorageType type, const std::byte* in, std::span<float> out);

/// Decodes whole blocks of k-quants, IQ4, ternary, FP4, Q1_0, Q2_0, Q8_1 and Q8_K; false when `type` is none of them.
bool decodeSuperBlocks(StorageType type, const std::byte* in, std::span<float> out);

/// Decodes whole blocks of the code-book types IQ1, IQ2, IQ3; false when `type` is none of them.
bool decodeCodebookBlocks(StorageType type, const std::byte* in, std::span<float> out);

/// Encodes whole blocks of the types without a search: TQ1_0, TQ2_0, MXFP4, Q1_0, Q2_0; false when `type` is none.
bool encodeSimpleBlocks(StorageType type, const float* x, std::byte* out, std::size_t n);

/// Encodes n weights (a multiple of 32) of q4_0 … q8_0 minimising Σ w·(x−x̂)² per block; never worse in that sum than the
/// reference rounding, whose bytes stay where a block's weights are all zero. One thread.
void encodeWeightedBlocks(StorageType type, const float* x, const float* importance, std::byte* out, std::size_t n);

} // namespace bw
