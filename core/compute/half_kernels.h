// SPDX-License-Identifier: GPL-3.0-or-later
// Kernels of half_product.cpp for processors with AVX-512 BF16; private to core/compute. Included by a source that is
// built for newer processors than the program's baseline: declarations only.
#pragma once

#include <cstdint>

namespace bw::half {

/// out ← bf16(x − near), n values and a zero behind an odd one; without `near` (null) of x itself. Returns whether any difference is not zero (NaN counts).
bool subtractToHalf(const float* x, const float* near, std::int64_t n, std::uint16_t* out);

/// y[r] = known[r] + a[r]·panelᵀ (`add`: y += …) for `rows` rows and the first `cols` ≤ 48 outputs of one panel.
/// a: bf16 pairs, `lda` values from row to row. One chain of sums per element, in the order of the inputs.
void multiplyPanel(const std::uint16_t* a, std::int64_t lda, const std::uint16_t* panel, std::int64_t pairs,
                   const float* known, std::int64_t ldk, float* y, std::int64_t ldy, std::int64_t rows,
                   std::int64_t cols, bool add);

/// Values a panel of channels is wide.
constexpr std::int64_t kPanelChannels = 48;
/// out[2·i], out[2·i + 1] ← bf16 of row[i], next[i] (0 without `next`) for i < n, zeros up to kPanelChannels.
void packChannels(const float* row, const float* next, std::int64_t n, std::uint16_t* out);
/// y[r][c] += Σ over pairs of tokens of a[pair][r]·b[pair][c] for the first `rows` and `cols` ≤ 48 channels of two panels.
/// One chain of sums per element, in the order of the tokens.
void multiplyChannels(const std::uint16_t* a, const std::uint16_t* b, std::int64_t pairs, float* y, std::int64_t ldy, std::int64_t rows, std::int64_t cols);

} // namespace bw::half
