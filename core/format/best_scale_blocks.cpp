// SPDX-License-Identifier: GPL-3.0-or-later
// Q3_K, Q6_K and IQ4_XS: x̂ = d·s·q with a small signed integer s per sub-block; IQ4_NL: x̂ = d·q. Each sub-block's best
// scale of either sign is found first, then the d whose multiples come closest to all of them together, then s and codes
// exactly, then d once more by least squares. Every sub-block has a lane of its own and nothing crosses lanes, so bytes are
// the same on every instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/format/best_scale_blocks.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "core/format/best_blocks.h"
#include "core/format/half.h"
#include "core/format/levels.h"

#include <array>
#include <cmath>
#include <cstring>

#ifndef BW_FORMAT_SCALE_LAYOUT
#define BW_FORMAT_SCALE_LAYOUT
namespace bw::best {

inline constexpr std::size_t kWeights = 256;
/// The levels of IQ4 + 128.
alignas(16) inline constexpr std::array<std::uint8_t, 16> kShiftedLevels = [] {
    std::array<std::uint8_t, 16> shifted{};
    for (std::size_t i = 0; i < 16; ++i) shifted[i] = static_cast<std::uint8_t>(levels::kValues[i] + 128.0f);
    return shifted;
}();

/// What differs between the types.
struct ScaleGrid {
    std::size_t subs;         ///< sub-blocks, 256/subs weights each
    bool levels;              ///< codes are levels of IQ4, else whole numbers
    float lo, hi;             ///< least and largest code
    float least, most;        ///< of s
    float shrunk;             ///< first trial of a scale, times the one that cuts nothing off; the last is 1.05
};

/// A whole block's choice. `q` is the code itself (a level of IQ4), `d` and `s` as stored.
struct ScaleChoice {
    std::uint16_t d[8] = {}; ///< f16 bits; only IQ4_NL has more than one
    std::int8_t s[16] = {}, q[kWeights] = {};
};

} // namespace bw::best
#endif

HWY_BEFORE_NAMESPACE();
namespace bw::best::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

constexpr std::size_t kMostSubs = 16;
constexpr std::size_t kSteps = 48;  ///< candidates of d
constexpr std::size_t kRefined = 3; ///< that are tried exactly
constexpr int kTrials = 10, kRefits = 3;
constexpr int kNarrow = 1, kWide = 2; ///< steps that s is moved either way

template <std::size_t kSubs, bool kUneven>
class ScaleSearch {
    static constexpr std::size_t kN = kWeights / kSubs;
    using D = hn::CappedTag<float, kSubs>;
    using V = hn::Vec<D>;
    template <class Body>
    static HWY_INLINE void eachVector(Body body) {
        for (std::size_t l = 0; l < kSubs; l += hn::Lanes(D())) body(l);
    }

public:
    ScaleSearch(const ScaleGrid& grid, const float* x, const float* w) : grid_(grid) {
        for (std::size_t s = 0; s < kSubs; ++s)
            for (std::size_t j = 0; j < kN; ++j) {
                x_[j * kSubs + s] = x[s * kN + j];
                w_[j * kSubs + s] = w[s * kN + j];
            }
        eachVector([&](std::size_t l) { fitScales(l); });
    }

    /// One d for all sub-blocks. @param start another d to begin from.
    void together(int exponent, std::uint16_t start, ScaleChoice& out) {
        up_ = std::ldexp(1.0f, exponent);
        down_ = std::ldexp(1.0f, -exponent);
        float steps[kRefined + 1];
        rankSteps(steps);
        steps[kRefined] = half::toFloat(start) * down_;
        for (const float d : steps) refine(d, kNarrow);
        refine(d_, kWide);
        out.d[0] = half::scaleBits(d_ * up_);
        HWY_ALIGN float scales[kMostSubs];
        for (std::size_t i = 0; i < kSubs; ++i) {
            out.s[i] = static_cast<std::int8_t>(s_[i]);
            scales[i] = d_ * s_[i];
        }
        codes(scales, out.q);
    }

