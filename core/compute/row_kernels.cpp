// SPDX-License-Identifier: GPL-3.0-or-later
// The row kernels of a transformer block: norms, rotary positions, softmax. Compiled once per Highway target. Not for:
// nonlinearities (activation_kernels.cpp), sums over whole tensors (statistic_kernels.cpp).
#include "core/compute/kernels.h"

#include <algorithm>
#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/compute/row_kernels.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// After highway.h: this header uses its per-target macros.
#include <hwy/contrib/math/math-inl.h>

HWY_BEFORE_NAMESPACE();
namespace bw::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::ScalableTag<float>;
using VecF = hn::Vec<F32>;

std::int64_t lanes() {
    return static_cast<std::int64_t>(hn::Lanes(F32()));
}

/// The last values of a row, fewer than a vector, padded with `fill`.
struct Tail {
    HWY_ALIGN float values[hn::MaxLanes(F32())];
    Tail(const float* x, std::int64_t count, float fill) {
        std::fill(std::copy_n(x, count, values), values + hn::MaxLanes(F32()), fill);
    }
};

void RmsNormRow(const float* HWY_RESTRICT x, const float* HWY_RESTRICT weight, float epsilon, float* y,
                std::int64_t n) {
    const F32 d;
    const std::int64_t step = lanes();
    // Four partial sums hide the latency of the additions.
    VecF s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
    std::int64_t i = 0;
    for (; i + 4 * step <= n; i += 4 * step) {
        const VecF a = hn::LoadU(d, x + i), b = hn::LoadU(d, x + i + step);
        const VecF c = hn::LoadU(d, x + i + 2 * step), e = hn::LoadU(d, x + i + 3 * step);
        s0 = hn::MulAdd(a, a, s0);
        s1 = hn::MulAdd(b, b, s1);
        s2 = hn::MulAdd(c, c, s2);
        s3 = hn::MulAdd(e, e, s3);
    }
    for (; i + step <= n; i += step) {
        const VecF a = hn::LoadU(d, x + i);
        s0 = hn::MulAdd(a, a, s0);
    }
    if (i < n) {
        const Tail tail(x + i, n - i, 0.0f);
        const VecF a = hn::Load(d, tail.values);
        s1 = hn::MulAdd(a, a, s1);
    }
    const float sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3))));
    float factor = 1.0f / std::sqrt(sum / static_cast<float>(n) + epsilon);
    if (!std::isfinite(sum)) { // squares of values past 1e19: a factor of 0 would make a finite row vanish without a word
        double wide = 0;
        for (std::int64_t j = 0; j < n; ++j) wide += static_cast<double>(x[j]) * static_cast<double>(x[j]);
        factor = static_cast<float>(1.0 / std::sqrt(wide / static_cast<double>(n) + static_cast<double>(epsilon)));
    }
    const VecF f = hn::Set(d, factor);
    for (i = 0; i + step <= n; i += step)
        hn::StoreU(hn::Mul(hn::Mul(hn::LoadU(d, x + i), f), hn::LoadU(d, weight + i)), d, y + i);
    for (; i < n; ++i) y[i] = x[i] * factor * weight[i];
}

void LayerNormRow(const float* x, const float* HWY_RESTRICT weight, const float* HWY_RESTRICT bias,
                  float epsilon, float* y, std::int64_t n) {
    const F32 d;
    const std::int64_t step = lanes();
    VecF sums = hn::Zero(d);
    std::int64_t i = 0;
    for (; i + step <= n; i += step) sums = hn::Add(sums, hn::LoadU(d, x + i));
    float sum = hn::GetLane(hn::SumOfLanes(d, sums));
    for (; i < n; ++i) sum += x[i];
    const float mean = sum / static_cast<float>(n);
    // The mean is taken out first: a sum of squares would lose the variance of rows far from zero.
    const VecF middle = hn::Set(d, mean);
    VecF squares = hn::Zero(d);
    for (i = 0; i + step <= n; i += step) {
        const VecF c = hn::Sub(hn::LoadU(d, x + i), middle);
        squares = hn::MulAdd(c, c, squares);
    }
    float square = hn::GetLane(hn::SumOfLanes(d, squares));
    for (; i < n; ++i) square += (x[i] - mean) * (x[i] - mean);
    const float factor = 1.0f / std::sqrt(square / static_cast<float>(n) + epsilon);
    for (i = 0; i < n; ++i) y[i] = (x[i] - mean) * factor * weight[i] + (bias == nullptr ? 0.0f : bias[i]);
}

void RopeRow(float* x, std::int64_t heads, std::int64_t stride, std::int64_t half, const float* HWY_RESTRICT cosine,
             const float* HWY_RESTRICT sine) {
    const F32 d;
    const std::int64_t step = lanes();
    for (std::int64_t h = 0; h < heads; ++h) {
        float* low = x + h * stride;
        float* high = low + half;
        std::int64_t i = 0;
        for (; i + step <= half; i += step) {
            const VecF a = hn::LoadU(d, low + i), b = hn::LoadU(d, high + i);
            const VecF c = hn::LoadU(d, cosine + i), s = hn::LoadU(d, sine + i);
            hn::StoreU(hn::Sub(hn::Mul(a, c), hn::Mul(b, s)), d, low + i);
            hn::StoreU(hn::Add(hn::Mul(b, c), hn::Mul(a, s)), d, high + i);
        }
        for (; i < half; ++i) {
            const float a = low[i], b = high[i];
            low[i] = a * cosine[i] - b * sine[i];
            high[i] = b * cosine[i] + a * sine[i];
        }
    }
}

