// SPDX-License-Identifier: GPL-3.0-or-later
// Decoders of GGML's 256-weight blocks (k-quants, IQ4_XS, ternary) and of the table-based 4-bit types. One block at a
// time, plain code. Every product is formed in ggml's order, so values agree bit for bit (tests/data/format/dequantize).
#include "core/format/block_codes.h"
#include "core/format/half.h"
#include "core/format/levels.h"
#include "core/format/plain.h"

#include <array>
#include <cmath>
#include <cstring>

namespace bw {

namespace {

using Byte = std::uint8_t;

float halfAt(const Byte* p) {
    std::uint16_t h = 0;
    std::memcpy(&h, p, 2);
    return half::toFloat(h);
}

/// Where the two low bits of group g (16 weights) of Q2_K and Q3_K lie: bytes 32·(g/8) + 16·(g%2) …, shifted.
struct TwoBits {
    const Byte* bytes;
    int shift;
    TwoBits(const Byte* qs, int g) : bytes(qs + 32 * (g / 8) + 16 * (g % 2)), shift(g / 2 % 4 * 2) {}
};

/// Q2_K: scales[16] (low nibble scale, high nibble minimum, one per 16 weights), qs[64] of 2 bits, d, dmin.
void decodeQ2K(const Byte* b, float* out) {
    const float d = halfAt(b + 80), dmin = halfAt(b + 82);
    for (int g = 0; g < 16; ++g, out += 16) {
        const TwoBits low(b + 16, g);
        const float scale = d * static_cast<float>(b[g] & 15), minimum = dmin * static_cast<float>(b[g] >> 4);
        for (int l = 0; l < 16; ++l) out[l] = scale * static_cast<float>(low.bytes[l] >> low.shift & 3) - minimum;
    }
}

/// Q3_K: hmask[32] (a clear bit subtracts 4), qs[64] of 2 bits, 16 scales of 6 bits in 12 bytes with offset 32, d.
void decodeQ3K(const Byte* b, float* out) {
    const float d = halfAt(b + 108);
    for (int g = 0; g < 16; ++g, out += 16) {
        const TwoBits low(b + 32, g);
        const Byte* mask = b + 16 * (g % 2);
        const float scale = d * static_cast<float>(q3kScale(b + 96, g));
        for (int l = 0; l < 16; ++l)
            out[l] = scale * static_cast<float>((low.bytes[l] >> low.shift & 3) + (mask[l] >> (g / 2) & 1) * 4 - 4);
    }
}

/// Q4_K and Q5_K: d, dmin, 12 bytes of scales, (Q5_K: qh[32], fifth bit of sub-block j in bit j,) qs[128]: low nibbles are
/// the even sub-block of a pair, high nibbles the odd one.
template <bool five>
void decodeQ45K(const Byte* b, float* out) {
    const float d = halfAt(b), dmin = halfAt(b + 2);
    const Byte *scales = b + 4, *high = b + 16, *qs = b + (five ? 48 : 16);
    for (int j = 0; j < 8; ++j) {
        const auto [scale, minimum] = scaleAndMinimum(scales, j);
        const float ds = d * static_cast<float>(scale), dm = dmin * static_cast<float>(minimum);
        for (int l = 0; l < 32; ++l) {
            int q = qs[j / 2 * 32 + l] >> (j % 2 * 4) & 15;
            if (five) q |= (high[l] >> j & 1) << 4;
            out[32 * j + l] = ds * static_cast<float>(q) - dm;
        }
    }
}

/// Q6_K: ql[128], qh[64], scales[16] (signed bytes), d; codes have offset 32.
void decodeQ6K(const Byte* b, float* out) {
    const float d = halfAt(b + 208);
    for (int g = 0; g < 16; ++g, out += 16) {
        const int quarter = g / 2 % 4, lowShift = quarter / 2 * 4, highShift = 2 * quarter;
        const Byte *low = b + 64 * (g / 8) + 32 * (quarter % 2) + 16 * (g % 2), *high = b + 128 + 32 * (g / 8) + 16 * (g % 2);
        const float scale = d * static_cast<float>(static_cast<std::int8_t>(b[192 + g]));
        for (int l = 0; l < 16; ++l)
            out[l] = scale * static_cast<float>(((low[l] >> lowShift & 15) | (high[l] >> highShift & 3) << 4) - 32);
    }
}

/// Twice the values of E2M1: sign, two exponent bits, one mantissa bit.
constexpr std::array<float, 16> kE2M1Doubled{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/// n weights from n/2 bytes: low nibbles first half, high nibbles second.
void lookUpNibbles(const Byte* qs, int n, float scale, const std::array<float, 16>& table, float* out) {
    for (int l = 0; l < n / 2; ++l) {
        out[l] = scale * table[qs[l] & 15u];
        out[l + n / 2] = scale * table[qs[l] >> 4];
    }
}

/// IQ4_NL: d, qs[16].
void decodeIq4Nl(const Byte* b, float* out) { lookUpNibbles(b + 2, 32, halfAt(b), levels::kValues, out); }

/// IQ4_XS: d, scales_h (2 bits per sub-block of 32), scales_l[4] (4 bits), qs[128]; scale offset 32.
void decodeIq4Xs(const Byte* b, float* out) {
    const float d = halfAt(b);
    for (int j = 0; j < 8; ++j) lookUpNibbles(b + 8 + 16 * j, 32, d * static_cast<float>(iq4xsScale(b, j)), levels::kValues, out + 32 * j);
}

/// TQ1_0: five base-3 digits a byte in qs[48], four in qh[4], stored as ⌈v·256/243⌉ so that multiplying by 3ⁿ in 8 bits
/// and taking the top digit undoes it; d last.
void decodeTq1(const Byte* b, float* out) {
    constexpr std::array<unsigned, 5> kPowers{1, 3, 9, 27, 81};
    const float d = halfAt(b + 52);
    const auto digits = [&](const Byte* q, int bytes, int count) {
        for (int n = 0; n < count; ++n)
            for (int l = 0; l < bytes; ++l) {
                const unsigned v = q[l] * kPowers[static_cast<std::size_t>(n)] & 255u;
                *out++ = d * static_cast<float>(static_cast<int>(v * 3 >> 8) - 1);
            }
    };
    digits(b, 32, 5);
    digits(b + 32, 16, 5);
    digits(b + 48, 4, 4);
}

/// TQ2_0: qs[64] of 2 bits, d last; value d·(q − 1).
void decodeTq2(const Byte* b, float* out) {
    const float d = halfAt(b + 64);
    for (int i = 0; i < 256; ++i)
        out[i] = d * static_cast<float>((b[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2) & 3) - 1);
}

/// MXFP4: E8M0 exponent, then 32 E2M1 codes. Half the power of two, since the table holds doubled values.
void decodeMxfp4(const Byte* b, float* out) {
    lookUpNibbles(b + 1, 32, std::ldexp(1.0f, static_cast<int>(b[0]) - 128), kE2M1Doubled, out);
}

/// NVFP4: four E4M3 scales without sign, one per 16 weights, then 32 bytes of E2M1 codes.
void decodeNvfp4(const Byte* b, float* out) {
    for (int j = 0; j < 4; ++j) {
        const int code = b[j] & 0x7f, exponent = code >> 3, mantissa = code & 7;
        float scale = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -9) : std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
        if (b[j] == 0x7f) scale = 0; // the NaN pattern means an empty group; with the unused sign bit it is a number to ggml
        lookUpNibbles(b + 4 + 8 * j, 16, 0.5f * scale, kE2M1Doubled, out + 16 * j);
    }
}

/// Q1_0: d, then one sign bit per weight.
void decodeQ1(const Byte* b, float* out) {
    const float d = halfAt(b);
    for (int i = 0; i < 128; ++i) out[i] = b[2 + i / 8] >> (i % 8) & 1 ? d : -d;
}

/// Q2_0: d, then 2-bit codes, four a byte in order; value d·(q − 1).
void decodeQ2(const Byte* b, float* out) {
    const float d = halfAt(b);
    for (int i = 0; i < 64; ++i) out[i] = static_cast<float>((b[2 + i / 4] >> (i % 4 * 2) & 3) - 1) * d;
}

/// Q8_1 (d, the sum of the values, 32 signed bytes) and Q8_K (an f32 d, 256 signed bytes, sums): activations, rarely in files.
void scaleBytes(const Byte* codes, int n, float d, float* out) {
    for (int i = 0; i < n; ++i) out[i] = d * static_cast<float>(static_cast<std::int8_t>(codes[i]));
}
void decodeQ8_1(const Byte* b, float* out) { scaleBytes(b + 4, 32, halfAt(b), out); }
void decodeQ8K(const Byte* b, float* out) {
    float d = 0;
    std::memcpy(&d, b, 4);
    scaleBytes(b + 4, 256, d, out);
}

using Decoder = void (*)(const Byte*, float*);

Decoder decoderOf(StorageType type) {
    switch (type) {
    case StorageType::q2_k: return decodeQ2K;
    case StorageType::q3_k: return decodeQ3K;
    case StorageType::q4_k: return decodeQ45K<false>;
    case StorageType::q5_k: return decodeQ45K<true>;
    case StorageType::q6_k: return decodeQ6K;
    case StorageType::iq4_nl: return decodeIq4Nl;
    case StorageType::iq4_xs: return decodeIq4Xs;
    case StorageType::tq1_0: return decodeTq1;
    case StorageType::tq2_0: return decodeTq2;
    case StorageType::mxfp4: return decodeMxfp4;
    case StorageType::nvfp4: return decodeNvfp4;
    case StorageType::q1_0: return decodeQ1;
    case StorageType::q2_0: return decodeQ2;
    case StorageType::q8_1: return decodeQ8_1;
    case StorageType::q8_k: return decodeQ8K;
    default: return nullptr;
    }
}

} // namespace

bool decodeSuperBlocks(StorageType type, const std::byte* in, std::span<float> out) {
    const Decoder decode = decoderOf(type);
    if (!decode) return false;
    const StorageTypeInfo& info = storageTypeInfo(type);
    const auto* block = reinterpret_cast<const Byte*>(in);
    for (std::size_t at = 0; at < out.size(); at += static_cast<std::size_t>(info.blockElements), block += info.blockBytes)
        decode(block, out.data() + at);
    return true;
}

} // namespace bw
