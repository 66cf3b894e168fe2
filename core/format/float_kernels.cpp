// SPDX-License-Identifier: GPL-3.0-or-later
// A magnitude in [2^e, 2^(e+1)) is rounded to multiples of 2^(e−M) by adding and subtracting 2^(e−M+23); what the sum has
// in its lowest bits is the mantissa with its leading one. Below the least normal number e stays: subnormals need no case.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/format/float_kernels.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/format/float_kernels.h"

#include <algorithm>
#include <cmath>

HWY_BEFORE_NAMESPACE();
namespace bw::kernels::HWY_NAMESPACE {
namespace {

using u8 = std::uint8_t;
using i32 = std::int32_t;

struct Steps {
    i32 least, raise, mantissaBits, signShift; ///< f32 bits of the least normal exponent; of the factor 2^(23−M)
    float largest;
};
HWY_INLINE Steps stepsOf(const SmallFloat& kind) {
    return {(128 - kind.bias) << 23, (23 - kind.mantissaBits) << 23, kind.mantissaBits, 32 - kind.bits, kind.largest};
}

struct Rounded {
    float value;
    i32 code;
};
HWY_INLINE Rounded roundTo(float u, const Steps& s) {
    const i32 bits = __builtin_bit_cast(i32, u), sign = bits & static_cast<i32>(0x80000000u);
    float magnitude = __builtin_bit_cast(float, bits & 0x7fffffff);
    magnitude = magnitude < s.largest ? magnitude : s.largest; // this way round 0/0, of a scale that is zero, stays finite too
    i32 exponent = __builtin_bit_cast(i32, magnitude) & 0x7f800000;
    exponent = exponent > s.least ? exponent : s.least;
    const float shift = __builtin_bit_cast(float, exponent + s.raise);
    const float sum = magnitude + shift, value = sum - shift;
    const i32 code = (__builtin_bit_cast(i32, sum) - (exponent + s.raise)) + (((exponent - s.least) >> 23) << s.mantissaBits);
    const i32 signBit = static_cast<i32>(static_cast<std::uint32_t>(sign) >> s.signShift);
    return {__builtin_bit_cast(float, __builtin_bit_cast(i32, value) | sign), code | signBit};
}

void floatCodesImpl(const float* HWY_RESTRICT x, std::size_t n, float scale, const SmallFloat& kind, u8* HWY_RESTRICT codes) {
    const Steps s = stepsOf(kind);
    for (std::size_t j = 0; j < n; ++j) codes[j] = static_cast<u8>(roundTo(x[j] / scale, s).code);
}

float floatErrorImpl(const float* HWY_RESTRICT x, const float* HWY_RESTRICT weights, std::size_t n, float scale, const SmallFloat& kind) {
    const Steps s = stepsOf(kind);
    float sums[8] = {};
    const auto square = [&](std::size_t j) HWY_ATTR {
        const float e = x[j] - roundTo(x[j] / scale, s).value * scale;
        return e * e;
    };
    std::size_t j = 0;
    if (weights) {
        for (; j + 8 <= n; j += 8)
            for (std::size_t k = 0; k < 8; ++k) sums[k] += weights[j + k] * square(j + k);
        for (; j < n; ++j) sums[0] += weights[j] * square(j);
    } else {
        for (; j + 8 <= n; j += 8)
            for (std::size_t k = 0; k < 8; ++k) sums[k] += square(j + k);
        for (; j < n; ++j) sums[0] += square(j);
    }
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

void roundFloatsImpl(const float* HWY_RESTRICT x, std::size_t n, const CellColumn& cells, const SmallFloat& kind, u8* HWY_RESTRICT codes,
                     float* HWY_RESTRICT rounded) {
    const Steps s = stepsOf(kind);
    const float* HWY_RESTRICT scale = cells.scale;
    for (std::size_t i = 0; i < n; ++i) {
        const i32 magnitude = __builtin_bit_cast(i32, x[i]) & 0x7fffffff;
        const Rounded r = roundTo((magnitude < 0x7f800000 ? x[i] : 0.0f) / scale[i], s);
        codes[i] = static_cast<u8>(r.code);
        rounded[i] = r.value * scale[i];
    }
}

} // namespace
} // namespace bw::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bw::kernels {

HWY_EXPORT(floatCodesImpl);
HWY_EXPORT(floatErrorImpl);
HWY_EXPORT(roundFloatsImpl);

void floatCodes(const float* x, std::size_t n, float scale, const SmallFloat& kind, std::uint8_t* codes) {
    HWY_DYNAMIC_DISPATCH(floatCodesImpl)(x, n, scale, kind, codes);
}
float floatError(const float* x, const float* weights, std::size_t n, float scale, const SmallFloat& kind) {
    return HWY_DYNAMIC_DISPATCH(floatErrorImpl)(x, weights, n, scale, kind);
}
void roundFloats(const float* x, std::size_t n, const CellColumn& cells, const SmallFloat& kind, std::uint8_t* codes, float* rounded) {
    HWY_DYNAMIC_DISPATCH(roundFloatsImpl)(x, n, cells, kind, codes, rounded);
}

std::array<float, 256> floatValues(const SmallFloat& kind) {
    std::array<float, 256> values{};
    const int half = 1 << (kind.bits - 1), one = 1 << kind.mantissaBits;
    for (int code = 0; code < 2 * half; ++code) {
        const int magnitude = code & (half - 1), exponent = magnitude >> kind.mantissaBits, mantissa = magnitude & (one - 1);
        const float v = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), 1 - kind.bias - kind.mantissaBits)
                                      : std::ldexp(static_cast<float>(one + mantissa), exponent - kind.bias - kind.mantissaBits);
        values[static_cast<std::size_t>(code)] = std::copysign(std::min(v, kind.largest), code < half ? 1.0f : -1.0f);
    }
    return values;
}

int largestFloatCode(const SmallFloat& kind) {
    std::uint8_t code = 0;
    floatCodes(&kind.largest, 1, 1.0f, kind, &code);
    return code;
}

} // namespace bw::kernels
#endif
