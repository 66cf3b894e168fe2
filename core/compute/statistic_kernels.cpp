// SPDX-License-Identifier: GPL-3.0-or-later
// Sums over many values (log-softmax normaliser, KL divergence, squared distance) and histograms. Compiled once per
// Highway target; sums are kept in f64.
#include "core/compute/kernels.h"

#include <algorithm>
#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/compute/statistic_kernels.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// After highway.h: this header uses its per-target macros.
#include <hwy/contrib/math/math-inl.h>

HWY_BEFORE_NAMESPACE();
namespace bw::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F64 = hn::ScalableTag<double>;
using F32 = hn::Rebind<float, F64>; ///< as many f32 lanes as there are f64 lanes: half a register
using Full = hn::ScalableTag<float>;
using VecD = hn::Vec<F64>;
using VecF = hn::Vec<F32>;

std::int64_t doubleLanes() {
    return static_cast<std::int64_t>(hn::Lanes(F64()));
}

/// The last values of a row, fewer than a vector, padded with `fill`.
VecF LoadTail(const float* x, std::int64_t count, float fill) {
    HWY_ALIGN float values[hn::MaxLanes(Full())];
    std::fill(std::copy_n(x, count, values), values + hn::MaxLanes(Full()), fill);
    return hn::LoadU(F32(), values);
}

float Largest(const float* x, std::int64_t n) {
    const Full d;
    const auto step = static_cast<std::int64_t>(hn::Lanes(d));
    float peak = -std::numeric_limits<float>::infinity();
    auto peaks = hn::Set(d, peak);
    std::int64_t i = 0;
    for (; i + step <= n; i += step) peaks = hn::Max(peaks, hn::LoadU(d, x + i));
    peak = hn::GetLane(hn::MaxOfLanes(d, peaks));
    for (; i < n; ++i) peak = std::max(peak, x[i]);
    return peak;
}

double LogSumExp(const float* x, std::int64_t n) {
    const F32 df;
    const F64 dd;
    const std::int64_t step = doubleLanes();
    const float peak = Largest(x, n);
    const VecF shift = hn::Set(df, peak);
    const auto exponential = [&](VecF v) {
        const VecF z = hn::Sub(v, shift);
        // Highway's exp turns NaN into 0: a NaN must stay visible.
        return hn::PromoteTo(dd, hn::IfThenElse(hn::IsNaN(z), z, hn::Exp(df, z)));
    };
    VecD s0 = hn::Zero(dd), s1 = s0;
    std::int64_t i = 0;
    for (; i + 2 * step <= n; i += 2 * step) {
        s0 = hn::Add(s0, exponential(hn::LoadU(df, x + i)));
        s1 = hn::Add(s1, exponential(hn::LoadU(df, x + i + step)));
    }
    for (; i < n; i += step) {
        const std::int64_t left = n - i;
        const VecF v =
            left >= step ? hn::LoadU(df, x + i) : LoadTail(x + i, left, -std::numeric_limits<float>::infinity());
        s0 = hn::Add(s0, exponential(v));
    }
    return static_cast<double>(peak) + std::log(hn::GetLane(hn::SumOfLanes(dd, hn::Add(s0, s1))));
}

/// Each term is p·(log p − log q) + q − p: never negative, and an error of the normalisers enters squared only, which
/// keeps divergences near 1e-12 meaningful where the plain sum would drown in rounding.
double KlDivergence(const float* base, const float* other, std::int64_t n) {
    const F32 df;
    const F64 dd;
    const std::int64_t step = doubleLanes();
    const VecD baseNorm = hn::Set(dd, LogSumExp(base, n)), otherNorm = hn::Set(dd, LogSumExp(other, n));
    const auto term = [&](VecF b, VecF o) {
        const VecD logP = hn::Sub(hn::PromoteTo(dd, b), baseNorm), logQ = hn::Sub(hn::PromoteTo(dd, o), otherNorm);
        const VecD p = hn::Exp(dd, logP), q = hn::Exp(dd, logQ);
        const VecD gap = hn::Sub(logP, logQ);
        // p = 0 makes p·log p zero by convention (0·∞ would be NaN); a NaN logit must stay visible past exp().
        const VecD weighted = hn::IfThenElseZero(hn::Gt(p, hn::Zero(dd)), hn::Mul(p, gap));
        const VecD value = hn::Add(weighted, hn::Sub(q, p));
        return hn::IfThenElse(hn::Or(hn::IsNaN(logP), hn::IsNaN(logQ)), hn::Add(logP, logQ), value);
    };
    VecD s0 = hn::Zero(dd), s1 = s0;
    std::int64_t i = 0;
    for (; i + 2 * step <= n; i += 2 * step) {
        s0 = hn::Add(s0, term(hn::LoadU(df, base + i), hn::LoadU(df, other + i)));
        s1 = hn::Add(s1, term(hn::LoadU(df, base + i + step), hn::LoadU(df, other + i + step)));
    }
    for (; i + step <= n; i += step) s0 = hn::Add(s0, term(hn::LoadU(df, base + i), hn::LoadU(df, other + i)));
    if (i < n) {
        // −1e30 stands for "no such token": p = q = 0 and a finite gap, so the padding adds nothing.
        s1 = hn::Add(s1, term(LoadTail(base + i, n - i, -1e30f), LoadTail(other + i, n - i, -1e30f)));
    }
    return hn::GetLane(hn::SumOfLanes(dd, hn::Add(s0, s1)));
}

