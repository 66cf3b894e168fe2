// SPDX-License-Identifier: GPL-3.0-or-later
// bf16 kernels. Compiled with its own -march: nothing but the functions of
// half_kernels.h and gradient_tile.h may be called from here.
#include "core/compute/gradient_tile.h"
#include "core/compute/half_kernels.h"

#if defined(__AVX512BF16__)
#include <immintrin.h>

namespace bw::half {
namespace {

constexpr unsigned kRegisters = 3; // of 16 outputs

/// R×48 sums stay in 3·R registers: 8 rows take 24 of 32.
template <unsigned R>
void tile(const std::uint16_t* a, std::int64_t lda, const std::uint16_t* panel, std::int64_t pairs, const float* known,
          std::int64_t ldk, float* y, std::int64_t ldy, std::int64_t cols, bool add) {
    __m512 sums[R][kRegisters];
    for (unsigned r = 0; r < R; ++r)
        for (unsigned c = 0; c < kRegisters; ++c) sums[r][c] = _mm512_setzero_ps();
    for (std::int64_t k = 0; k < pairs; ++k) {
        __m512i w[kRegisters];
        for (unsigned c = 0; c < kRegisters; ++c) w[c] = _mm512_loadu_si512(panel + (k * kRegisters + c) * 32);
        for (unsigned r = 0; r < R; ++r) {
            int pair;
            __builtin_memcpy(&pair, a + r * lda + 2 * k, sizeof pair);
            const __m512i both = _mm512_set1_epi32(pair);
            for (unsigned c = 0; c < kRegisters; ++c)
                sums[r][c] = _mm512_dpbf16_ps(sums[r][c], reinterpret_cast<__m512bh>(both), reinterpret_cast<__m512bh>(w[c]));
        }
    }
    for (unsigned c = 0; c < kRegisters; ++c) {
        const std::int64_t left = cols - 16 * c;
        if (left <= 0) break;
        const auto mask = static_cast<__mmask16>(left >= 16 ? 0xffff : (1 << left) - 1);
        for (unsigned r = 0; r < R; ++r) {
            float* out = y + r * ldy + 16 * c;
            __m512 value = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, known + r * ldk + 16 * c), sums[r][c]);
            if (add) value = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, out), value);
            _mm512_mask_storeu_ps(out, mask, value);
        }
    }
}

/// R rows of 48 sums of products of two panels.
template <unsigned R>
void channelTile(const std::uint16_t* a, const std::uint16_t* b, std::int64_t pairs, float* y, std::int64_t ldy, std::int64_t cols) {
    __m512 sums[R][kRegisters];
    for (unsigned r = 0; r < R; ++r)
        for (unsigned c = 0; c < kRegisters; ++c) sums[r][c] = _mm512_setzero_ps();
    for (std::int64_t k = 0; k < pairs; ++k) {
        __m512i w[kRegisters];
        for (unsigned c = 0; c < kRegisters; ++c) w[c] = _mm512_loadu_si512(b + (k * kRegisters + c) * 32);
        for (unsigned r = 0; r < R; ++r) {
            int pair;
            __builtin_memcpy(&pair, a + (k * kPanelChannels + r) * 2, sizeof pair);
            const __m512i both = _mm512_set1_epi32(pair);
            for (unsigned c = 0; c < kRegisters; ++c)
                sums[r][c] = _mm512_dpbf16_ps(sums[r][c], reinterpret_cast<__m512bh>(both), reinterpret_cast<__m512bh>(w[c]));
        }
    }
    for (unsigned c = 0; c < kRegisters; ++c) {
        const std::int64_t left = cols - 16 * c;
        if (left <= 0) break;
        const auto mask = static_cast<__mmask16>(left >= 16 ? 0xffff : (1 << left) - 1);
        for (unsigned r = 0; r < R; ++r) {
            float* out = y + r * ldy + 16 * c;
            _mm512_mask_storeu_ps(out, mask, _mm512_add_ps(_mm512_maskz_loadu_ps(mask, out), sums[r][c]));
        }
    }
}

constexpr std::int64_t kOutputs = kernels::GradientTile::kOutputs, kLanes = 16;
constexpr unsigned kVectors = 4; // 6 × 4 sums of 16 inputs each

/// bf16 pairs of two rows, the first one's value in the lower half.
void packPairs(const float* row, const float* next, std::int64_t n, std::int64_t width, float* out) {
    for (std::int64_t i = 0; i < width; i += kLanes) {
        const auto maskOf = [i](std::int64_t end) {
            return static_cast<__mmask16>(end - i >= kLanes ? 0xffff : end > i ? (1 << (end - i)) - 1 : 0);
        };
        const auto wide = [](__m512 value) {
            return _mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(value)));
        };
        __m512i pairs = wide(_mm512_maskz_loadu_ps(maskOf(n), row + i));
        if (next != nullptr)
            pairs = _mm512_or_si512(pairs, _mm512_slli_epi32(wide(_mm512_maskz_loadu_ps(maskOf(n), next + i)), 16));
        _mm512_mask_storeu_epi32(out + i, maskOf(width), pairs);
    }
}

