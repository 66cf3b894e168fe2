// SPDX-License-Identifier: GPL-3.0-or-later
// One block backwards: its forward pass is run anew from its input, keeping what the way back needs, then gradients go
// through the feed-forward, the attention and the norms to the input. Also how gradients are shown and checked.
#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/compute/cpu_device.h"
#include "core/model/reverse_impl.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cmath>
#include <fmt/format.h>

namespace bw {

WindowStarts::WindowStarts(std::int64_t firstWindow, std::int64_t count, std::int64_t windowLength)
    : first_(firstWindow) {
    for (std::int64_t w = 0; w <= count; ++w) starts_.push_back(w * windowLength);
}

WindowStarts::WindowStarts(std::int64_t firstWindow, std::int64_t count, std::int64_t windowLength,
                           std::span<const std::int64_t> rows)
    : first_(firstWindow) {
    for (std::int64_t w = 0; w <= count; ++w)
        starts_.push_back(std::lower_bound(rows.begin(), rows.end(), w * windowLength) - rows.begin());
}

void zeroRows(MatrixView<float> x) {
    for (std::int64_t r = 0; r < x.rows; ++r) std::fill_n(x.row(r), x.cols, 0.0f);
}

void copyRows(MatrixView<const float> from, MatrixView<float> to) {
    constexpr std::int64_t kRows = 64;
    parallelFor(from.rows, kRows, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r) std::copy_n(from.row(r), from.cols, to.row(r));
    });
}

void requireFiniteGradients(MatrixView<const float> gradients, int draws, const WindowRows& windows,
                            const std::string& what) {
    constexpr std::int64_t kRows = 32;
    std::atomic<bool> good{true};
    parallelFor(gradients.rows, kRows, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r)
            if (!allFinite(gradients.rowSpan(r))) good.store(false, std::memory_order_relaxed);
    });
    if (good.load()) return;
    const std::int64_t rows = gradients.rows / draws;
    for (std::int64_t r = 0; r < gradients.rows; ++r) {
        const auto row = gradients.rowSpan(r);
        const auto bad = std::find_if(row.begin(), row.end(), [](float v) { return !std::isfinite(v); });
        if (bad == row.end()) continue;
        const auto window = std::upper_bound(windows.starts.begin(), windows.starts.end(), r % rows) - 1;
        throw Error(ErrorCode::nonFinite,
                    fmt::format("the gradient of {} has {} at window {}, row {}, channel {}, draw {}", what,
                                std::isnan(*bad) ? "NaN" : "infinity",
                                windows.first + (window - windows.starts.begin()), r % rows - *window,
                                bad - row.begin(), r / rows),
                    "Weights or activations behind this part are too large for gradients in f32; measure it by KL "
                    "instead, or look for outliers there.");
    }
}

void ReversePass::showSite(SiteKind kind, int expert, const WindowStarts& rows, MatrixView<const float> input,
                           MatrixView<const float> gradients) const {
    const auto sites = owner.blockSites(weights().block);
    const auto site =
        std::find_if(sites.begin(), sites.end(), [&](const Site& s) { return s.kind == kind && s.expert == expert; });
    assert(site != sites.end());
    requireFiniteGradients(gradients, draws, rows.view(), site->name);
    const auto parts = splitDraws(gradients, draws);
    observer.onSite({*site, rows.view(), input, parts});
    pass.pause();
}

void ReversePass::showInput(int group, const WindowStarts& rows, MatrixView<const float> input,
                            MatrixView<const float> gradients) const {
    requireFiniteGradients(gradients, draws, rows.view(), owner.inputGroups()[static_cast<std::size_t>(group)].name);
    if (!observer.wantsInputs()) return;
    const auto parts = splitDraws(gradients, draws);
    observer.onInput({group, rows.view(), input, parts});
    pass.pause();
}

