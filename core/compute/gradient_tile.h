// SPDX-License-Identifier: GPL-3.0-or-later
// The kernel of gradient_dots.cpp: a tile of a weight's gradient in registers. Private to core/compute. Included by a
// source that is built for newer processors than the program's baseline: declarations only.
#pragma once

#include <cstdint>

namespace bw::kernels {

struct GradientTile {
    static constexpr std::int64_t kOutputs = 6;
    std::int64_t columns = 0;  ///< of inputs
    std::int64_t lanes = 0;    ///< a change's sum comes in so many parts
    std::int64_t together = 1; ///< rows that are packed into one: 2 of them as pairs of bf16 in the place of a float
    /// out ← n values of `row` (and of `next` where two rows go together; null: zeros), zeros from there to `width`.
    void (*pack)(const float* row, const float* next, std::int64_t n, std::int64_t width, float* out) = nullptr;
    /// lanes[f] += parts of ⟨D_f, Σ dy·xᵀ⟩ over packed rows: x rows×columns, dy kOutputs of every dyStride values,
    /// D_f kOutputs×columns, `stride` values from row to row.
    void (*run)(const float* x, const float* dy, std::int64_t dyStride, std::int64_t rows, const float* const* changes,
                std::int64_t count, std::int64_t stride, float* lanes) = nullptr;
};

} // namespace bw::kernels

namespace bw::half {

/// With both factors of the gradient in bf16, sums in f32. Only where hasHalfProducts().
kernels::GradientTile gradientTile();

} // namespace bw::half
