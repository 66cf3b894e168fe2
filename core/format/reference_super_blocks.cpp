// SPDX-License-Identifier: GPL-3.0-or-later
// ggml's rounding of k-quants and IQ4_XS: scales (and minima) of 16 or 32 weights are searched, those of a block are fitted by
// few-bit codes times an f16, then all weights are rounded once more to the grid that is stored. Layouts: super_blocks.cpp.
#include "core/format/reference_super_blocks.h"

#include "core/format/half.h"
#include "core/format/reference_search.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

namespace bw::reference {

namespace {

using Byte = std::uint8_t;
constexpr std::size_t kSuper = kMaxGroupWeights, kMostGroups = 16;
using Weights = std::array<float, kSuper>;
using Codes = std::array<Byte, kSuper>;
using PerGroup = std::array<float, kMostGroups>;
using GroupCodes = std::array<Byte, kMostGroups>;

/// Weight i of group g from [g·length + i] to [i·count + g].
void interleave(const float* in, std::size_t length, float* out) {
    const std::size_t count = kSuper / length;
    for (std::size_t g = 0; g < count; ++g)
        for (std::size_t i = 0; i < length; ++i) out[i * count + g] = in[g * length + i];
}
void separate(const Codes& in, std::size_t length, Codes& out) {
    const std::size_t count = kSuper / length;
    for (std::size_t g = 0; g < count; ++g)
        for (std::size_t i = 0; i < length; ++i) out[g * length + i] = in[i * count + g];
}

float sumOfSquares(const float* x) {
    float sum = 0;
    for (std::size_t i = 0; i < kSuper; ++i) sum += x[i] * x[i];
    return sum;
}

/// Interleaved weights and their sums per group, ggml's form of importance.
void weighGroups(const float* x, const float* importance, float meanSquare, std::size_t length, Weights& interleaved, PerGroup& sums) {
    Weights w;
    importanceWeights(x, importance, meanSquare, kSuper, w.data());
    sums.fill(0);
    for (std::size_t i = 0; i < kSuper; ++i) sums[i / length] += w[i];
    interleave(w.data(), length, interleaved.data());
}

void putHalf(float v, Byte* out) {
    const std::uint16_t bits = half::scaleBits(v);
    std::memcpy(out, &bits, 2);
}
float storedHalf(float v) { return half::toFloat(half::scaleBits(v)); }

/// Two bits of each code: byte 32·h + l holds weights 128·h + l + 0, 32, 64, 96.
void putTwoBits(const Codes& codes, Byte* out) {
    for (std::size_t h = 0; h < 2; ++h)
        for (std::size_t l = 0; l < 32; ++l) {
            const Byte* c = codes.data() + 128 * h + l;
            out[32 * h + l] = static_cast<Byte>((c[0] & 3) | (c[32] & 3) << 2 | (c[64] & 3) << 4 | (c[96] & 3) << 6);
        }
}
/// Low four bits: byte 32·p + l holds weights 64·p + l and 64·p + l + 32.
void putNibbles(const Codes& codes, Byte* out) {
    for (std::size_t p = 0; p < 4; ++p)
        for (std::size_t l = 0; l < 32; ++l)
            out[32 * p + l] = static_cast<Byte>((codes[64 * p + l] & 15) | (codes[64 * p + l + 32] & 15) << 4);
}

/// What differs between the types with a scale and a minimum per group.
struct LineType {
    std::size_t length;   ///< weights per group
    int top, scaleTop;    ///< largest code of a weight, of a scale or minimum
    float squares;        ///< importance is smoothed by squares·(mean square of the block)
    PlainWeights plain;
    LineSearch plainSearch;
};
constexpr LineType kQ2{16, 3, 15, 1, PlainWeights::magnitude, {3, -0.5f, 0.1f, 15, true}};
constexpr LineType kQ4{32, 15, 63, 2, PlainWeights::rmsPlusMagnitude, {15, -1.0f, 0.1f, 20, false}};
constexpr LineType kQ5{32, 31, 63, 2, PlainWeights::rmsPlusMagnitude, {31, -0.5f, 0.1f, 15, false}};

struct Lines {
    float d = 0, dmin = 0; ///< before rounding to f16
    GroupCodes scale{}, minimum{};
    Codes codes{};
};

/// Without importance: the largest scale takes the top code, the others are rounded to its multiples.
float roundToLargest(const PerGroup& values, std::size_t count, int top, GroupCodes& codes) {
    float most = 0;
    for (std::size_t g = 0; g < count; ++g) most = values[g] > most ? values[g] : most;
    const float topValue = static_cast<float>(top), inverse = most > 0 ? topValue / most : 0.0f;
    for (std::size_t g = 0; g < count; ++g) codes[g] = static_cast<Byte>(std::clamp(nearestInt(inverse * values[g]), 0, top));
    return most / topValue;
}

Lines fitLines(const LineType& type, const float* x, const float* importance) {
    const std::size_t length = type.length, count = kSuper / length;
    Weights xs, ws;
    PerGroup sums{}, scale{}, minimum{};
    interleave(x, length, xs.data());
    LineSearch search = type.plainSearch;
    if (importance) {
        search = {type.top, -0.9f, 0.05f, 36, false};
        weighGroups(x, importance, type.squares * sumOfSquares(x) / static_cast<float>(kSuper), length, ws, sums);
    } else {
        plainWeights(type.plain, xs.data(), length, count, ws.data());
    }
    Codes searched;
    searchLines({xs.data(), ws.data(), length, count}, search, scale.data(), minimum.data(), searched.data());

    Lines lines;
    if (importance) {
        lines.d = fitPositive(scale.data(), sums.data(), count, type.scaleTop, lines.scale.data());
        lines.dmin = fitPositive(minimum.data(), sums.data(), count, type.scaleTop, lines.minimum.data());
        for (std::size_t g = 0; g < count; ++g) { // a negative scale wraps in ggml and would spill into its neighbours
            lines.scale[g] = std::min(lines.scale[g], static_cast<Byte>(type.scaleTop));
            lines.minimum[g] = std::min(lines.minimum[g], static_cast<Byte>(type.scaleTop));
        }
    } else {
        lines.d = roundToLargest(scale, count, type.scaleTop, lines.scale);
        lines.dmin = roundToLargest(minimum, count, type.scaleTop, lines.minimum);
    }
    separate(searched, length, lines.codes);
    const float d = storedHalf(lines.d), dmin = storedHalf(lines.dmin);
    for (std::size_t g = 0; g < count; ++g) {
        const float step = d * static_cast<float>(lines.scale[g]);
        if (step != 0) roundCodes(x + g * length, length, dmin * static_cast<float>(lines.minimum[g]), step, 0, type.top, lines.codes.data() + g * length);
    }
    return lines;
}

void encodeQ2K(const float* x, const float* importance, Byte* out) {
    const Lines lines = fitLines(kQ2, x, importance);
    for (std::size_t g = 0; g < 16; ++g) out[g] = static_cast<Byte>(lines.scale[g] | lines.minimum[g] << 4);
    putTwoBits(lines.codes, out + 16);
    putHalf(lines.d, out + 80);
    putHalf(lines.dmin, out + 82);
}

void encodeQ45K(const float* x, const float* importance, bool five, Byte* out) {
    const Lines lines = fitLines(five ? kQ5 : kQ4, x, importance);
    putHalf(lines.d, out);
    putHalf(lines.dmin, out + 2);
    Byte* packed = out + 4;
    for (std::size_t g = 0; g < 4; ++g) {
        const unsigned s = lines.scale[g], m = lines.minimum[g], s4 = lines.scale[g + 4], m4 = lines.minimum[g + 4];
        packed[g] = static_cast<Byte>(s | (s4 >> 4) << 6);
        packed[g + 4] = static_cast<Byte>(m | (m4 >> 4) << 6);
        packed[g + 8] = static_cast<Byte>((s4 & 15u) | (m4 & 15u) << 4);
    }
    putNibbles(lines.codes, out + (five ? 48 : 16));
    for (std::size_t l = 0; five && l < 32; ++l) {
        unsigned high = 0;
        for (std::size_t g = 0; g < 8; ++g) high |= static_cast<unsigned>(lines.codes[32 * g + l] >> 4) << g;
        out[16 + l] = static_cast<Byte>(high);
    }
}

/// The scale of largest magnitude, the first of equals.
float signedPeak(const PerGroup& scales, std::size_t count) {
    float peak = 0;
    for (std::size_t g = 0; g < count; ++g)
        if (std::fabs(scales[g]) > std::fabs(peak)) peak = scales[g];
    return peak;
}

/// Rounds each group to multiples of d·scale[g]; where that is zero the searched codes stay.
template <class Scale>
void roundGroups(const float* x, std::size_t length, float d, const std::array<Scale, kMostGroups>& scale, int low, int high, Codes& codes) {
    for (std::size_t g = 0; g < kSuper / length; ++g)
        if (const float step = d * static_cast<float>(scale[g]); step != 0)
            roundCodes(x + g * length, length, 0.0f, step, low, high, codes.data() + g * length);
}

void encodeQ3K(const float* x, const float* importance, Byte* out) {
    Weights xs, ws;
    PerGroup scale{}, sums{};
    Codes searched, codes;
    std::array<int, kMostGroups> stored{};
    interleave(x, 16, xs.data());
    float d = 0;
    if (importance) {
        weighGroups(x, importance, 2.0f * sumOfSquares(x) / static_cast<float>(kSuper), 16, ws, sums);
        searchScales({xs.data(), ws.data(), 16, 16}, 4, scale.data(), searched.data());
        // The block's d is the same search over the 16 scales, as one of eight groups.
        std::array<float, 128> values{}, weights{};
        std::array<Byte, 128> scaleCodes{};
        std::array<float, 8> found{};
        for (std::size_t g = 0; g < 16; ++g) {
            values[8 * g] = scale[g];
            weights[8 * g] = sums[g];
        }
        searchScales({values.data(), weights.data(), 16, 8}, 32, found.data(), scaleCodes.data());
        d = found[0];
        for (std::size_t g = 0; g < 16; ++g) stored[g] = scaleCodes[8 * g] - 32;
    } else {
        descendScales({xs.data(), nullptr, 16, 16}, 4, scale.data(), searched.data());
        stored.fill(-32); // what ggml stores for a block of zeros
        if (const float peak = signedPeak(scale, 16); peak != 0) {
            const float inverse = -32.0f / peak;
            for (std::size_t g = 0; g < 16; ++g) stored[g] = std::clamp(nearestInt(inverse * scale[g]), -32, 31);
            d = 1.0f / inverse;
        }
    }
    separate(searched, 16, codes);
    roundGroups(x, 16, storedHalf(d), stored, -4, 3, codes);

    std::fill_n(out, 110, Byte{0});
    for (std::size_t i = 0; i < kSuper; ++i) out[i % 32] = static_cast<Byte>(out[i % 32] | (codes[i] >> 2) << (i / 32));
    putTwoBits(codes, out + 32);
    for (std::size_t g = 0; g < 16; ++g) {
        const unsigned v = static_cast<unsigned>(stored[g] + 32);
        out[96 + g % 8] = static_cast<Byte>(out[96 + g % 8] | (v & 15u) << (g / 8 * 4));
        out[104 + g % 4] = static_cast<Byte>(out[104 + g % 4] | (v >> 4) << (g / 4 * 2));
    }
    putHalf(d, out + 108);
}

void encodeQ6K(const float* x, const float* importance, Byte* out) {
    Weights xs, ws;
    PerGroup scale{};
    Codes searched, codes;
    interleave(x, 16, xs.data());
    if (importance)
        interleave(importance, 16, ws.data());
    else
        plainWeights(PlainWeights::square, xs.data(), 16, 16, ws.data());
    searchScales({xs.data(), ws.data(), 16, 16}, 32, scale.data(), searched.data());
    std::fill_n(out, 210, Byte{0});
    const float peak = signedPeak(scale, 16);
    if (std::fabs(peak) < 1e-15f) return;
    const float inverse = -128.0f / peak, d = 1.0f / inverse;
    std::array<std::int8_t, kMostGroups> stored{};
    for (std::size_t g = 0; g < 16; ++g) stored[g] = static_cast<std::int8_t>(std::clamp(nearestInt(inverse * scale[g]), -128, 127));
    separate(searched, 16, codes);
    roundGroups(x, 16, storedHalf(d), stored, -32, 31, codes);

    for (std::size_t h = 0; h < 2; ++h)
        for (std::size_t l = 0; l < 32; ++l) {
            const Byte* c = codes.data() + 128 * h + l;
            out[64 * h + l] = static_cast<Byte>((c[0] & 15) | (c[64] & 15) << 4);
            out[64 * h + l + 32] = static_cast<Byte>((c[32] & 15) | (c[96] & 15) << 4);
            out[128 + 32 * h + l] = static_cast<Byte>(c[0] >> 4 | (c[32] >> 4) << 2 | (c[64] >> 4) << 4 | (c[96] >> 4) << 6);
        }
    std::memcpy(out + 192, stored.data(), 16);
    putHalf(d, out + 208);
}

void encodeIq4Xs(const float* x, const float* importance, Byte* out) {
    Weights xs, ws;
    PerGroup scale{}, sums{};
    interleave(x, 32, xs.data());
    if (importance)
        weighGroups(x, importance, sumOfSquares(x) * (2.0f / static_cast<float>(kSuper)), 32, ws, sums);
    else
        plainWeights(PlainWeights::square, xs.data(), 32, 8, ws.data());
    searchLevels({xs.data(), ws.data(), 32, 8}, scale.data());
    const float d = -signedPeak(scale, 8) / 32.0f, inverse = d != 0 ? 1.0f / d : 0.0f;
    std::fill_n(out, 136, Byte{0});
    putHalf(d, out);
    for (std::size_t g = 0; g < 8; ++g) {
        const int code = std::clamp(nearestInt(inverse * scale[g]), -32, 31);
        const float step = d * static_cast<float>(code), inverseStep = step != 0 ? 1.0f / step : 0.0f;
        Codes codes;
        nearestLevels(x + 32 * g, 32, std::isfinite(inverseStep) ? inverseStep : 0.0f, codes.data());
        for (std::size_t j = 0; j < 16; ++j) out[8 + 16 * g + j] = static_cast<Byte>(codes[j] | codes[j + 16] << 4);
        const unsigned v = static_cast<unsigned>(code + 32);
        out[2 + g / 4] = static_cast<Byte>(out[2 + g / 4] | (v >> 4) << (g % 4 * 2));
        out[4 + g / 2] = static_cast<Byte>(out[4 + g / 2] | (v & 15u) << (g % 2 * 4));
    }
}

} // namespace

void encodeSuperBlock(StorageType type, const float* x, const float* importance, std::byte* out) {
    auto* bytes = reinterpret_cast<Byte*>(out);
    switch (type) {
    case StorageType::q2_k: return encodeQ2K(x, importance, bytes);
    case StorageType::q3_k: return encodeQ3K(x, importance, bytes);
    case StorageType::q4_k: return encodeQ45K(x, importance, false, bytes);
    case StorageType::q5_k: return encodeQ45K(x, importance, true, bytes);
    case StorageType::q6_k: return encodeQ6K(x, importance, bytes);
    default: return encodeIq4Xs(x, importance, bytes);
    }
}

} // namespace bw::reference
