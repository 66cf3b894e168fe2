// SPDX-License-Identifier: GPL-3.0-or-later
// Reverse of one feed-forward: gated with two linears, gated with one fused linear, or plain; of a block or an expert.
#include "core/base/parallel.h"
#include "core/model/reverse_impl.h"

#include <algorithm>

namespace bw {

FeedForwardReverse::FeedForwardReverse(const ReversePass& reverse, const FeedForwardWeights& weights,
                                       const WindowStarts& rows, MatrixView<const float> input)
    : reverse_(reverse), weights_(weights), rows_(rows), input_(input),
      up_(reverse.buffers(), input.rows, weights.up.weight->rows) {
    const BlockPass& pass = reverse.pass;
    const Activation f = pass.config().activation;
    pass.multiply(input, weights.up, up_.view());
    upView_ = up_.view();
    const bool fused = weights.gate.weight == nullptr && pass.config().gated;
    result_.emplace(reverse.buffers(), input.rows, weights.down.weight->cols);
    hidden_ = result_->view();
    if (!pass.config().gated) {
        copyRows(up_.view(), result_->view());
        reverse.device().activate(f, result_->view());
        return;
    }
    if (fused) {
        const std::int64_t width = weights.up.weight->rows / 2;
        gateView_ = up_.view().middleCols(0, width);
        upView_ = up_.view().middleCols(width, width);
    } else {
        gate_.emplace(reverse.buffers(), input.rows, weights.gate.weight->rows);
        pass.multiply(input, weights.gate, gate_->view());
        gateView_ = gate_->view();
    }
    pass.pause();
    copyRows(gateView_, result_->view());
    reverse.device().activateMultiply(f, result_->view(), upView_);
}

void FeedForwardReverse::applyShares(MatrixView<float> gradients, MatrixView<float> dHidden,
                                     std::span<const float> shares, std::span<float> dShares) const {
    const std::int64_t rows = input_.rows;
    const std::vector<float>& bias = weights_.down.bias;
    constexpr std::int64_t kRows = 16;
    parallelFor(gradients.rows, kRows, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r) {
            // ⟨gradient, down·hidden + bias⟩ without the product: ⟨gradient·down, hidden⟩.
            double sum = 0;
            for (std::int64_t c = 0; c < dHidden.cols; ++c)
                sum += static_cast<double>(dHidden(r, c)) * static_cast<double>(hidden_(r % rows, c));
            for (std::size_t c = 0; c < bias.size(); ++c)
                sum += static_cast<double>(gradients.row(r)[c]) * static_cast<double>(bias[c]);
            dShares[static_cast<std::size_t>(r)] = static_cast<float>(sum);
            const float share = shares[static_cast<std::size_t>(r % rows)];
            for (float& value : dHidden.rowSpan(r)) value *= share;
            for (float& value : gradients.rowSpan(r)) value *= share;
        }
    });
}

void FeedForwardReverse::back(const FeedForwardPlace& place, MatrixView<float> gradients, MatrixView<float> dInput,
                              std::span<const float> shares, std::span<float> dShares) {
    const BlockPass& pass = reverse_.pass;
    const Activation f = pass.config().activation;
    const auto [gateKind, upKind, downKind] = place.kinds;
    Lease dHidden(reverse_.buffers(), gradients.rows, hidden_.cols);
    reverse_.multiplyBack(gradients, weights_.down, dHidden.view());
    pass.pause();
    if (!shares.empty()) applyShares(gradients, dHidden.view(), shares, dShares);
    reverse_.showSite(downKind, place.expert, rows_, hidden_, gradients);
    reverse_.showInput(place.downGroup, rows_, hidden_, dHidden.view());
    if (!pass.config().gated) {
        reverse_.device().activateBack(f, upView_, dHidden.view());
        reverse_.showSite(upKind, place.expert, rows_, input_, dHidden.view());
        return reverse_.multiplyBack(dHidden.view(), weights_.up, dInput);
    }
    if (!gate_) {
        Lease both(reverse_.buffers(), gradients.rows, 2 * hidden_.cols);
        reverse_.device().activateMultiplyBack(f, gateView_, upView_, dHidden.view(),
                                               both.view().middleCols(0, hidden_.cols),
                                               both.view().middleCols(hidden_.cols, hidden_.cols));
        reverse_.showSite(upKind, place.expert, rows_, input_, both.view());
        return reverse_.multiplyBack(both.view(), weights_.up, dInput);
    }
    Lease dUp(reverse_.buffers(), gradients.rows, hidden_.cols);
    reverse_.device().activateMultiplyBack(f, gateView_, upView_, dHidden.view(), dHidden.view(), dUp.view());
    reverse_.showSite(gateKind, place.expert, rows_, input_, dHidden.view());
    reverse_.showSite(upKind, place.expert, rows_, input_, dUp.view());
    reverse_.multiplyBack(dHidden.view(), weights_.gate, dInput);
    pass.pause();
    reverse_.multiplyBack(dUp.view(), weights_.up, dInput, true);
}

} // namespace bw
