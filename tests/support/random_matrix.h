// SPDX-License-Identifier: GPL-3.0-or-later
// Normally distributed matrices from a seed.
#pragma once

#include "core/base/matrix.h"
#include "core/base/random.h"

namespace bw::test {

inline Matrix randomMatrix(std::int64_t rows, std::int64_t cols, std::uint64_t seed, double scale = 1.0) {
    Matrix m(rows, cols);
    Random random(seed);
    for (std::int64_t i = 0; i < m.size(); ++i) m.data()[i] = static_cast<float>(scale * random.normal());
    return m;
}

} // namespace bw::test
