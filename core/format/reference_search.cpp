// SPDX-License-Identifier: GPL-3.0-or-later
// Lanes are groups: each trial of a search is one pass over the weights of all groups, and a lane keeps the trial when it is
// better for its group.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/format/reference_search.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/format/levels.h"
#include "core/format/reference_search.h"

#include <algorithm>
#include <cmath>

HWY_BEFORE_NAMESPACE();
namespace bw::reference::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::CappedTag<float, 8>; // groups come in eights
using V = hn::Vec<D>;
using M = hn::Mask<D>;

constexpr float kTiny = 1e-15f; ///< a peak below this counts as an empty group

HWY_INLINE V roundNearest(V v) {
    const V magic = hn::Set(D(), 12582912.0f); // 1.5·2^23: the sum keeps no fraction bits
    return hn::Sub(hn::Add(v, magic), magic);
}
HWY_INLINE V codeOf(V v, V low, V high) { return hn::Min(hn::Max(roundNearest(v), low), high); }

HWY_INLINE void storeCodes(V codes, std::uint8_t* out) {
    HWY_ALIGN float lanes[8];
    hn::Store(codes, D(), lanes);
    for (std::size_t k = 0; k < hn::Lanes(D()); ++k) out[k] = static_cast<std::uint8_t>(static_cast<int>(lanes[k]));
}

/// One lane-wide line search, its state after any number of trials.
struct Line {
    V scale, low, error;
    V codeInverse, codeLow; ///< codes are round(codeInverse·(x − codeLow))
};

HWY_INLINE V errorTerm(V difference, V w, bool absolute) {
    return hn::Mul(w, absolute ? hn::Abs(difference) : hn::Mul(difference, difference));
}

/// Tries the codes of `inverse`; lanes where the refined line is better take it.
HWY_INLINE void tryLine(const Groups& groups, std::size_t g, const LineSearch& search, V inverse, V sumW, V sumX, Line& line) {
    const D d;
    const V zero = hn::Zero(d), top = hn::Set(d, static_cast<float>(search.top));
    HWY_ALIGN float codes[32 * 8];
    V sumL = zero, sumLL = zero, sumXL = zero;
    for (std::size_t i = 0; i < groups.length; ++i) {
        const V x = hn::LoadU(d, groups.x + i * groups.count + g), w = hn::LoadU(d, groups.w + i * groups.count + g);
        const V l = codeOf(hn::Mul(inverse, hn::Sub(x, line.low)), zero, top);
        hn::Store(l, d, codes + 8 * i);
        const V wl = hn::Mul(w, l);
        sumL = hn::Add(sumL, wl);
        sumLL = hn::Add(sumLL, hn::Mul(wl, l));
        sumXL = hn::Add(sumXL, hn::Mul(wl, x));
    }
    const V determinant = hn::Sub(hn::Mul(sumW, sumLL), hn::Mul(sumL, sumL));
    V scale = hn::Div(hn::Sub(hn::Mul(sumW, sumXL), hn::Mul(sumX, sumL)), determinant);
    V low = hn::Div(hn::Sub(hn::Mul(sumLL, sumX), hn::Mul(sumL, sumXL)), determinant);
    const M positive = hn::Gt(low, zero); // a minimum is stored as a number ≤ 0
    low = hn::IfThenElse(positive, zero, low);
    scale = hn::IfThenElse(positive, hn::Div(sumXL, sumLL), scale);
    V error = zero;
    for (std::size_t i = 0; i < groups.length; ++i) {
        const V x = hn::LoadU(d, groups.x + i * groups.count + g), w = hn::LoadU(d, groups.w + i * groups.count + g);
        const V difference = hn::Sub(hn::Add(hn::Mul(scale, hn::Load(d, codes + 8 * i)), low), x);
        error = hn::Add(error, errorTerm(difference, w, search.absolute));
    }
    const M better = hn::And(hn::Gt(determinant, zero), hn::Lt(error, line.error));
    line.codeInverse = hn::IfThenElse(better, inverse, line.codeInverse);
    line.codeLow = hn::IfThenElse(better, line.low, line.codeLow);
    line.scale = hn::IfThenElse(better, scale, line.scale);
    line.error = hn::IfThenElse(better, error, line.error);
    line.low = hn::IfThenElse(better, low, line.low);
}

