// SPDX-License-Identifier: GPL-3.0-or-later
// Seeded random numbers with the same sequence on every platform (std:: distributions differ between libraries).
#pragma once

#include <cmath>
#include <cstdint>

namespace bw {

/// SplitMix64 (Steele, Lea, Flood 2014): 2^64 period, one multiply-xor chain per number.
class Random {
    __extension__ using UInt128 = unsigned __int128;

public:
    explicit Random(std::uint64_t seed) : state_(seed) {}
    std::uint64_t next() {
        std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ull);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
        return z ^ (z >> 31);
    }
    double uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; } ///< [0, 1)
    /// [0, n); bias below n/2^64.
    std::uint64_t below(std::uint64_t n) {
        return static_cast<std::uint64_t>((static_cast<UInt128>(next()) * n) >> 64);
    }
    /// Standard normal by Box–Muller (one of the pair).
    double normal() {
        const double u = 1.0 - uniform();
        return std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586 * uniform());
    }

private:
    std::uint64_t state_;
};

} // namespace bw