/// log Σ exp in f32 lanes; the sums of pieces are kept in f64.
double LogSumExpFast(const float* x, std::int64_t n, std::int64_t piece) {
    const Full d;
    const auto step = static_cast<std::int64_t>(hn::Lanes(d));
    const float peak = Largest(x, n);
    const auto shift = hn::Set(d, peak);
    double total = 0;
    for (std::int64_t first = 0; first < n; first += piece) {
        const std::int64_t end = std::min(n, first + piece);
        auto sums = hn::Zero(d);
        std::int64_t i = first;
        for (; i + step <= end; i += step) {
            const auto z = hn::Sub(hn::LoadU(d, x + i), shift);
            sums = hn::Add(sums, hn::IfThenElse(hn::IsNaN(z), z, hn::Exp(d, z)));
        }
        total += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, sums)));
        for (; i < end; ++i) total += std::exp(static_cast<double>(x[i] - peak));
    }
    return static_cast<double>(peak) + std::log(total);
}

/// As KlDivergence, with e^gap − 1 − gap by its series where the gap is small: nothing cancels there, in f32 either.
double KlDivergenceFast(const float* base, double baseNorm, const float* other, std::int64_t n) {
    const Full d;
    const auto step = static_cast<std::int64_t>(hn::Lanes(d));
    constexpr std::int64_t kPiece = 2048;
    const double otherNorm = LogSumExpFast(other, n, kPiece);
    const auto baseShift = hn::Set(d, static_cast<float>(baseNorm)), otherShift = hn::Set(d, static_cast<float>(otherNorm));
    const auto between = hn::Set(d, static_cast<float>(otherNorm - baseNorm));
    const auto small = hn::Set(d, 0.25f); // the series' first missing term is then 6e-9 of the first one
    const auto term = [&](auto b, auto o) {
        const auto logP = hn::Sub(b, baseShift), logQ = hn::Sub(o, otherShift);
        const auto p = hn::Exp(d, logP);
        const auto g = hn::Sub(hn::Sub(o, b), between); // log q − log p: of what is close by, without its size
        auto series = hn::MulAdd(g, hn::Set(d, 1.0f / 5040), hn::Set(d, 1.0f / 720));
        series = hn::MulAdd(g, series, hn::Set(d, 1.0f / 120));
        series = hn::MulAdd(g, series, hn::Set(d, 1.0f / 24));
        series = hn::MulAdd(g, series, hn::Set(d, 1.0f / 6));
        series = hn::MulAdd(g, series, hn::Set(d, 0.5f));
        const auto isSmall = hn::Lt(hn::Abs(g), small);
        auto value = hn::Mul(hn::Mul(p, g), hn::Mul(g, series));
        if (!hn::AllTrue(d, isSmall)) {
            const auto q = hn::Exp(d, logQ);
            const auto whole = hn::IfThenElse(hn::Gt(p, hn::Zero(d)), hn::Sub(hn::Sub(q, p), hn::Mul(p, g)), q);
            value = hn::IfThenElse(isSmall, value, whole);
            value = hn::IfThenElse(hn::Or(hn::IsNaN(logP), hn::IsNaN(logQ)), hn::Add(logP, logQ), value);
        }
        return value;
    };
    HWY_ALIGN float lastBase[hn::MaxLanes(Full())], lastOther[hn::MaxLanes(Full())];
    double total = 0;
    for (std::int64_t first = 0; first < n; first += kPiece) {
        const std::int64_t end = std::min(n, first + kPiece);
        auto sums = hn::Zero(d);
        std::int64_t i = first;
        for (; i + step <= end; i += step) sums = hn::Add(sums, term(hn::LoadU(d, base + i), hn::LoadU(d, other + i)));
        if (i < end) {
            // −1e30 stands for "no such token": p = q = 0.
            std::fill(std::copy_n(base + i, end - i, lastBase), lastBase + hn::MaxLanes(Full()), -1e30f);
            std::fill(std::copy_n(other + i, end - i, lastOther), lastOther + hn::MaxLanes(Full()), -1e30f);
            sums = hn::Add(sums, term(hn::Load(d, lastBase), hn::Load(d, lastOther)));
        }
        total += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, sums)));
    }
    return total;
}

