// SPDX-License-Identifier: GPL-3.0-or-later
// Randomised orthogonal mixing of channels for any width: a Hadamard matrix for the power of two in it, a Hartley matrix for
// the odd factor, so that no entry of their product is larger than √2/√width and one channel's outlier is spread over all.
#pragma once

#include "core/checkpoint/derived.h"

#include <cstdint>
#include <vector>

namespace bw {

/// width = 2^k·m, m odd: Q = Hadamard(2^k) ⊗ Hartley(m), symmetric and its own inverse. R = D·Q with random signs D; or, where
/// the sum of the channels must survive (LayerNorm's mean), R = Q·D·Q with the first sign +, for which 1·R = 1.
/// Cost of a row: width·(k + m) multiplications. Source: Ashkboos et al. 2024 (QuaRot) for D·Q; Hartley's cas kernel.
class HadamardMixing final : public ChannelMixing {
public:
    HadamardMixing(std::int64_t width, std::uint64_t seed, bool keepsSum);
    std::int64_t width() const override { return width_; }
    void mix(std::span<float> x) const override;
    std::int64_t powerOfTwo() const { return width_ / odd_; }
    std::int64_t oddFactor() const { return odd_; }

private:
    void applyQ(std::span<float> x) const;
    std::int64_t width_, odd_;
    bool keepsSum_;
    std::vector<float> signs_;
    std::vector<float> hartley_; ///< m×m, orthonormal; empty for m = 1
};

} // namespace bw
