// SPDX-License-Identifier: GPL-3.0-or-later
// Gram matrices of a site group's inputs, kept in a few folds of windows so that a ratio of sums gets an error. Private
// to core/sensitivity.
#pragma once

#include "core/calibrate/gram.h"
#include "core/sensitivity/cells.h"

namespace bw::detail {

/// Folds of `windows` windows when one fold takes `bytes`: at most eight, fewer when they would take more than 1 GiB.
int foldCount(std::int64_t windows, std::uint64_t bytes);

class FoldedGram {
public:
    /// I = width; nothing is allocated before the first `add`.
    FoldedGram(std::int64_t width, int folds, std::int64_t windows) : windows_(windows) {
        for (int f = 0; f < folds; ++f) grams_.emplace_back(width);
    }
    /// x of one window, or of several from `window` on, `length` rows each. @param device  has x; null: the host. After DeviceLost
    /// the same call is made again, and leaves out what was added before.
    void add(std::int64_t window, std::int64_t length, MatrixView<const float> x, Device* device = nullptr);
    /// tr(A·G·Aᵀ) of each fold, A O×I; see Gram::quadratic.
    std::vector<double> quadratic(MatrixView<const float> a, JobContext& job) const;
    void clear();

private:
    std::int64_t windows_, next_ = 0; ///< next_: the first that is not in yet
    std::vector<Gram> grams_;
};

/// Σ numerator / Σ denominator with its error from the folds (linearised ratio; 0 with one fold). 0/0 counts as 0.
Measure ratioOf(const std::vector<double>& numerator, const std::vector<double>& denominator);

} // namespace bw::detail
