// SPDX-License-Identifier: GPL-3.0-or-later
// Integer codes of a weight's rows with the scales and zero points of their groups: what every affine layout comes to.
#pragma once

#include <cstdint>
#include <vector>

namespace bw {

/// O×I codes with w = scale·(code − zero), a scale and a zero point for each run of `group` inputs of a row.
struct CodedRows {
    int bits = 0;                                ///< of the codes, ≤ 8
    std::int64_t rows = 0, cols = 0, group = 0;  ///< group divides cols
    std::vector<std::uint8_t> codes;             ///< O×I
    std::vector<float> scales, zeros;            ///< O×(I/group)
};

} // namespace bw
