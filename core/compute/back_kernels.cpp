// SPDX-License-Identifier: GPL-3.0-or-later
// Row kernels of reverse mode: gradients through norms, softmax and nonlinearities. Compiled once per Highway target.
// Not for: attention as a whole (attention_back.cpp), threads (device_back.cpp).
#include "core/compute/kernels.h"

#include <algorithm>
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/compute/back_kernels.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// After highway.h: this header uses its per-target macros.
#include <hwy/contrib/math/math-inl.h>

HWY_BEFORE_NAMESPACE();
namespace bw::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::ScalableTag<float>;
using VecF = hn::Vec<F32>;

HWY_INLINE std::int64_t Step() {
    return static_cast<std::int64_t>(hn::Lanes(F32()));
}

HWY_INLINE float SumOf(VecF v) {
    return hn::GetLane(hn::SumOfLanes(F32(), v));
}

void RmsNormBackRow(const float* x, const float* weight, float epsilon, const float* dy, float* dx, std::int64_t n,
                    bool add) {
    const F32 d;
    const std::int64_t step = Step();
    VecF squares = hn::Zero(d), products = squares;
    std::int64_t i = 0;
    for (; i + step <= n; i += step) {
        const VecF v = hn::LoadU(d, x + i);
        squares = hn::MulAdd(v, v, squares);
        products = hn::MulAdd(hn::Mul(hn::LoadU(d, weight + i), hn::LoadU(d, dy + i)), v, products);
    }
    float square = SumOf(squares), along = SumOf(products);
    for (; i < n; ++i) {
        square += x[i] * x[i];
        along += weight[i] * dy[i] * x[i];
    }
    // y = r·w·x with r = (Σx²/n + ε)^−½, so dx = r·w·dy − x·r³/n·Σ w·dy·x.
    const float factor = 1.0f / std::sqrt(square / static_cast<float>(n) + epsilon);
    const float back = along * factor * factor * factor / static_cast<float>(n);
    const VecF f = hn::Set(d, factor), b = hn::Set(d, back);
    for (i = 0; i + step <= n; i += step) {
        const VecF part = hn::Mul(hn::Mul(hn::LoadU(d, weight + i), hn::LoadU(d, dy + i)), f);
        const VecF result = hn::NegMulAdd(hn::LoadU(d, x + i), b, part);
        hn::StoreU(add ? hn::Add(hn::LoadU(d, dx + i), result) : result, d, dx + i);
    }
    for (; i < n; ++i) dx[i] = weight[i] * dy[i] * factor - x[i] * back + (add ? dx[i] : 0.0f);
}

void LayerNormBackRow(const float* x, const float* weight, float epsilon, const float* dy, float* dx, std::int64_t n,
                      bool add) {
    const F32 d;
    const std::int64_t step = Step();
    const auto size = static_cast<float>(n);
    VecF sums = hn::Zero(d), given = sums;
    std::int64_t i = 0;
    for (; i + step <= n; i += step) {
        sums = hn::Add(sums, hn::LoadU(d, x + i));
        given = hn::MulAdd(hn::LoadU(d, weight + i), hn::LoadU(d, dy + i), given);
    }
    float sum = SumOf(sums), gradient = SumOf(given);
    for (; i < n; ++i) {
        sum += x[i];
        gradient += weight[i] * dy[i];
    }
    const float mean = sum / size;
    const VecF middle = hn::Set(d, mean);
    VecF squares = hn::Zero(d), products = squares;
    for (i = 0; i + step <= n; i += step) {
        const VecF c = hn::Sub(hn::LoadU(d, x + i), middle);
        squares = hn::MulAdd(c, c, squares);
        products = hn::MulAdd(hn::Mul(hn::LoadU(d, weight + i), hn::LoadU(d, dy + i)), c, products);
    }
    float square = SumOf(squares), along = SumOf(products);
    for (; i < n; ++i) {
        square += (x[i] - mean) * (x[i] - mean);
        along += weight[i] * dy[i] * (x[i] - mean);
    }
    // dx = r·(w·dy − mean(w·dy) − c·r²·mean(w·dy·c)), c = x − mean(x).
    const float factor = 1.0f / std::sqrt(square / size + epsilon);
    const float back = along * factor * factor * factor / size, shift = gradient * factor / size;
    for (i = 0; i < n; ++i) dx[i] = weight[i] * dy[i] * factor - (x[i] - mean) * back - shift + (add ? dx[i] : 0.0f);
}

void SoftmaxBackRow(const float* p, const float* slope, float scale, float* gradient, std::int64_t n) {
    const F32 d;
    const std::int64_t step = Step();
    VecF sums = hn::Zero(d);
    std::int64_t i = 0;
    for (; i + step <= n; i += step) sums = hn::MulAdd(hn::LoadU(d, p + i), hn::LoadU(d, gradient + i), sums);
    float sum = SumOf(sums);
    for (; i < n; ++i) sum += p[i] * gradient[i];
    const VecF middle = hn::Set(d, sum), factor = hn::Set(d, scale);
    for (i = 0; i + step <= n; i += step) {
        const VecF weighted = hn::Mul(hn::LoadU(d, p + i), factor);
        const VecF result = hn::Mul(weighted, hn::Sub(hn::LoadU(d, gradient + i), middle));
        hn::StoreU(slope == nullptr ? result : hn::Mul(result, hn::LoadU(d, slope + i)), d, gradient + i);
    }
    for (; i < n; ++i) gradient[i] = p[i] * scale * (gradient[i] - sum) * (slope == nullptr ? 1.0f : slope[i]);
}

