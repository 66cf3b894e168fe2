// SPDX-License-Identifier: GPL-3.0-or-later
// Q2_K, Q4_K and Q5_K: x̂ = d·s·q − dmin·m with small integers s and m per sub-block. Each sub-block's best line is found
// first, then the pair (d, dmin) whose multiples come closest to all of them together, then s, m and codes exactly, then d
// and dmin once more by least squares. Every sub-block has a lane of its own and nothing crosses lanes, so bytes are the
// same on every instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/format/best_minimum_blocks.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/format/best_blocks.h"
#include "core/format/half.h"

#include <cmath>
#include <cstring>

#ifndef BW_FORMAT_MINIMUM_LAYOUT
#define BW_FORMAT_MINIMUM_LAYOUT
namespace bw::best {

inline constexpr std::size_t kWeights = 256;

/// What differs between the types.
struct MinimumGrid {
    std::size_t subs;   ///< sub-blocks, 256/subs weights each
    float top;          ///< largest code
    float mostSteps;    ///< largest s and m
    float inward;       ///< a range's end is moved inwards by up to 4 times this share of it
};

/// A whole block's choice.
struct MinimumChoice {
    std::uint16_t d = 0, dmin = 0; ///< f16 bits
    std::uint8_t s[16] = {}, m[16] = {}, q[kWeights] = {};
};

} // namespace bw::best
#endif

HWY_BEFORE_NAMESPACE();
namespace bw::best::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

constexpr std::size_t kMostSubs = 16;
constexpr std::size_t kSteps = 16;   ///< candidates of d and of dmin
constexpr std::size_t kRefined = 2;  ///< pairs that are tried exactly
constexpr int kRefits = 3;
constexpr int kNarrow = 1, kWide = 2; ///< steps that s and m are moved either way

template <std::size_t kSubs>
class Search {
    static constexpr std::size_t kN = kWeights / kSubs;
    using D = hn::CappedTag<float, kSubs>;
    using V = hn::Vec<D>;
    template <class Body>
    static HWY_INLINE void eachVector(Body body) {
        for (std::size_t l = 0; l < kSubs; l += hn::Lanes(D())) body(l);
    }

public:
    Search(const MinimumGrid& grid, const SearchBlock& block) : grid_(grid), up_(std::ldexp(1.0f, block.exponent)), down_(std::ldexp(1.0f, -block.exponent)) {
        for (std::size_t s = 0; s < kSubs; ++s)
            for (std::size_t j = 0; j < kN; ++j) {
                x_[j * kSubs + s] = block.x[s * kN + j];
                w_[j * kSubs + s] = block.w[s * kN + j];
            }
        eachVector([&](std::size_t l) { fitLines(l); });
    }

    /// @param startD, startMin another pair to begin from.
    MinimumChoice run(std::uint16_t startD, std::uint16_t startMin) {
        float steps[kRefined + 1], minima[kRefined + 1];
        rankPairs(steps, minima);
        steps[kRefined] = half::toFloat(startD) * down_;
        minima[kRefined] = half::toFloat(startMin) * down_;
        for (std::size_t k = 0; k <= kRefined; ++k) refine(steps[k], minima[k], kNarrow);
        refine(d_, dmin_, kWide);
        return finish();
    }

private:
    struct Codes { V q1, q2, xq; }; ///< Σwq, Σwq², Σwxq

    HWY_INLINE V x(std::size_t j, std::size_t l) const { return hn::Load(D(), x_ + j * kSubs + l); }
    HWY_INLINE V w(std::size_t j, std::size_t l) const { return hn::Load(D(), w_ + j * kSubs + l); }
    static HWY_INLINE V inverse(V v) {
        const V one = hn::Set(D(), 1.0f);
        return hn::IfThenElseZero(hn::Gt(v, hn::Zero(D())), hn::Div(one, v));
    }
    HWY_INLINE V code(V value, V id, V shift) const {
        return hn::Round(hn::Min(hn::Max(hn::Add(hn::Mul(value, id), shift), hn::Zero(D())), hn::Set(D(), grid_.top)));
    }

    HWY_INLINE Codes sums(std::size_t l, V id, V shift) const {
        Codes c{hn::Zero(D()), hn::Zero(D()), hn::Zero(D())};
        for (std::size_t j = 0; j < kN; ++j) {
            const V q = code(x(j, l), id, shift), wq = hn::Mul(w(j, l), q);
            c.q1 = hn::Add(c.q1, wq);
            c.q2 = hn::Add(c.q2, hn::Mul(wq, q));
            c.xq = hn::Add(c.xq, hn::Mul(wq, x(j, l)));
        }
        return c;
    }

