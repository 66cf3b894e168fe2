// SPDX-License-Identifier: GPL-3.0-or-later
// bf16 kernels. Compiled with its own -march: nothing but the functions of half_kernels.h may be called from here.
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

} // namespace

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

} // namespace bw::half

#else // another processor family: hasHalfProducts() is false and nobody calls these

namespace bw::half {

bool subtractToHalf(const float*, const float*, std::int64_t, std::uint16_t*) { return false; }
void multiplyPanel(const std::uint16_t*, std::int64_t, const std::uint16_t*, std::int64_t, const float*, std::int64_t,
                   float*, std::int64_t, std::int64_t, std::int64_t, bool) {}

} // namespace bw::half
#endif
