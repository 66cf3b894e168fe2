// SPDX-License-Identifier: GPL-3.0-or-later
// The two families of GGML block encoders behind encodeRow: ggml's own rounding and the better searches that never lose to
// it in any block. Not for f32, f16, bf16, which have one rounding. Private to core/format.
#pragma once

#include "core/format/storage_type.h"

namespace bw {

/// The rounding of ggml's C code, compiled without fused multiply-add: quantize_row_*_ref without importance, *_impl with it.
/// It differs where ggml would lose weights: scales past f16's range are held at it, and a block whose importance is zero
/// throughout is rounded as if there were none.
/// @param x one row of n finite weights, n a multiple of the block.
/// @param importance n weights ≥ 0 or nullptr.
void encodeReferenceBlocks(StorageType type, const float* x, const float* importance, std::byte* out, std::size_t n);

/// In every block Σ importance·(x−x̂)² is at most what encodeReferenceBlocks leaves there. Parameters as above.
void encodeBestBlocks(StorageType type, const float* x, const float* importance, std::byte* out, std::size_t n);

} // namespace bw