    /// Σ w·(x − (a·q − b))² over the nearest codes.
    HWY_INLINE V errorOf(std::size_t l, V a, V b) const {
        const V id = inverse(a), shift = hn::Mul(b, id);
        V even = hn::Zero(D()), odd = hn::Zero(D());
        for (std::size_t j = 0; j < kN; j += 2) {
            const V e = hn::Sub(x(j, l), hn::Sub(hn::Mul(a, code(x(j, l), id, shift)), b));
            even = hn::Add(even, hn::Mul(w(j, l), hn::Mul(e, e)));
            const V f = hn::Sub(x(j + 1, l), hn::Sub(hn::Mul(a, code(x(j + 1, l), id, shift)), b));
            odd = hn::Add(odd, hn::Mul(w(j + 1, l), hn::Mul(f, f)));
        }
        return hn::Add(even, odd);
    }

    struct Line { V a, b, error, q1, q2; };

    /// Least squares of x ≈ a·q − b with b ≥ 0 for the codes that (id, shift) gives; kept where better.
    HWY_INLINE void fitCodes(std::size_t l, V id, V shift, V w0, V x1, V xx, Line& best) const {
        const Codes c = sums(l, id, shift);
        const V zero = hn::Zero(D()), two = hn::Set(D(), 2.0f);
        const V det = hn::Sub(hn::Mul(w0, c.q2), hn::Mul(c.q1, c.q1));
        const auto solvable = hn::Gt(det, hn::Mul(hn::Set(D(), 1e-5f), hn::Mul(w0, c.q2)));
        const V id2 = hn::IfThenElseZero(solvable, hn::Div(hn::Set(D(), 1.0f), det));
        V a = hn::Mul(hn::Sub(hn::Mul(w0, c.xq), hn::Mul(x1, c.q1)), id2);
        V b = hn::Mul(hn::Sub(hn::Mul(c.q1, c.xq), hn::Mul(x1, c.q2)), id2);
        const auto through = hn::Or(hn::Lt(b, zero), hn::Not(solvable)); // no minimum, or no line to fit
        a = hn::IfThenElse(through, hn::Mul(c.xq, inverse(c.q2)), a);
        b = hn::IfThenElseZero(hn::Not(through), b);
        const V cross = hn::Sub(hn::Add(hn::Mul(a, c.xq), hn::Mul(hn::Mul(a, b), c.q1)), hn::Mul(b, x1));
        const V squares = hn::Add(hn::Mul(hn::Mul(a, a), c.q2), hn::Mul(hn::Mul(b, b), w0));
        const V error = hn::Add(hn::Sub(xx, hn::Mul(two, cross)), squares);
        const auto better = hn::And(hn::Lt(error, best.error), hn::Ge(a, zero));
        best.a = hn::IfThenElse(better, a, best.a);
        best.b = hn::IfThenElse(better, b, best.b);
        best.q1 = hn::IfThenElse(better, c.q1, best.q1);
        best.q2 = hn::IfThenElse(better, c.q2, best.q2);
        best.error = hn::IfThenElse(better, error, best.error);
    }

    /// The best line of every sub-block, with no regard to what can be stored.
    HWY_INLINE void fitLines(std::size_t l) {
        V lo = hn::Zero(D()), hi = x(0, l), w0 = lo, x1 = lo, xx = lo;
        for (std::size_t j = 0; j < kN; ++j) {
            const V v = x(j, l), wv = hn::Mul(w(j, l), v);
            lo = hn::Min(lo, v);
            hi = hn::Max(hi, v);
            w0 = hn::Add(w0, w(j, l));
            x1 = hn::Add(x1, wv);
            xx = hn::Add(xx, hn::Mul(wv, v));
        }
        const V zero = hn::Zero(D()), top = hn::Set(D(), grid_.top), range = hn::Sub(hi, lo), move = hn::Mul(range, hn::Set(D(), grid_.inward));
        // No scale at all: all weights at −b.
        const V mean = hn::Max(hn::Neg(hn::Mul(x1, inverse(w0))), zero);
        Line best{zero, mean, hn::Add(hn::Add(xx, hn::Mul(hn::Set(D(), 2.0f), hn::Mul(mean, x1))), hn::Mul(hn::Mul(mean, mean), w0)), zero, zero};
        for (int i = 0; i <= 4; ++i)
            for (int k = 0; k <= 4; ++k) {
                const V from = hn::Add(lo, hn::Mul(move, hn::Set(D(), static_cast<float>(i))));
                const V to = hn::Sub(hi, hn::Mul(move, hn::Set(D(), static_cast<float>(k))));
                const V id = hn::Mul(top, inverse(hn::Sub(to, from)));
                fitCodes(l, id, hn::Neg(hn::Mul(from, id)), w0, x1, xx, best);
            }
        for (int k = 0; k < 2; ++k) { // nearest codes of the line, its line, …
            const V id = inverse(best.a);
            fitCodes(l, id, hn::Mul(best.b, id), w0, x1, xx, best);
        }
        hn::Store(best.a, D(), a_ + l);
        hn::Store(best.b, D(), b_ + l);
        hn::Store(best.q1, D(), q1_ + l);
        hn::Store(best.q2, D(), q2_ + l);
        hn::Store(w0, D(), w0_ + l);
    }

