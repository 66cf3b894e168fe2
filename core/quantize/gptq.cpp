// SPDX-License-Identifier: GPL-3.0-or-later
// GPTQ on one weight. Everything is held with columns as rows, so that a column's values lie side by side: what earlier
// blocks of columns did is one product per block, inside a block each rounded column is added to those after it.
#include "core/quantize/gptq.h"

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/compute/cpu_device.h"
#include "core/quantize/clip.h"
#include "core/quantize/gptq_factor.h"
#include "core/quantize/gptq_sweep.h"
#include "core/quantize/gptq_target.h"
#include "core/quantize/kept_grid.h"
#include "core/quantize/outlier_split.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <numeric>

namespace bw {
namespace {

constexpr std::int64_t kBlock = 128;    ///< columns between two products over all that came before
constexpr std::int64_t kPart = 32;      ///< columns between two products inside a block
constexpr std::int64_t kRowsAtOnce = 64; ///< a block's columns of so many rows stay in the second-level cache

/// Columns as rows in their order: out I×O, out[j] = weight[:, order[j]].
void transposeOrdered(MatrixView<const float> weight, const std::vector<std::int64_t>& order, MatrixView<float> out) {
    parallelFor(out.rows, 16, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = 0; r < weight.rows; ++r)
            for (std::int64_t j = begin; j < end; ++j) out(j, r) = weight(r, order[static_cast<std::size_t>(j)]);
    });
}

/// One pass over all columns; the codes are left in `grid`.
class ColumnPass {
public:
    ColumnPass(MatrixView<const float> weight, const std::vector<std::int64_t>& order, const detail::ErrorFeedback& feedback,
               FixedGrid& grid, bool refit, JobContext& job)
        : weight_(weight), order_(order), feedback_(feedback), grid_(grid), refit_(refit), job_(job),
          targets_(weight.cols, weight.rows), errors_(weight.cols, weight.rows) {}

    void run() {
        const JobScope scope(&job_);
        const std::int64_t columns = weight_.cols;
        transposeOrdered(weight_, order_, targets_.view());
        // A group's scales are chosen from all of its columns when it is reached: parts are groups then, blocks hold whole ones.
        const std::int64_t group = grid_.groupColumns();
        refit_ = refit_ && group < columns;
        if (refit_) part_ = group;
        const std::int64_t step = refit_ ? (kBlock + group - 1) / group * group : kBlock;
        if (refit_) current_ = Matrix(weight_.rows, columns);
        for (std::int64_t first = 0; first < columns; first += step) {
            job_.checkpoint();
            block(first, std::min(step, columns - first));
        }
    }

private:
    void block(std::int64_t first, std::int64_t count) {
        const auto values = targets_.view().middleRows(first, count);
        Matrix original(count, weight_.rows);
        std::copy_n(values.data, values.size(), original.data());
        if (first > 0)
            gemmTimes(feedback_.rows.view().middleRows(first, count).middleCols(0, first), errors_.view().middleRows(0, first), values, true);
        // Inside a block, what a few columns did to the others is one product too.
        for (std::int64_t part = 0; part < count; part += part_) {
            const std::int64_t columns = std::min(part_, count - part);
            if (part > 0)
                gemmTimes(feedback_.rows.view().middleRows(first + part, columns).middleCols(first, part), errors_.view().middleRows(first, part),
                          values.middleRows(part, columns), true);
            if (refit_) refit(values.middleRows(part, columns), std::as_const(original).view().middleRows(part, columns), first + part, columns);
            parallelFor(weight_.rows, kRowsAtOnce, [&](std::int64_t begin, std::int64_t end) { roundRows(std::as_const(original).view().middleRows(part, columns), first + part, columns, begin, end); });
        }
    }

