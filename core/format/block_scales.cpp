// SPDX-License-Identifier: GPL-3.0-or-later
// Layouts of the scales are those of block_codes.cpp; here they are written.
#include "core/format/block_scales.h"

#include "core/format/block_codes.h"
#include "core/format/half.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace bw {
namespace {

using enum StorageType;
using Byte = std::uint8_t;

float halfAt(const Byte* p) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, p, 2);
    return half::toFloat(bits);
}

void putHalf(float value, Byte* p) {
    const std::uint16_t bits = half::fromFloat(value);
    std::memcpy(p, &bits, 2);
}

/// The nearest f16 as f32; infinity past the largest.
float halfOf(double value) { return half::toFloat(half::fromFloat(static_cast<float>(value))); }

double asDouble(float v) { return static_cast<double>(v); }

/// Where d and dmin stand (−1: none), and what multiples of d may be.
struct SuperLayout {
    int scale = 0, minimum = -1, low = 0, high = 0, highMinimum = 0;
};

SuperLayout superLayout(StorageType type) {
    switch (type) {
    case q2_k: return {80, 82, 0, 15, 15};
    case q3_k: return {108, -1, -32, 31, 0};
    case q4_k:
    case q5_k: return {0, 2, 0, 63, 63};
    case q6_k: return {208, -1, -128, 127, 0};
    default: return {0, -1, -32, 31, 0}; // iq4_xs
    }
}

bool isSuper(StorageType type) {
    switch (type) {
    case q2_k:
    case q3_k:
    case q4_k:
    case q5_k:
    case q6_k:
    case iq4_xs: return true;
    default: return false;
    }
}

ScaleAndMinimum multiples(StorageType type, const Byte* b, int cell) {
    switch (type) {
    case q2_k: return {b[cell] & 15, b[cell] >> 4};
    case q3_k: return {q3kScale(b + 96, cell), 0};
    case q4_k:
    case q5_k: return scaleAndMinimum(b + 4, cell);
    case q6_k: return {static_cast<std::int8_t>(b[192 + cell]), 0};
    default: return {iq4xsScale(b, cell), 0};
    }
}

Byte withBits(Byte old, int shift, unsigned mask, int value) {
    return static_cast<Byte>((old & ~(mask << shift)) | (static_cast<unsigned>(value) & mask) << shift);
}

/// Six bits of a scale and of a minimum: the first four of each lie whole, of the others four bits and, elsewhere, two.
void putSixBits(Byte* s, int j, ScaleAndMinimum m) {
    if (j < 4) {
        s[j] = withBits(s[j], 0, 63, m.scale);
        s[j + 4] = withBits(s[j + 4], 0, 63, m.minimum);
        return;
    }
    s[j + 4] = static_cast<Byte>((m.scale & 15) | (m.minimum & 15) << 4);
    s[j - 4] = withBits(s[j - 4], 6, 3, m.scale >> 4);
    s[j] = withBits(s[j], 6, 3, m.minimum >> 4);
}

void putMultiples(StorageType type, Byte* b, int cell, ScaleAndMinimum m) {
    const int biased = m.scale + 32; // of q3_k and iq4_xs
    switch (type) {
    case q2_k: b[cell] = static_cast<Byte>(m.scale | m.minimum << 4); return;
    case q3_k:
        b[96 + cell % 8] = withBits(b[96 + cell % 8], cell < 8 ? 0 : 4, 15, biased);
        b[104 + cell % 4] = withBits(b[104 + cell % 4], cell / 4 * 2, 3, biased >> 4);
        return;
    case q4_k:
    case q5_k: return putSixBits(b + 4, cell, m);
    case q6_k: b[192 + cell] = static_cast<Byte>(static_cast<std::int8_t>(m.scale)); return;
    default: {
        b[4 + cell / 2] = withBits(b[4 + cell / 2], cell % 2 * 4, 15, biased);
        b[2 + cell / 4] = withBits(b[2 + cell / 4], cell % 4 * 2, 3, biased >> 4);
    }
    }
}

void moveMultiples(StorageType type, Byte* b, int cell, const ScaleLoss& loss) {
    const SuperLayout layout = superLayout(type);
    const double d = asDouble(halfAt(b + layout.scale));
    if (!(std::abs(d) > 0)) return;
    const ScaleAndMinimum old = multiples(type, b, cell);
    const double dmin = layout.minimum < 0 ? 0.0 : asDouble(halfAt(b + layout.minimum));
    const double wanted = std::clamp(old.scale + loss.bestScale(layout.minimum >= 0 && dmin > 0) / d, -1000.0, 1000.0);
    ScaleAndMinimum best = old;
    double least = 0;
    for (int up = 0; up <= 1; ++up) {
        ScaleAndMinimum tried = old;
        tried.scale = std::clamp(static_cast<int>(std::floor(wanted)) + up, layout.low, layout.high);
        const double a = d * (tried.scale - old.scale);
        if (dmin > 0) {
            const double minimum = std::clamp(old.minimum - loss.bestOffset(a) / dmin, 0.0, static_cast<double>(layout.highMinimum));
            tried.minimum = static_cast<int>(std::lround(minimum));
        }
        const double change = loss.at(a, -dmin * (tried.minimum - old.minimum));
        if (!(change < least)) continue;
        least = change;
        best = tried;
    }
    if (least < 0) putMultiples(type, b, cell, best);
}

} // namespace

bool hasMovableScales(StorageType type) {
    switch (type) {
    case q4_0:
    case q4_1:
    case q5_0:
    case q5_1:
    case q8_0:
    case iq4_nl: return true;
    default: return isSuper(type);
    }
}

void moveBlockCell(StorageType type, std::byte* block, int cell, const ScaleLoss& loss) {
    auto* const b = reinterpret_cast<Byte*>(block);
    if (isSuper(type)) return moveMultiples(type, b, cell, loss);
    const bool hasMinimum = blockShape(type).hasMinimum;
    const double old = asDouble(halfAt(b));
    const float scale = halfOf(old + loss.bestScale(hasMinimum));
    const double a = asDouble(scale) - old;
    float minimum = 0;
    double change = loss.at(a, 0);
    if (hasMinimum) {
        const double was = asDouble(halfAt(b + 2));
        minimum = halfOf(was + loss.bestOffset(a));
        change = loss.at(a, asDouble(minimum) - was);
    }
    if (!std::isfinite(scale) || !std::isfinite(minimum) || !(change < 0)) return;
    putHalf(scale, b);
    if (hasMinimum) putHalf(minimum, b + 2);
}

void moveBlockScales(StorageType type, std::byte* block, const ScaleLoss& loss) {
    if (!isSuper(type)) return;
    auto* const b = reinterpret_cast<Byte*>(block);
    const SuperLayout layout = superLayout(type);
    const double d = asDouble(halfAt(b + layout.scale)), dmin = layout.minimum < 0 ? 0.0 : asDouble(halfAt(b + layout.minimum));
    if (!(std::abs(d) > 0)) return;
    const float scale = halfOf(d * (1 + loss.bestScale(dmin > 0)));
    const double a = asDouble(scale) / d - 1;
    float minimum = 0;
    double change = loss.at(a, 0);
    if (dmin > 0) {
        minimum = halfOf(std::max(0.0, dmin * (1 + loss.bestOffset(a))));
        change = loss.at(a, asDouble(minimum) / dmin - 1);
    }
    if (!std::isfinite(scale) || !std::isfinite(minimum) || !(change < 0)) return;
    putHalf(scale, b + layout.scale);
    if (dmin > 0) putHalf(minimum, b + layout.minimum);
}

} // namespace bw
