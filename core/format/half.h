// SPDX-License-Identifier: GPL-3.0-or-later
// Branch-free conversions between f32 and 16-bit floats, inline so that loops over rows vectorise. Private to
// core/format; everyone else uses the functions of storage_type.h.
#pragma once

#include <cstdint>

namespace bw::half {

inline constexpr std::uint32_t kFloatInf = 0x7f800000u;
inline constexpr float kLargestHalf = 65504.0f;

/// All bits set where the condition holds: selections by masks keep loops vectorisable where nested ?: do not.
[[gnu::always_inline]] inline std::uint32_t mask(bool condition) { return 0u - static_cast<std::uint32_t>(condition); }

/// f16 bits → f32, exact; NaN comes back quiet.
[[gnu::always_inline]] inline float toFloat(std::uint16_t h) {
    const std::uint32_t sign = (static_cast<std::uint32_t>(h) & 0x8000u) << 16;
    const std::uint32_t mag = static_cast<std::uint32_t>(h) & 0x7fffu;
    // Rebias 15 → 127; infinities and NaN (exponent 31) need the same shift once more.
    const std::uint32_t normal = (mag << 13) + (112u << 23);
    const std::uint32_t special = (normal + (112u << 23)) | (mask(mag > 0x7c00u) & 0x400000u);
    const float tiny = static_cast<float>(static_cast<std::int32_t>(mag)) * 0x1.0p-24f;
    const std::uint32_t tinyBits = __builtin_bit_cast(std::uint32_t, tiny);
    const std::uint32_t isTiny = mask(mag < 0x400u), isSpecial = mask(mag >= 0x7c00u);
    const std::uint32_t bits = (normal & ~(isTiny | isSpecial)) | (tinyBits & isTiny) | (special & isSpecial);
    return __builtin_bit_cast(float, bits | sign);
}

/// f32 → f16 bits, round to nearest even; overflow gives infinity, NaN a quiet NaN with the upper payload bits.
[[gnu::always_inline]] inline std::uint16_t fromFloat(float value) {
    const std::uint32_t u = __builtin_bit_cast(std::uint32_t, value);
    const std::uint32_t sign = (u >> 16) & 0x8000u;
    const std::uint32_t mag = u & 0x7fffffffu;
    // Adding 0.5 aligns the last bit of a subnormal half with the last bit of the sum, so the adder does the rounding.
    const float aligned = __builtin_bit_cast(float, mag) + 0.5f;
    const std::uint32_t tiny = __builtin_bit_cast(std::uint32_t, aligned) - (126u << 23);
    const std::uint32_t normal = (mag - (112u << 23) + 0xfffu + ((mag >> 13) & 1u)) >> 13;
    const std::uint32_t nan = 0x7e00u | ((mag >> 13) & 0x1ffu);
    std::uint32_t bits = mag < 0x38800000u ? tiny : normal;
    bits = mag >= 0x477ff000u ? 0x7c00u : bits; // ≥ 65520 rounds to infinity
    bits = mag > kFloatInf ? nan : bits;
    return static_cast<std::uint16_t>(bits | sign);
}

[[gnu::always_inline]] inline float bf16ToFloat(std::uint16_t b) {
    return __builtin_bit_cast(float, static_cast<std::uint32_t>(b) << 16);
}

[[gnu::always_inline]] inline std::uint16_t bf16FromFloat(float value) {
    const std::uint32_t u = __builtin_bit_cast(std::uint32_t, value);
    const std::uint32_t rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
    const std::uint32_t nan = (u >> 16) | 0x40u;
    return static_cast<std::uint16_t>((u & 0x7fffffffu) > kFloatInf ? nan : rounded);
}

/// f32 → f16 bits of a scale: magnitudes past the largest half are held at it, so that decoded weights stay finite.
[[gnu::always_inline]] inline std::uint16_t scaleBits(float value) {
    const float capped = value > kLargestHalf ? kLargestHalf : (value < -kLargestHalf ? -kLargestHalf : value);
    return fromFloat(capped);
}

} // namespace bw::half
