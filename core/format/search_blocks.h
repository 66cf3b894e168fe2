// SPDX-License-Identifier: GPL-3.0-or-later
// Encoders of GGML types whose grid has to be searched: IQ4_NL (16 uneven levels) and Q3_K (sub-block scales of 6 bits).
#pragma once

#include "core/format/storage_type.h"

namespace bw {

bool isSearchedType(StorageType type);

/// Encodes n weights (a multiple of the block) so that Σ w·(x−x̂)² of the decoded values is small: several scales are tried,
/// each refined by weighted least squares and judged after rounding to what is stored.
/// @param importance n weights ≥ 0 or nullptr (all alike). Values must be finite.
/// Cost: about 20 trials a block; 10–30 M weights/s a thread. Not ggml's own search: bytes differ, the layout is the same.
void encodeSearchedBlocks(StorageType type, const float* x, const float* importance, std::byte* out, std::size_t n);

} // namespace bw