    /// A d for each sub-block.
    void apart(const int* exponents, ScaleChoice& out) {
        HWY_ALIGN float best[kMostSubs] = {}, least[kMostSubs], scales[kMostSubs], errors[kMostSubs];
        for (float& e : least) e = 3e38f;
        for (const float* found : {plus_, minus_})
            for (int ulp = -1; ulp <= 1; ++ulp) {
                for (std::size_t i = 0; i < kSubs; ++i) scales[i] = neighbour(found[i], exponents[i], ulp);
                eachVector([&](std::size_t l) { hn::Store(errorOf(l, hn::Load(D(), scales + l)), D(), errors + l); });
                for (std::size_t i = 0; i < kSubs; ++i)
                    if (errors[i] < least[i]) {
                        least[i] = errors[i];
                        best[i] = scales[i];
                    }
            }
        for (std::size_t i = 0; i < kSubs; ++i) out.d[i] = half::scaleBits(std::ldexp(best[i], exponents[i]));
        codes(best, out.q);
    }

private:
    struct Codes { V q2, xq; }; ///< Σwq², Σwxq

    HWY_INLINE V x(std::size_t j, std::size_t l) const { return hn::Load(D(), x_ + j * kSubs + l); }
    HWY_INLINE V w(std::size_t j, std::size_t l) const { return hn::Load(D(), w_ + j * kSubs + l); }
    /// 1/v, 0 for 0.
    static HWY_INLINE V inverse(V v) { return hn::IfThenElseZero(hn::Ne(v, hn::Zero(D())), hn::Div(hn::Set(D(), 1.0f), v)); }

    HWY_INLINE V code(V scaled) const {
        if constexpr (kUneven) {
#if HWY_TARGET == HWY_SCALAR
            V q = hn::Set(D(), levels::kValues[0]);
            for (std::size_t i = 1; i < 16; ++i) {
                const V middle = hn::Set(D(), 0.5f * (levels::kValues[i - 1] + levels::kValues[i]));
                q = hn::IfThenElse(hn::Gt(scaled, middle), hn::Set(D(), levels::kValues[i]), q);
            }
            return q;
#else
            // A parabola of either side runs between the levels: ⌊u⌋ is the nearest level's index or one less, since u of
            // the middle of levels k and k+1 lies in [k, k+1) for all k. One table look-up gives both.
            const hn::RebindToSigned<D> di;
            const hn::Repartition<std::uint8_t, D> db;
            const V v = hn::Min(hn::Max(scaled, hn::Set(D(), -127.0f)), hn::Set(D(), 113.0f));
            const V u = hn::Add(hn::Mul(v, hn::Sub(hn::Set(D(), 0.087f), hn::Mul(hn::Set(D(), 2.14e-4f), hn::Abs(v)))), hn::Set(D(), 7.9f));
            const auto i = hn::Min(hn::ConvertTo(di, u), hn::Set(di, 14));
            const auto pair = hn::Add(hn::Add(i, hn::ShiftLeft<8>(i)), hn::Set(di, static_cast<std::int32_t>(0x80800100u)));
            const auto found = hn::BitCast(di, hn::TableLookupBytesOr0(hn::LoadDup128(db, kShiftedLevels.data()), hn::BitCast(db, pair)));
            const auto below = hn::And(found, hn::Set(di, 255)), above = hn::ShiftRight<8>(found);
            const V middle = hn::Sub(hn::Mul(hn::ConvertTo(D(), hn::Add(below, above)), hn::Set(D(), 0.5f)), hn::Set(D(), 128.0f));
            const auto upper = hn::Gt(v, middle);
            return hn::Sub(hn::ConvertTo(D(), hn::IfThenElse(hn::RebindMask(di, upper), above, below)), hn::Set(D(), 128.0f));
#endif
        } else {
            return hn::Round(hn::Min(hn::Max(scaled, hn::Set(D(), grid_.lo)), hn::Set(D(), grid_.hi)));
        }
    }

    HWY_INLINE Codes sums(std::size_t l, V id) const {
        Codes c{hn::Zero(D()), hn::Zero(D())};
        for (std::size_t j = 0; j < kN; ++j) {
            const V q = code(hn::Mul(x(j, l), id)), wq = hn::Mul(w(j, l), q);
            c.q2 = hn::Add(c.q2, hn::Mul(wq, q));
            c.xq = hn::Add(c.xq, hn::Mul(wq, x(j, l)));
        }
        return c;
    }