HWY_INLINE void searchLinesAt(const Groups& groups, std::size_t g, const LineSearch& search, float* scale, float* minimum,
                              std::uint8_t* codes) {
    const D d;
    const V zero = hn::Zero(d), one = hn::Set(d, 1.0f), top = hn::Set(d, static_cast<float>(search.top));
    V low = hn::LoadU(d, groups.x + g), high = low, sumW = hn::LoadU(d, groups.w + g), sumX = hn::Mul(sumW, low);
    for (std::size_t i = 1; i < groups.length; ++i) {
        const V x = hn::LoadU(d, groups.x + i * groups.count + g), w = hn::LoadU(d, groups.w + i * groups.count + g);
        low = hn::IfThenElse(hn::Lt(x, low), x, low);
        high = hn::IfThenElse(hn::Gt(x, high), x, high);
        sumW = hn::Add(sumW, w);
        sumX = hn::Add(sumX, hn::Mul(w, x));
    }
    low = hn::IfThenElse(hn::Gt(low, zero), zero, low);
    const M flat = hn::Eq(high, low);
    const V firstLow = low;
    const V inverse = hn::Div(top, hn::Sub(high, low));
    Line line{hn::Div(one, inverse), low, zero, inverse, low};
    for (std::size_t i = 0; i < groups.length; ++i) {
        const V x = hn::LoadU(d, groups.x + i * groups.count + g), w = hn::LoadU(d, groups.w + i * groups.count + g);
        const V l = codeOf(hn::Mul(inverse, hn::Sub(x, low)), zero, top);
        const V difference = hn::Sub(hn::Add(hn::Mul(line.scale, l), low), x);
        line.error = hn::Add(line.error, errorTerm(difference, w, search.absolute));
    }
    for (int k = 0; k <= search.last; ++k) {
        const float range = search.first + search.step * static_cast<float>(k) + static_cast<float>(search.top);
        tryLine(groups, g, search, hn::Div(hn::Set(d, range), hn::Sub(high, line.low)), sumW, sumX, line);
    }
    hn::StoreU(hn::IfThenElse(flat, zero, line.scale), d, scale + g);
    hn::StoreU(hn::Neg(hn::IfThenElse(flat, firstLow, line.low)), d, minimum + g);
    for (std::size_t i = 0; i < groups.length; ++i) {
        const V x = hn::LoadU(d, groups.x + i * groups.count + g);
        const V l = codeOf(hn::Mul(line.codeInverse, hn::Sub(x, line.codeLow)), zero, top);
        storeCodes(hn::IfThenElse(flat, zero, l), codes + i * groups.count + g);
    }
}

void searchLinesImpl(const Groups& groups, const LineSearch& search, float* scale, float* minimum, std::uint8_t* codes) {
    for (std::size_t g = 0; g < groups.count; g += hn::Lanes(D())) searchLinesAt(groups, g, search, scale, minimum, codes);
}

/// The value of largest magnitude per group, the first of equals.
HWY_INLINE V signedPeak(const Groups& groups, std::size_t g, V& magnitude) {
    const D d;
    V peak = hn::Zero(d);
    magnitude = hn::Zero(d);
    for (std::size_t i = 0; i < groups.length; ++i) {
        const V x = hn::LoadU(d, groups.x + i * groups.count + g), a = hn::Abs(x);
        const M larger = hn::Gt(a, magnitude);
        magnitude = hn::IfThenElse(larger, a, magnitude);
        peak = hn::IfThenElse(larger, x, peak);
    }
    return peak;
}

/// Σ w·x·q and Σ w·q² for q = clamp(round(inverse·x)).
HWY_INLINE void scaleSums(const Groups& groups, std::size_t g, V inverse, V low, V high, V& xq, V& qq) {
    const D d;
    xq = qq = hn::Zero(d);
    for (std::size_t i = 0; i < groups.length; ++i) {
        const V x = hn::LoadU(d, groups.x + i * groups.count + g), w = hn::LoadU(d, groups.w + i * groups.count + g);
        const V l = codeOf(hn::Mul(inverse, x), low, high);
        xq = hn::Add(xq, hn::Mul(hn::Mul(w, x), l));
        qq = hn::Add(qq, hn::Mul(hn::Mul(w, l), l));
    }
}

