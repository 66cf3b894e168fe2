// SPDX-License-Identifier: GPL-3.0-or-later
// Rounding of one column of a weight whose rows each have a scale of their own: the loops behind FixedGrid. Same bits on
// every instruction set. Private to core/format.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bw::kernels {

/// Per row i: value = scale[i]·level + offset[i] in two roundings.
struct CellColumn {
    const float* scale = nullptr;
    const float* offset = nullptr; ///< −0 where there is none
    const float* zero = nullptr;   ///< whole levels only: level = code − zero
};

/// What codes of a grid stand for, besides scales.
struct WholeLevels {
    float low = 0, high = 0; ///< codes
};
struct UnevenLevels {
    const float* levels = nullptr; ///< 16, rising; the last one repeated where there are fewer
    const float* middles = nullptr; ///< 15: of neighbours; +infinity past the last
};

/// Nearest codes of n values and what they decode to. Not finite values count as 0; a scale of 0 gives the code of level 0
/// (whole levels) or of 0 on the unscaled levels.
void roundWhole(const float* x, std::size_t n, const CellColumn& cells, const WholeLevels& levels, std::uint8_t* codes, float* rounded);
void roundUneven(const float* x, std::size_t n, const CellColumn& cells, const UnevenLevels& levels, std::uint8_t* codes, float* rounded);

/// Grid points on both sides of n values; twice the same one on the grid and outside it.
void bracketWhole(const float* x, std::size_t n, const CellColumn& cells, const WholeLevels& levels, float* below, float* above);
void bracketUneven(const float* x, std::size_t n, const CellColumn& cells, const UnevenLevels& levels, float* below, float* above);

} // namespace bw::kernels