    /// Σ w·(x − a·q)² over the nearest codes.
    HWY_INLINE V errorOf(std::size_t l, V a) const {
        const V id = inverse(a);
        V even = hn::Zero(D()), odd = hn::Zero(D());
        for (std::size_t j = 0; j < kN; j += 2) {
            const V e = hn::Sub(x(j, l), hn::Mul(a, code(hn::Mul(x(j, l), id))));
            even = hn::Add(even, hn::Mul(w(j, l), hn::Mul(e, e)));
            const V f = hn::Sub(x(j + 1, l), hn::Mul(a, code(hn::Mul(x(j + 1, l), id))));
            odd = hn::Add(odd, hn::Mul(w(j + 1, l), hn::Mul(f, f)));
        }
        return hn::Add(even, odd);
    }

    struct Scale { V a, gain, q2; }; ///< gain = Σwx² less the error

    /// Least squares of x ≈ a·q for the codes of 1/id; kept where better.
    HWY_INLINE void fitCodes(std::size_t l, V id, Scale& best) const {
        const Codes c = sums(l, id);
        const V a = hn::Mul(c.xq, inverse(c.q2)), gain = hn::Mul(a, c.xq);
        const auto better = hn::Gt(gain, best.gain);
        best.a = hn::IfThenElse(better, a, best.a);
        best.gain = hn::IfThenElse(better, gain, best.gain);
        best.q2 = hn::IfThenElse(better, c.q2, best.q2);
    }

    /// The best scale of every sub-block, of either sign, with no regard to what can be stored.
    HWY_INLINE void fitScales(std::size_t l) {
        V lo = hn::Zero(D()), hi = hn::Zero(D());
        for (std::size_t j = 0; j < kN; ++j) {
            lo = hn::Min(lo, x(j, l));
            hi = hn::Max(hi, x(j, l));
        }
        const V perLow = hn::Set(D(), 1.0f / grid_.lo), perHigh = hn::Set(D(), 1.0f / grid_.hi);
        const V wholePlus = hn::Max(hn::Mul(hi, perHigh), hn::Mul(lo, perLow));
        const V wholeMinus = hn::Neg(hn::Max(hn::Neg(hn::Mul(hi, perLow)), hn::Neg(hn::Mul(lo, perHigh))));
        for (const bool plus : {true, false}) {
            const V whole = plus ? wholePlus : wholeMinus, id = inverse(whole);
            Scale best{hn::Zero(D()), hn::Zero(D()), hn::Zero(D())};
            for (int k = 0; k < kTrials; ++k) {
                const float share = grid_.shrunk + (1.05f - grid_.shrunk) * static_cast<float>(k) / static_cast<float>(kTrials - 1);
                fitCodes(l, hn::Mul(id, hn::Set(D(), 1.0f / share)), best);
            }
            for (int k = 0; k < 2; ++k) fitCodes(l, inverse(best.a), best); // nearest codes of the scale, its scale, …
            hn::Store(best.a, D(), (plus ? plus_ : minus_) + l);
            hn::Store(best.gain, D(), (plus ? plusGain_ : minusGain_) + l);
            hn::Store(best.q2, D(), (plus ? plusQ2_ : minusQ2_) + l);
        }
    }

    float stored(float v) const { return half::toFloat(half::scaleBits(v * up_)) * down_; }
    /// v as an f16 of its block, moved by whole steps of f16.
    static float neighbour(float v, int exponent, int ulp) {
        const std::uint16_t bits = half::scaleBits(std::ldexp(v, exponent));
        const int magnitude = (bits & 0x7fff) + ulp;
        if (magnitude < 0 || magnitude > 0x7bff) return std::ldexp(half::toFloat(bits), -exponent);
        return std::ldexp(half::toFloat(static_cast<std::uint16_t>((bits & 0x8000) | magnitude)), -exponent);
    }

