// SPDX-License-Identifier: GPL-3.0-or-later
// Row kernels of the number formats. Plain loops compiled once per instruction set by Highway's foreach_target; the
// compiler vectorises them within each set. Layouts: ggml's blocks of 32, low nibble = element j, high = element j+16.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/format/kernels.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/format/half.h"
#include "core/format/kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>

HWY_BEFORE_NAMESPACE();
namespace bw::kernels::HWY_NAMESPACE {
namespace {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using i32 = std::int32_t;

constexpr i32 kMagnitude = 0x7fffffff;

/// Integers in the order of the floats, so that minima and maxima vectorise (float ones are not associative).
HWY_INLINE i32 ordered(float v) {
    const i32 i = __builtin_bit_cast(i32, v);
    return i ^ ((i >> 31) & kMagnitude);
}
HWY_INLINE float fromOrdered(i32 o) { return __builtin_bit_cast(float, o ^ ((o >> 31) & kMagnitude)); }

HWY_INLINE void minMaxOf(const float* HWY_RESTRICT x, std::size_t n, float& lo, float& hi) {
    i32 least = ordered(x[0]), most = least;
    for (std::size_t j = 0; j < n; ++j) {
        const i32 o = ordered(x[j]);
        least = o < least ? o : least;
        most = o > most ? o : most;
    }
    lo = fromOrdered(least);
    hi = fromOrdered(most);
}

/// The value of largest magnitude with its sign; of equals the first, as ggml takes it.
HWY_INLINE float signedPeak(const float* HWY_RESTRICT x) {
    float lo = 0, hi = 0;
    minMaxOf(x, kBlock, lo, hi);
    if (hi > -lo) return hi;
    if (-lo > hi) return lo;
    if (hi == 0.0f) return 0.0f;
    for (std::size_t j = 0; j < kBlock; ++j)
        if (std::fabs(x[j]) == hi) return x[j];
    return hi;
}

/// A block's minimum where a zero keeps the sign of the first zero met, as in ggml.
HWY_INLINE float blockMinimum(const float* HWY_RESTRICT x, float lo) {
    if (lo != 0.0f) return lo;
    for (std::size_t j = 0; j < kBlock; ++j)
        if (x[j] == 0.0f) return x[j];
    return lo;
}

HWY_INLINE float inverse(float d) {
    const float id = d != 0.0f ? 1.0f / d : 0.0f;
    return std::fabs(id) <= 3.4028234e38f ? id : 0.0f; // a scale below f32's normals: every code is the zero code
}
HWY_INLINE float capped(float d) {
    return d > half::kLargestHalf ? half::kLargestHalf : (d < -half::kLargestHalf ? -half::kLargestHalf : d);
}
/// Truncation of v clamped to [0, top]; the same as ggml's for every v that its unchecked cast defines.
HWY_INLINE i32 clampedCode(float v, float top) {
    v = v < 0.0f ? 0.0f : v;
    v = v > top ? top : v;
    return static_cast<i32>(v);
}
HWY_INLINE void putHalf(std::byte* p, float v) {
    const u16 h = half::scaleBits(v);
    std::memcpy(p, &h, 2);
}
HWY_INLINE float getHalf(const std::byte* p) {
    u16 h = 0;
    std::memcpy(&h, p, 2);
    return half::toFloat(h);
}

/// Codes of a block with `high` the largest one, from v = (x − shift)·id + bias.
HWY_INLINE void blockCodes(const float* HWY_RESTRICT x, float shift, float id, float bias, float high, u8* HWY_RESTRICT q) {
    for (std::size_t j = 0; j < kBlock; ++j) q[j] = static_cast<u8>(clampedCode((x[j] - shift) * id + bias, high));
}
HWY_INLINE void putNibbles(const u8* HWY_RESTRICT q, std::byte* HWY_RESTRICT out) {
    u8 packed[16];
    for (std::size_t j = 0; j < 16; ++j) packed[j] = static_cast<u8>((q[j] & 15u) | (static_cast<u32>(q[j + 16]) << 4));
    std::memcpy(out, packed, 16);
}
HWY_INLINE void putFifthBits(const u8* HWY_RESTRICT q, std::byte* out) {
    u32 qh = 0;
    for (u32 j = 0; j < kBlock; ++j) qh |= (static_cast<u32>(q[j]) >> 4) << j;
    std::memcpy(out, &qh, 4);
}

HWY_INLINE void encodeQ4_0(const float* HWY_RESTRICT x, std::byte* HWY_RESTRICT out) {
    const float d = capped(signedPeak(x) / -8.0f);
    u8 q[kBlock];
    blockCodes(x, 0.0f, inverse(d), 8.5f, 15.0f, q);
    putHalf(out, d);
    putNibbles(q, out + 2);
}
HWY_INLINE void encodeQ5_0(const float* HWY_RESTRICT x, std::byte* HWY_RESTRICT out) {
    const float d = capped(signedPeak(x) / -16.0f);
    u8 q[kBlock];
    blockCodes(x, 0.0f, inverse(d), 16.5f, 31.0f, q);
    putHalf(out, d);
    putFifthBits(q, out + 2);
    putNibbles(q, out + 6);
}
template <int levels>
HWY_INLINE void encodeMin(const float* HWY_RESTRICT x, std::byte* HWY_RESTRICT out) {
    float lo = 0, hi = 0;
    minMaxOf(x, kBlock, lo, hi);
    lo = capped(blockMinimum(x, lo));
    const float d = capped((hi - lo) / static_cast<float>(levels));
    u8 q[kBlock];
    blockCodes(x, lo, inverse(d), 0.5f, static_cast<float>(levels), q);
    putHalf(out, d);
    putHalf(out + 2, lo);
    if (levels == 31) putFifthBits(q, out + 4);
    putNibbles(q, out + (levels == 31 ? 8 : 4));
}
HWY_INLINE void encodeQ8_0(const float* HWY_RESTRICT x, std::byte* HWY_RESTRICT out) {
    float lo = 0, hi = 0;
    minMaxOf(x, kBlock, lo, hi);
    const float d = capped((hi > -lo ? hi : -lo) / 127.0f);
    const float id = inverse(d);
    std::int8_t q[kBlock];
    for (std::size_t j = 0; j < kBlock; ++j) {
        float v = x[j] * id;
        v = v < -127.0f ? -127.0f : (v > 127.0f ? 127.0f : v);
        const i32 whole = static_cast<i32>(v);
        const float rest = v - static_cast<float>(whole); // exact, so halves go away from zero as roundf has it
        q[j] = static_cast<std::int8_t>(whole + (rest >= 0.5f ? 1 : 0) - (rest <= -0.5f ? 1 : 0));
    }
    putHalf(out, d + 0.0f);
    std::memcpy(out + 2, q, kBlock);
}

HWY_INLINE void nibblesToFloats(const std::byte* HWY_RESTRICT in, u32 fifth, float scale, float offset, float minimum,
                                float* HWY_RESTRICT out, bool five) {
    u8 q[kBlock], packed[16];
    std::memcpy(packed, in, 16);
    for (std::size_t j = 0; j < 16; ++j) q[j] = packed[j] & 15u;
    for (std::size_t j = 0; j < 16; ++j) q[j + 16] = packed[j] >> 4;
    if (five) {
        for (u32 j = 0; j < kBlock; ++j) {
            const i32 code = static_cast<i32>(q[j] | (((fifth >> j) & 1u) << 4));
            out[j] = (static_cast<float>(code) - offset) * scale + minimum;
        }
    } else {
        for (u32 j = 0; j < kBlock; ++j) out[j] = (static_cast<float>(q[j]) - offset) * scale + minimum;
    }
}

HWY_INLINE u32 loadU32(const std::byte* p) {
    u32 v = 0;
    std::memcpy(&v, p, 4);
    return v;
}

void decode16(bool brain, const std::byte* HWY_RESTRICT in, float* HWY_RESTRICT out, std::size_t n) {
    // Rows start on even offsets in every container, but nothing promises it of a caller: copied by pieces.
    constexpr std::size_t kPiece = 256;
    u16 piece[kPiece];
    for (std::size_t at = 0; at < n; at += kPiece) {
        const std::size_t count = std::min(kPiece, n - at);
        std::memcpy(piece, in + 2 * at, 2 * count);
        if (brain)
            for (std::size_t j = 0; j < count; ++j) out[at + j] = half::bf16ToFloat(piece[j]);
        else
            for (std::size_t j = 0; j < count; ++j) out[at + j] = half::toFloat(piece[j]);
    }
}

void encode16(bool brain, const float* HWY_RESTRICT in, std::byte* HWY_RESTRICT out, std::size_t n) {
    constexpr std::size_t kPiece = 256;
    u16 piece[kPiece];
    for (std::size_t at = 0; at < n; at += kPiece) {
        const std::size_t count = std::min(kPiece, n - at);
        if (brain)
            for (std::size_t j = 0; j < count; ++j) piece[j] = half::bf16FromFloat(in[at + j]);
        else
            for (std::size_t j = 0; j < count; ++j) piece[j] = half::fromFloat(in[at + j]);
        std::memcpy(out + 2 * at, piece, 2 * count);
    }
}

void decodeImpl(StorageType type, const std::byte* HWY_RESTRICT in, float* HWY_RESTRICT out, std::size_t n) {
    if (type == StorageType::f16 || type == StorageType::bf16) return decode16(type == StorageType::bf16, in, out, n);
    for (std::size_t at = 0; at < n; at += kBlock) {
        float* o = out + at;
        const float d = getHalf(in);
        switch (type) {
        case StorageType::q4_0: nibblesToFloats(in + 2, 0, d, 8.0f, -0.0f, o, false); in += 18; break;
        case StorageType::q4_1: nibblesToFloats(in + 4, 0, d, 0.0f, getHalf(in + 2), o, false); in += 20; break;
        case StorageType::q5_0: nibblesToFloats(in + 6, loadU32(in + 2), d, 16.0f, -0.0f, o, true); in += 22; break;
        case StorageType::q5_1: nibblesToFloats(in + 8, loadU32(in + 4), d, 0.0f, getHalf(in + 2), o, true); in += 24; break;
        default: {
            std::int8_t q[kBlock];
            std::memcpy(q, in + 2, kBlock);
            for (std::size_t j = 0; j < kBlock; ++j) o[j] = static_cast<float>(q[j]) * d;
            in += 34;
        }
        }
    }
}

void encodeImpl(StorageType type, const float* HWY_RESTRICT in, std::byte* HWY_RESTRICT out, std::size_t n) {
    if (type == StorageType::f16 || type == StorageType::bf16) return encode16(type == StorageType::bf16, in, out, n);
    for (std::size_t at = 0; at < n; at += kBlock) {
        const float* x = in + at;
        switch (type) {
        case StorageType::q4_0: encodeQ4_0(x, out); out += 18; break;
        case StorageType::q4_1: encodeMin<15>(x, out); out += 20; break;
        case StorageType::q5_0: encodeQ5_0(x, out); out += 22; break;
        case StorageType::q5_1: encodeMin<31>(x, out); out += 24; break;
        default: encodeQ8_0(x, out); out += 34;
        }
    }
}

std::size_t firstNonFiniteImpl(const float* HWY_RESTRICT x, std::size_t n) {
    constexpr i32 kInf = static_cast<i32>(half::kFloatInf);
    i32 most = 0;
    for (std::size_t j = 0; j < n; ++j) {
        const i32 mag = __builtin_bit_cast(i32, x[j]) & kMagnitude;
        most = mag > most ? mag : most;
    }
    if (most < kInf) return n;
    std::size_t j = 0;
    while ((__builtin_bit_cast(i32, x[j]) & kMagnitude) < kInf) ++j;
    return j;
}

void minMaxImpl(const float* x, std::size_t n, float& lo, float& hi) { minMaxOf(x, n, lo, hi); }

/// Round to nearest even for |v| ≤ 2^22: the sum with 1.5·2^23 has no fraction bits left.
HWY_INLINE float nearestEven(float v) { return (v + 12582912.0f) - 12582912.0f; }

/// Rounded code minus zero point as a float, clamped to the grid. 512 bounds every code of 8 bits with any zero point.
HWY_INLINE float gridPoint(float x, float scale, float low, float high) {
    float v = x / scale;
    v = v < -512.0f ? -512.0f : v;
    v = v > 512.0f ? 512.0f : v;
    v = nearestEven(v);
    v = v < low ? low : v;
    return v > high ? high : v;
}

void affineCodesImpl(const float* HWY_RESTRICT x, std::size_t n, const AffineStep& step, u8* HWY_RESTRICT codes) {
    if (!(step.scale > 0.0f)) {
        std::memset(codes, step.zero, n);
        return;
    }
    const float low = static_cast<float>(step.low - step.zero), high = static_cast<float>(step.high - step.zero);
    const float scale = step.scale;
    const i32 zero = step.zero;
    for (std::size_t j = 0; j < n; ++j)
        codes[j] = static_cast<u8>(static_cast<i32>(gridPoint(x[j], scale, low, high)) + zero);
}

float affineErrorImpl(const float* HWY_RESTRICT x, const float* HWY_RESTRICT weights, std::size_t n, const AffineStep& step) {
    const float low = static_cast<float>(step.low - step.zero), high = static_cast<float>(step.high - step.zero);
    const bool flat = !(step.scale > 0.0f);
    const float scale = flat ? 1.0f : step.scale, back = flat ? 0.0f : step.scale;
    float sums[8] = {};
    const auto term = [&](std::size_t j) HWY_ATTR {
        const float e = x[j] - gridPoint(x[j], scale, low, high) * back;
        return (weights ? weights[j] : 1.0f) * (e * e);
    };
    std::size_t j = 0;
    if (weights) {
        for (; j + 8 <= n; j += 8)
            for (std::size_t k = 0; k < 8; ++k) {
                const float e = x[j + k] - gridPoint(x[j + k], scale, low, high) * back;
                sums[k] += weights[j + k] * (e * e);
            }
    } else {
        for (; j + 8 <= n; j += 8)
            for (std::size_t k = 0; k < 8; ++k) {
                const float e = x[j + k] - gridPoint(x[j + k], scale, low, high) * back;
                sums[k] += e * e;
            }
    }
    for (; j < n; ++j) sums[0] += term(j);
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

void affineDecodeImpl(const u8* HWY_RESTRICT codes, std::size_t n, const AffineStep& step, float* HWY_RESTRICT out) {
    const float scale = step.scale;
    const i32 zero = step.zero;
    for (std::size_t j = 0; j < n; ++j) out[j] = static_cast<float>(static_cast<i32>(codes[j]) - zero) * scale;
}

void packBitsImpl(const u8* HWY_RESTRICT codes, std::size_t n, int bits, std::byte* HWY_RESTRICT out) {
    if (bits == 8) {
        std::memcpy(out, codes, n);
        return;
    }
    std::size_t at = 0;
    if (bits == 4) {
        u8* o = reinterpret_cast<u8*>(out);
        for (; at + 32 <= n; at += 32, o += 16) {
            u16 pairs[16];
            std::memcpy(pairs, codes + at, 32);
            u8 packed[16];
            for (std::size_t j = 0; j < 16; ++j) packed[j] = static_cast<u8>(pairs[j] | (pairs[j] >> 4));
            std::memcpy(o, packed, 16);
        }
        out += at / 2;
    }
    // Eight codes make `bits` whole bytes.
    for (; at < n; at += 8) {
        std::uint64_t word = 0;
        const std::size_t count = std::min<std::size_t>(8, n - at);
        for (std::size_t k = 0; k < count; ++k) word |= static_cast<std::uint64_t>(codes[at + k]) << (k * static_cast<std::size_t>(bits));
        const std::size_t bytes = (count * static_cast<std::size_t>(bits) + 7) / 8;
        std::memcpy(out, &word, bytes);
        out += bytes;
    }
}

void unpackBitsImpl(const std::byte* HWY_RESTRICT in, std::size_t n, int bits, u8* HWY_RESTRICT codes) {
    if (bits == 8) {
        std::memcpy(codes, in, n);
        return;
    }
    std::size_t at = 0;
    if (bits == 4) {
        for (; at + 32 <= n; at += 32, in += 16) {
            u8 packed[16];
            std::memcpy(packed, in, 16);
            u16 pairs[16];
            for (std::size_t j = 0; j < 16; ++j) pairs[j] = static_cast<u16>((packed[j] & 0x0fu) | ((packed[j] & 0xf0u) << 4));
            std::memcpy(codes + at, pairs, 32);
        }
    }
    const std::uint64_t mask = (1u << bits) - 1u;
    for (; at < n; at += 8) {
        const std::size_t count = std::min<std::size_t>(8, n - at);
        const std::size_t bytes = (count * static_cast<std::size_t>(bits) + 7) / 8;
        std::uint64_t word = 0;
        std::memcpy(&word, in, bytes);
        in += bytes;
        for (std::size_t k = 0; k < count; ++k) codes[at + k] = static_cast<u8>((word >> (k * static_cast<std::size_t>(bits))) & mask);
    }
}

} // namespace
} // namespace bw::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bw::kernels {

HWY_EXPORT(decodeImpl);
HWY_EXPORT(encodeImpl);
HWY_EXPORT(firstNonFiniteImpl);
HWY_EXPORT(minMaxImpl);
HWY_EXPORT(affineCodesImpl);
HWY_EXPORT(affineErrorImpl);
HWY_EXPORT(affineDecodeImpl);
HWY_EXPORT(packBitsImpl);
HWY_EXPORT(unpackBitsImpl);

void decodeBlocks(StorageType type, const std::byte* in, float* out, std::size_t n) {
    HWY_DYNAMIC_DISPATCH(decodeImpl)(type, in, out, n);
}
void encodeBlocks(StorageType type, const float* in, std::byte* out, std::size_t n) {
    HWY_DYNAMIC_DISPATCH(encodeImpl)(type, in, out, n);
}
std::size_t firstNonFinite(const float* x, std::size_t n) { return HWY_DYNAMIC_DISPATCH(firstNonFiniteImpl)(x, n); }
void minMax(const float* x, std::size_t n, float& lo, float& hi) { HWY_DYNAMIC_DISPATCH(minMaxImpl)(x, n, lo, hi); }
void affineCodes(const float* x, std::size_t n, const AffineStep& step, std::uint8_t* codes) {
    HWY_DYNAMIC_DISPATCH(affineCodesImpl)(x, n, step, codes);
}
float affineError(const float* x, const float* weights, std::size_t n, const AffineStep& step) {
    return HWY_DYNAMIC_DISPATCH(affineErrorImpl)(x, weights, n, step);
}
void affineDecode(const std::uint8_t* codes, std::size_t n, const AffineStep& step, float* out) {
    HWY_DYNAMIC_DISPATCH(affineDecodeImpl)(codes, n, step, out);
}
void packBits(const std::uint8_t* codes, std::size_t n, int bits, std::byte* out) {
    HWY_DYNAMIC_DISPATCH(packBitsImpl)(codes, n, bits, out);
}
void unpackBits(const std::byte* in, std::size_t n, int bits, std::uint8_t* codes) {
    HWY_DYNAMIC_DISPATCH(unpackBitsImpl)(in, n, bits, codes);
}

} // namespace bw::kernels
#endif
