// SPDX-License-Identifier: GPL-3.0-or-later
// Kernels of int8_product.cpp; private to core/compute. Included by a source that is built for newer processors than the
// program's baseline: declarations only.
#pragma once

#include <cstdint>

namespace bw::int8 {

/// sums[r·48 + o] = Σ a[r][k]·panel[k][o] for `rows` ≤ 8 rows of signed codes and 48 outputs of unsigned ones (128 too large).
/// a: `lda` bytes from row to row, 4·quads of them read.
void multiplyPanel(const std::int8_t* a, std::int64_t lda, const std::uint8_t* panel, std::int64_t quads, std::int64_t rows, std::int32_t* sums);

} // namespace bw::int8