    /// The kRefined steps with the least error to second order around the sub-blocks' own scales.
    void rankSteps(float* steps) const {
        using F = hn::CappedTag<float, 8>;
        const F f;
        HWY_ALIGN float d[kSteps], errors[kSteps];
        float largest = 0;
        for (std::size_t i = 0; i < kSubs; ++i) {
            const float a = plusGain_[i] >= minusGain_[i] ? plus_[i] : minus_[i];
            largest = std::fabs(a) > std::fabs(largest) ? a : largest;
        }
        // The largest scale from one step past the end of s down to ¾ of it, at the end that reaches further.
        for (std::size_t k = 0; k < kSteps; ++k) d[k] = stored(largest / (grid_.least * (1.03f - 0.28f * static_cast<float>(k) / static_cast<float>(kSteps - 1))));
        const auto least = hn::Set(f, grid_.least), most = hn::Set(f, grid_.most);
        for (std::size_t k = 0; k < kSteps; k += hn::Lanes(f)) {
            const auto ds = hn::Load(f, d + k);
            const auto ids = hn::IfThenElseZero(hn::Ne(ds, hn::Zero(f)), hn::Div(hn::Set(f, 1.0f), ds));
            auto sum = hn::Zero(f);
            for (std::size_t i = 0; i < kSubs; ++i) {
                const auto loss = [&](float a, float q2, float gain) {
                    const auto s = hn::Round(hn::Min(hn::Max(hn::Mul(hn::Set(f, a), ids), least), most));
                    const auto da = hn::Sub(hn::Mul(s, ds), hn::Set(f, a));
                    return hn::Sub(hn::Mul(hn::Set(f, q2), hn::Mul(da, da)), hn::Set(f, gain));
                };
                sum = hn::Add(sum, hn::Min(loss(plus_[i], plusQ2_[i], plusGain_[i]), loss(minus_[i], minusQ2_[i], minusGain_[i])));
            }
            hn::Store(sum, f, errors + k);
        }
        for (std::size_t r = 0; r < kRefined; ++r) {
            std::size_t best = 0;
            for (std::size_t k = 1; k < kSteps; ++k) best = errors[k] < errors[best] ? k : best;
            steps[r] = d[best];
            errors[best] = 3e38f;
        }
    }

    /// To second order, what a sub-block loses against its own scale a when that becomes the nearest multiple of d.
    HWY_INLINE V loss(V a, V q2, V gain, V s, V d) const {
        const V da = hn::Sub(hn::Mul(s, d), a);
        return hn::Sub(hn::Mul(q2, hn::Mul(da, da)), gain);
    }
    HWY_INLINE V inRange(V s) const { return hn::Min(hn::Max(s, hn::Set(D(), grid_.least)), hn::Set(D(), grid_.most)); }

    /// s of every sub-block for a given d, exactly, in a window around the better of its own two scales, or around both
    /// when the window is wide; the error of all.
    double choose(float d, int window, float* s) const {
        HWY_ALIGN float errors[kMostSubs];
        const V vd = hn::Set(D(), d), id = inverse(vd);
        eachVector([&](std::size_t l) {
            const V plus = hn::Load(D(), plus_ + l), minus = hn::Load(D(), minus_ + l);
            const V plusS = inRange(hn::Round(hn::Mul(plus, id))), minusS = inRange(hn::Round(hn::Mul(minus, id)));
            const auto first = hn::Le(loss(plus, hn::Load(D(), plusQ2_ + l), hn::Load(D(), plusGain_ + l), plusS, vd),
                                      loss(minus, hn::Load(D(), minusQ2_ + l), hn::Load(D(), minusGain_ + l), minusS, vd));
            V least = hn::Set(D(), 3e38f), best = hn::Zero(D());
            const auto around = [&](V nearest) {
                for (int i = -window; i <= window; ++i) {
                    const V si = inRange(hn::Add(nearest, hn::Set(D(), static_cast<float>(i))));
                    const V error = errorOf(l, hn::Mul(vd, si));
                    const auto better = hn::Lt(error, least);
                    least = hn::IfThenElse(better, error, least);
                    best = hn::IfThenElse(better, si, best);
                }
            };
            around(hn::IfThenElse(first, plusS, minusS));
            if (window == kWide) around(hn::IfThenElse(first, minusS, plusS));
            hn::Store(best, D(), s + l);
            hn::Store(least, D(), errors + l);
        });
        double sum = 0;
        for (std::size_t i = 0; i < kSubs; ++i) sum += static_cast<double>(errors[i]);
        return sum;
    }

