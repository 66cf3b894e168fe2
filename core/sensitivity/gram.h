// SPDX-License-Identifier: GPL-3.0-or-later
// Gram matrices G = XᵀX of a site group's inputs, kept in a few folds of windows so that a ratio of sums gets an error.
// Private to core/sensitivity.
#pragma once

#include "core/base/job.h"
#include "core/base/matrix.h"
#include "core/sensitivity/cells.h"

namespace bw::detail {

/// Folds of `windows` windows when one fold takes `bytes`: at most eight, fewer when they would take more than 1 GiB.
int foldCount(std::int64_t windows, std::uint64_t bytes);

class FoldedGram {
public:
    /// I = width; nothing is allocated before the first `add`.
    FoldedGram(std::int64_t width, int folds, std::int64_t windows) : width_(width), windows_(windows), grams_(static_cast<std::size_t>(folds)) {}
    /// x T×I of one window.
    void add(std::int64_t window, MatrixView<const float> x);
    /// tr(A·G·Aᵀ) of each fold = Σ over its tokens of ‖A·x‖², A O×I. Cost O·I² per fold; 16 MiB of scratch and up.
    std::vector<double> quadratic(MatrixView<const float> a, JobContext& job) const;
    void clear();

private:
    std::int64_t width_, windows_;
    std::vector<Matrix> grams_;
};

/// Σ numerator / Σ denominator with its error from the folds (linearised ratio; 0 with one fold). 0/0 counts as 0.
Measure ratioOf(const std::vector<double>& numerator, const std::vector<double>& denominator);

} // namespace bw::detail
