// SPDX-License-Identifier: GPL-3.0-or-later
// The factor H = (I+U)·D·(I+U)ᵀ is the Cholesky factor of H with its columns turned round.
#include "core/quantize/gptq_factor.h"

#include "core/base/parallel.h"
#include "core/compute/cpu_device.h"

#include <algorithm>
#include <cmath>

namespace bw::detail {
namespace {

constexpr std::int64_t kPanel = 64;    ///< columns between two products
constexpr std::int64_t kRowGrain = 16; ///< rows per task: some 100 µs at widths of thousands
constexpr double kLargestDamping = 10;

/// Σ a_i·b_i in eight sums, which the compiler may keep in vectors without changing their order.
double dot(const double* a, const double* b, std::int64_t count) {
    double sums[8] = {};
    std::int64_t i = 0;
    for (; i + 8 <= count; i += 8)
        for (std::int64_t l = 0; l < 8; ++l) sums[l] += a[i + l] * b[i + l];
    for (; i < count; ++i) sums[0] += a[i] * b[i];
    return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

/// L of A = L·Lᵀ over A's lower triangle, n×n; false at the first pivot that is not clearly positive. A panel of columns at a
/// time: its own triangle, the rows below it, and one product for all that stands right of it.
bool cholesky(std::vector<double>& a, std::int64_t n, double smallest, JobContext& job) {
    const auto row = [&](std::int64_t i) { return a.data() + i * n; };
    for (std::int64_t first = 0; first < n; first += kPanel) {
        job.checkpoint();
        const std::int64_t last = std::min(n, first + kPanel);
        for (std::int64_t i = first; i < last; ++i) {
            for (std::int64_t j = first; j < i; ++j) row(i)[j] = (row(i)[j] - dot(row(i) + first, row(j) + first, j - first)) / row(j)[j];
            const double pivot = row(i)[i] - dot(row(i) + first, row(i) + first, i - first);
            if (!(pivot > smallest)) return false;
            row(i)[i] = std::sqrt(pivot);
        }
        parallelFor(n - last, kRowGrain, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t i = last + begin; i < last + end; ++i)
                for (std::int64_t j = first; j < last; ++j) row(i)[j] = (row(i)[j] - dot(row(i) + first, row(j) + first, j - first)) / row(j)[j];
        });
        if (last == n) break;
        const MatrixView<const double> below(row(last) + first, n - last, last - first, n);
        subtractLower(below, below, MatrixView<double>(row(last) + last, n - last, n - last, n));
    }
    return true;
}

} // namespace

ErrorFeedback factorHessian(const Matrix& gram, const std::vector<std::int64_t>& order, double damping, JobContext& job) {
    const JobScope scope(&job);
    const std::int64_t n = gram.rows();
    const auto at = [&](std::int64_t i) { return order[static_cast<std::size_t>(n - 1 - i)]; }; // turned round
    double mean = 0;
    for (std::int64_t i = 0; i < n; ++i) mean += static_cast<double>(gram.row(i)[i]) / static_cast<double>(n);
    ErrorFeedback result;
    if (!(mean > 0) || !std::isfinite(mean)) return result;
    std::vector<double> a(static_cast<std::size_t>(n * n));
    for (double share = std::max(damping, 1e-8); share <= kLargestDamping; share *= 10) {
        parallelFor(n, kRowGrain, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t i = begin; i < end; ++i) {
                for (std::int64_t j = 0; j <= i; ++j) a[static_cast<std::size_t>(i * n + j)] = static_cast<double>(gram.row(at(i))[at(j)]);
                a[static_cast<std::size_t>(i * n + i)] += share * mean;
            }
        });
        if (!cholesky(a, n, 1e-9 * mean, job)) continue;
        result.damping = share;
        result.rows = Matrix(n, n);
        result.weights.resize(static_cast<std::size_t>(n));
        parallelFor(n, kRowGrain, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t j = begin; j < end; ++j) {
                const std::int64_t r = n - 1 - j;
                const double pivot = a[static_cast<std::size_t>(r * n + r)];
                result.weights[static_cast<std::size_t>(j)] = static_cast<float>(pivot * pivot);
                for (std::int64_t i = 0; i < j; ++i)
                    result.rows.row(j)[i] = static_cast<float>(a[static_cast<std::size_t>((n - 1 - i) * n + r)] / pivot);
                std::fill(result.rows.row(j) + j, result.rows.row(j) + n, 0.0f);
            }
        });
        return result;
    }
    return result;
}

} // namespace bw::detail
