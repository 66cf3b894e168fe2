// SPDX-License-Identifier: GPL-3.0-or-later
// What a weight should be when its inputs have changed: where those before it are rounded it is given x̂ in place of x, and the
// weight whose outputs on x̂ come nearest to W·x is not W. Private to core/quantize.
#pragma once

#include "core/quantize/gptq.h"
#include "core/quantize/gptq_factor.h"

#include <vector>

namespace bw::detail {

/// W + share·(W·D + R)·H⁻¹ with D and R of `drift`: for share = 1 the W' of least Σ‖W'·x̂ − W·x − r‖² + λ·‖W'−W‖², where
/// H = Σ x̂ᵀx̂ + λ. All of it is more than the calibration text can vouch for: with I inputs and not many times I tokens a part
/// of what it finds is chance.
/// @param weight W, O×I. @param feedback of H, its columns in `order`.
/// f32; the same for any number of threads. Cost 6·O·I² flops, 3·O·I floats. @throws Error(cancelled).
/// Source: least squares; Li et al. 2025 (GPTAQ) and Arai & Ichikawa 2025 (QEP) correct weights in this way.
Matrix correctedTarget(MatrixView<const float> weight, const InputDrift& drift, double share, const ErrorFeedback& feedback,
                       const std::vector<std::int64_t>& order, JobContext& job);

} // namespace bw::detail
