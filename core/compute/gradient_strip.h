// SPDX-License-Identifier: GPL-3.0-or-later
// What the kernel of gradient_dots.cpp works on: a strip of outputs over a chunk of rows. Private to core/compute.
#pragma once

#include "core/base/matrix.h"

#include <span>

namespace bw::kernels {

struct GradientStrip {
    static constexpr std::int64_t kOutputs = 6; ///< of a tile of the gradient
    MatrixView<const float> x;                  ///< N×I
    const float* dy = nullptr; ///< panels of kOutputs outputs, each N×kOutputs, zeros behind the last output
    std::int64_t firstOutput = 0, outputs = 0;
    std::span<const std::int64_t> starts;       ///< of P pieces, P+1
    std::span<const MatrixView<const float>> changes; ///< F of O×I with one stride
};

/// sums[p·F + f] += what the strip's outputs add; one thread.
void addGradientStrip(const GradientStrip& strip, double* sums);

} // namespace bw::kernels
