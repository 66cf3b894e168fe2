// SPDX-License-Identifier: GPL-3.0-or-later
// Grids that runtimes lay over activations and caches, as decode(encode(x)) in place. Scales are the caller's. Private to
// core/quantize; formats of weights, which keep codes, are in core/format.
#pragma once

#include "core/base/matrix.h"

#include <cstdint>
#include <span>

namespace bw {

/// An even grid of 2^bits codes, or a float of 8 bits. All round to nearest, ties to even, and saturate.
struct RuntimeGrid {
    enum class Kind : std::uint8_t { integer, e4m3, e5m2 } kind = Kind::integer;
    int bits = 8;
    bool symmetric = true; ///< integers: codes −(2^(bits−1)−1) … 2^(bits−1)−1, else 0 … 2^bits−1
    /// The largest code's magnitude: 127 or 255 of 8 bits, 448, 57344.
    float top() const;
};

/// max|x|; NaN counts as nothing.
float largestMagnitude(std::span<const float> x);
/// The least and the largest value with 0 among them; NaN counts as nothing.
std::pair<float, float> extremes(std::span<const float> x);

/// x ← scale·code(x/scale), symmetric integers and floats. A scale that is not positive leaves zeros. What is not finite
/// becomes NaN whatever the scale: a walk then names the block that it came from.
void roundSymmetric(std::span<float> x, float scale, const RuntimeGrid& grid);
/// The same with a scale for each value.
void roundSymmetric(std::span<float> x, std::span<const float> scales, const RuntimeGrid& grid);
/// x ← scale·(clamp(rne(x/scale) + zero, 0, top) − zero): codes with an integer zero point, as int8 products want them.
void roundWithZero(std::span<float> x, float scale, float zero, float top);

/// Scale and integer zero point of codes 0 … top over low … high, which hold 0.
struct ScaleAndZero { float scale = 0, zero = 0; };
ScaleAndZero scaleAndZero(float low, float high, float top);

/// Blocks of 32 channels, or of 256 (`super`), as llama.cpp's CPU kernels make them: q8_0 keeps its step in f16 but divides by
/// it unrounded, q8_k keeps f32. The last block may be short; NaN stays.
void roundBlocks(std::span<float> x, bool super);

/// x ← x as an f16 that saturates at ±65504: what waits in a 16-bit cache. NaN and infinity stay.
void roundToHalf(std::span<float> x);
/// `value` ≥ 0 as the f16 that is stored for it: at most 65504, and not 0 unless `value` is.
float storedScale(float value);

} // namespace bw