HWY_INLINE void searchScalesAt(const Groups& groups, std::size_t g, int topCode, float* scales, std::uint8_t* codes) {
    const D d;
    const float topValue = static_cast<float>(topCode);
    const V zero = hn::Zero(d), top = hn::Set(d, topValue), low = hn::Neg(top), high = hn::Set(d, topValue - 1.0f);
    V magnitude;
    const V peak = signedPeak(groups, g, magnitude);
    const M empty = hn::Lt(magnitude, hn::Set(d, kTiny));
    V bestInverse = hn::Div(low, peak), xq, qq;
    scaleSums(groups, g, bestInverse, low, high, xq, qq);
    V scale = hn::IfThenElse(hn::Eq(qq, zero), zero, hn::Div(xq, qq));
    V best = hn::Mul(scale, xq);
    for (int k = -9; k <= 9; ++k) {
        if (k == 0) continue;
        const V inverse = hn::Div(hn::Set(d, -(topValue + 0.1f * static_cast<float>(k))), peak);
        scaleSums(groups, g, inverse, low, high, xq, qq);
        const M better = hn::And(hn::Gt(qq, zero), hn::Gt(hn::Mul(xq, xq), hn::Mul(best, qq)));
        const V refined = hn::Div(xq, qq);
        bestInverse = hn::IfThenElse(better, inverse, bestInverse);
        scale = hn::IfThenElse(better, refined, scale);
        best = hn::IfThenElse(better, hn::Mul(refined, xq), best);
    }
    hn::StoreU(hn::IfThenElse(empty, zero, scale), d, scales + g);
    for (std::size_t i = 0; i < groups.length; ++i) {
        const V x = hn::LoadU(d, groups.x + i * groups.count + g);
        const V l = hn::Add(codeOf(hn::Mul(bestInverse, x), low, high), top);
        storeCodes(hn::IfThenElse(empty, zero, l), codes + i * groups.count + g);
    }
}

void searchScalesImpl(const Groups& groups, int top, float* scale, std::uint8_t* codes) {
    for (std::size_t g = 0; g < groups.count; g += hn::Lanes(D())) searchScalesAt(groups, g, top, scale, codes);
}

/// codeOf with ggml's answer also for |v| > 4194303, which a nearly empty rest of a group can give: the bits of the sum.
HWY_INLINE V codeOfAny(V v, V low, V high) {
    const hn::Rebind<std::int32_t, D> di;
    const auto bits = hn::And(hn::BitCast(di, hn::Add(v, hn::Set(D(), 12582912.0f))), hn::Set(di, 0x007fffff));
    return hn::Min(hn::Max(hn::ConvertTo(D(), hn::Sub(bits, hn::Set(di, 0x00400000))), low), high);
}

/// One weight of a descent: moves its code to where the scale without it would put it, if that gains. True if any lane moved.
HWY_INLINE bool descendOne(V x, V low, V high, V& code, V& xq, V& qq) {
    const V zero = hn::Zero(D());
    const V w = hn::Mul(x, x), wx = hn::Mul(w, x);
    const V restXq = hn::Sub(xq, hn::Mul(wx, code));
    const V restQq = hn::Sub(qq, hn::Mul(hn::Mul(w, code), code));
    const V moved = codeOfAny(hn::Div(hn::Mul(x, restQq), restXq), low, high);
    const V newXq = hn::Add(restXq, hn::Mul(wx, moved));
    const V newQq = hn::Add(restQq, hn::Mul(hn::Mul(w, moved), moved));
    const M gains = hn::Gt(hn::Mul(hn::Mul(newXq, newXq), qq), hn::Mul(hn::Mul(xq, xq), newQq));
    const M take = hn::And(hn::And(hn::Gt(restXq, zero), hn::Ne(moved, code)), hn::And(hn::Gt(newQq, zero), gains));
    code = hn::IfThenElse(take, moved, code);
    xq = hn::IfThenElse(take, newXq, xq);
    qq = hn::IfThenElse(take, newQq, qq);
    return !hn::AllFalse(D(), take);
}

