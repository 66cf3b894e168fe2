// SPDX-License-Identifier: GPL-3.0-or-later
// Projections of a linear's weight gradients onto changes of the weight, with the gradients of many pieces of the rows
// formed a few registers at a time and never stored. Not for: the gradients themselves (cpu_device.h).
#pragma once

#include "core/base/matrix.h"

#include <span>
#include <vector>

namespace bw {

/// sums[p·F + f] += ⟨D_f, Σ_n dy_n·x_nᵀ⟩ with n over the rows starts[p] … starts[p+1]−1 of piece p.
/// @param x N×I. @param dy N×O. @param starts P+1 rising row numbers, from 0 on; equal ones: an empty piece.
/// @param changes D, F of O×I, finite. @param sums P·F.
/// Cost: one product of N×I with I×O, and per piece and change what a product of one row takes: many changes cost
/// little more than one. Sums in f32 over a piece's rows and some thousand weights, then in f64. Elements do not depend
/// on the number of threads. Memory: a copy of up to 1,024 rows of x, 16 MiB, and as many rows of dy for every thread.
/// @param inHalf x and dy rounded to bf16 where the CPU multiplies such numbers: a third faster, and each term errs by up
/// to 2⁻⁸ of itself.
void addGradientDots(MatrixView<const float> x, MatrixView<const float> dy, std::span<const std::int64_t> starts,
                     std::span<const MatrixView<const float>> changes, std::span<double> sums, bool inHalf = false);

} // namespace bw
