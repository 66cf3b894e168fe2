// SPDX-License-Identifier: GPL-3.0-or-later
// Public conversions of single numbers, and the decoders of plain element types (integers, f64, 8-bit floats).
#include "core/format/half.h"

#include "core/format/plain.h"
#include "core/format/storage_type.h"

#include <array>
#include <cmath>
#include <cstring>
#include <limits>

namespace bw {

std::uint16_t floatToHalf(float value) { return half::fromFloat(value); }
float halfToFloat(std::uint16_t bits) { return half::toFloat(bits); }
std::uint16_t floatToBf16(float value) { return half::bf16FromFloat(value); }
float bf16ToFloat(std::uint16_t bits) { return half::bf16ToFloat(bits); }

namespace {

/// Value of an 8-bit float: sign, `exponentBits` bits with `bias`, then the mantissa; subnormals at exponent 0.
float smallFloat(unsigned code, int mantissaBits, int bias) {
    const int exponentBits = 7 - mantissaBits;
    const int exponent = static_cast<int>((code & 0x7fu) >> mantissaBits);
    const int mantissa = static_cast<int>(code & ((1u << mantissaBits) - 1u));
    const int one = 1 << mantissaBits;
    const float magnitude = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), 1 - bias - mantissaBits)
                                          : std::ldexp(static_cast<float>(one + mantissa), exponent - bias - mantissaBits);
    const float nan = std::numeric_limits<float>::quiet_NaN();
    float value = magnitude;
    if (exponentBits == 4) { // E4M3FN: no infinity, one NaN pattern
        if ((code & 0x7fu) == 0x7fu) value = nan;
    } else if (exponent == (1 << exponentBits) - 1) {
        value = mantissa ? nan : std::numeric_limits<float>::infinity();
    }
    return (code & 0x80u) ? -value : value;
}

std::array<float, 256> smallFloatTable(int mantissaBits, int bias) {
    std::array<float, 256> table{};
    for (unsigned code = 0; code < 256; ++code) table[code] = smallFloat(code, mantissaBits, bias);
    return table;
}

template <class T>
void convert(const std::byte* in, std::span<float> out) {
    for (std::size_t j = 0; j < out.size(); ++j) {
        T value{};
        std::memcpy(&value, in + j * sizeof(T), sizeof(T));
        out[j] = static_cast<float>(value);
    }
}

void lookUp(const std::array<float, 256>& table, const std::byte* in, std::span<float> out) {
    for (std::size_t j = 0; j < out.size(); ++j) out[j] = table[std::to_integer<unsigned>(in[j])];
}

} // namespace

bool decodePlain(StorageType type, const std::byte* in, std::span<float> out) {
    static const std::array<float, 256> e4m3 = smallFloatTable(3, 7);
    static const std::array<float, 256> e5m2 = smallFloatTable(2, 15);
    switch (type) {
    case StorageType::f32:
        if (!out.empty()) std::memcpy(out.data(), in, out.size_bytes());
        return true;
    case StorageType::f64: convert<double>(in, out); return true;
    case StorageType::f8e4m3: lookUp(e4m3, in, out); return true;
    case StorageType::f8e5m2: lookUp(e5m2, in, out); return true;
    case StorageType::i64: convert<std::int64_t>(in, out); return true;
    case StorageType::i32: convert<std::int32_t>(in, out); return true;
    case StorageType::i16: convert<std::int16_t>(in, out); return true;
    case StorageType::i8: convert<std::int8_t>(in, out); return true;
    case StorageType::u64: convert<std::uint64_t>(in, out); return true;
    case StorageType::u32: convert<std::uint32_t>(in, out); return true;
    case StorageType::u16: convert<std::uint16_t>(in, out); return true;
    case StorageType::u8: convert<std::uint8_t>(in, out); return true;
    case StorageType::boolean:
        for (std::size_t j = 0; j < out.size(); ++j) out[j] = in[j] != std::byte{0} ? 1.0f : 0.0f;
        return true;
    default: return false;
    }
}

} // namespace bw
