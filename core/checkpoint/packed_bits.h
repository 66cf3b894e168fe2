// SPDX-License-Identifier: GPL-3.0-or-later
// Codes of 2 to 8 bits in a dense little-endian bit stream of 32-bit words.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bw {

/// 32-bit words that `count` codes of `bits` take, dense across words.
constexpr std::int64_t packedWords(std::int64_t count, int bits) { return (count * bits + 31) / 32; }

/// Code `index`; reads no byte past the last code.
inline unsigned bitsAt(const std::byte* stream, std::int64_t index, int bits) {
    const std::int64_t bit = index * bits;
    const auto shift = static_cast<unsigned>(bit % 8);
    auto value = static_cast<unsigned>(stream[bit / 8]);
    if (shift + static_cast<unsigned>(bits) > 8) value |= static_cast<unsigned>(stream[bit / 8 + 1]) << 8;
    return value >> shift & ((1u << bits) - 1u);
}

/// Into a stream of zeros.
inline void setBitsAt(std::byte* stream, std::int64_t index, int bits, unsigned value) {
    const std::int64_t bit = index * bits;
    const auto shift = static_cast<unsigned>(bit % 8);
    stream[bit / 8] |= static_cast<std::byte>(value << shift & 0xffu);
    if (shift + static_cast<unsigned>(bits) > 8) stream[bit / 8 + 1] |= static_cast<std::byte>(value << shift >> 8);
}

} // namespace bw
