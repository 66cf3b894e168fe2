// SPDX-License-Identifier: GPL-3.0-or-later
// Plain scalar loops over small arrays, which the compiler vectorises; error sums run in a fixed order, so that bytes are the
// same on every machine.
#include "core/format/search_blocks.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>

namespace bw {
namespace {

constexpr std::size_t kSuper = 256;

float roundedToHalf(float v) { return halfToFloat(floatToHalf(std::clamp(v, -65504.0f, 65504.0f))); }

void storeHalf(float v, std::byte* out) {
    const std::uint16_t bits = floatToHalf(std::clamp(v, -65504.0f, 65504.0f));
    std::memcpy(out, &bits, 2);
}

// IQ4_NL ----------------------------------------------------------------------------------------------------------------

constexpr std::size_t kNonLinearBlock = 32;
constexpr std::array<int, 16> kLevels{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

/// Index of the level nearest to v − 128, for v = 0 … 255; ties go to the lower level.
constexpr std::array<std::uint8_t, 256> kNearestLevel = [] {
    std::array<std::uint8_t, 256> table{};
    for (int v = 0; v < 256; ++v) {
        int best = 0;
        for (int l = 1; l < 16; ++l) {
            const int a = kLevels[static_cast<std::size_t>(l)] - (v - 128), b = kLevels[static_cast<std::size_t>(best)] - (v - 128);
            if (a * a < b * b) best = l;
        }
        table[static_cast<std::size_t>(v)] = static_cast<std::uint8_t>(best);
    }
    return table;
}();

std::uint8_t nearestLevel(float scaled) {
    return kNearestLevel[static_cast<std::size_t>(static_cast<int>(std::clamp(scaled, -128.0f, 127.0f) + 128.5f))];
}

float nonLinearError(const float* x, const float* w, float d) {
    const float inverse = 1.0f / d;
    float sum = 0;
    for (std::size_t j = 0; j < kNonLinearBlock; ++j) {
        const float e = x[j] - d * static_cast<float>(kLevels[nearestLevel(x[j] * inverse)]);
        sum += w[j] * e * e;
    }
    return sum;
}

void encodeNonLinearBlock(const float* x, const float* w, std::byte* out) {
    float peak = 0;
    for (std::size_t j = 0; j < kNonLinearBlock; ++j)
        if (std::abs(x[j]) > std::abs(peak)) peak = x[j];
    // What stands if no trial has a finite error (squares of values past 1e18 overflow): the clamped scale, never zeros.
    float best = std::abs(peak) > 1e-30f ? roundedToHalf(peak / -127.0f) : 0.0f, least = std::numeric_limits<float>::infinity();
    if (std::abs(peak) > 1e-30f) {
        // The peak is put at −133 … −100 and at 89 … 122 of the level scale: both ends of the uneven table are tried.
        for (int trial = 0; trial < 24; ++trial) {
            const float anchor = trial < 12 ? -133.0f + 3.0f * static_cast<float>(trial) : 89.0f + 3.0f * static_cast<float>(trial - 12);
            const float inverse = anchor / peak;
            float xq = 0, qq = 0;
            for (std::size_t j = 0; j < kNonLinearBlock; ++j) {
                const float q = static_cast<float>(kLevels[nearestLevel(x[j] * inverse)]);
                xq += w[j] * q * x[j];
                qq += w[j] * q * q;
            }
            if (!(qq > 0)) continue;
            const float d = roundedToHalf(xq / qq);
            if (d == 0 || !std::isfinite(1.0f / d)) continue;
            if (const float error = nonLinearError(x, w, d); error < least) {
                least = error;
                best = d;
            }
        }
    }
    storeHalf(best, out);
    const float inverse = best == 0 ? 0.0f : 1.0f / best;
    for (std::size_t j = 0; j < 16; ++j)
        out[2 + j] = static_cast<std::byte>(nearestLevel(x[j] * inverse) | nearestLevel(x[j + 16] * inverse) << 4);
}

// Q3_K ------------------------------------------------------------------------------------------------------------------

constexpr std::size_t kSub = 16, kSubs = 16;

int code3(float scaled) { return static_cast<int>(std::lround(std::clamp(scaled, -4.0f, 3.0f))); }

float error3(const float* x, const float* w, float step) {
    float sum = 0;
    const float inverse = step == 0 ? 0.0f : 1.0f / step;
    for (std::size_t j = 0; j < kSub; ++j) {
        const float e = x[j] - step * static_cast<float>(code3(x[j] * inverse));
        sum += w[j] * e * e;
    }
    return sum;
}

/// The step, of either sign, with the least error of 16 weights on −4 … 3 times it.
float bestStep(const float* x, const float* w) {
    float peak = 0;
    for (std::size_t j = 0; j < kSub; ++j)
        if (std::abs(x[j]) > std::abs(peak)) peak = x[j];
    if (std::abs(peak) < 1e-30f) return 0;
    float best = peak / -4.0f, least = std::numeric_limits<float>::infinity(); // stands if every error overflows
    for (int trial = 0; trial < 20; ++trial) {
        // The peak at −4.6 … −2.8 steps, and with the other sign at 2.8 … 4.6.
        const float magnitude = 2.8f + 0.2f * static_cast<float>(trial % 10);
        const float inverse = (trial < 10 ? -magnitude : magnitude) / peak;
        float xq = 0, qq = 0;
        for (std::size_t j = 0; j < kSub; ++j) {
            const float q = static_cast<float>(code3(x[j] * inverse));
            xq += w[j] * q * x[j];
            qq += w[j] * q * q;
        }
        if (!(qq > 0)) continue;
        const float step = xq / qq;
        if (const float error = error3(x, w, step); error < least) {
            least = error;
            best = step;
        }
    }
    return best;
}

struct Scales3 {
    float d = 0, error = std::numeric_limits<float>::infinity();
    std::array<int, kSubs> scale{}; ///< −32 … 31
};

Scales3 scalesFor(const float* x, const float* w, const std::array<float, kSubs>& steps, float d) {
    Scales3 result;
    result.d = d;
    result.error = 0;
    for (std::size_t s = 0; s < kSubs; ++s) {
        const int near = static_cast<int>(std::lround(std::clamp(steps[s] / d, -32.0f, 31.0f)));
        float least = std::numeric_limits<float>::infinity();
        result.scale[s] = near;
        for (int trial = std::max(-32, near - 1); trial <= std::min(31, near + 1); ++trial)
            if (const float error = error3(x + kSub * s, w + kSub * s, d * static_cast<float>(trial)); error < least) {
                least = error;
                result.scale[s] = trial;
            }
        result.error += least;
    }
    return result;
}

void encodeQ3Block(const float* x, const float* w, std::byte* out) {
    std::array<float, kSubs> steps{};
    float largest = 0;
    for (std::size_t s = 0; s < kSubs; ++s) {
        steps[s] = bestStep(x + kSub * s, w + kSub * s);
        if (std::abs(steps[s]) > std::abs(largest)) largest = steps[s];
    }
    Scales3 best;
    // The largest step near ∓32 or 31 units of d; a few neighbours catch lucky roundings of the others.
    for (const float units : {-32.0f, -31.0f, -30.0f, -29.0f, 31.0f, 30.0f, 29.0f, 28.0f}) {
        const float d = roundedToHalf(largest / units);
        if (d == 0 || !std::isfinite(1.0f / d)) continue;
        if (Scales3 trial = scalesFor(x, w, steps, d); best.d == 0 || trial.error < best.error) best = trial;
    }
    std::array<std::uint8_t, 110> bytes{};
    std::uint8_t *high = bytes.data(), *low = high + 32, *scales = low + 64;
    for (std::size_t i = 0; i < kSuper; ++i) {
        const float step = best.d * static_cast<float>(best.scale[i / kSub]);
        const auto q = static_cast<unsigned>(code3(step == 0 ? 0.0f : x[i] / step) + 4);
        low[i / 128 * 32 + i % 32] = static_cast<std::uint8_t>(low[i / 128 * 32 + i % 32] | (q & 3u) << (i / 32 % 4 * 2));
        high[i % 32] = static_cast<std::uint8_t>(high[i % 32] | (q >> 2) << (i / 32));
    }
    for (std::size_t s = 0; s < kSubs; ++s) {
        const auto v = static_cast<unsigned>(best.scale[s] + 32);
        scales[s % 8] = static_cast<std::uint8_t>(scales[s % 8] | (v & 15u) << (s / 8 * 4));
        scales[8 + s % 4] = static_cast<std::uint8_t>(scales[8 + s % 4] | (v >> 4) << (s / 4 * 2));
    }
    std::memcpy(out, bytes.data(), bytes.size());
    storeHalf(best.d, out + 108);
}

} // namespace

bool isSearchedType(StorageType type) { return type == StorageType::iq4_nl || type == StorageType::q3_k; }

void encodeSearchedBlocks(StorageType type, const float* x, const float* importance, std::byte* out, std::size_t n) {
    assert(isSearchedType(type));
    const StorageTypeInfo& info = storageTypeInfo(type);
    const auto block = static_cast<std::size_t>(info.blockElements);
    std::array<float, kSuper> w{};
    for (std::size_t at = 0; at < n; at += block, out += info.blockBytes) {
        float most = 0;
        for (std::size_t j = 0; importance != nullptr && j < block; ++j) most = std::max(most, importance[at + j]);
        // Without importance, or where it says nothing, all weights count alike; else 1 for the largest keeps sums in range.
        for (std::size_t j = 0; j < block; ++j) w[j] = most > 0 ? importance[at + j] / most : 1.0f;
        if (type == StorageType::iq4_nl)
            encodeNonLinearBlock(x + at, w.data(), out);
        else
            encodeQ3Block(x + at, w.data(), out);
    }
}

} // namespace bw
