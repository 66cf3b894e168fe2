// SPDX-License-Identifier: GPL-3.0-or-later
// What is still to be gained when every column has been rounded: each column's codes are the best for those of all others,
// not only of those before it, and scales are the best for the codes. Private to core/quantize.
#pragma once

#include "core/base/job.h"
#include "core/base/matrix.h"
#include "core/format/fixed_grid.h"

namespace bw::detail {

/// Descends tr((W−Ŵ)·H·(W−Ŵ)ᵀ) coordinate by coordinate from the codes in `grid`: no step makes it larger but for f32 rounding.
/// @param hessian I×I, both triangles, with positive diagonal. @param sweeps over all columns, at most; fewer once one
/// takes less than 2 % off the loss.
/// Cost: 2·O·I² multiply-adds at the start and O·I²+4·O·I·G a sweep, G the columns of a group (at least 128); 2·O·I floats.
/// The same for any number of threads. @throws Error(cancelled).
void sweepColumns(MatrixView<const float> weight, const Matrix& hessian, FixedGrid& grid, int sweeps, JobContext& job);

} // namespace bw::detail
