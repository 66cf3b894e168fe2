// SPDX-License-Identifier: GPL-3.0-or-later
// VNNI kernels. Compiled with its own -march: nothing but the function of int8_kernels.h may be called from here.
#include "core/compute/int8_kernels.h"

#if defined(__AVX512VNNI__)
#include <immintrin.h>

namespace bw::int8 {
namespace {

constexpr unsigned kRegisters = 3; // of 16 outputs

/// R×48 sums stay in 3·R registers: 8 rows take 24 of 32.
template <unsigned R>
void tile(const std::int8_t* a, std::int64_t lda, const std::uint8_t* panel, std::int64_t quads, std::int32_t* sums) {
    __m512i acc[R][kRegisters];
    for (unsigned r = 0; r < R; ++r)
        for (unsigned c = 0; c < kRegisters; ++c) acc[r][c] = _mm512_setzero_si512();
    for (std::int64_t k = 0; k < quads; ++k) {
        __m512i w[kRegisters];
        for (unsigned c = 0; c < kRegisters; ++c) w[c] = _mm512_loadu_si512(panel + (k * kRegisters + c) * 64);
        for (unsigned r = 0; r < R; ++r) {
            int quad;
            __builtin_memcpy(&quad, a + r * lda + 4 * k, sizeof quad);
            const __m512i all = _mm512_set1_epi32(quad);
            for (unsigned c = 0; c < kRegisters; ++c) acc[r][c] = _mm512_dpbusd_epi32(acc[r][c], w[c], all);
        }
    }
    for (unsigned r = 0; r < R; ++r)
        for (unsigned c = 0; c < kRegisters; ++c) _mm512_storeu_si512(sums + r * 48 + c * 16, acc[r][c]);
}

} // namespace

void multiplyPanel(const std::int8_t* a, std::int64_t lda, const std::uint8_t* panel, std::int64_t quads, std::int64_t rows, std::int32_t* sums) {
    switch (rows) {
    case 8: return tile<8>(a, lda, panel, quads, sums);
    case 7: return tile<7>(a, lda, panel, quads, sums);
    case 6: return tile<6>(a, lda, panel, quads, sums);
    case 5: return tile<5>(a, lda, panel, quads, sums);
    case 4: return tile<4>(a, lda, panel, quads, sums);
    case 3: return tile<3>(a, lda, panel, quads, sums);
    case 2: return tile<2>(a, lda, panel, quads, sums);
    default: return tile<1>(a, lda, panel, quads, sums);
    }
}

} // namespace bw::int8

#else // another processor family: hasInt8Products() is false and nobody calls this

namespace bw::int8 {

void multiplyPanel(const std::int8_t*, std::int64_t, const std::uint8_t*, std::int64_t, std::int64_t, std::int32_t*) {}

} // namespace bw::int8

#endif
