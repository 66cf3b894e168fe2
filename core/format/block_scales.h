// SPDX-License-Identifier: GPL-3.0-or-later
// The stored scales of one GGML block, moved to where a loss is least while its codes stay. Private to core/format.
#pragma once

#include "core/format/fixed_grid.h"
#include "core/format/storage_type.h"

namespace bw {

/// q4_0 … q8_0, iq4_nl, q2_k … q6_k, iq4_xs.
bool hasMovableScales(StorageType type);

/// Scale and offset of one cell: f16 numbers, or the multiples of a k-quant's d and dmin. The block stays as it is when no
/// stored value lessens the loss.
void moveBlockCell(StorageType type, std::byte* block, int cell, const ScaleLoss& loss);

/// d and dmin of a k-quant, or d of iq4_xs; the loss's directions are relative (FixedGrid::moveGroup()).
void moveBlockScales(StorageType type, std::byte* block, const ScaleLoss& loss);

} // namespace bw
