// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/sensitivity/gram.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace bw::detail {
namespace {

constexpr int kMostFolds = 8;
constexpr std::uint64_t kFoldBytes = 1ull << 30;

} // namespace

int foldCount(std::int64_t windows, std::uint64_t bytes) {
    const auto room = static_cast<std::int64_t>(kFoldBytes / std::max<std::uint64_t>(1, bytes));
    return static_cast<int>(std::clamp<std::int64_t>(std::min(windows, room), 1, kMostFolds));
}

void FoldedGram::add(std::int64_t window, std::int64_t length, MatrixView<const float> x, Device* device) {
    const auto foldOf = [&](std::int64_t w) { return w * static_cast<std::int64_t>(grams_.size()) / windows_; };
    const std::int64_t last = window + std::max<std::int64_t>(1, x.rows / length); // an expert sees a part of a window
    for (std::int64_t w = std::max(window, next_), end = w; w < last; w = next_ = end) {
        while (end < last && foldOf(end) == foldOf(w)) ++end;
        const std::int64_t first = (w - window) * length;
        grams_[static_cast<std::size_t>(foldOf(w))].add(x.middleRows(first, std::min(x.rows, (end - window) * length) - first), device);
    }
}

std::vector<double> FoldedGram::quadratic(MatrixView<const float> a, JobContext& job) const {
    std::vector<double> sums;
    for (const Gram& gram : grams_) sums.push_back(gram.quadratic(a, job));
    return sums;
}

void FoldedGram::clear() {
    for (Gram& gram : grams_) gram.clear();
    next_ = 0;
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