    /// d by least squares for the codes that it gives now.
    float refit(float d, const float* s) const {
        HWY_ALIGN float q2[kMostSubs], xq[kMostSubs];
        eachVector([&](std::size_t l) {
            const Codes c = sums(l, inverse(hn::Mul(hn::Set(D(), d), hn::Load(D(), s + l))));
            hn::Store(c.q2, D(), q2 + l);
            hn::Store(c.xq, D(), xq + l);
        });
        double above = 0, below = 0;
        for (std::size_t i = 0; i < kSubs; ++i) {
            const double si = static_cast<double>(s[i]);
            above += si * static_cast<double>(xq[i]);
            below += si * si * static_cast<double>(q2[i]);
        }
        return below > 0 ? stored(static_cast<float>(above / below)) : d;
    }

    void refine(float d, int window) {
        HWY_ALIGN float s[kMostSubs];
        double before = 1e300;
        for (int round = 0; round <= kRefits; ++round) {
            const double error = choose(d, window, s);
            if (!(error < before)) return;
            before = error;
            if (error < error_) {
                error_ = error;
                d_ = d;
                std::memcpy(s_, s, sizeof s);
            }
            d = refit(d, s);
        }
    }

    void codes(const float* scales, std::int8_t* out) const {
        HWY_ALIGN float q[kWeights];
        eachVector([&](std::size_t l) {
            const V id = inverse(hn::Load(D(), scales + l));
            for (std::size_t j = 0; j < kN; ++j) hn::Store(code(hn::Mul(x(j, l), id)), D(), q + j * kSubs + l);
        });
        for (std::size_t s = 0; s < kSubs; ++s)
            for (std::size_t j = 0; j < kN; ++j) out[s * kN + j] = static_cast<std::int8_t>(q[j * kSubs + s]);
    }

    ScaleGrid grid_;
    float up_ = 1, down_ = 1; ///< 2^exponent and its inverse
    HWY_ALIGN float x_[kWeights];
    HWY_ALIGN float w_[kWeights];
    HWY_ALIGN float plus_[kMostSubs], minus_[kMostSubs]; ///< each sub-block's own scales
    HWY_ALIGN float plusGain_[kMostSubs], minusGain_[kMostSubs], plusQ2_[kMostSubs], minusQ2_[kMostSubs];
    HWY_ALIGN float s_[kMostSubs] = {};
    float d_ = 0;
    double error_ = 1e300;
};

void searchScales(const ScaleGrid& grid, const SearchBlock& block, std::uint16_t start, ScaleChoice& out) {
    if (grid.levels)
        ScaleSearch<8, true>(grid, block.x, block.w).together(block.exponent, start, out);
    else
        ScaleSearch<16, false>(grid, block.x, block.w).together(block.exponent, start, out);
}

