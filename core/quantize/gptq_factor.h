// SPDX-License-Identifier: GPL-3.0-or-later
// What GPTQ needs of a Hessian: how the rounding error of each column is to be made up for by those that come after it.
// Private to core/quantize.
#pragma once

#include "core/base/job.h"
#include "core/base/matrix.h"

#include <vector>

namespace bw::detail {

/// H = (I+U)·D·(I+U)ᵀ of the columns in `order`, U strictly upper. Column j's value becomes w_j + Σ_{i<j} e_i·U_ij with
/// e_i the errors w_i−ŵ_i made so far, and the whole loss is Σ_j D_j·(that value − its rounding)²: the same updates as
/// those of GPTQ's Cholesky factor of H⁻¹ (Chee et al. 2023, theorem 6), without an inverse.
struct ErrorFeedback {
    Matrix rows;                ///< I×I, row j holds U_0j … U_(j−1)j
    std::vector<float> weights; ///< D
    double damping = 0;         ///< that was needed, share of the mean diagonal
};

/// @param gram G, I×I, both triangles. @param order a permutation of 0 … I−1.
/// @param damping of the mean diagonal; raised tenfold until all pivots are positive.
/// `rows` is empty when even the largest damping failed, as with numbers that are not finite.
/// f64; cost I³/6 multiply-adds; I² doubles of scratch; the same for any number of threads. @throws Error(cancelled).
ErrorFeedback factorHessian(const Matrix& gram, const std::vector<std::int64_t>& order, double damping, JobContext& job);

} // namespace bw::detail
