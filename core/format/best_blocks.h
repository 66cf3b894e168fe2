// SPDX-License-Identifier: GPL-3.0-or-later
// Searches behind encodeBestBlocks, one block at a time: each writes the bytes it found best; comparing them with ggml's own
// rounding is best_blocks.cpp's business. Private to core/format.
#pragma once

#include "core/format/storage_type.h"

namespace bw {

/// One block as the searches see it: values and weights are powers of two away from the stored ones, so that squares and
/// sums stay in f32's range.
struct SearchBlock {
    const float* x = nullptr;       ///< values · 2^−exponent, the largest magnitude in [1, 2)
    const float* w = nullptr;       ///< importance over its largest in the block, in [0, 1], not all zero
    int exponent = 0;
    const std::byte* start = nullptr; ///< the reference's bytes, one more start of the search
};

/// Q2_K, Q4_K, Q5_K: scale and minimum per sub-block. Writes blockBytes. One thread; same bytes on every instruction set.
void searchMinimumBlock(StorageType type, const SearchBlock& block, std::byte* out);
/// Q3_K, Q6_K, IQ4_XS: scale per sub-block, of either sign.
void searchScaleBlock(StorageType type, const SearchBlock& block, std::byte* out);
/// IQ4_NL: 8 blocks of 32 side by side, scaled by powers of two of their own; the first `blocks` are written.
void searchLevelBlocks(const float* x, const float* w, const int* exponents, std::byte* out, std::size_t blocks);

} // namespace bw
