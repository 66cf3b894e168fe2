// SPDX-License-Identifier: GPL-3.0-or-later
// Rounding loops that compilers turn into vectors: no library calls and no branches on values.
#include "core/quantize/runtime_grid.h"

#include "core/format/storage_type.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace bw {
namespace {

/// Adding and subtracting 1.5·2^23 rounds a float below 2^22 to an integer, ties to even.
constexpr float kShift = 12582912.0f;
constexpr float kLargestHalf = 65504, kLeastHalf = 0x1.0p-24f;

/// std::clamp would let NaN through as well, but not as two vector instructions.
float within(float value, float most) { return std::min(std::max(value, -most), most); }

float roundInteger(float value, float top) {
    return (within(value, top) + kShift) - kShift;
}

/// A float of `mantissa` stored bits whose grid is even below `least`, a power of two. The step at a value is a power of two,
/// and adding 1.5·2^23 steps rounds to it.
template <int mantissa>
float roundFloat(float value, float top, float least) {
    const float clamped = within(value, top);
    const float power = std::max(std::bit_cast<float>(std::bit_cast<std::uint32_t>(clamped) & 0x7f800000u), least);
    const float shift = power * (kShift / static_cast<float>(1 << mantissa));
    return (clamped + shift) - shift;
}

constexpr float kLeastE4m3 = 0x1.0p-6f, kLeastE5m2 = 0x1.0p-14f;

/// @param scaleOf  of the i-th value
template <class ScaleOf>
void roundAll(std::span<float> x, const RuntimeGrid& grid, ScaleOf scaleOf) {
    const float top = grid.top();
    const auto each = [&](auto round) {
        for (std::size_t i = 0; i < x.size(); ++i) {
            const float scale = scaleOf(i), rounded = scale * round(x[i] / scale);
            x[i] = (scale > 0 ? rounded : 0.0f) + (x[i] - x[i]); // 0, or NaN of what is not finite
        }
    };
    switch (grid.kind) {
    case RuntimeGrid::Kind::integer: return each([top](float v) { return roundInteger(v, top); });
    case RuntimeGrid::Kind::e4m3: return each([top](float v) { return roundFloat<3>(v, top, kLeastE4m3); });
    case RuntimeGrid::Kind::e5m2: return each([top](float v) { return roundFloat<2>(v, top, kLeastE5m2); });
    }
}

} // namespace

float RuntimeGrid::top() const {
    if (kind == Kind::e4m3) return 448;
    if (kind == Kind::e5m2) return 57344;
    return static_cast<float>(symmetric ? (1 << (bits - 1)) - 1 : (1 << bits) - 1);
}

float largestMagnitude(std::span<const float> x) {
    float most = 0;
    for (const float value : x) most = std::max(most, std::abs(value)); // NaN fails the comparison
    return most;
}

std::pair<float, float> extremes(std::span<const float> x) {
    float low = 0, high = 0;
    for (const float value : x) {
        low = std::min(low, value);
        high = std::max(high, value);
    }
    return {low, high};
}

void roundSymmetric(std::span<float> x, float scale, const RuntimeGrid& grid) {
    roundAll(x, grid, [scale](std::size_t) { return scale; });
}

void roundSymmetric(std::span<float> x, std::span<const float> scales, const RuntimeGrid& grid) {
    roundAll(x, grid, [scales](std::size_t i) { return scales[i]; });
}

void roundWithZero(std::span<float> x, float scale, float zero, float top) {
    for (float& value : x) {
        const float code = (std::min(std::max(value / scale, -top), top) + kShift) - kShift;
        const float rounded = scale * (std::min(std::max(code + zero, 0.0f), top) - zero);
        value = (scale > 0 ? rounded : 0.0f) + (value - value);
    }
}

ScaleAndZero scaleAndZero(float low, float high, float top) {
    low = std::min(low, 0.0f), high = std::max(high, 0.0f);
    const float scale = high / top - low / top; // their difference might be past the largest float
    if (!(scale > 0)) return {};
    return {scale, std::clamp(std::nearbyint(-low / scale), 0.0f, top)};
}

void roundBlocks(std::span<float> x, bool super) {
    const std::size_t length = super ? 256 : 32;
    for (std::size_t first = 0; first < x.size(); first += length) {
        const auto block = x.subspan(first, std::min(length, x.size() - first));
        const float most = largestMagnitude(block), inverse = 127 / most;
        if (!(most > 0)) continue; // zeros, or NaN that stays
        // The inverse of what is that small is infinite: nothing is left of it.
        const float step = super ? 1 / inverse : halfToFloat(floatToHalf(most / 127));
        const float factor = std::isinf(inverse) ? 0.0f : inverse;
        for (float& value : block) value = step * roundInteger(factor * value, 127);
    }
}

void roundToHalf(std::span<float> x) {
    for (float& value : x) value = std::isfinite(value) ? halfToFloat(floatToHalf(within(value, kLargestHalf))) : value;
}

float storedScale(float value) {
    if (!(value > 0)) return value; // NaN included
    return halfToFloat(floatToHalf(std::isinf(value) ? value : std::clamp(value, kLeastHalf, kLargestHalf)));
}

} // namespace bw
