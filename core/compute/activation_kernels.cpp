// SPDX-License-Identifier: GPL-3.0-or-later
// Elementwise nonlinearities: SiLU, both forms of GELU, soft caps. Compiled once per Highway target. Not for: what works
// on rows as a whole (row_kernels.cpp).
#include "core/compute/kernels.h"

#include <algorithm>
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/compute/activation_kernels.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// After highway.h: this header uses its per-target macros.
#include <hwy/contrib/math/math-inl.h>

HWY_BEFORE_NAMESPACE();
namespace bw::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::ScalableTag<float>;
using VecF = hn::Vec<F32>;

/// x ← f(x)·up, or f(x) without `up`; the last values go through padded vectors.
template <class F>
void MapRow(float* HWY_RESTRICT x, const float* HWY_RESTRICT up, std::int64_t n, F f) {
    const F32 d;
    const auto step = static_cast<std::int64_t>(hn::Lanes(d));
    std::int64_t i = 0;
    if (up == nullptr)
        for (; i + step <= n; i += step) hn::StoreU(f(hn::LoadU(d, x + i)), d, x + i);
    else
        for (; i + step <= n; i += step) hn::StoreU(hn::Mul(f(hn::LoadU(d, x + i)), hn::LoadU(d, up + i)), d, x + i);
    if (i == n) return;
    HWY_ALIGN float rest[hn::MaxLanes(F32())] = {};
    std::copy_n(x + i, n - i, rest);
    hn::Store(f(hn::Load(d, rest)), d, rest);
    for (std::int64_t j = i; j < n; ++j) x[j] = up == nullptr ? rest[j - i] : rest[j - i] * up[j];
}

/// x·σ(z) = x / (1 + exp(−z)).
VecF TimesSigmoid(VecF x, VecF z) {
    const F32 d;
    // exp(100) is infinity in f32, so the quotient is 0 there; the polynomial needs arguments below 104.
    const VecF e = hn::Exp(d, hn::Min(hn::Neg(z), hn::Set(d, 100.0f)));
    // Min and Exp may lose a NaN, but x itself carries it.
    return hn::Div(x, hn::Add(hn::Set(d, 1.0f), e));
}

void SiluMultiply(float* x, const float* up, std::int64_t n) {
    MapRow(x, up, n, [](VecF v) { return TimesSigmoid(v, v); });
}

void GeluTanhMultiply(float* x, const float* up, std::int64_t n) {
    // ½x(1 + tanh u) = x·σ(2u), u = √(2/π)·(x + 0.044715·x³): no cancellation for negative x.
    MapRow(x, up, n, [](VecF v) {
        const F32 d;
        const VecF cubic = hn::MulAdd(hn::Mul(v, v), hn::Set(d, 0.044715f), hn::Set(d, 1.0f));
        return TimesSigmoid(v, hn::Mul(hn::Mul(v, cubic), hn::Set(d, 1.5957691216057308f)));
    });
}

void SoftCap(float* x, std::int64_t n, float scale, float cap) {
    const F32 d;
    const VecF inner = hn::Set(d, scale / cap), outer = hn::Set(d, cap), limit = hn::Set(d, 20.0f);
    MapRow(x, nullptr, n, [&](VecF v) {
        const VecF z = hn::Mul(v, inner);
        const VecF bounded = hn::Max(hn::Min(z, limit), hn::Neg(limit)); // tanh(20) is 1 in f32
        return hn::IfThenElse(hn::IsNaN(z), z, hn::Mul(outer, hn::Tanh(d, bounded)));
    });
}

} // namespace bw::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bw::kernels {

HWY_EXPORT(SiluMultiply);
HWY_EXPORT(GeluTanhMultiply);
HWY_EXPORT(SoftCap);

void siluMultiply(float* gate, const float* up, std::int64_t n) {
    HWY_DYNAMIC_DISPATCH(SiluMultiply)(gate, up, n);
}
void geluTanhMultiply(float* gate, const float* up, std::int64_t n) {
    HWY_DYNAMIC_DISPATCH(GeluTanhMultiply)(gate, up, n);
}
void geluErfMultiply(float* gate, const float* up, std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i) {
        const float x = gate[i];
        // erfc keeps its digits where 1 + erf would cancel.
        gate[i] = 0.5f * x * std::erfc(-x * 0.70710678118654752f) * (up == nullptr ? 1.0f : up[i]);
    }
}
void softCap(float* x, std::int64_t n, float scale, float cap) {
    HWY_DYNAMIC_DISPATCH(SoftCap)(x, n, scale, cap);
}

} // namespace bw::kernels
#endif
