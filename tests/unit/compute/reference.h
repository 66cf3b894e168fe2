// SPDX-License-Identifier: GPL-3.0-or-later
// Naive f64 references for the tests of core/compute.
#pragma once

#include "core/base/matrix.h"
#include "tests/support/random_matrix.h"

#include <cmath>
#include <limits>
#include <vector>

namespace bw::test {

constexpr double kEps = std::numeric_limits<float>::epsilon();

/// θ^(−2i/D) for the D/2 pairs of a head, rounded as in the references.
inline std::vector<float> rotaryFrequencies(std::int64_t headDim, double theta) {
    std::vector<float> frequencies;
    for (std::int64_t i = 0; i < headDim / 2; ++i)
        frequencies.push_back(1.0f / static_cast<float>(std::pow(theta, 2.0 * static_cast<double>(i) / static_cast<double>(headDim))));
    return frequencies;
}

/// Largest |y − reference| / tolerance over all elements, where the tolerance of an element is
/// factor·eps·Σ|a||b| (+ eps·|reference| for the final rounding): the usual bound for a sum of products, with the
/// number of terms replaced by `factor` because blocked sums of n terms err like √n at most in practice.
struct ProductCheck {
    double worst = 0;
    void see(double value, double reference, double magnitude, double factor) {
        const double tolerance = kEps * (factor * magnitude + std::abs(reference)) + 1e-30;
        worst = std::max(worst, std::abs(value - reference) / tolerance);
        if (std::isnan(value)) worst = std::numeric_limits<double>::infinity();
    }
};

} // namespace bw::test