double SquaredDistance(const float* a, const float* b, std::int64_t n) {
    const F32 df;
    const F64 dd;
    const std::int64_t step = doubleLanes();
    const auto difference = [&](VecF x, VecF y) { return hn::Sub(hn::PromoteTo(dd, x), hn::PromoteTo(dd, y)); };
    VecD s0 = hn::Zero(dd), s1 = s0;
    std::int64_t i = 0;
    for (; i + 2 * step <= n; i += 2 * step) {
        const VecD d0 = difference(hn::LoadU(df, a + i), hn::LoadU(df, b + i));
        const VecD d1 = difference(hn::LoadU(df, a + i + step), hn::LoadU(df, b + i + step));
        s0 = hn::MulAdd(d0, d0, s0);
        s1 = hn::MulAdd(d1, d1, s1);
    }
    for (; i < n; i += step) {
        const std::int64_t left = n - i;
        const VecD d0 = left >= step ? difference(hn::LoadU(df, a + i), hn::LoadU(df, b + i))
                                     : difference(LoadTail(a + i, left, 0.0f), LoadTail(b + i, left, 0.0f));
        s0 = hn::MulAdd(d0, d0, s0);
    }
    return hn::GetLane(hn::SumOfLanes(dd, hn::Add(s0, s1)));
}

void HistogramOf(const float* x, std::int64_t n, float low, float high, float scale, std::int64_t bins,
                 std::uint64_t* counts) {
    const Full d;
    const hn::RebindToSigned<Full> di;
    const auto step = static_cast<std::int64_t>(hn::Lanes(d));
    using Index = hn::Vec<decltype(di)>;
    const Index last = hn::Set(di, static_cast<std::int32_t>(bins - 1));
    const Index below = hn::Set(di, static_cast<std::int32_t>(bins)), above = hn::Add(below, hn::Set(di, 1));
    const Index nan = hn::Add(below, hn::Set(di, 2)), infinite = hn::Add(below, hn::Set(di, 3));
    const auto vLow = hn::Set(d, low), vHigh = hn::Set(d, high), vScale = hn::Set(d, scale);
    const auto vInfinity = hn::Set(d, std::numeric_limits<float>::infinity());
    HWY_ALIGN std::int32_t slots[hn::MaxLanes(Full())];
    HWY_ALIGN float padded[hn::MaxLanes(Full())] = {};
    for (std::int64_t i = 0; i < n; i += step) {
        const std::int64_t count = std::min(step, n - i);
        const float* from = x + i;
        if (count < step) {
            std::copy_n(from, count, padded);
            from = padded;
        }
        const auto v = hn::LoadU(d, from);
        Index slot = hn::Min(hn::ConvertTo(di, hn::Mul(hn::Sub(v, vLow), vScale)), last);
        slot = hn::IfThenElse(hn::RebindMask(di, hn::Lt(v, vLow)), below, slot);
        slot = hn::IfThenElse(hn::RebindMask(di, hn::Ge(v, vHigh)), above, slot);
        slot = hn::IfThenElse(hn::RebindMask(di, hn::Eq(hn::Abs(v), vInfinity)), infinite, slot);
        slot = hn::IfThenElse(hn::RebindMask(di, hn::IsNaN(v)), nan, slot);
        hn::Store(slot, di, slots);
        for (std::int64_t j = 0; j < count; ++j) ++counts[slots[j]];
    }
}

} // namespace bw::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bw::kernels {

HWY_EXPORT(LogSumExp);
HWY_EXPORT(KlDivergence);
HWY_EXPORT(KlDivergenceFast);
HWY_EXPORT(SquaredDistance);
HWY_EXPORT(HistogramOf);

double logSumExp(const float* x, std::int64_t n) {
    return HWY_DYNAMIC_DISPATCH(LogSumExp)(x, n);
}
double klDivergence(const float* base, const float* other, std::int64_t n) {
    return HWY_DYNAMIC_DISPATCH(KlDivergence)(base, other, n);
}
double klDivergenceFast(const float* base, double baseNorm, const float* other, std::int64_t n) {
    return HWY_DYNAMIC_DISPATCH(KlDivergenceFast)(base, baseNorm, other, n);
}
double squaredDistance(const float* a, const float* b, std::int64_t n) {
    return HWY_DYNAMIC_DISPATCH(SquaredDistance)(a, b, n);
}
void histogram(const float* x, std::int64_t n, float low, float high, float scale, std::int64_t bins,
               std::uint64_t* counts) {
    HWY_DYNAMIC_DISPATCH(HistogramOf)(x, n, low, high, scale, bins, counts);
}

} // namespace bw::kernels
#endif
