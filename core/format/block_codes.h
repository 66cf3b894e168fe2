// SPDX-License-Identifier: GPL-3.0-or-later
// GGML blocks taken apart: which weights share a scale, what those scales are, and where each code lies. For grids with
// fixed scales; whole rows are decoded in kernels.cpp and super_blocks.cpp, and scales are chosen by the encoders.
// Private to core/format.
#pragma once

#include "core/format/storage_type.h"

#include <array>

namespace bw {

/// A weight is scale·level − minimum (or + for the "_1" types), where level is a function of its code alone.
struct BlockShape {
    int cellWeights = 0;         ///< neighbours that share scale and minimum; 0 = no type of blocks that is written
    bool hasMinimum = false;
    std::array<float, 16> levels{}; ///< rising; for types whose levels are no run of whole numbers
    int levelCount = 0;          ///< 0 = whole numbers: level = code − zero with code in low … high
    int low = 0, high = 0, zero = 0;
};
const BlockShape& blockShape(StorageType type);

/// Scale and offset of each cell of one block: value = scale·level + offset in two roundings, as decodeRow forms it.
/// offset is −0 where the type has no minimum: adding it changes no bit.
void readBlockCells(StorageType type, const std::byte* block, float* scales, float* offsets);

/// Puts blockElements codes into a block and leaves its scales. Codes are as in blockShape: whole numbers from `low` to
/// `high`, or indices of rising levels.
void putBlockCodes(StorageType type, const std::uint8_t* codes, std::byte* block);

/// The six-bit scale and minimum of sub-block j of 8 in the 12 bytes of Q4_K and Q5_K.
struct ScaleAndMinimum {
    int scale, minimum;
};
ScaleAndMinimum scaleAndMinimum(const std::uint8_t* packed, int j);
/// The scale of group g of 16 in the 12 bytes of Q3_K, −32 … 31.
int q3kScale(const std::uint8_t* packed, int g);
/// The scale of sub-block j of 8 of an IQ4_XS block, −32 … 31.
int iq4xsScale(const std::uint8_t* block, int j);

} // namespace bw