    float stored(float v) const { return half::toFloat(half::scaleBits(v * up_)) * down_; }

    /// Steps whose multiples might serve all sub-blocks: the largest value at mostSteps + 1 down to ¾ of it (½ for 4 bits).
    void candidates(const float* values, float* out) const {
        float largest = 0;
        for (std::size_t s = 0; s < kSubs; ++s) largest = values[s] > largest ? values[s] : largest;
        const float apart = grid_.mostSteps > 15.0f ? 1.0f : 0.5f;
        for (std::size_t k = 0; k < kSteps; ++k) out[k] = stored(largest / (grid_.mostSteps + 1.0f - apart * static_cast<float>(k)));
    }

    /// The kRefined pairs with the least error to second order around the sub-blocks' own lines.
    void rankPairs(float* steps, float* minima) const {
        using F = hn::CappedTag<float, kSteps>;
        const F f;
        HWY_ALIGN float d[kSteps], dmin[kSteps], errors[kSteps * kSteps];
        candidates(a_, d);
        candidates(b_, dmin);
        const auto zero = hn::Zero(f), most = hn::Set(f, grid_.mostSteps), one = hn::Set(f, 1.0f), two = hn::Set(f, 2.0f);
        for (std::size_t k = 0; k < kSteps; ++k) {
            const auto dm = hn::Set(f, dmin[k]), idm = hn::Set(f, dmin[k] > 0 ? 1.0f / dmin[k] : 0.0f);
            for (std::size_t i = 0; i < kSteps; i += hn::Lanes(f)) {
                const auto ds = hn::Load(f, d + i);
                const auto ids = hn::IfThenElseZero(hn::Gt(ds, zero), hn::Div(one, ds));
                auto sum = zero;
                for (std::size_t s = 0; s < kSubs; ++s) {
                    const auto a = hn::Set(f, a_[s]), b = hn::Set(f, b_[s]), h0 = hn::Set(f, w0_[s]), h1 = hn::Set(f, q1_[s]), h2 = hn::Set(f, q2_[s]);
                    const auto slope = hn::Set(f, w0_[s] > 0 ? q1_[s] / w0_[s] : 0.0f);
                    const auto below = hn::Min(hn::Floor(hn::Mul(a, ids)), most);
                    const auto loss = [&](auto steps_) {
                        const auto da = hn::Sub(hn::Mul(steps_, ds), a);
                        const auto m = hn::Round(hn::Min(hn::Max(hn::Mul(hn::Add(b, hn::Mul(slope, da)), idm), zero), most));
                        const auto db = hn::Sub(hn::Mul(m, dm), b);
                        return hn::Add(hn::Mul(h2, hn::Mul(da, da)), hn::Mul(db, hn::Sub(hn::Mul(h0, db), hn::Mul(two, hn::Mul(h1, da)))));
                    };
                    sum = hn::Add(sum, hn::Min(loss(below), loss(hn::Min(hn::Add(below, one), most))));
                }
                hn::Store(sum, f, errors + k * kSteps + i);
            }
        }
        for (std::size_t r = 0; r < kRefined; ++r) {
            std::size_t best = 0;
            for (std::size_t p = 1; p < kSteps * kSteps; ++p) best = errors[p] < errors[best] ? p : best;
            steps[r] = d[best % kSteps];
            minima[r] = dmin[best / kSteps];
            errors[best] = 3e38f;
        }
    }

