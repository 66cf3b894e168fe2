// SPDX-License-Identifier: GPL-3.0-or-later
// Columns as rows, as in gptq.cpp. With E = W−Ŵ and R = H·Eᵀ, moving values of a row by δ changes its loss by δᵀHδ − 2δᵀR, and
// R by −Hδ: inside a block of columns at once, in all others by one product when the block is done.
#include "core/quantize/gptq_sweep.h"

#include "core/base/parallel.h"
#include "core/compute/cpu_device.h"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

namespace bw::detail {
namespace {

constexpr double kLeastGain = 0.02; ///< the third sweep as a rule; more lessen the loss, not the damage on other text
constexpr std::int64_t kBlock = 128;      ///< columns between two products over all others, at least
constexpr std::int64_t kLargestGroup = 256; ///< longer groups move their scales by themselves
constexpr std::int64_t kPart = 32;        ///< columns between two products inside a block
constexpr std::int64_t kRowsAtOnce = 64;  ///< a part's columns of so many rows stay in the first-level cache

class Sweeper {
public:
    Sweeper(MatrixView<const float> weight, const Matrix& hessian, FixedGrid& grid, JobContext& job)
        : weight_(weight), hessian_(hessian), grid_(grid), job_(job), rows_(weight.rows), columns_(weight.cols), values_(columns_, rows_), gradient_(columns_, rows_) {
        const JobScope scope(&job_);
        Matrix errors(columns_, rows_);
        parallelFor(columns_, 8, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t c = begin; c < end; ++c) {
                readColumn(c, 0, rows_);
                for (std::int64_t r = 0; r < rows_; ++r) errors.row(c)[r] = weight(r, c) - values_.row(c)[r];
            }
        });
        gemmTimes(hessian_.view(), std::as_const(errors).view(), gradient_.view());
    }

    double loss() const {
        std::vector<double> sums(static_cast<std::size_t>(columns_)); // by column, so that threads change nothing
        parallelFor(columns_, 8, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t c = begin; c < end; ++c)
                for (std::int64_t r = 0; r < rows_; ++r)
                    sums[static_cast<std::size_t>(c)] += static_cast<double>(weight_(r, c) - values_.row(c)[r]) * static_cast<double>(gradient_.row(c)[r]);
        });
        return std::accumulate(sums.begin(), sums.end(), 0.0);
    }

    void run() {
        const JobScope scope(&job_);
        const std::int64_t group = grid_.groupColumns();
        const bool together = group <= kLargestGroup;
        if (!together && grid_.movesCells())
            for (std::int64_t first = 0; first < columns_; first += group) block(first, std::min(group, columns_ - first), true, false);
        const std::int64_t step = together ? (kBlock + group - 1) / group * group : kBlock;
        for (std::int64_t first = 0; first < columns_; first += step) block(first, std::min(step, columns_ - first), together && grid_.movesCells(), true);
    }

