// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/sensitivity/gram.h"

#include "core/base/parallel.h"
#include "core/compute/cpu_device.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace bw::detail {
namespace {

constexpr int kMostFolds = 8;
constexpr std::uint64_t kFoldBytes = 1ull << 30;
/// Rows of A multiplied at once: enough for a full-speed product, little scratch.
constexpr std::int64_t kRows = 2048;

} // namespace

int foldCount(std::int64_t windows, std::uint64_t bytes) {
    const auto room = static_cast<std::int64_t>(kFoldBytes / std::max<std::uint64_t>(1, bytes));
    return static_cast<int>(std::clamp<std::int64_t>(std::min(windows, room), 1, kMostFolds));
}

void FoldedGram::add(std::int64_t window, MatrixView<const float> x) {
    Matrix& gram = grams_[static_cast<std::size_t>(window * static_cast<std::int64_t>(grams_.size()) / windows_)];
    if (gram.size() == 0) {
        gram = Matrix(width_, width_);
        gram.fill(0.0f);
    }
    accumulateGram(x, gram.view());
}

std::vector<double> FoldedGram::quadratic(MatrixView<const float> a, JobContext& job) const {
    std::vector<double> sums(grams_.size(), 0.0);
    Matrix product(std::min(kRows, a.rows), width_);
    std::vector<double> rowSums(static_cast<std::size_t>(product.rows()));
    for (std::int64_t first = 0; first < a.rows; first += kRows) {
        const auto rows = a.middleRows(first, std::min(kRows, a.rows - first));
        const auto y = product.view().middleRows(0, rows.rows);
        for (std::size_t f = 0; f < grams_.size(); ++f) {
            if (grams_[f].size() == 0)
                continue;
            job.checkpoint();
            // G is symmetric, so A·Gᵀ is A·G.
            gemmTransposed(rows, grams_[f].view(), y);
            parallelFor(rows.rows, 16, [&](std::int64_t begin, std::int64_t end) {
                for (std::int64_t r = begin; r < end; ++r) {
                    const float *p = y.row(r), *q = rows.row(r);
                    double sum = 0;
                    for (std::int64_t c = 0; c < width_; ++c)
                        sum += static_cast<double>(p[c]) * static_cast<double>(q[c]);
                    rowSums[static_cast<std::size_t>(r)] = sum;
                }
            });
            for (std::int64_t r = 0; r < rows.rows; ++r)
                sums[f] += rowSums[static_cast<std::size_t>(r)];
        }
    }
    // Rounding can leave a sum of squares a hair below zero.
    for (double& s : sums)
        s = std::max(0.0, s);
    return sums;
}

void FoldedGram::clear() {
    for (Matrix& gram : grams_)
        gram = Matrix();
}

Measure ratioOf(const std::vector<double>& numerator, const std::vector<double>& denominator) {
    double top = 0, bottom = 0;
    for (std::size_t f = 0; f < numerator.size(); ++f) {
        top += numerator[f];
        bottom += denominator[f];
    }
    if (!(bottom > 0))
        return {top > 0 ? std::numeric_limits<double>::infinity() : 0.0, 0.0};
    Measure ratio{top / bottom, 0.0};
    const auto n = static_cast<double>(numerator.size());
    double squares = 0;
    for (std::size_t f = 0; f < numerator.size(); ++f) {
        const double rest = numerator[f] - ratio.value * denominator[f];
        squares += rest * rest;
    }
    if (numerator.size() > 1)
        ratio.error = std::sqrt(squares * n / (n - 1)) / bottom;
    return ratio;
}

} // namespace bw::detail