HWY_INLINE void descendScalesAt(const Groups& groups, std::size_t g, int topCode, float* scales, std::uint8_t* codes) {
    const D d;
    const V zero = hn::Zero(d), top = hn::Set(d, static_cast<float>(topCode)), low = hn::Neg(top);
    const V high = hn::Set(d, static_cast<float>(topCode - 1));
    V magnitude;
    const V peak = signedPeak(groups, g, magnitude);
    const M empty = hn::Lt(magnitude, hn::Set(d, kTiny));
    const V inverse = hn::Div(low, peak);
    HWY_ALIGN float code[32 * 8];
    V xq = zero, qq = zero;
    for (std::size_t i = 0; i < groups.length; ++i) {
        const V x = hn::LoadU(d, groups.x + i * groups.count + g), w = hn::Mul(x, x);
        const V l = codeOf(hn::Mul(inverse, x), low, high);
        hn::Store(l, d, code + 8 * i);
        xq = hn::Add(xq, hn::Mul(hn::Mul(w, x), l));
        qq = hn::Add(qq, hn::Mul(hn::Mul(w, l), l));
    }
    bool changed = true;
    for (int pass = 0; pass < 5 && changed; ++pass) {
        changed = false;
        for (std::size_t i = 0; i < groups.length; ++i) {
            V l = hn::Load(d, code + 8 * i);
            if (!descendOne(hn::LoadU(d, groups.x + i * groups.count + g), low, high, l, xq, qq)) continue;
            changed = true;
            hn::Store(l, d, code + 8 * i);
        }
    }
    const V scale = hn::IfThenElse(hn::Gt(qq, zero), hn::Div(xq, qq), zero);
    hn::StoreU(hn::IfThenElse(empty, zero, scale), d, scales + g);
    for (std::size_t i = 0; i < groups.length; ++i)
        storeCodes(hn::IfThenElse(empty, zero, hn::Add(hn::Load(d, code + 8 * i), top)), codes + i * groups.count + g);
}

void descendScalesImpl(const Groups& groups, int top, float* scale, std::uint8_t* codes) {
    for (std::size_t g = 0; g < groups.count; g += hn::Lanes(D())) descendScalesAt(groups, g, top, scale, codes);
}

/// Row of kLevelOfHalfSteps for v: all midpoints between levels are multiples of ½.
HWY_INLINE hn::Vec<hn::Rebind<std::int32_t, D>> halfStep(V v) {
    const hn::Rebind<std::int32_t, D> di;
    const V bounded = hn::Min(hn::Max(hn::Add(v, v), hn::Set(D(), -256.0f)), hn::Set(D(), 255.0f));
    return hn::Add(hn::ConvertTo(di, hn::Floor(bounded)), hn::Set(di, 256));
}

HWY_INLINE void levelSums(const Groups& groups, std::size_t g, V inverse, V& xq, V& qq) {
    const D d;
    xq = qq = hn::Zero(d);
    for (std::size_t i = 0; i < groups.length; ++i) {
        const V x = hn::LoadU(d, groups.x + i * groups.count + g), w = hn::LoadU(d, groups.w + i * groups.count + g);
        const V q = hn::GatherIndex(d, levels::kValueOfHalfStep.data(), halfStep(hn::Mul(inverse, x)));
        const V wq = hn::Mul(w, q);
        xq = hn::Add(xq, hn::Mul(wq, x));
        qq = hn::Add(qq, hn::Mul(wq, q));
    }
}

HWY_INLINE void searchLevelsAt(const Groups& groups, std::size_t g, float* scales) {
    const D d;
    const V zero = hn::Zero(d), one = hn::Set(d, 1.0f), first = hn::Set(d, levels::kValues[0]);
    V magnitude;
    const V peak = signedPeak(groups, g, magnitude);
    const M empty = hn::Lt(magnitude, hn::Set(d, kTiny));
    V xq, qq;
    levelSums(groups, g, hn::Div(one, hn::Div(hn::Neg(peak), first)), xq, qq);
    V scale = hn::IfThenElse(hn::Gt(qq, zero), hn::Div(xq, qq), zero);
    V best = hn::Mul(scale, xq);
    for (int k = -7; k <= 7; ++k) {
        levelSums(groups, g, hn::Div(hn::Set(d, static_cast<float>(k) + levels::kValues[0]), peak), xq, qq);
        const M better = hn::And(hn::Gt(qq, zero), hn::Gt(hn::Mul(xq, xq), hn::Mul(best, qq)));
        const V refined = hn::Div(xq, qq);
        scale = hn::IfThenElse(better, refined, scale);
        best = hn::IfThenElse(better, hn::Mul(refined, xq), best);
    }
    hn::StoreU(hn::IfThenElse(empty, zero, scale), d, scales + g);
}