void gradientOfPairs(const float* x, const float* dy, std::int64_t dyStride, std::int64_t rows,
                     const float* const* changes, std::int64_t count, std::int64_t stride, float* lanes) {
    __m512 g[kOutputs][kVectors];
    for (auto& row : g)
        for (__m512& value : row) value = _mm512_setzero_ps();
    for (std::int64_t n = 0; n < rows; ++n, x += kLanes * kVectors, dy += dyStride) {
        __m512i inputs[kVectors];
        for (unsigned v = 0; v < kVectors; ++v) inputs[v] = _mm512_loadu_si512(x + v * kLanes);
        for (unsigned o = 0; o < kOutputs; ++o) {
            int pair;
            __builtin_memcpy(&pair, dy + o, sizeof pair);
            const __m512i both = _mm512_set1_epi32(pair);
            for (unsigned v = 0; v < kVectors; ++v)
                g[o][v] = _mm512_dpbf16_ps(g[o][v], reinterpret_cast<__m512bh>(both),
                                           reinterpret_cast<__m512bh>(inputs[v]));
        }
    }
    for (std::int64_t f = 0; f < count; ++f, lanes += kLanes) {
        const float* change = changes[f];
        __m512 sums[kVectors];
        for (__m512& sum : sums) sum = _mm512_setzero_ps();
        for (unsigned o = 0; o < kOutputs; ++o, change += stride)
            for (unsigned v = 0; v < kVectors; ++v)
                sums[v] = _mm512_fmadd_ps(g[o][v], _mm512_loadu_ps(change + v * kLanes), sums[v]);
        const __m512 all = _mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3]));
        _mm512_storeu_ps(lanes, _mm512_add_ps(_mm512_loadu_ps(lanes), all));
    }
}

} // namespace

kernels::GradientTile gradientTile() { return {kLanes * kVectors, kLanes, 2, packPairs, gradientOfPairs}; }

bool subtractToHalf(const float* x, const float* near, std::int64_t n, std::uint16_t* out) {
    __mmask16 any = 0;
    for (std::int64_t i = 0; i < n; i += 16) {
        const std::int64_t left = n - i;
        const auto mask = static_cast<__mmask16>(left >= 16 ? 0xffff : (1 << left) - 1);
        __m512 d = _mm512_maskz_loadu_ps(mask, x + i);
        if (near != nullptr) d = _mm512_sub_ps(d, _mm512_maskz_loadu_ps(mask, near + i));
        any = static_cast<__mmask16>(any | _mm512_cmp_ps_mask(d, _mm512_setzero_ps(), _CMP_NEQ_UQ));
        _mm256_mask_storeu_epi16(out + i, mask, reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(d)));
    }
    if (n % 2 != 0) out[n] = 0;
    return any != 0;
}

void multiplyPanel(const std::uint16_t* a, std::int64_t lda, const std::uint16_t* panel, std::int64_t pairs,
                   const float* known, std::int64_t ldk, float* y, std::int64_t ldy, std::int64_t rows,
                   std::int64_t cols, bool add) {
    std::int64_t r = 0;
    const auto run = [&](auto kernel, std::int64_t step) {
        kernel(a + r * lda, lda, panel, pairs, known + r * ldk, ldk, y + r * ldy, ldy, cols, add);
        r += step;
    };
    while (r + 8 <= rows) run(tile<8>, 8);
    if (r + 4 <= rows) run(tile<4>, 4);
    if (r + 2 <= rows) run(tile<2>, 2);
    if (r < rows) run(tile<1>, 1);
}

void packChannels(const float* row, const float* next, std::int64_t n, std::uint16_t* out) {
    packPairs(row, next, n, kPanelChannels, reinterpret_cast<float*>(out));
}

void multiplyChannels(const std::uint16_t* a, const std::uint16_t* b, std::int64_t pairs, float* y, std::int64_t ldy, std::int64_t rows, std::int64_t cols) {
    std::int64_t r = 0;
    const auto run = [&](auto kernel, std::int64_t step) {
        kernel(a + 2 * r, b, pairs, y + r * ldy, ldy, cols);
        r += step;
    };
    while (r + 8 <= rows) run(channelTile<8>, 8);
    if (r + 4 <= rows) run(channelTile<4>, 4);
    if (r + 2 <= rows) run(channelTile<2>, 2);
    if (r < rows) run(channelTile<1>, 1);
}

} // namespace bw::half

#else // another processor family: hasHalfProducts() is false and nobody calls these

namespace bw::half {

kernels::GradientTile gradientTile() { return {}; }
bool subtractToHalf(const float*, const float*, std::int64_t, std::uint16_t*) { return false; }
void multiplyPanel(const std::uint16_t*, std::int64_t, const std::uint16_t*, std::int64_t, const float*, std::int64_t,
                   float*, std::int64_t, std::int64_t, std::int64_t, bool) {}
void packChannels(const float*, const float*, std::int64_t, std::uint16_t*) {}
void multiplyChannels(const std::uint16_t*, const std::uint16_t*, std::int64_t, float*, std::int64_t, std::int64_t, std::int64_t) {}

} // namespace bw::half
#endif
