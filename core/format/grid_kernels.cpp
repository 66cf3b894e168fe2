// SPDX-License-Identifier: GPL-3.0-or-later
// Plain loops compiled once per instruction set, which the compiler vectorises: no branches, selections only.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/format/grid_kernels.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/format/grid_kernels.h"

HWY_BEFORE_NAMESPACE();
namespace bw::kernels::HWY_NAMESPACE {
namespace {

using u8 = std::uint8_t;
using i32 = std::int32_t;

/// Round to nearest even for |v| ≤ 2^22; never −0.
HWY_INLINE float nearestEven(float v) { return ((v + 12582912.0f) - 12582912.0f) + 0.0f; }
HWY_INLINE float clamp(float v, float low, float high) {
    v = v < low ? low : v;
    return v > high ? high : v;
}
HWY_INLINE float finite(float v) {
    const i32 magnitude = __builtin_bit_cast(i32, v) & 0x7fffffff;
    return magnitude < 0x7f800000 ? v : 0.0f;
}

/// x on the unscaled grid; 0 where the scale is 0.
HWY_INLINE float unscaled(float x, float scale, float offset) {
    const float divisor = scale != 0.0f ? scale : 1.0f;
    const float u = (x - offset) / divisor;
    return scale != 0.0f ? u : 0.0f;
}

HWY_INLINE float wholeLevel(float x, float scale, float offset, float low, float high) {
    // 512 bounds every level of 8 bits, so that the rounding below is defined and ties of clamped values don't matter.
    return clamp(nearestEven(clamp(unscaled(x, scale, offset), -512.0f, 512.0f)), low, high);
}

void roundWholeImpl(const float* HWY_RESTRICT x, std::size_t n, const CellColumn& cells, const WholeLevels& levels, u8* HWY_RESTRICT codes,
                    float* HWY_RESTRICT rounded) {
    const float *HWY_RESTRICT scale = cells.scale, *HWY_RESTRICT offset = cells.offset, *HWY_RESTRICT zero = cells.zero;
    const float low = levels.low, high = levels.high;
    for (std::size_t i = 0; i < n; ++i) {
        const float level = wholeLevel(finite(x[i]), scale[i], offset[i], low - zero[i], high - zero[i]);
        codes[i] = static_cast<u8>(static_cast<i32>(level + zero[i]));
        rounded[i] = level * scale[i] + offset[i];
    }
}

/// The other end of the step that x lies in, in levels: none past the grid's ends or on a grid point.
void bracketWholeImpl(const float* HWY_RESTRICT x, std::size_t n, const CellColumn& cells, const WholeLevels& levels, float* HWY_RESTRICT below,
                      float* HWY_RESTRICT above) {
    const float *HWY_RESTRICT scale = cells.scale, *HWY_RESTRICT offset = cells.offset, *HWY_RESTRICT zero = cells.zero;
    for (std::size_t i = 0; i < n; ++i) {
        const float v = finite(x[i]), low = levels.low - zero[i], high = levels.high - zero[i];
        const float level = wholeLevel(v, scale[i], offset[i], low, high), nearest = level * scale[i] + offset[i];
        const float step = (v > nearest) == (scale[i] > 0.0f) ? 1.0f : -1.0f;
        const float other = clamp(level + step, low, high) * scale[i] + offset[i];
        const float second = v == nearest ? nearest : other;
        below[i] = second < nearest ? second : nearest;
        above[i] = second < nearest ? nearest : second;
    }
}

struct Uneven {
    float level;
    i32 index;
};
HWY_INLINE Uneven nearestUneven(float u, const float* HWY_RESTRICT levels, const float* HWY_RESTRICT middles) {
    Uneven found{levels[0], 0};
    for (std::size_t k = 0; k < 15; ++k) {
        const bool past = u > middles[k];
        found.level = past ? levels[k + 1] : found.level;
        found.index += past ? 1 : 0;
    }
    return found;
}

void roundUnevenImpl(const float* HWY_RESTRICT x, std::size_t n, const CellColumn& cells, const UnevenLevels& grid, u8* HWY_RESTRICT codes,
                     float* HWY_RESTRICT rounded) {
    const float *HWY_RESTRICT scale = cells.scale, *HWY_RESTRICT offset = cells.offset;
    float levels[16], middles[15]; // copies: nothing written below can be them
    for (std::size_t k = 0; k < 16; ++k) levels[k] = grid.levels[k];
    for (std::size_t k = 0; k < 15; ++k) middles[k] = grid.middles[k];
    for (std::size_t i = 0; i < n; ++i) {
        const Uneven found = nearestUneven(unscaled(finite(x[i]), scale[i], offset[i]), levels, middles);
        codes[i] = static_cast<u8>(found.index);
        rounded[i] = scale[i] * found.level + offset[i];
    }
}

void bracketUnevenImpl(const float* HWY_RESTRICT x, std::size_t n, const CellColumn& cells, const UnevenLevels& grid, float* HWY_RESTRICT below,
                       float* HWY_RESTRICT above) {
    i32 last = 15;
    while (last > 0 && grid.levels[last - 1] == grid.levels[15]) --last;
    for (std::size_t i = 0; i < n; ++i) {
        const float v = finite(x[i]), scale = cells.scale[i], offset = cells.offset[i];
        const Uneven found = nearestUneven(unscaled(v, scale, offset), grid.levels, grid.middles);
        const float nearest = scale * found.level + offset;
        const i32 step = (v > nearest) == (scale > 0.0f) ? 1 : -1;
        i32 index = found.index + step;
        index = index < 0 ? 0 : (index > last ? last : index);
        const float second = v == nearest ? nearest : scale * grid.levels[index] + offset;
        below[i] = second < nearest ? second : nearest;
        above[i] = second < nearest ? nearest : second;
    }
}

} // namespace
} // namespace bw::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bw::kernels {

HWY_EXPORT(roundWholeImpl);
HWY_EXPORT(roundUnevenImpl);
HWY_EXPORT(bracketWholeImpl);
HWY_EXPORT(bracketUnevenImpl);

void roundWhole(const float* x, std::size_t n, const CellColumn& cells, const WholeLevels& levels, std::uint8_t* codes, float* rounded) {
    HWY_DYNAMIC_DISPATCH(roundWholeImpl)(x, n, cells, levels, codes, rounded);
}
void roundUneven(const float* x, std::size_t n, const CellColumn& cells, const UnevenLevels& levels, std::uint8_t* codes, float* rounded) {
    HWY_DYNAMIC_DISPATCH(roundUnevenImpl)(x, n, cells, levels, codes, rounded);
}
void bracketWhole(const float* x, std::size_t n, const CellColumn& cells, const WholeLevels& levels, float* below, float* above) {
    HWY_DYNAMIC_DISPATCH(bracketWholeImpl)(x, n, cells, levels, below, above);
}
void bracketUneven(const float* x, std::size_t n, const CellColumn& cells, const UnevenLevels& levels, float* below, float* above) {
    HWY_DYNAMIC_DISPATCH(bracketUnevenImpl)(x, n, cells, levels, below, above);
}

} // namespace bw::kernels
#endif