/// value, slope ← f(x), f'(x); the last values go through padded vectors.
template <class F>
void MapSlope(const float* HWY_RESTRICT x, float* HWY_RESTRICT value, float* HWY_RESTRICT slope, std::int64_t n, F f) {
    const F32 d;
    const std::int64_t step = Step();
    VecF y = hn::Zero(d), dy = y;
    std::int64_t i = 0;
    for (; i + step <= n; i += step) {
        f(hn::LoadU(d, x + i), y, dy);
        hn::StoreU(y, d, value + i);
        hn::StoreU(dy, d, slope + i);
    }
    if (i == n) return;
    HWY_ALIGN float rest[hn::MaxLanes(F32())] = {};
    HWY_ALIGN float restSlope[hn::MaxLanes(F32())];
    std::copy_n(x + i, n - i, rest);
    f(hn::Load(d, rest), y, dy);
    hn::Store(y, d, rest);
    hn::Store(dy, d, restSlope);
    std::copy_n(rest, n - i, value + i);
    std::copy_n(restSlope, n - i, slope + i);
}

/// σ(z); exp(100) is infinity in f32, so that it is 0 below −100. Min and Exp may lose a NaN: z·0 puts it back.
HWY_INLINE VecF Sigmoid(VecF z) {
    const F32 d;
    const VecF e = hn::Exp(d, hn::Min(hn::Neg(z), hn::Set(d, 100.0f)));
    const VecF s = hn::Div(hn::Set(d, 1.0f), hn::Add(hn::Set(d, 1.0f), e));
    return hn::IfThenElse(hn::IsNaN(z), z, s);
}

void SiluSlope(const float* x, float* value, float* slope, std::int64_t n) {
    MapSlope(x, value, slope, n, [](VecF v, VecF& y, VecF& dy) {
        const F32 d;
        const VecF s = Sigmoid(v);
        y = hn::Mul(v, s);
        // σ + x·σ·(1−σ)
        dy = hn::MulAdd(y, hn::Sub(hn::Set(d, 1.0f), s), s);
    });
}

void GeluTanhSlope(const float* x, float* value, float* slope, std::int64_t n) {
    // x·σ(z), z = 2·√(2/π)·(x + 0.044715·x³).
    MapSlope(x, value, slope, n, [](VecF v, VecF& y, VecF& dy) {
        const F32 d;
        const VecF one = hn::Set(d, 1.0f), twice = hn::Set(d, 1.5957691216057308f);
        const VecF square = hn::Mul(v, v);
        const VecF z = hn::Mul(hn::Mul(v, hn::MulAdd(square, hn::Set(d, 0.044715f), one)), twice);
        const VecF dz = hn::Mul(hn::MulAdd(square, hn::Set(d, 3 * 0.044715f), one), twice);
        const VecF s = Sigmoid(z);
        y = hn::Mul(v, s);
        dy = hn::MulAdd(hn::Mul(y, hn::Sub(one, s)), dz, s);
    });
}

void Product(const float* a, const float* b, const float* c, float* y, std::int64_t n) {
    const F32 d;
    const std::int64_t step = Step();
    std::int64_t i = 0;
    for (; i + step <= n; i += step) {
        const VecF ab = hn::Mul(hn::LoadU(d, a + i), hn::LoadU(d, b + i));
        hn::StoreU(c == nullptr ? ab : hn::Mul(ab, hn::LoadU(d, c + i)), d, y + i);
    }
    for (; i < n; ++i) y[i] = a[i] * b[i] * (c == nullptr ? 1.0f : c[i]);
}

} // namespace bw::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bw::kernels {

HWY_EXPORT(RmsNormBackRow);
HWY_EXPORT(LayerNormBackRow);
HWY_EXPORT(SoftmaxBackRow);
HWY_EXPORT(SiluSlope);
HWY_EXPORT(GeluTanhSlope);
HWY_EXPORT(Product);

void rmsNormBackRow(const float* x, const float* weight, float epsilon, const float* dy, float* dx, std::int64_t n,
                    bool add) {
    HWY_DYNAMIC_DISPATCH(RmsNormBackRow)(x, weight, epsilon, dy, dx, n, add);
}
void layerNormBackRow(const float* x, const float* weight, float epsilon, const float* dy, float* dx, std::int64_t n,
                      bool add) {
    HWY_DYNAMIC_DISPATCH(LayerNormBackRow)(x, weight, epsilon, dy, dx, n, add);
}
void softmaxBackRow(const float* p, const float* slope, float scale, float* d, std::int64_t n) {
    HWY_DYNAMIC_DISPATCH(SoftmaxBackRow)(p, slope, scale, d, n);
}
void siluSlope(const float* x, float* value, float* slope, std::int64_t n) {
    HWY_DYNAMIC_DISPATCH(SiluSlope)(x, value, slope, n);
}
void geluTanhSlope(const float* x, float* value, float* slope, std::int64_t n) {
    HWY_DYNAMIC_DISPATCH(GeluTanhSlope)(x, value, slope, n);
}
void geluErfSlope(const float* x, float* value, float* slope, std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i) {
        // x·Φ(x): the slope is Φ(x) + x·φ(x).
        const float share = 0.5f * std::erfc(-x[i] * 0.70710678118654752f);
        const float density = 0.39894228040143268f * std::exp(-0.5f * x[i] * x[i]);
        value[i] = x[i] * share;
        slope[i] = share + x[i] * density;
    }
}
void product(const float* a, const float* b, float* y, std::int64_t n) {
    HWY_DYNAMIC_DISPATCH(Product)(a, b, nullptr, y, n);
}
void product(const float* a, const float* b, const float* c, float* y, std::int64_t n) {
    HWY_DYNAMIC_DISPATCH(Product)(a, b, c, y, n);
}

} // namespace bw::kernels
#endif