void searchLevelsImpl(const Groups& groups, float* scale) {
    for (std::size_t g = 0; g < groups.count; g += hn::Lanes(D())) searchLevelsAt(groups, g, scale);
}

void nearestLevelsImpl(const float* x, std::size_t n, float inverse, std::uint8_t* codes) {
    const D d;
    const hn::Rebind<std::int32_t, D> di;
    HWY_ALIGN std::int32_t rows[8];
    for (std::size_t at = 0; at < n; at += hn::Lanes(d)) { // n is a multiple of 32
        hn::Store(halfStep(hn::Mul(hn::Set(d, inverse), hn::LoadU(d, x + at))), di, rows);
        for (std::size_t k = 0; k < hn::Lanes(d); ++k) codes[at + k] = levels::kIndexOfHalfStep[static_cast<std::size_t>(rows[k]) & 511u];
    }
}

void roundCodesImpl(const float* HWY_RESTRICT x, std::size_t n, float shift, float step, int low, int high, std::uint8_t* HWY_RESTRICT codes) {
    const D d;
    const V lowest = hn::Set(d, static_cast<float>(low)), highest = hn::Set(d, static_cast<float>(high));
    for (std::size_t at = 0; at < n; at += hn::Lanes(d)) { // n is 16 or 32
        const V v = hn::Div(hn::Add(hn::LoadU(d, x + at), hn::Set(d, shift)), hn::Set(d, step));
        storeCodes(hn::Sub(roundNearest(hn::Min(hn::Max(v, lowest), highest)), lowest), codes + at);
    }
}

void importanceWeightsImpl(const float* x, const float* importance, float meanSquare, std::size_t n, float* w) {
    const D d;
    for (std::size_t at = 0; at < n; at += hn::Lanes(d)) { // n is a multiple of 32
        const V v = hn::LoadU(d, x + at);
        const V root = hn::Sqrt(hn::Add(hn::Set(d, meanSquare), hn::Mul(v, v)));
        hn::StoreU(hn::Mul(hn::LoadU(d, importance + at), root), d, w + at);
    }
}

void plainWeightsImpl(PlainWeights kind, const float* x, std::size_t length, std::size_t count, float* w) {
    const D d;
    for (std::size_t g = 0; g < count; g += hn::Lanes(d)) {
        V rms = hn::Zero(d);
        for (std::size_t i = 0; kind == PlainWeights::rmsPlusMagnitude && i < length; ++i) {
            const V v = hn::LoadU(d, x + i * count + g);
            rms = hn::Add(rms, hn::Mul(v, v));
        }
        rms = hn::Sqrt(hn::Div(rms, hn::Set(d, static_cast<float>(length))));
        for (std::size_t i = 0; i < length; ++i) {
            const V v = hn::LoadU(d, x + i * count + g);
            hn::StoreU(kind == PlainWeights::square ? hn::Mul(v, v) : hn::Add(rms, hn::Abs(v)), d, w + i * count + g);
        }
    }
}

} // namespace
} // namespace bw::reference::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bw::reference {

HWY_EXPORT(searchLinesImpl);
HWY_EXPORT(searchScalesImpl);
HWY_EXPORT(descendScalesImpl);
HWY_EXPORT(searchLevelsImpl);
HWY_EXPORT(nearestLevelsImpl);
HWY_EXPORT(roundCodesImpl);
HWY_EXPORT(importanceWeightsImpl);
HWY_EXPORT(plainWeightsImpl);

