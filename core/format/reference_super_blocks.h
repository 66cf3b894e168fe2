// SPDX-License-Identifier: GPL-3.0-or-later
// ggml's rounding of one 256-weight block. Private to core/format.
#pragma once

#include "core/format/storage_type.h"

namespace bw::reference {

/// Encodes 256 weights of magnitude ≤ 1e9 as one block.
/// @param type q2_k … q6_k, iq4_xs. @param importance 256 weights or nullptr.
void encodeSuperBlock(StorageType type, const float* x, const float* importance, std::byte* out);

} // namespace bw::reference