    /// s and m of every sub-block for given d and dmin, exactly, in a window around its own line; the error of all.
    double choose(float d, float dmin, int window, float* s, float* m) const {
        HWY_ALIGN float errors[kMostSubs];
        const V vd = hn::Set(D(), d), vm = hn::Set(D(), dmin), id = inverse(vd), im = inverse(vm), zero = hn::Zero(D()), most = hn::Set(D(), grid_.mostSteps);
        eachVector([&](std::size_t l) {
            const V a = hn::Load(D(), a_ + l), b = hn::Load(D(), b_ + l);
            const V slope = hn::Mul(hn::Load(D(), q1_ + l), inverse(hn::Load(D(), w0_ + l)));
            const V nearest = hn::Round(hn::Mul(a, id));
            V least = hn::Set(D(), 3e38f), bestS = zero, bestM = zero;
            for (int i = -window; i <= window; ++i) {
                const V si = hn::Min(hn::Max(hn::Add(nearest, hn::Set(D(), static_cast<float>(i))), zero), most), as = hn::Mul(vd, si);
                const V mid = hn::Round(hn::Mul(hn::Add(b, hn::Mul(slope, hn::Sub(as, a))), im));
                for (int k = -window; k <= window; ++k) {
                    const V mk = hn::Min(hn::Max(hn::Add(mid, hn::Set(D(), static_cast<float>(k))), zero), most);
                    const V error = errorOf(l, as, hn::Mul(vm, mk));
                    const auto better = hn::Lt(error, least);
                    least = hn::IfThenElse(better, error, least);
                    bestS = hn::IfThenElse(better, si, bestS);
                    bestM = hn::IfThenElse(better, mk, bestM);
                }
            }
            hn::Store(bestS, D(), s + l);
            hn::Store(bestM, D(), m + l);
            hn::Store(least, D(), errors + l);
        });
        double sum = 0;
        for (std::size_t i = 0; i < kSubs; ++i) sum += static_cast<double>(errors[i]);
        return sum;
    }

    /// d and dmin by least squares for the codes that they give now.
    void refit(float& d, float& dmin, const float* s, const float* m) const {
        HWY_ALIGN float q1[kMostSubs], q2[kMostSubs], xq[kMostSubs], x1[kMostSubs];
        eachVector([&](std::size_t l) {
            const V a = hn::Mul(hn::Set(D(), d), hn::Load(D(), s + l)), b = hn::Mul(hn::Set(D(), dmin), hn::Load(D(), m + l)), id = inverse(a);
            const Codes c = sums(l, id, hn::Mul(b, id));
            V sum = hn::Zero(D());
            for (std::size_t j = 0; j < kN; ++j) sum = hn::Add(sum, hn::Mul(w(j, l), x(j, l)));
            hn::Store(c.q1, D(), q1 + l);
            hn::Store(c.q2, D(), q2 + l);
            hn::Store(c.xq, D(), xq + l);
            hn::Store(sum, D(), x1 + l);
        });
        double aa = 0, ab = 0, bb = 0, ra = 0, rb = 0;
        for (std::size_t i = 0; i < kSubs; ++i) {
            const double si = static_cast<double>(s[i]), mi = static_cast<double>(m[i]);
            aa += si * si * static_cast<double>(q2[i]);
            ab += si * mi * static_cast<double>(q1[i]);
            bb += mi * mi * static_cast<double>(w0_[i]);
            ra += si * static_cast<double>(xq[i]);
            rb += mi * static_cast<double>(x1[i]);
        }
        const double det = aa * bb - ab * ab;
        if (det > 1e-9 * aa * bb) {
            d = stored(static_cast<float>((ra * bb - rb * ab) / det));
            dmin = stored(static_cast<float>((ra * ab - rb * aa) / det));
        } else if (aa > 0) {
            d = stored(static_cast<float>((ra + static_cast<double>(dmin) * ab) / aa));
        }
    }

    void refine(float d, float dmin, int window) {
        HWY_ALIGN float s[kMostSubs], m[kMostSubs];
        for (int round = 0; round <= kRefits; ++round) {
            if (!(d >= 0.0f) || !(dmin >= 0.0f)) return;
            const double error = choose(d, dmin, window, s, m);
            if (round > 0 && !(error < before_)) return;
            before_ = error;
            if (error < error_) {
                error_ = error;
                d_ = d;
                dmin_ = dmin;
                std::memcpy(s_, s, sizeof s);
                std::memcpy(m_, m, sizeof m);
            }
            refit(d, dmin, s, m);
        }
    }

