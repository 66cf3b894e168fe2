// SPDX-License-Identifier: GPL-3.0-or-later
// Importance-weighted rounding of GGML's blocks of 32: several scales are tried, each refined by weighted least squares,
// rounded to f16 and judged on what the stored bytes decode to. Same bytes on every instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/format/weighted_blocks.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/format/half.h"
#include "core/format/kernels.h"
#include "core/format/plain.h"

#include <cstring>

#ifndef BW_FORMAT_WEIGHTED_LAYOUT
#define BW_FORMAT_WEIGHTED_LAYOUT
namespace bw::weighted {
/// What a search found: stored scale and minimum, and the error Σ w·(x−x̂)² of their nearest codes.
struct Fit {
    std::uint16_t scale = 0, minimum = 0;
    float error = 0;
    bool better = false; ///< than the reference
};
} // namespace bw::weighted
#endif

HWY_BEFORE_NAMESPACE();
namespace bw::weighted::HWY_NAMESPACE {
namespace {

constexpr std::size_t kN = kernels::kBlock;

HWY_INLINE float nearestEven(float v) { return (v + 12582912.0f) - 12582912.0f; }
HWY_INLINE float clamp(float v, float lo, float hi) {
    v = v < lo ? lo : v;
    return v > hi ? hi : v;
}
HWY_INLINE float total(const float* HWY_RESTRICT s) {
    return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
}

/// Σ w·(x − (d·q + m))² over nearest codes q in [lo, hi].
HWY_INLINE float errorOf(const float* HWY_RESTRICT x, const float* HWY_RESTRICT w, float d, float m, float lo, float hi) {
    const float id = 1.0f / d;
    float sums[8] = {};
    for (std::size_t j = 0; j < kN; j += 8)
        for (std::size_t k = 0; k < 8; ++k) {
            const float q = nearestEven(clamp((x[j + k] - m) * id, lo, hi));
            const float e = x[j + k] - (q * d + m);
            sums[k] += w[j + k] * (e * e);
        }
    return total(sums);
}

/// Keeps (d, m), rounded to f16, when its error is less than the best so far.
HWY_INLINE void consider(const float* HWY_RESTRICT x, const float* HWY_RESTRICT w, float d, float m, float lo, float hi, Fit& best) {
    const std::uint16_t scale = half::scaleBits(d), minimum = half::scaleBits(m);
    const float stored = half::toFloat(scale);
    if (!(stored * stored > 0.0f)) return;
    const float error = errorOf(x, w, stored, half::toFloat(minimum), lo, hi);
    if (error < best.error) best = {scale, minimum, error, true};
}

/// Weighted least squares of x ≈ d·q for the codes that scale 1/id gives.
HWY_INLINE void fitScale(const float* HWY_RESTRICT x, const float* HWY_RESTRICT w, float id, float lo, float hi, Fit& best) {
    float xq[8] = {}, qq[8] = {};
    for (std::size_t j = 0; j < kN; j += 8)
        for (std::size_t k = 0; k < 8; ++k) {
            const float q = nearestEven(clamp(x[j + k] * id, lo, hi));
            const float wq = w[j + k] * q;
            xq[k] += wq * x[j + k];
            qq[k] += wq * q;
        }
    const float denominator = total(qq);
    if (denominator > 0.0f) consider(x, w, total(xq) / denominator, 0.0f, lo, hi, best);
}

/// Weighted line fit x ≈ d·q + m for the codes of the range [from, to] with q in [0, top].
HWY_INLINE void fitLine(const float* HWY_RESTRICT x, const float* HWY_RESTRICT w, float from, float to, float top, Fit& best) {
    const float id = top / (to - from);
    float s0[8] = {}, s1[8] = {}, s2[8] = {}, sx[8] = {}, sxq[8] = {};
    for (std::size_t j = 0; j < kN; j += 8)
        for (std::size_t k = 0; k < 8; ++k) {
            const float q = nearestEven(clamp((x[j + k] - from) * id, 0.0f, top));
            const float wj = w[j + k], wq = wj * q;
            s0[k] += wj;
            s1[k] += wq;
            s2[k] += wq * q;
            sx[k] += wj * x[j + k];
            sxq[k] += wq * x[j + k];
        }
    const double n = total(s0), q1 = total(s1), q2 = total(s2), x1 = total(sx), x2 = total(sxq);
    const double determinant = n * q2 - q1 * q1;
    if (!(determinant > 1e-9 * n * q2)) return; // all codes alike: no line
    const double d = (n * x2 - x1 * q1) / determinant;
    const double m = (x1 - d * q1) / n;
    if (d > 0.0) consider(x, w, static_cast<float>(d), static_cast<float>(m), 0.0f, top, best);
}

/// Scales for codes in [lo, hi]: the peak placed at 0.6 … 1.1 of |lo| codes, with either sign where the range is lopsided.
void searchScale(const float* x, const float* w, float peak, float lo, float hi, Fit& best) {
    const bool lopsided = -lo > hi;
    const float step = lopsided ? 0.05f : 0.005f; // 8-bit codes gain only from small changes
    for (int k = -8; k <= 2; ++k) {
        const float id = -lo * (1.0f + step * static_cast<float>(k)) / peak;
        fitScale(x, w, id, lo, hi, best);
        if (lopsided) fitScale(x, w, -id, lo, hi, best);
    }
}

/// Ranges for codes in [0, top]: each end moved inwards by 0 … 16 % of the range.
void searchLine(const float* x, const float* w, float least, float most, float top, Fit& best) {
    const float move = 0.04f * (most - least);
    for (int a = 0; a <= 4; ++a)
        for (int b = 0; b <= 4; ++b)
            fitLine(x, w, least + move * static_cast<float>(a), most - move * static_cast<float>(b), top, best);
}

/// Codes + offset of the nearest points of the stored grid.
void codesOf(const float* HWY_RESTRICT x, float d, float m, float lo, float hi, std::uint8_t* HWY_RESTRICT q) {
    const float id = 1.0f / d;
    const int offset = static_cast<int>(-lo);
    for (std::size_t j = 0; j < kN; ++j)
        q[j] = static_cast<std::uint8_t>(static_cast<int>(nearestEven(clamp((x[j] - m) * id, lo, hi))) + offset);
}

/// Σ w·(x−x̂)² of decoded values.
float errorOfValues(const float* HWY_RESTRICT x, const float* HWY_RESTRICT y, const float* HWY_RESTRICT w) {
    float sums[8] = {};
    for (std::size_t j = 0; j < kN; j += 8)
        for (std::size_t k = 0; k < 8; ++k) {
            const float e = x[j + k] - y[j + k];
            sums[k] += w[j + k] * (e * e);
        }
    return total(sums);
}

} // namespace
} // namespace bw::weighted::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bw {
namespace weighted {
HWY_EXPORT(searchScale);
HWY_EXPORT(searchLine);
HWY_EXPORT(codesOf);
HWY_EXPORT(errorOfValues);
} // namespace weighted