void SoftmaxRow(float* x, std::int64_t n, std::int64_t padded, float scale) {
    const F32 d;
    const std::int64_t step = lanes();
    const float lowest = -std::numeric_limits<float>::infinity();
    VecF peaks = hn::Set(d, lowest);
    std::int64_t i = 0;
    for (; i + step <= n; i += step) peaks = hn::Max(peaks, hn::LoadU(d, x + i));
    float peak = hn::GetLane(hn::MaxOfLanes(d, peaks));
    for (; i < n; ++i) peak = std::max(peak, x[i]);

    // The peak goes before the scale: past 2^24 the rounding of peak·scale alone would be a large exponent.
    const VecF factor = hn::Set(d, scale), shift = hn::Set(d, peak);
    // Highway's exp turns NaN into 0: a NaN score must stay visible.
    const auto exponential = [&](VecF v) {
        const VecF z = hn::Mul(hn::Sub(v, shift), factor);
        return hn::IfThenElse(hn::IsNaN(z), z, hn::Exp(d, z));
    };
    VecF sums = hn::Zero(d);
    for (i = 0; i + step <= n; i += step) {
        const VecF e = exponential(hn::LoadU(d, x + i));
        hn::StoreU(e, d, x + i);
        sums = hn::Add(sums, e);
    }
    if (i < n) {
        Tail tail(x + i, n - i, lowest);
        const VecF e = exponential(hn::Load(d, tail.values));
        hn::Store(e, d, tail.values);
        for (std::int64_t j = i; j < n; ++j) x[j] = tail.values[j - i];
        const Tail counted(tail.values, n - i, 0.0f);
        sums = hn::Add(sums, hn::Load(d, counted.values));
    }
    const float inverse = 1.0f / hn::GetLane(hn::SumOfLanes(d, sums));
    const VecF inv = hn::Set(d, inverse);
    for (i = 0; i + step <= n; i += step) hn::StoreU(hn::Mul(hn::LoadU(d, x + i), inv), d, x + i);
    for (; i < n; ++i) x[i] *= inverse;
    std::fill(x + n, x + padded, 0.0f);
}

void AddInPlace(float* HWY_RESTRICT x, const float* HWY_RESTRICT y, std::int64_t n) {
    const F32 d;
    const std::int64_t step = lanes();
    std::int64_t i = 0;
    for (; i + step <= n; i += step) hn::StoreU(hn::Add(hn::LoadU(d, x + i), hn::LoadU(d, y + i)), d, x + i);
    for (; i < n; ++i) x[i] += y[i];
}

bool AllFinite(const float* x, std::int64_t n) {
    const F32 d;
    const std::int64_t step = lanes();
    // x·0 is 0 for finite x and NaN otherwise, and a NaN stays in the sum.
    VecF sums = hn::Zero(d);
    std::int64_t i = 0;
    for (; i + step <= n; i += step) sums = hn::MulAdd(hn::LoadU(d, x + i), hn::Zero(d), sums);
    float sum = hn::GetLane(hn::SumOfLanes(d, sums));
    for (; i < n; ++i) sum += x[i] * 0.0f;
    return sum == 0.0f;
}

} // namespace bw::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bw::kernels {

HWY_EXPORT(RmsNormRow);
HWY_EXPORT(LayerNormRow);
HWY_EXPORT(RopeRow);
HWY_EXPORT(SoftmaxRow);
HWY_EXPORT(AddInPlace);
HWY_EXPORT(AllFinite);

void rmsNormRow(const float* x, const float* weight, float epsilon, float* y, std::int64_t n) {
    HWY_DYNAMIC_DISPATCH(RmsNormRow)(x, weight, epsilon, y, n);
}
void layerNormRow(const float* x, const float* weight, const float* bias, float epsilon, float* y, std::int64_t n) {
    HWY_DYNAMIC_DISPATCH(LayerNormRow)(x, weight, bias, epsilon, y, n);
}
void ropeRow(float* x, std::int64_t heads, std::int64_t stride, std::int64_t half, const float* cosine,
             const float* sine) {
    HWY_DYNAMIC_DISPATCH(RopeRow)(x, heads, stride, half, cosine, sine);
}
void softmaxRow(float* x, std::int64_t n, std::int64_t padded, float scale) {
    HWY_DYNAMIC_DISPATCH(SoftmaxRow)(x, n, padded, scale);
}
void addInPlace(float* x, const float* y, std::int64_t n) {
    HWY_DYNAMIC_DISPATCH(AddInPlace)(x, y, n);
}
bool allFinite(const float* x, std::int64_t n) {
    return HWY_DYNAMIC_DISPATCH(AllFinite)(x, n);
}

} // namespace bw::kernels
#endif
