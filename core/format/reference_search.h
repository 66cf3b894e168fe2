// SPDX-License-Identifier: GPL-3.0-or-later
// The scale searches of ggml's block encoders, over several groups side by side (one group per vector lane). Every sum runs
// in ggml's order within its group and nothing is fused, so results equal its scalar code bit for bit on every instruction
// set. Private to core/format. Layouts and scale packing are in reference_super_blocks.cpp and reference_blocks.cpp.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bw::reference {

/// Groups side by side: weight i of group g at [i·count + g].
struct Groups {
    const float* x;
    const float* w;     ///< same layout, ≥ 0
    std::size_t length; ///< weights per group: 16 or 32
    std::size_t count;  ///< 8 or 16; unused groups are zeros
};
inline constexpr std::size_t kMaxGroupWeights = 256; ///< length·count

/// x ≈ scale·q − minimum with q in [0, top]: ranges of (top + first + k·step)/top codes, k = 0 … last, are refined by
/// weighted least squares and the one with the least Σ w·e² (or Σ w·|e|) is kept.
struct LineSearch {
    int top;
    float first, step;
    int last;
    bool absolute = false;
};
/// @param scale,minimum count results. @param codes interleaved like the groups.
void searchLines(const Groups& groups, const LineSearch& search, float* scale, float* minimum, std::uint8_t* codes);

/// x ≈ scale·(q − top) with q in [0, 2·top − 1]: the peak at −top ± 0.9 codes in steps of 0.1, least squares, best kept.
void searchScales(const Groups& groups, int top, float* scale, std::uint8_t* codes);

/// The same with weights x² (w is not read): from the peak at −top, codes are changed one at a time while that gains.
void descendScales(const Groups& groups, int top, float* scale, std::uint8_t* codes);

/// x ≈ scale·level of the 16 uneven levels of IQ4: the peak at −127 ± 7 level units.
void searchLevels(const Groups& groups, float* scale);

/// Index of the level nearest to inverse·x. 
void nearestLevels(const float* x, std::size_t n, float inverse, std::uint8_t* codes);

/// values ≈ result·code with codes in [0, top], values ≥ 0 (scales or minima of a super-block's groups): nine scales, then
/// codes are changed one at a time while that gains.
float fitPositive(const float* values, const float* weights, std::size_t n, int top, std::uint8_t* codes);

/// clamp(round((x + shift)/step), low, high) − low.
void roundCodes(const float* x, std::size_t n, float shift, float step, int low, int high, std::uint8_t* codes);

/// Importance as ggml applies it: w = importance·√(meanSquare + x²).
void importanceWeights(const float* x, const float* importance, float meanSquare, std::size_t n, float* w);

/// Weights where no importance is given.
enum class PlainWeights { square, magnitude, rmsPlusMagnitude };
/// @param x interleaved. @param w interleaved result.
void plainWeights(PlainWeights kind, const float* x, std::size_t length, std::size_t count, float* w);

/// Rounding to nearest even as ggml does it; for |v| > 4194303 a defined but meaningless number.
inline int nearestInt(float v) { return (__builtin_bit_cast(int, v + 12582912.0f) & 0x007fffff) - 0x00400000; }

} // namespace bw::reference
