// SPDX-License-Identifier: GPL-3.0-or-later
// Two triangular solves with the factor that the column pass uses anyway, H = (I+U)·D·(I+U)ᵀ, columns as rows.
#include "core/quantize/gptq_target.h"

#include "core/base/parallel.h"
#include "core/compute/cpu_device.h"

#include <algorithm>
#include <utility>

namespace bw::detail {
namespace {

constexpr std::int64_t kBlock = 64;       ///< columns between two products
constexpr std::int64_t kRowsAtOnce = 128; ///< a block's columns of so many rows stay in the first-level cache

/// to −= factor·from over some rows of the weight.
void subtract(Matrix& z, std::int64_t from, std::int64_t to, float factor, std::int64_t begin, std::int64_t end) {
    const float* const source = z.row(from);
    float* const target = z.row(to);
    for (std::int64_t r = begin; r < end; ++r) target[r] -= factor * source[r];
}

/// z ← (I+U)⁻¹·z, from the last block of columns to the first.
void solveUpper(const Matrix& u, Matrix& z, JobContext& job) {
    for (std::int64_t end = z.rows(); end > 0;) {
        job.checkpoint();
        const std::int64_t first = (end - 1) / kBlock * kBlock;
        parallelFor(z.cols(), kRowsAtOnce, [&](std::int64_t begin, std::int64_t stop) {
            for (std::int64_t j = end - 1; j > first; --j)
                for (std::int64_t i = first; i < j; ++i) subtract(z, j, i, u.row(j)[i], begin, stop);
        });
        if (first > 0) {
            Matrix share(first, end - first);
            for (std::int64_t j = first; j < end; ++j)
                for (std::int64_t i = 0; i < first; ++i) share.row(i)[j - first] = -u.row(j)[i];
            gemmTimes(std::as_const(share).view(), std::as_const(z).view().middleRows(first, end - first), z.view().middleRows(0, first), true);
        }
        end = first;
    }
}

/// z ← (I+U)⁻ᵀ·z, from the first block to the last.
void solveLower(const Matrix& u, Matrix& z, JobContext& job) {
    for (std::int64_t first = 0; first < z.rows(); first += kBlock) {
        job.checkpoint();
        const std::int64_t count = std::min(kBlock, z.rows() - first);
        if (first > 0) {
            Matrix share(count, first);
            for (std::int64_t j = 0; j < count; ++j)
                std::transform(u.row(first + j), u.row(first + j) + first, share.row(j), [](float v) { return -v; });
            gemmTimes(std::as_const(share).view(), std::as_const(z).view().middleRows(0, first), z.view().middleRows(first, count), true);
        }
        parallelFor(z.cols(), kRowsAtOnce, [&](std::int64_t begin, std::int64_t stop) {
            for (std::int64_t j = first; j < first + count; ++j)
                for (std::int64_t i = first; i < j; ++i) subtract(z, i, j, u.row(j)[i], begin, stop);
        });
    }
}

/// W·D + R, O×I.
Matrix missingOutputs(MatrixView<const float> weight, const InputDrift& drift) {
    Matrix missing(weight.rows, weight.cols);
    const bool adds = drift.residual.size() > 0;
    if (adds) std::copy_n(drift.residual.data(), drift.residual.size(), missing.data());
    gemmTimes(weight, drift.inputs.view(), missing.view(), adds);
    return missing;
}

} // namespace

Matrix correctedTarget(MatrixView<const float> weight, const InputDrift& drift, double share, const ErrorFeedback& feedback,
                       const std::vector<std::int64_t>& order, JobContext& job) {
    const JobScope scope(&job);
    Matrix target = missingOutputs(weight, drift);
    Matrix solved(weight.cols, weight.rows);
    const auto column = [&](std::int64_t j) { return order[static_cast<std::size_t>(j)]; };
    parallelFor(weight.cols, 16, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = 0; r < weight.rows; ++r)
            for (std::int64_t j = begin; j < end; ++j) solved.row(j)[r] = std::as_const(target).row(r)[column(j)];
    });
    solveUpper(feedback.rows, solved, job);
    parallelFor(weight.cols, 16, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t j = begin; j < end; ++j)
            for (std::int64_t r = 0; r < weight.rows; ++r) solved.row(j)[r] /= feedback.weights[static_cast<std::size_t>(j)];
    });
    solveLower(feedback.rows, solved, job);
    parallelFor(weight.rows, 16, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t j = 0; j < weight.cols; ++j)
            for (std::int64_t r = begin; r < end; ++r)
                target.row(r)[column(j)] = weight(r, column(j)) + static_cast<float>(share) * std::as_const(solved).row(j)[r];
    });
    return target;
}

} // namespace bw::detail
