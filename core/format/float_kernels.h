// SPDX-License-Identifier: GPL-3.0-or-later
// Floats of 4 to 8 bits: codes are sign and magnitude, subnormals included; rounding is to nearest even and saturates.
// Same bits on every instruction set. Private to core/format but for the table of values.
#pragma once

#include "core/format/grid_kernels.h"

#include <array>

namespace bw::kernels {

/// A kind of small float without infinities among its codes in use.
struct SmallFloat {
    int bits = 8, mantissaBits = 3, bias = 7;
    float largest = 448; ///< finite; magnitudes past it become it
};

/// values[code] for all 2^bits codes; codes past the largest finite magnitude (NaN, infinities) count as the largest.
std::array<float, 256> floatValues(const SmallFloat& kind);
/// The code of the largest magnitude.
int largestFloatCode(const SmallFloat& kind);

/// Codes of x/scale; scale > 0, x finite.
void floatCodes(const float* x, std::size_t n, float scale, const SmallFloat& kind, std::uint8_t* codes);
/// Σ w·(x−x̂)² with w = 1 when `weights` is null; eight running sums, added in a fixed order.
float floatError(const float* x, const float* weights, std::size_t n, float scale, const SmallFloat& kind);
/// One column whose rows have their own scales; offsets and zeros are not used. Not finite values count as 0.
void roundFloats(const float* x, std::size_t n, const CellColumn& cells, const SmallFloat& kind, std::uint8_t* codes, float* rounded);

} // namespace bw::kernels