    /// `values` count what columns before the group did. Where a column of the group would go by that, not yet rounded, those
    /// after it follow.
    void refit(MatrixView<const float> values, MatrixView<const float> original, std::int64_t first, std::int64_t count) {
        Matrix reached(count, weight_.rows);
        std::copy_n(values.data, values.size(), reached.data());
        parallelFor(weight_.rows, kRowsAtOnce, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t j = 0; j < count; ++j) {
                const float* const now = reached.row(j);
                for (std::int64_t k = j + 1; k < count; ++k) {
                    const float share = feedback_.rows.row(first + k)[first + j];
                    float* const later = reached.row(k);
                    for (std::int64_t r = begin; r < end; ++r) later[r] -= share * (now[r] - original(j, r));
                }
                for (std::int64_t r = begin; r < end; ++r) current_.row(r)[first + j] = now[r];
            }
        });
        grid_.refit(std::as_const(current_).view(), first, count);
    }

    void roundRows(MatrixView<const float> original, std::int64_t first, std::int64_t count, std::int64_t begin, std::int64_t end) {
        const auto rows = static_cast<std::size_t>(end - begin);
        std::vector<float> rounded(rows);
        for (std::int64_t j = 0; j < count; ++j) {
            float* const values = targets_.row(first + j) + begin;
            grid_.roundColumn(order_[static_cast<std::size_t>(first + j)], begin, {values, rows}, rounded);
            float* const errors = errors_.row(first + j) + begin;
            const float* const wanted = original.row(j) + begin;
            for (std::size_t i = 0; i < rows; ++i) errors[i] = wanted[i] - rounded[i];
            for (std::int64_t k = j + 1; k < count; ++k) {
                const float share = feedback_.rows.row(first + k)[first + j];
                float* const later = targets_.row(first + k) + begin;
                for (std::size_t i = 0; i < rows; ++i) later[i] += share * errors[i];
            }
        }
    }

    MatrixView<const float> weight_;
    const std::vector<std::int64_t>& order_;
    const detail::ErrorFeedback& feedback_;
    FixedGrid& grid_;
    bool refit_;
    std::int64_t part_ = kPart;
    JobContext& job_;
    Matrix targets_, errors_, current_;
};

/// tr(ΔW·G·ΔWᵀ) of a tensor.
double lossOf(const QuantizedTensor& tensor, MatrixView<const float> weight, const Gram& gram, JobContext& job) {
    Matrix difference(weight.rows, weight.cols);
    tensor.decode(difference.view());
    parallelFor(weight.rows, kRowsAtOnce, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r)
            for (std::int64_t c = 0; c < weight.cols; ++c) difference.row(r)[c] -= weight(r, c);
    });
    return gram.quadratic(std::as_const(difference).view(), job);
}

Matrix dampedHessian(const Gram& gram, double damping) {
    Matrix hessian = gram.full();
    double mean = 0;
    for (std::int64_t i = 0; i < hessian.rows(); ++i) mean += static_cast<double>(hessian.row(i)[i]) / static_cast<double>(hessian.rows());
    for (std::int64_t i = 0; i < hessian.rows(); ++i) hessian.row(i)[i] += static_cast<float>(damping * mean);
    return hessian;
}

std::vector<std::int64_t> columnOrder(const std::vector<float>& diagonal, bool falling) {
    std::vector<std::int64_t> order(diagonal.size());
    std::iota(order.begin(), order.end(), std::int64_t{0});
    const auto value = [&](std::int64_t c) { return diagonal[static_cast<std::size_t>(c)]; };
    if (falling) std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) { return value(a) > value(b); });
    return order;
}

} // namespace