private:
    void readColumn(std::int64_t column, std::int64_t begin, std::int64_t end) {
        const auto n = static_cast<std::size_t>(end - begin);
        std::vector<float> levels(n), scales(n), offsets(n);
        grid_.column(column, begin, levels, scales, offsets);
        float* const value = values_.row(column) + begin;
        for (std::size_t i = 0; i < n; ++i) value[i] = scales[i] * levels[i] + offsets[i];
    }

    void block(std::int64_t first, std::int64_t count, bool scales, bool codes) {
        job_.checkpoint();
        moved_ = Matrix(count, rows_);
        moved_.fill(0.0f);
        if (scales) {
            for (std::int64_t c = first; c < first + count; c += grid_.cellColumns()) moveCell(first, count, c);
            for (std::int64_t c = first; grid_.movesGroups() && c < first + count; c += grid_.groupColumns()) moveGroup(first, count, c);
        }
        if (codes) moveCodes(first, count);
        // Inside the block the gradient is right already.
        spread(moved_.view(), first, count, 0, first);
        spread(moved_.view(), first, count, first + count, columns_ - first - count);
    }

    /// gradient[to …] += H[to …, from …]·moved, where `moved` is the old values less the new.
    void spread(MatrixView<const float> moved, std::int64_t from, std::int64_t fromCount, std::int64_t to, std::int64_t toCount) {
        if (toCount > 0) gemmTimes(hessian_.view().middleRows(to, toCount).middleCols(from, fromCount), moved, gradient_.view().middleRows(to, toCount), true);
    }

    /// Sums over the columns from `first` of what a move along u and o costs and gains, for every row. An empty o stands for ones.
    std::vector<ScaleLoss> lossAlong(std::int64_t first, const Matrix& u, const Matrix& o) const {
        const std::int64_t count = u.rows();
        const auto square = hessian_.view().middleRows(first, count).middleCols(first, count);
        const bool ones = o.size() == 0;
        Matrix hu(count, rows_), ho(ones ? 0 : count, rows_);
        gemmTimes(square, u.view(), hu.view());
        if (!ones) gemmTimes(square, o.view(), ho.view());
        float sum = 0; // 1ᵀ·H·1
        for (std::int64_t c = 0; c < count && ones; ++c) sum = std::accumulate(square.row(c), square.row(c) + count, sum);
        std::vector<ScaleLoss> loss(static_cast<std::size_t>(rows_));
        parallelFor(rows_, kRowsAtOnce, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t c = 0; c < count; ++c) {
                const float *pu = u.row(c), *phu = hu.row(c), *pg = gradient_.row(first + c);
                ScaleLoss* const l = loss.data();
                for (std::int64_t r = begin; r < end; ++r) {
                    const float along = ones ? 1.0f : o.row(c)[r];
                    l[r].uu += pu[r] * phu[r];
                    l[r].uo += along * phu[r];
                    l[r].oo += ones ? 0.0f : along * ho.row(c)[r];
                    l[r].gu += pu[r] * pg[r];
                    l[r].go += along * pg[r];
                }
            }
            for (std::int64_t r = begin; r < end && ones; ++r) loss[static_cast<std::size_t>(r)].oo = sum;
        });
        return loss;
    }

    /// Takes over what the grid holds now in `count` columns from `from`, inside the block [first, first+blockCount).
    void takeOver(std::int64_t first, std::int64_t blockCount, std::int64_t from, std::int64_t count) {
        Matrix change(count, rows_);
        parallelFor(count, 4, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t c = begin; c < end; ++c) {
                float* const out = change.row(c);
                std::copy_n(values_.row(from + c), rows_, out);
                readColumn(from + c, 0, rows_);
                float* const all = moved_.row(from - first + c);
                for (std::int64_t r = 0; r < rows_; ++r) {
                    out[r] -= values_.row(from + c)[r];
                    all[r] += out[r];
                }
            }
        });
        spread(std::as_const(change).view(), from, count, first, blockCount);
    }

    void moveCell(std::int64_t first, std::int64_t blockCount, std::int64_t cell) {
        const std::int64_t count = std::min(grid_.cellColumns(), columns_ - cell);
        Matrix levels(count, rows_);
        parallelFor(count, 4, [&](std::int64_t begin, std::int64_t end) {
            const auto n = static_cast<std::size_t>(rows_);
            std::vector<float> scales(n), offsets(n);
            for (std::int64_t c = begin; c < end; ++c) grid_.column(cell + c, 0, {levels.row(c), n}, scales, offsets);
        });
        const std::vector<ScaleLoss> loss = lossAlong(cell, levels, {});
        parallelFor(rows_, kRowsAtOnce, [&](std::int64_t begin, std::int64_t end) {
            grid_.moveCell(cell, begin, std::span(loss).subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)));
        });
        takeOver(first, blockCount, cell, count);
    }

    void moveGroup(std::int64_t first, std::int64_t blockCount, std::int64_t group) {
        const std::int64_t count = std::min(grid_.groupColumns(), columns_ - group);
        Matrix scaled(count, rows_), offsets(count, rows_);
        parallelFor(count, 4, [&](std::int64_t begin, std::int64_t end) {
            const auto n = static_cast<std::size_t>(rows_);
            std::vector<float> scales(n), levels(n);
            for (std::int64_t c = begin; c < end; ++c) {
                grid_.column(group + c, 0, levels, scales, {offsets.row(c), n});
                for (std::size_t r = 0; r < n; ++r) scaled.row(c)[r] = scales[r] * levels[r];
            }
        });
        const std::vector<ScaleLoss> loss = lossAlong(group, scaled, offsets);
        parallelFor(rows_, kRowsAtOnce, [&](std::int64_t begin, std::int64_t end) {
            grid_.moveGroup(group, begin, std::span(loss).subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)));
        });
        takeOver(first, blockCount, group, count);
    }

    /// Each column to the grid point nearest to where its loss is least.
    void moveCodes(std::int64_t first, std::int64_t count) {
        for (std::int64_t part = first; part < first + count; part += kPart) {
            const std::int64_t columns = std::min(kPart, first + count - part);
            Matrix change(columns, rows_);
            parallelFor(rows_, kRowsAtOnce, [&](std::int64_t begin, std::int64_t end) { moveRows(part, columns, begin, end, change); });
            for (std::int64_t c = 0; c < columns; ++c) {
                const float* const from = change.row(c);
                float* const all = moved_.row(part - first + c);
                for (std::int64_t r = 0; r < rows_; ++r) all[r] += from[r];
            }
            spread(std::as_const(change).view(), part, columns, first, part - first);
            spread(std::as_const(change).view(), part, columns, part + columns, first + count - part - columns);
        }
    }

    void moveRows(std::int64_t first, std::int64_t count, std::int64_t begin, std::int64_t end, Matrix& change) {
        const auto rows = static_cast<std::size_t>(end - begin);
        std::vector<float> targets(rows), rounded(rows);
        for (std::int64_t j = first; j < first + count; ++j) {
            const float perUnit = 1.0f / hessian_.row(j)[j];
            float* const values = values_.row(j) + begin;
            const float* const gradient = gradient_.row(j) + begin;
            for (std::size_t i = 0; i < rows; ++i) targets[i] = values[i] + gradient[i] * perUnit;
            grid_.roundColumn(j, begin, targets, rounded);
            float* const moved = change.row(j - first) + begin;
            for (std::size_t i = 0; i < rows; ++i) {
                moved[i] = values[i] - rounded[i];
                values[i] = rounded[i];
            }
            for (std::int64_t k = first; k < first + count; ++k) {
                const float share = hessian_.row(k)[j];
                float* const out = gradient_.row(k) + begin;
                for (std::size_t i = 0; i < rows; ++i) out[i] += share * moved[i];
            }
        }
    }

    MatrixView<const float> weight_;
    const Matrix& hessian_;
    FixedGrid& grid_;
    JobContext& job_;
    std::int64_t rows_, columns_;
    Matrix values_, gradient_; ///< Ŵᵀ and R, I×O
    Matrix moved_;             ///< of the block at hand, old values less new
};

} // namespace

void sweepColumns(MatrixView<const float> weight, const Matrix& hessian, FixedGrid& grid, int sweeps, JobContext& job) {
    Sweeper sweeper(weight, hessian, grid, job);
    double before = sweeper.loss();
    for (int s = 0; s < sweeps; ++s) {
        sweeper.run();
        const double after = sweeper.loss();
        if (!(after < (1 - kLeastGain) * before)) return;
        before = after;
    }
}

} // namespace bw::detail
