// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/format/block_codes.h"

#include "core/format/half.h"
#include "core/format/levels.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace bw {

namespace {

using enum StorageType;
using Byte = std::uint8_t;

BlockShape whole(int cellWeights, int low, int high, int zero, bool hasMinimum = false) {
    BlockShape shape;
    shape.cellWeights = cellWeights;
    shape.hasMinimum = hasMinimum;
    shape.low = low;
    shape.high = high;
    shape.zero = zero;
    return shape;
}

template <std::size_t n>
BlockShape uneven(int cellWeights, const std::array<float, n>& levels) {
    static_assert(n <= 16);
    BlockShape shape;
    shape.cellWeights = cellWeights;
    shape.levelCount = static_cast<int>(n);
    shape.high = shape.levelCount - 1;
    std::copy(levels.begin(), levels.end(), shape.levels.begin());
    return shape;
}

/// Twice the values of E2M1 in rising order, one zero.
constexpr std::array<float, 15> kE2M1Doubled{-12, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8, 12};
/// The codes of MXFP4 in that order: sign and magnitude.
constexpr std::array<Byte, 15> kE2M1Codes{15, 14, 13, 12, 11, 10, 9, 0, 1, 2, 3, 4, 5, 6, 7};

BlockShape makeShape(StorageType type) {
    switch (type) {
    case q4_0: return whole(32, 0, 15, 8);
    case q4_1: return whole(32, 0, 15, 0, true);
    case q5_0: return whole(32, 0, 31, 16);
    case q5_1: return whole(32, 0, 31, 0, true);
    case q8_0: return whole(32, 1, 255, 128); // −128 is a code too, but no writer makes it and kernels may not expect it
    case q2_k: return whole(16, 0, 3, 0, true);
    case q3_k: return whole(16, 0, 7, 4);
    case q4_k: return whole(32, 0, 15, 0, true);
    case q5_k: return whole(32, 0, 31, 0, true);
    case q6_k: return whole(16, 0, 63, 32);
    case tq1_0:
    case tq2_0: return whole(256, 0, 2, 1);
    case q2_0: return whole(64, 0, 2, 1); // code 3 would be +2, which no writer makes
    case iq4_nl:
    case iq4_xs: return uneven(32, levels::kValues);
    case mxfp4: return uneven(32, kE2M1Doubled);
    case q1_0: return uneven(128, std::array<float, 2>{-1, 1});
    default: return {};
    }
}

float halfAt(const Byte* p) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, p, 2);
    return half::toFloat(bits);
}

/// Where the one f16 scale of a block stands.
std::size_t scaleAt(StorageType type) {
    switch (type) {
    case tq1_0: return 52;
    case tq2_0: return 64;
    default: return 0;
    }
}

void readSuperCells(StorageType type, const Byte* b, float* scales, float* offsets) {
    switch (type) {
    case q2_k:
        for (int g = 0; g < 16; ++g) {
            scales[g] = halfAt(b + 80) * static_cast<float>(b[g] & 15);
            offsets[g] = -(halfAt(b + 82) * static_cast<float>(b[g] >> 4));
        }
        return;
    case q3_k:
        for (int g = 0; g < 16; ++g) scales[g] = halfAt(b + 108) * static_cast<float>(q3kScale(b + 96, g));
        return;
    case q6_k:
        for (int g = 0; g < 16; ++g) scales[g] = halfAt(b + 208) * static_cast<float>(static_cast<std::int8_t>(b[192 + g]));
        return;
    case iq4_xs:
        for (int j = 0; j < 8; ++j) scales[j] = halfAt(b) * static_cast<float>(iq4xsScale(b, j));
        return;
    default: // q4_k, q5_k
        for (int j = 0; j < 8; ++j) {
            const ScaleAndMinimum s = scaleAndMinimum(b + 4, j);
            scales[j] = halfAt(b) * static_cast<float>(s.scale);
            offsets[j] = -(halfAt(b + 2) * static_cast<float>(s.minimum));
        }
    }
}

/// Low nibbles the first half of n weights, high nibbles the second.
void putNibbles(const Byte* codes, std::size_t n, Byte* out) {
    for (std::size_t j = 0; j < n / 2; ++j) out[j] = static_cast<Byte>((codes[j] & 15) | (codes[j + n / 2] & 15) << 4);
}

void putFifthBits(const Byte* codes, Byte* out) {
    std::uint32_t fifth = 0;
    for (std::size_t j = 0; j < 32; ++j) fifth |= static_cast<std::uint32_t>(codes[j] >> 4 & 1) << j;
    std::memcpy(out, &fifth, 4);
}

/// Two bits of each of 128·halves codes, `shift` of them first dropped: byte 32·h + l holds weights 128·h + l + 0, 32, 64, 96.
void putTwoBits(const Byte* codes, int shift, Byte* out) {
    for (std::size_t h = 0; h < 2; ++h)
        for (std::size_t l = 0; l < 32; ++l) {
            const Byte* c = codes + 128 * h + l;
            unsigned byte = 0;
            for (unsigned k = 0; k < 4; ++k) byte |= (static_cast<unsigned>(c[32 * k]) >> shift & 3u) << (2 * k);
            out[32 * h + l] = static_cast<Byte>(byte);
        }
}

void putHighBits(const Byte* codes, int bit, Byte* out) {
    for (std::size_t l = 0; l < 32; ++l) {
        unsigned byte = 0;
        for (unsigned k = 0; k < 8; ++k) byte |= (static_cast<unsigned>(codes[32 * k + l]) >> bit & 1u) << k;
        out[l] = static_cast<Byte>(byte);
    }
}

