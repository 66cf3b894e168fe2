// SPDX-License-Identifier: GPL-3.0-or-later
// Counts of values over equal bins: what devices fill, calibrators read and plots draw.
#pragma once

#include <cstdint>
#include <vector>

namespace bw {

/// Counts over equal bins of [low, high): below, above and non-finite apart.
struct Histogram {
    float low = 0, high = 0;
    std::vector<std::uint64_t> bins;
    std::uint64_t below = 0, above = 0, nan = 0, infinite = 0;
};

} // namespace bw