    MinimumChoice finish() const {
        MinimumChoice out;
        out.d = half::scaleBits(d_ * up_);
        out.dmin = half::scaleBits(dmin_ * up_);
        for (std::size_t i = 0; i < kSubs; ++i) {
            out.s[i] = static_cast<std::uint8_t>(s_[i]);
            out.m[i] = static_cast<std::uint8_t>(m_[i]);
        }
        HWY_ALIGN float q[kWeights];
        eachVector([&](std::size_t l) {
            const V a = hn::Mul(hn::Set(D(), d_), hn::Load(D(), s_ + l)), b = hn::Mul(hn::Set(D(), dmin_), hn::Load(D(), m_ + l)), id = inverse(a);
            for (std::size_t j = 0; j < kN; ++j) hn::Store(code(x(j, l), id, hn::Mul(b, id)), D(), q + j * kSubs + l);
        });
        for (std::size_t s = 0; s < kSubs; ++s)
            for (std::size_t j = 0; j < kN; ++j) out.q[s * kN + j] = static_cast<std::uint8_t>(q[j * kSubs + s]);
        return out;
    }

    MinimumGrid grid_;
    float up_, down_; ///< 2^exponent and its inverse
    HWY_ALIGN float x_[kWeights];
    HWY_ALIGN float w_[kWeights];
    HWY_ALIGN float a_[kMostSubs], b_[kMostSubs];                ///< each sub-block's own line
    HWY_ALIGN float q1_[kMostSubs], q2_[kMostSubs], w0_[kMostSubs]; ///< and Σwq, Σwq², Σw of its codes
    HWY_ALIGN float s_[kMostSubs] = {}, m_[kMostSubs] = {};
    float d_ = 0, dmin_ = 0;
    double error_ = 1e300, before_ = 1e300;
};

void searchMinimum(const MinimumGrid& grid, const SearchBlock& block, std::uint16_t startD, std::uint16_t startMin, MinimumChoice& out) {
    out = grid.subs == 8 ? Search<8>(grid, block).run(startD, startMin) : Search<16>(grid, block).run(startD, startMin);
}

} // namespace
} // namespace bw::best::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bw {
namespace best {
HWY_EXPORT(searchMinimum);

namespace {

void pack2(const MinimumChoice& c, std::uint8_t* out) {
    for (std::size_t i = 0; i < 16; ++i) out[i] = static_cast<std::uint8_t>(c.s[i] | c.m[i] << 4);
    for (std::size_t i = 0; i < kWeights; ++i) {
        std::uint8_t& byte = out[16 + i / 128 * 32 + i % 32];
        byte = static_cast<std::uint8_t>(byte | c.q[i] << (i / 32 % 4 * 2));
    }
    std::memcpy(out + 80, &c.d, 2);
    std::memcpy(out + 82, &c.dmin, 2);
}

void pack45(const MinimumChoice& c, bool five, std::uint8_t* out) {
    std::memcpy(out, &c.d, 2);
    std::memcpy(out + 2, &c.dmin, 2);
    std::uint8_t *scales = out + 4, *high = out + 16, *low = out + (five ? 48 : 16);
    for (std::size_t j = 0; j < 4; ++j) {
        scales[j] = static_cast<std::uint8_t>(c.s[j] | c.s[j + 4] >> 4 << 6);
        scales[j + 4] = static_cast<std::uint8_t>(c.m[j] | c.m[j + 4] >> 4 << 6);
        scales[j + 8] = static_cast<std::uint8_t>((c.s[j + 4] & 15) | (c.m[j + 4] & 15) << 4);
    }
    for (std::size_t i = 0; i < kWeights; ++i) {
        const std::size_t sub = i / 32;
        std::uint8_t& byte = low[sub / 2 * 32 + i % 32];
        byte = static_cast<std::uint8_t>(byte | (c.q[i] & 15) << (sub % 2 * 4));
        if (five) high[i % 32] = static_cast<std::uint8_t>(high[i % 32] | c.q[i] >> 4 << sub);
    }
}

} // namespace
} // namespace best

void searchMinimumBlock(StorageType type, const SearchBlock& block, std::byte* out) {
    const bool two = type == StorageType::q2_k;
    const best::MinimumGrid grid = two ? best::MinimumGrid{16, 3, 15, 0.05f} : best::MinimumGrid{8, type == StorageType::q4_k ? 15.0f : 31.0f, 63, type == StorageType::q4_k ? 0.03f : 0.015f};
    std::uint16_t d = 0, dmin = 0;
    std::memcpy(&d, block.start + (two ? 80 : 0), 2);
    std::memcpy(&dmin, block.start + (two ? 82 : 2), 2);
    best::MinimumChoice choice;
    HWY_DYNAMIC_DISPATCH(best::searchMinimum)(grid, block, d, dmin, choice);
    const auto bytes = static_cast<std::size_t>(storageTypeInfo(type).blockBytes);
    std::uint8_t packed[176] = {};
    if (two)
        best::pack2(choice, packed);
    else
        best::pack45(choice, type == StorageType::q5_k, packed);
    std::memcpy(out, packed, bytes);
}

} // namespace bw
#endif
