// SPDX-License-Identifier: GPL-3.0-or-later
// Decoders of GGML's code-book types (IQ1, IQ2, IQ3): a code picks a vector of 4 or 8 magnitudes out of a fixed book, signs
// and scales come apart from it. Indices have exactly as many bits as the books have entries, so no code can leave them.
// Products are formed in ggml's order: values agree bit for bit (tests/data/format/dequantize).
#include "core/format/half.h"
#include "core/format/plain.h"

#include <array>
#include <bit>
#include <cstring>

namespace bw {

namespace {

#include "core/format/codebooks.inc"

using Byte = std::uint8_t;

template <std::size_t entries, std::size_t width>
using Book = std::array<std::array<std::int8_t, width>, entries>;

/// The vectors of a book from its packed level indices.
template <std::size_t width, std::size_t entries, std::size_t levels>
constexpr Book<entries, width> unpackBook(const std::array<std::uint16_t, entries>& packed, const std::array<std::int8_t, levels>& level) {
    constexpr unsigned bits = 16 / width;
    Book<entries, width> book{};
    for (std::size_t e = 0; e < entries; ++e)
        for (std::size_t i = 0; i < width; ++i) book[e][i] = level[packed[e] >> (bits * i) & ((1u << bits) - 1u)];
    return book;
}

constexpr auto kBook2Xxs = unpackBook<8>(kIq2Xxs, kIq2XxsLevels);
constexpr auto kBook2Xs = unpackBook<8>(kIq2Xs, kIq2XsLevels);
constexpr auto kBook2S = unpackBook<8>(kIq2S, kIq2SLevels);
constexpr auto kBook3Xxs = unpackBook<4>(kIq3Xxs, kIq3XxsLevels);
constexpr auto kBook3S = unpackBook<4>(kIq3S, kIq3SLevels);
constexpr auto kBook1 = unpackBook<8>(kIq1S, kIq1SLevels);

unsigned load16(const Byte* p) { return p[0] | static_cast<unsigned>(p[1]) << 8; }
unsigned load32(const Byte* p) { return load16(p) | load16(p + 2) << 16; }
float halfAt(const Byte* p) { return half::toFloat(static_cast<std::uint16_t>(load16(p))); }

/// Eight signs from seven stored bits: the eighth makes the number of minus signs even.
unsigned evenSigns(unsigned seven) {
    seven &= 127u;
    return seven | (static_cast<unsigned>(std::popcount(seven)) & 1u) << 7;
}

template <std::size_t width>
void putSigned(const std::array<std::int8_t, width>& vector, float scale, unsigned signs, float* out) {
    for (std::size_t j = 0; j < width; ++j)
        out[j] = scale * static_cast<float>(vector[j]) * (signs >> j & 1u ? -1.0f : 1.0f);
}

/// A scale of four bits s stands for (s + ½)/4.
float quarterScale(float d, unsigned s) { return d * (0.5f + static_cast<float>(s)) * 0.25f; }

/// IQ2_XXS: d, then per 32 weights four indices of 8 bits and a word of four 7-bit sign patterns and a 4-bit scale.
void decodeIq2Xxs(const Byte* b, float* out) {
    const float d = halfAt(b);
    for (int i = 0; i < 8; ++i) {
        const Byte* index = b + 2 + 8 * i;
        const unsigned word = load32(index + 4);
        const float scale = quarterScale(d, word >> 28);
        for (unsigned l = 0; l < 4; ++l, out += 8) putSigned(kBook2Xxs[index[l]], scale, evenSigns(word >> (7 * l)), out);
    }
}

/// IQ2_XS: d, 32 words of a 9-bit index and a 7-bit sign pattern, eight bytes of two 4-bit scales (16 weights each).
void decodeIq2Xs(const Byte* b, float* out) {
    const float d = halfAt(b);
    for (unsigned v = 0; v < 32; ++v, out += 8) {
        const unsigned word = load16(b + 2 + 2 * v);
        const float scale = quarterScale(d, b[66 + v / 4] >> (v / 2 % 2 * 4) & 15u);
        putSigned(kBook2Xs[word & 511u], scale, evenSigns(word >> 9), out);
    }
}

/// IQ2_S: d, 32 low index bytes, 32 sign bytes, eight bytes of four times two high index bits, eight bytes of scales.
void decodeIq2S(const Byte* b, float* out) {
    const float d = halfAt(b);
    for (unsigned v = 0; v < 32; ++v, out += 8) {
        const unsigned index = b[2 + v] | (b[66 + v / 4] >> (v % 4 * 2) & 3u) << 8;
        const float scale = quarterScale(d, b[74 + v / 4] >> (v / 2 % 2 * 4) & 15u);
        putSigned(kBook2S[index], scale, b[34 + v], out);
    }
}

/// IQ3_XXS: d, 64 index bytes (four weights each), then per 32 weights the word of signs and scale of IQ2_XXS.
void decodeIq3Xxs(const Byte* b, float* out) {
    const float d = halfAt(b);
    for (unsigned i = 0; i < 8; ++i) {
        const unsigned word = load32(b + 66 + 4 * i);
        const float scale = d * (0.5f + static_cast<float>(word >> 28)) * 0.5f;
        for (unsigned l = 0; l < 8; ++l, out += 4)
            putSigned(kBook3Xxs[b[2 + 8 * i + l]], scale, evenSigns(word >> (7 * (l / 2))) >> (l % 2 * 4), out);
    }
}

/// IQ3_S: d, 64 low index bytes, eight bytes of ninth index bits, 32 sign bytes, four bytes of two scales (32 weights each).
void decodeIq3S(const Byte* b, float* out) {
    const float d = halfAt(b);
    for (unsigned v = 0; v < 64; ++v, out += 4) {
        const unsigned index = b[2 + v] | (b[66 + v / 8] >> (v % 8) & 1u) << 8;
        const float scale = d * static_cast<float>(1u + 2u * (b[106 + v / 16] >> (v / 8 % 2 * 4) & 15u));
        putSigned(kBook3S[index], scale, b[74 + v / 2] >> (v % 2 * 4), out);
    }
}

constexpr float kShift = 0.125f; ///< IQ1 moves all of a vector up or down by this

void putShifted(unsigned index, float scale, bool down, float* out) {
    for (std::size_t j = 0; j < 8; ++j) out[j] = scale * (static_cast<float>(kBook1[index][j]) + (down ? -kShift : kShift));
}

/// IQ1_S: d, 32 low index bytes, eight words of four times three high index bits, a 3-bit scale and the sign of the shift.
void decodeIq1S(const Byte* b, float* out) {
    const float d = halfAt(b);
    for (unsigned v = 0; v < 32; ++v, out += 8) {
        const unsigned word = load16(b + 34 + v / 4 * 2);
        const unsigned index = b[2 + v] | (word >> (v % 4 * 3) & 7u) << 8;
        putShifted(index, d * static_cast<float>(2u * (word >> 12 & 7u) + 1u), (word & 0x8000u) != 0, out);
    }
}

/// IQ1_M: 32 low index bytes, 16 bytes of two nibbles (three high index bits and the sign of the shift), four words of four
/// 3-bit scales (16 weights each), whose top nibbles together are d.
void decodeIq1M(const Byte* b, float* out) {
    const Byte* words = b + 48;
    unsigned bits = 0;
    for (unsigned w = 0; w < 4; ++w) bits |= (load16(words + 2 * w) >> 12) << (4 * w);
    const float d = half::toFloat(static_cast<std::uint16_t>(bits));
    for (unsigned v = 0; v < 32; ++v, out += 8) {
        const unsigned nibble = b[32 + v / 2] >> (v % 2 * 4) & 15u;
        const unsigned scale = load16(words + v / 8 * 2) >> (v / 2 % 4 * 3) & 7u;
        putShifted(b[v] | (nibble & 7u) << 8, d * static_cast<float>(2u * scale + 1u), (nibble & 8u) != 0, out);
    }
}

using Decoder = void (*)(const Byte*, float*);

Decoder decoderOf(StorageType type) {
    switch (type) {
    case StorageType::iq1_s: return decodeIq1S;
    case StorageType::iq1_m: return decodeIq1M;
    case StorageType::iq2_xxs: return decodeIq2Xxs;
    case StorageType::iq2_xs: return decodeIq2Xs;
    case StorageType::iq2_s: return decodeIq2S;
    case StorageType::iq3_xxs: return decodeIq3Xxs;
    case StorageType::iq3_s: return decodeIq3S;
    default: return nullptr;
    }
}

} // namespace

bool decodeCodebookBlocks(StorageType type, const std::byte* in, std::span<float> out) {
    const Decoder decode = decoderOf(type);
    if (!decode) return false;
    const auto* block = reinterpret_cast<const Byte*>(in);
    for (std::size_t at = 0; at < out.size(); at += 256, block += storageTypeInfo(type).blockBytes) decode(block, out.data() + at);
    return true;
}

} // namespace bw