void searchLines(const Groups& groups, const LineSearch& search, float* scale, float* minimum, std::uint8_t* codes) {
    HWY_DYNAMIC_DISPATCH(searchLinesImpl)(groups, search, scale, minimum, codes);
}
void searchScales(const Groups& groups, int top, float* scale, std::uint8_t* codes) {
    HWY_DYNAMIC_DISPATCH(searchScalesImpl)(groups, top, scale, codes);
}
void descendScales(const Groups& groups, int top, float* scale, std::uint8_t* codes) {
    HWY_DYNAMIC_DISPATCH(descendScalesImpl)(groups, top, scale, codes);
}
void searchLevels(const Groups& groups, float* scale) { HWY_DYNAMIC_DISPATCH(searchLevelsImpl)(groups, scale); }
void nearestLevels(const float* x, std::size_t n, float inverse, std::uint8_t* codes) {
    HWY_DYNAMIC_DISPATCH(nearestLevelsImpl)(x, n, inverse, codes);
}
void roundCodes(const float* x, std::size_t n, float shift, float step, int low, int high, std::uint8_t* codes) {
    HWY_DYNAMIC_DISPATCH(roundCodesImpl)(x, n, shift, step, low, high, codes);
}
void importanceWeights(const float* x, const float* importance, float meanSquare, std::size_t n, float* w) {
    HWY_DYNAMIC_DISPATCH(importanceWeightsImpl)(x, importance, meanSquare, n, w);
}
void plainWeights(PlainWeights kind, const float* x, std::size_t length, std::size_t count, float* w) {
    HWY_DYNAMIC_DISPATCH(plainWeightsImpl)(kind, x, length, count, w);
}

namespace {

/// Σ w·(v − scale·code)² of nearest codes, held at `top`.
float positiveError(const float* values, const float* weights, std::size_t n, float inverse, int top) {
    const float scale = 1.0f / inverse;
    float sum = 0;
    for (std::size_t i = 0; i < n; ++i) {
        const float e = values[i] - scale * static_cast<float>(std::min(top, nearestInt(inverse * values[i])));
        sum += weights[i] * e * e;
    }
    return sum;
}

/// One round of single code changes; false when none gained.
bool descendPositive(const float* values, const float* weights, std::size_t n, int top, std::uint8_t* codes, float& xq, float& qq) {
    bool changed = false;
    for (std::size_t i = 0; i < n; ++i) {
        const float w = weights[i], code = static_cast<float>(codes[i]);
        float newXq = xq - w * values[i] * code, newQq = qq - w * code * code;
        if (!(newXq > 0 && newQq > 0)) continue;
        const int moved = std::min(top, nearestInt(values[i] * newQq / newXq));
        if (moved == codes[i]) continue;
        newXq += w * values[i] * static_cast<float>(moved);
        newQq += w * static_cast<float>(moved) * static_cast<float>(moved);
        if (!(newXq * newXq * qq > xq * xq * newQq)) continue;
        codes[i] = static_cast<std::uint8_t>(moved);
        xq = newXq;
        qq = newQq;
        changed = true;
    }
    return changed;
}

} // namespace

float fitPositive(const float* values, const float* weights, std::size_t n, int top, std::uint8_t* codes) {
    float most = 0;
    for (std::size_t i = 0; i < n; ++i) most = std::max(most, values[i]);
    std::fill_n(codes, n, std::uint8_t{0});
    if (most < 1e-15f) return 0;
    float inverse = static_cast<float>(top) / most;
    float least = positiveError(values, weights, n, inverse, top);
    for (int k = -4; k <= 4; ++k) {
        if (k == 0) continue;
        const float trial = (0.1f * static_cast<float>(k) + static_cast<float>(top)) / most;
        if (const float error = positiveError(values, weights, n, trial, top); error < least) {
            least = error;
            inverse = trial;
        }
    }
    float xq = 0, qq = 0;
    for (std::size_t i = 0; i < n; ++i) {
        const int code = std::min(top, nearestInt(inverse * values[i]));
        codes[i] = static_cast<std::uint8_t>(code);
        xq += weights[i] * values[i] * static_cast<float>(code);
        qq += weights[i] * static_cast<float>(code) * static_cast<float>(code);
    }
    for (int round = 0; round < 5; ++round)
        if (!descendPositive(values, weights, n, top, codes, xq, qq)) break;
    return qq > 0 ? xq / qq : 0;
}

} // namespace bw::reference
#endif