namespace {

using weighted::Fit;

struct Grid {
    float lo, hi;
    bool hasMinimum;
    std::size_t bytes;
};
Grid gridOf(StorageType type) {
    switch (type) {
    case StorageType::q4_0: return {-8, 7, false, 18};
    case StorageType::q5_0: return {-16, 15, false, 22};
    case StorageType::q4_1: return {0, 15, true, 20};
    case StorageType::q5_1: return {0, 31, true, 24};
    default: return {-127, 127, false, 34};
    }
}

void writeBlock(StorageType type, const Fit& fit, const std::uint8_t* q, std::byte* out) {
    std::memcpy(out, &fit.scale, 2);
    out += 2;
    if (type == StorageType::q8_0) {
        for (std::size_t j = 0; j < kernels::kBlock; ++j) out[j] = static_cast<std::byte>(q[j] - 127);
        return;
    }
    if (gridOf(type).hasMinimum) {
        std::memcpy(out, &fit.minimum, 2);
        out += 2;
    }
    if (type == StorageType::q5_0 || type == StorageType::q5_1) {
        std::uint32_t high = 0;
        for (std::uint32_t j = 0; j < kernels::kBlock; ++j) high |= (static_cast<std::uint32_t>(q[j]) >> 4) << j;
        std::memcpy(out, &high, 4);
        out += 4;
    }
    for (std::size_t j = 0; j < 16; ++j)
        out[j] = static_cast<std::byte>((q[j] & 15u) | ((static_cast<unsigned>(q[j + 16]) & 15u) << 4));
}

} // namespace

void encodeWeightedBlocks(StorageType type, const float* x, const float* importance, std::byte* out, std::size_t n) {
    const Grid grid = gridOf(type);
    for (std::size_t at = 0; at < n; at += kernels::kBlock, out += grid.bytes) {
        const float* block = x + at;
        kernels::encodeBlocks(type, block, out, kernels::kBlock);
        float most = 0;
        for (std::size_t j = 0; j < kernels::kBlock; ++j) most = importance[at + j] > most ? importance[at + j] : most;
        float least = 0, greatest = 0;
        kernels::minMax(block, kernels::kBlock, least, greatest);
        const float peak = greatest > -least ? greatest : -least;
        // Squares of the values must be normal f32 numbers for the sums to mean anything.
        if (!(most > 0.0f) || peak < 1e-15f || peak > 1e15f || (grid.hasMinimum && !(greatest > least))) continue;
        float w[kernels::kBlock], reference[kernels::kBlock];
        for (std::size_t j = 0; j < kernels::kBlock; ++j) w[j] = importance[at + j] / most;
        kernels::decodeBlocks(type, out, reference, kernels::kBlock);
        Fit best;
        best.error = HWY_DYNAMIC_DISPATCH(weighted::errorOfValues)(block, reference, w);
        if (grid.hasMinimum)
            HWY_DYNAMIC_DISPATCH(weighted::searchLine)(block, w, least, greatest, grid.hi, best);
        else
            HWY_DYNAMIC_DISPATCH(weighted::searchScale)(block, w, peak, grid.lo, grid.hi, best);
        if (!best.better) continue;
        std::uint8_t codes[kernels::kBlock];
        const float minimum = grid.hasMinimum ? half::toFloat(best.minimum) : 0.0f;
        HWY_DYNAMIC_DISPATCH(weighted::codesOf)(block, half::toFloat(best.scale), minimum, grid.lo, grid.hi, codes);
        writeBlock(type, best, codes, out);
    }
}

} // namespace bw
#endif