namespace {

/// A part of a block whose result is added to the residual, maybe after a norm of its own.
class ResidualPart {
public:
    /// `compute(y)` adds the part's result to y. With a norm the result is kept; with `x` (may be empty) the residual
    /// is continued in it.
    template <class Compute>
    ResidualPart(const ReversePass& reverse, const Norm& postNorm, MatrixView<float> x, Compute compute)
        : reverse_(reverse), postNorm_(postNorm) {
        if (postNorm.weight.empty()) {
            if (!x.empty()) compute(x);
            return;
        }
        result_.emplace(reverse.buffers(), reverse.windows.view().starts.back(), reverse.pass.config().width);
        zeroRows(result_->view());
        compute(result_->view());
        if (x.empty()) return;
        Lease normed(reverse.buffers(), x.rows, x.cols);
        reverse.pass.model.applyNorm(postNorm, result_->view(), normed.view());
        reverse.device().add(x, normed.view());
    }
    /// The residual's gradients become those of the part's result; `to` is overwritten.
    void back(MatrixView<const float> gradients, MatrixView<float> to) {
        if (!result_) return copyRows(gradients, to);
        reverse_.pass.model.applyNormBack(postNorm_, result_->view(), gradients, to, false);
    }

private:
    const ReversePass& reverse_;
    const Norm& postNorm_;
    std::optional<Lease> result_;
};

/// dNormed ← gradients of the feed-forward's input (or the experts') from those of the block's output.
void feedForwardBack(const ReversePass& reverse, MatrixView<const float> normed, MatrixView<const float> gradients,
                     MatrixView<float> dNormed) {
    const BlockWeights& weights = reverse.weights();
    Lease given(reverse.buffers(), gradients.rows, gradients.cols);
    if (!weights.experts.empty()) {
        ResidualPart part(reverse, weights.postFfnNorm, {},
                          [&](MatrixView<float> y) { runExperts(reverse.pass, normed, y); });
        part.back(gradients, given.view());
        return expertsBack(reverse, normed, given.view(), dNormed);
    }
    FeedForwardReverse feedForward(reverse, weights.feedForward, reverse.windows, normed);
    ResidualPart part(reverse, weights.postFfnNorm, {}, [&](MatrixView<float> y) {
        reverse.pass.multiply(feedForward.hidden(), weights.feedForward.down, y, true);
    });
    part.back(gradients, given.view());
    feedForward.back({{SiteKind::ffnGate, SiteKind::ffnUp, SiteKind::ffnDown}, -1, reverse.pass.layout.ffnDownIn},
                     given.view(), dNormed);
}

/// gradients K·N×C of the block's output become those of x.
void blockBack(const ReversePass& reverse, MatrixView<const float> x, MatrixView<float> gradients) {
    const BlockWeights& weights = reverse.weights();
    const Model::Impl& model = reverse.pass.model;
    const BlockLayout& layout = reverse.pass.layout;
    const bool parallel = model.config.parallelResidual;
    Lease normed(reverse.buffers(), x.rows, x.cols), dNormed(reverse.buffers(), gradients.rows, x.cols);
    model.applyNorm(weights.attnNorm, x, normed.view());
    AttentionReverse attention(reverse, normed.view());
    Lease middle(reverse.buffers(), x.rows, x.cols); // between attention and feed-forward
    copyRows(x, middle.view());
    ResidualPart attended(reverse, weights.postAttnNorm, middle.view(), [&](MatrixView<float> y) {
        reverse.pass.multiply(attention.mixed(), weights.output, y, true);
    });
    reverse.pass.pause();
    if (parallel) {
        feedForwardBack(reverse, normed.view(), gradients, dNormed.view());
    } else {
        Lease input(reverse.buffers(), x.rows, x.cols);
        model.applyNorm(weights.ffnNorm, middle.view(), input.view());
        feedForwardBack(reverse, input.view(), gradients, dNormed.view());
        if (weights.experts.empty()) reverse.showInput(layout.ffnIn, reverse.windows, input.view(), dNormed.view());
        model.applyNormBack(weights.ffnNorm, middle.view(), dNormed.view(), gradients, true);
    }
    reverse.pass.pause();
    Lease given(reverse.buffers(), gradients.rows, gradients.cols);
    attended.back(gradients, given.view());
    attention.back(given.view(), dNormed.view(), parallel);
    reverse.showInput(layout.attnIn, reverse.windows, normed.view(), dNormed.view());
    model.applyNormBack(weights.attnNorm, x, dNormed.view(), gradients, true);
}

} // namespace

void runBlockBackwards(const Model& model, const BlockWeights& weights, MatrixView<const float> x,
                       std::int64_t windowLength, std::int64_t firstWindow,
                       std::span<const MatrixView<float>> gradients, GradientObserver& observer, JobContext* job) {
    assert(windowLength > 0 && x.rows % windowLength == 0 && !gradients.empty());
    const JobScope scope(job);
    const Model::Impl& impl = model.impl();
    const ReversePass reverse{model,
                              {impl, weights, impl.at(weights.block), windowLength, nullptr, firstWindow, job},
                              observer,
                              static_cast<int>(gradients.size()),
                              WindowStarts(firstWindow, x.rows / windowLength, windowLength)};
    Lease stacked(impl.buffers, reverse.draws * x.rows, x.cols);
    const auto parts = splitDraws(stacked.view(), reverse.draws);
    for (std::size_t k = 0; k < gradients.size(); ++k) copyRows(gradients[k], parts[k]);
    blockBack(reverse, x, stacked.view());
    for (std::size_t k = 0; k < gradients.size(); ++k) copyRows(parts[k], gradients[k]);
}

} // namespace bw
