// SPDX-License-Identifier: GPL-3.0-or-later
// The 16 uneven levels of IQ4_NL and IQ4_XS, and the nearest of them for any number. Private to core/format.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace bw::levels {

inline constexpr std::array<float, 16> kValues{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

/// Index of the level nearest to any v with ⌊2v⌋ = row − 256, a tie to the upper one: all midpoints are multiples of ½.
inline constexpr std::array<std::uint8_t, 512> kIndexOfHalfStep = [] {
    std::array<std::uint8_t, 512> table{};
    for (std::size_t row = 0; row < table.size(); ++row) {
        const float v = (static_cast<float>(row) - 256.0f) / 2.0f;
        std::uint8_t index = 0;
        while (index < 15 && v >= (kValues[index] + kValues[index + 1u]) / 2.0f) ++index;
        table[row] = index;
    }
    return table;
}();

inline constexpr std::array<float, 512> kValueOfHalfStep = [] {
    std::array<float, 512> table{};
    for (std::size_t row = 0; row < table.size(); ++row) table[row] = kValues[kIndexOfHalfStep[row]];
    return table;
}();

} // namespace bw::levels
