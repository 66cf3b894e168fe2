// SPDX-License-Identifier: GPL-3.0-or-later
// Encoders of GGML's types without a search: ternary, MXFP4, one and two bits. Importance plays no part in them. Layouts
// are with their decoders in super_blocks.cpp. NVFP4 blocks are not among them: without a
// tensor-wide scale weights below 0.001 would be lost (float_format.h writes them beside one).
#include "core/format/half.h"
#include "core/format/plain.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

namespace bw {

namespace {

using Byte = std::uint8_t;

float peakOf(const float* x, std::size_t n) {
    float peak = 0;
    for (std::size_t i = 0; i < n; ++i) peak = std::max(peak, std::fabs(x[i]));
    return peak;
}

void putHalf(float v, Byte* out) {
    const std::uint16_t bits = half::scaleBits(v);
    std::memcpy(out, &bits, 2);
}

/// Nearest of −1, 0, 1 to x/peak, plus 1; halves go away from zero.
struct Ternary {
    float inverse;
    explicit Ternary(float peak) : inverse(peak > 0 && std::isfinite(1.0f / peak) ? 1.0f / peak : 0.0f) {}
    unsigned operator()(float x) const { return static_cast<unsigned>(std::lround(x * inverse) + 1); }
};

/// Digits of base 3, first one highest, as ⌈v·256/243⌉.
Byte packDigits(unsigned v) { return static_cast<Byte>((v * 256 + 242) / 243); }

void encodeTq1(const float* x, Byte* out) {
    const float peak = peakOf(x, 256);
    const Ternary digit(peak);
    const auto pack = [&](std::size_t bytes, int digits, int padding) {
        for (std::size_t l = 0; l < bytes; ++l) {
            unsigned v = 0;
            for (int n = 0; n < digits; ++n) v = 3 * v + digit(x[l + bytes * static_cast<std::size_t>(n)]);
            for (int n = 0; n < padding; ++n) v *= 3;
            *out++ = packDigits(v);
        }
        x += bytes * static_cast<std::size_t>(digits);
    };
    pack(32, 5, 0);
    pack(16, 5, 0);
    pack(4, 4, 1);
    putHalf(peak, out);
}

void encodeTq2(const float* x, Byte* out) {
    const float peak = peakOf(x, 256);
    const Ternary digit(peak);
    for (std::size_t h = 0; h < 2; ++h, x += 128)
        for (std::size_t l = 0; l < 32; ++l)
            *out++ = static_cast<Byte>(digit(x[l]) | digit(x[l + 32]) << 2 | digit(x[l + 64]) << 4 | digit(x[l + 96]) << 6);
    putHalf(peak, out);
}

/// E2M1 code of x on the grid unit·{0, 1, 2, 3, 4, 6, 8, 12}; a tie goes to the smaller magnitude.
unsigned nearestE2M1(float x, float unit) {
    constexpr std::array<float, 8> kLevels{0, 1, 2, 3, 4, 6, 8, 12};
    const float magnitude = std::fabs(x);
    unsigned best = 0;
    float least = magnitude;
    for (unsigned k = 1; k < kLevels.size(); ++k) {
        const float error = std::fabs(kLevels[k] * unit - magnitude);
        best = error < least ? k : best;
        least = std::min(error, least);
    }
    return best | (x < 0 && best != 0 ? 8u : 0u);
}

void encodeMxfp4(const float* x, Byte* out) {
    const float peak = peakOf(x, 32);
    // Base-2 logarithm rounded to f32 before the floor: peaks within 1e-7 below a power of two count as that power.
    const int exponent = peak > 0 ? static_cast<int>(std::floor(static_cast<float>(std::log2(static_cast<double>(peak))))) : -125;
    const int e8m0 = std::clamp(exponent + 125, 0, 254); // the largest level, 6 = 1.5·2², stands for the peak
    out[0] = static_cast<Byte>(e8m0);
    const float unit = std::ldexp(1.0f, e8m0 - 128); // half the power of two, since the levels are doubled
    for (std::size_t j = 0; j < 16; ++j) out[1 + j] = static_cast<Byte>(nearestE2M1(x[j], unit) | nearestE2M1(x[j + 16], unit) << 4);
}

void encodeQ1(const float* x, Byte* out) {
    float sum = 0;
    for (int i = 0; i < 128; ++i) sum += std::fabs(std::min(std::max(x[i], -1e9f), 1e9f)); // the scale ends at 65504 anyway
    putHalf(sum / 128.0f, out);
    std::fill_n(out + 2, 16, Byte{0});
    for (int i = 0; i < 128; ++i) out[2 + i / 8] = static_cast<Byte>(out[2 + i / 8] | (x[i] >= 0 ? 1 : 0) << (i % 8));
}

void encodeQ2(const float* x, Byte* out) {
    const float peak = peakOf(x, 64);
    const Ternary digit(peak);
    putHalf(peak, out);
    for (std::size_t j = 0; j < 16; ++j, x += 4)
        out[2 + j] = static_cast<Byte>(digit(x[0]) | digit(x[1]) << 2 | digit(x[2]) << 4 | digit(x[3]) << 6);
}

using Encoder = void (*)(const float*, Byte*);

Encoder encoderOf(StorageType type) {
    switch (type) {
    case StorageType::tq1_0: return encodeTq1;
    case StorageType::tq2_0: return encodeTq2;
    case StorageType::mxfp4: return encodeMxfp4;
    case StorageType::q1_0: return encodeQ1;
    case StorageType::q2_0: return encodeQ2;
    default: return nullptr;
    }
}

} // namespace

bool encodeSimpleBlocks(StorageType type, const float* x, std::byte* out, std::size_t n) {
    const Encoder encode = encoderOf(type);
    if (!encode) return false;
    const StorageTypeInfo& info = storageTypeInfo(type);
    auto* block = reinterpret_cast<Byte*>(out);
    for (std::size_t at = 0; at < n; at += static_cast<std::size_t>(info.blockElements), block += info.blockBytes) encode(x + at, block);
    return true;
}

} // namespace bw