void searchApart(const ScaleGrid& grid, const float* x, const float* w, const int* exponents, ScaleChoice& out) {
    ScaleSearch<8, true>(grid, x, w).apart(exponents, out);
}

} // namespace
} // namespace bw::best::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bw {
namespace best {
HWY_EXPORT(searchScales);
HWY_EXPORT(searchApart);

namespace {

constexpr ScaleGrid kLevelGrid{8, true, -127, 113, -32, 31, 0.7f};

ScaleGrid gridOf(StorageType type) {
    if (type == StorageType::q3_k) return {16, false, -4, 3, -32, 31, 0.6f};
    if (type == StorageType::q6_k) return {16, false, -32, 31, -128, 127, 0.93f};
    return kLevelGrid;
}

unsigned levelIndex(std::int8_t level) { return levels::kIndexOfHalfStep[static_cast<std::size_t>(2 * level + 256)]; }

/// 32 codes as nibbles: low ones the first half.
void packLevels(const std::int8_t* q, std::uint8_t* out) {
    for (std::size_t j = 0; j < 16; ++j) out[j] = static_cast<std::uint8_t>(levelIndex(q[j]) | levelIndex(q[j + 16]) << 4);
}

void pack3(const ScaleChoice& c, std::uint8_t* out) {
    std::uint8_t *high = out, *low = out + 32, *scales = out + 96;
    for (std::size_t i = 0; i < kWeights; ++i) {
        const auto q = static_cast<unsigned>(c.q[i] + 4);
        low[i / 128 * 32 + i % 32] = static_cast<std::uint8_t>(low[i / 128 * 32 + i % 32] | (q & 3u) << (i / 32 % 4 * 2));
        high[i % 32] = static_cast<std::uint8_t>(high[i % 32] | (q >> 2) << (i / 32));
    }
    for (std::size_t j = 0; j < 16; ++j) {
        const auto s = static_cast<unsigned>(c.s[j] + 32);
        scales[j % 8] = static_cast<std::uint8_t>(scales[j % 8] | (s & 15u) << (j / 8 * 4));
        scales[8 + j % 4] = static_cast<std::uint8_t>(scales[8 + j % 4] | (s >> 4) << (j / 4 * 2));
    }
    std::memcpy(out + 108, c.d, 2);
}

void pack6(const ScaleChoice& c, std::uint8_t* out) {
    std::uint8_t *low = out, *high = out + 128;
    for (std::size_t i = 0; i < kWeights; ++i) {
        const auto q = static_cast<unsigned>(c.q[i] + 32);
        const std::size_t part = i / 128, quarter = i / 32 % 4, l = i % 32;
        std::uint8_t& byte = low[64 * part + 32 * (quarter % 2) + l];
        byte = static_cast<std::uint8_t>(byte | (q & 15u) << (quarter / 2 * 4));
        high[32 * part + l] = static_cast<std::uint8_t>(high[32 * part + l] | (q >> 4) << (2 * quarter));
    }
    std::memcpy(out + 192, c.s, 16);
    std::memcpy(out + 208, c.d, 2);
}

void packXs(const ScaleChoice& c, std::uint8_t* out) {
    std::memcpy(out, c.d, 2);
    for (std::size_t j = 0; j < 8; ++j) {
        const auto s = static_cast<unsigned>(c.s[j] + 32);
        out[2 + j / 4] = static_cast<std::uint8_t>(out[2 + j / 4] | (s >> 4) << (j % 4 * 2));
        out[4 + j / 2] = static_cast<std::uint8_t>(out[4 + j / 2] | (s & 15u) << (j % 2 * 4));
        packLevels(c.q + 32 * j, out + 8 + 16 * j);
    }
}

} // namespace
} // namespace best

void searchScaleBlock(StorageType type, const SearchBlock& block, std::byte* out) {
    std::uint16_t start = 0;
    std::memcpy(&start, block.start + (type == StorageType::q3_k ? 108 : (type == StorageType::q6_k ? 208 : 0)), 2);
    best::ScaleChoice choice;
    HWY_DYNAMIC_DISPATCH(best::searchScales)(best::gridOf(type), block, start, choice);
    std::uint8_t packed[210] = {};
    if (type == StorageType::q3_k)
        best::pack3(choice, packed);
    else if (type == StorageType::q6_k)
        best::pack6(choice, packed);
    else
        best::packXs(choice, packed);
    std::memcpy(out, packed, static_cast<std::size_t>(storageTypeInfo(type).blockBytes));
}

void searchLevelBlocks(const float* x, const float* w, const int* exponents, std::byte* out, std::size_t blocks) {
    best::ScaleChoice choice;
    HWY_DYNAMIC_DISPATCH(best::searchApart)(best::kLevelGrid, x, w, exponents, choice);
    for (std::size_t b = 0; b < blocks; ++b) {
        std::uint8_t packed[18] = {};
        std::memcpy(packed, choice.d + b, 2);
        best::packLevels(choice.q + 32 * b, packed + 2);
        std::memcpy(out + 18 * b, packed, 18);
    }
}

} // namespace bw
#endif