GptqSite gptqSite(const Site& site, MatrixView<const float> original, const FormatPtr& format, const Gram& gram,
                  const RounderOptions& rounder, const GptqOptions& options, JobContext& job, const InputDrift* drift, const KeptWeights& kept) {
    GptqSite result;
    MatrixView<const float> weight = original; // what outputs are held against
    const std::vector<float> diagonal = gram.diagonal();
    std::vector<float> importance = diagonal;
    const double tokens = static_cast<double>(std::max<std::int64_t>(1, gram.tokens()));
    for (float& v : importance) v = static_cast<float>(static_cast<double>(v) / tokens);
    RounderOptions nearest = rounder;
    nearest.stochastic = false;
    const bool finite = std::all_of(diagonal.begin(), diagonal.end(), [](float v) { return std::isfinite(v); });
    nearest.weighted = gram.tokens() > 0 && finite;
    Matrix rest;
    const auto onGrid = [&] { // of the weight as it is now
        if (kept.empty()) return weight;
        rest = withoutKept(weight, kept);
        return std::as_const(rest).view();
    };
    const Matrix clipped = options.clipOutputs && finite ? clippedWeight(onGrid(), *format, gram, job) : Matrix();
    const bool clips = clipped.size() > 0;
    result.tensor = clips ? quantizeClipped(site, weight, clipped.view(), format, nearest, kept) : quantizeAround(site, weight, format, importance, nearest, kept);
    result.tokens = gram.tokens();
    result.deadColumns = std::count(diagonal.begin(), diagonal.end(), 0.0f);
    const double whole = gram.quadratic(weight, job);
    const auto share = [&](double loss) { return whole > 0 ? loss / whole : 0.0; };
    double nearestLoss = lossOf(result.tensor, weight, gram, job);
    result.nearestError = result.error = share(nearestLoss);
    const auto fallBack = [&](std::string why) {
        result.fallback = std::move(why);
        result.tensor.rounder = "nearest: " + result.fallback;
        return std::move(result);
    };
    if (!finite) return fallBack("its inputs hold NaN or infinity");
    const std::int64_t least = options.minimumTokens > 0 ? options.minimumTokens : site.cols / 4;
    if (gram.tokens() == 0) return fallBack("no token of the calibration text reached it");
    if (site.expert >= 0 && gram.tokens() < least)
        return fallBack(fmt::format("{} tokens of the calibration text reached it, {} are wanted", gram.tokens(), least));
    const std::vector<std::int64_t> order = columnOrder(diagonal, options.activationOrder && !options.refitScales);
    const detail::ErrorFeedback feedback = detail::factorHessian(gram.full(), order, options.damping, job);
    if (feedback.rows.size() == 0) return fallBack("its Hessian has no Cholesky factor at any damping");
    result.damping = feedback.damping;
    Matrix corrected;
    // Of a least-squares fit of I numbers to T tokens a part of I/T is chance.
    const double trust = options.correction * (1 - static_cast<double>(site.cols) / static_cast<double>(gram.tokens()));
    if (drift != nullptr && trust > 0) {
        corrected = detail::correctedTarget(original, *drift, trust, feedback, order, job);
        weight = std::as_const(corrected).view();
        nearestLoss = lossOf(result.tensor, weight, gram, job);
        result.nearestError = result.error = share(nearestLoss);
    }
    EncodeOptions encode;
    if (rounder.weighted) encode.importance = importance;
    encode.clipSearch = rounder.clipSearch && !clips;
    encode.search = rounder.search;
    std::unique_ptr<FixedGrid> grid = fixGrid(*format, clips ? clipped.view() : onGrid(), encode);
    KeptGrid* beside = nullptr;
    if (!kept.empty()) {
        auto both = std::make_unique<KeptGrid>(std::move(grid), kept, weight.cols);
        beside = both.get();
        grid = std::move(both);
    }
    ColumnPass(weight, order, feedback, *grid, options.refitScales, job).run();
    if (options.sweeps > 0) detail::sweepColumns(weight, dampedHessian(gram, feedback.damping), *grid, options.sweeps, job);
    QuantizedTensor tensor{site.id, format, std::vector<std::byte>(format->bytes(weight.rows, weight.cols)), 0, 0};
    grid->pack(tensor.bytes);
    if (beside) tensor.kept = beside->kept();
    measureRounding(tensor, original);
    const double loss = lossOf(tensor, weight, gram, job);
    if (!(loss < nearestLoss)) return fallBack("GPTQ was no better");
    result.tensor = std::move(tensor);
    result.error = share(loss);
    return result;
}

} // namespace bw