void putQ6Low(const Byte* codes, Byte* low) {
    for (std::size_t h = 0; h < 2; ++h)
        for (std::size_t l = 0; l < 64; ++l)
            low[64 * h + l] = static_cast<Byte>((codes[128 * h + l] & 15) | (codes[128 * h + l + 64] & 15) << 4);
}

/// Digits of base 3, the first one highest, as ⌈v·256/243⌉.
void putTernary(const Byte* codes, Byte* out) {
    const auto pack = [&](std::size_t bytes, std::size_t digits, unsigned padding) {
        for (std::size_t l = 0; l < bytes; ++l) {
            unsigned v = 0;
            for (std::size_t n = 0; n < digits; ++n) v = 3 * v + codes[l + bytes * n];
            *out++ = static_cast<Byte>((v * padding * 256 + 242) / 243);
        }
        codes += bytes * digits;
    };
    pack(32, 5, 1);
    pack(16, 5, 1);
    pack(4, 4, 3);
}

void putSignBits(const Byte* codes, Byte* out) {
    for (std::size_t j = 0; j < 16; ++j) {
        unsigned byte = 0;
        for (unsigned k = 0; k < 8; ++k) byte |= (codes[8 * j + k] & 1u) << k;
        out[j] = static_cast<Byte>(byte);
    }
}

} // namespace

const BlockShape& blockShape(StorageType type) {
    static const auto shapes = [] {
        std::array<BlockShape, static_cast<std::size_t>(unknown) + 1> all;
        for (std::size_t i = 0; i < all.size(); ++i) all[i] = makeShape(static_cast<StorageType>(i));
        return all;
    }();
    return shapes[static_cast<std::size_t>(type)];
}

ScaleAndMinimum scaleAndMinimum(const std::uint8_t* s, int j) {
    if (j < 4) return {s[j] & 63, s[j + 4] & 63};
    return {(s[j + 4] & 15) | s[j - 4] >> 6 << 4, s[j + 4] >> 4 | s[j] >> 6 << 4};
}

int q3kScale(const std::uint8_t* packed, int g) {
    const int nibble = g < 8 ? packed[g] & 15 : packed[g - 8] >> 4;
    return (nibble | (packed[8 + g % 4] >> (g / 4 * 2) & 3) << 4) - 32;
}

int iq4xsScale(const std::uint8_t* block, int j) {
    const int high = block[2] | block[3] << 8;
    return ((block[4 + j / 2] >> (j % 2 * 4) & 15) | (high >> (2 * j) & 3) << 4) - 32;
}

void readBlockCells(StorageType type, const std::byte* block, float* scales, float* offsets) {
    const auto* b = reinterpret_cast<const Byte*>(block);
    const BlockShape& shape = blockShape(type);
    if (!shape.hasMinimum) std::fill_n(offsets, storageTypeInfo(type).blockElements / shape.cellWeights, -0.0f);
    switch (type) {
    case q2_k:
    case q3_k:
    case q4_k:
    case q5_k:
    case q6_k:
    case iq4_xs: return readSuperCells(type, b, scales, offsets);
    case mxfp4: scales[0] = std::ldexp(1.0f, static_cast<int>(b[0]) - 128); return; // half the power: levels are doubled
    case q4_1:
    case q5_1: offsets[0] = halfAt(b + 2); [[fallthrough]];
    default: scales[0] = halfAt(b + scaleAt(type));
    }
}

void putBlockCodes(StorageType type, const std::uint8_t* codes, std::byte* block) {
    auto* b = reinterpret_cast<Byte*>(block);
    switch (type) {
    case q4_0:
    case iq4_nl: return putNibbles(codes, 32, b + 2);
    case q4_1: return putNibbles(codes, 32, b + 4);
    case q5_0:
    case q5_1: {
        Byte* fifth = b + (type == q5_0 ? 2 : 4);
        putFifthBits(codes, fifth);
        return putNibbles(codes, 32, fifth + 4);
    }
    case q8_0:
        for (std::size_t j = 0; j < 32; ++j) b[2 + j] = static_cast<Byte>(codes[j] - 128);
        return;
    case q2_k: return putTwoBits(codes, 0, b + 16);
    case q3_k: putHighBits(codes, 2, b); return putTwoBits(codes, 0, b + 32);
    case q5_k: putHighBits(codes, 4, b + 16); [[fallthrough]];
    case q4_k:
        for (std::size_t p = 0; p < 4; ++p) putNibbles(codes + 64 * p, 64, b + (type == q5_k ? 48 : 16) + 32 * p);
        return;
    case q6_k: putQ6Low(codes, b); return putTwoBits(codes, 4, b + 128);
    case iq4_xs:
        for (std::size_t j = 0; j < 8; ++j) putNibbles(codes + 32 * j, 32, b + 8 + 16 * j);
        return;
    case mxfp4: {
        std::array<Byte, 32> file{};
        std::transform(codes, codes + 32, file.begin(), [](Byte index) { return kE2M1Codes[index]; });
        return putNibbles(file.data(), 32, b + 1);
    }
    case tq1_0: return putTernary(codes, b);
    case tq2_0: return putTwoBits(codes, 0, b);
    case q1_0: return putSignBits(codes, b + 2);
    case q2_0:
        for (std::size_t j = 0; j < 16; ++j)
            b[2 + j] = static_cast<Byte>(codes[4 * j] | codes[4 * j + 1] << 2 | codes[4 * j + 2] << 4 | codes[4 * j + 3] << 6);
        return;
    default: return;
    }
}

} // namespace bw
