// SPDX-License-Identifier: GPL-3.0-or-later
// One feed-forward: gated with two linears, gated with one fused linear, or plain.
#include "core/model/model_impl.h"

#include <algorithm>

namespace bw {

void feedForwardHidden(const BlockPass& pass, const FeedForwardWeights& weights, MatrixView<const float> normed, MatrixView<float> hidden) {
    const Activation f = pass.config().activation;
    if (!weights.gate.weight && !pass.config().gated) {
        pass.multiply(normed, weights.up, hidden);
        pass.pause();
        return pass.device().activate(f, hidden);
    }
    BufferPool::Lease up = pass.buffer(normed.rows, weights.up.weight->rows);
    if (weights.gate.weight) {
        pass.multiply(normed, weights.gate, hidden);
        pass.pause();
    }
    pass.multiply(normed, weights.up, up.view());
    pass.pause();
    if (weights.gate.weight) return pass.device().activateMultiply(f, hidden, up.view());
    // Gate and up side by side; the observer and the product want rows without a gap.
    pass.device().copy(up.view().middleCols(0, hidden.cols), hidden);
    pass.device().activateMultiply(f, hidden, up.view().middleCols(hidden.cols, hidden.cols));
}

void runFeedForward(const BlockPass& pass, const FeedForwardWeights& weights, MatrixView<const float> normed,
                    MatrixView<float> y, int downGroup) {
    BufferPool::Lease hidden = pass.buffer(normed.rows, weights.down.weight->cols);
    feedForwardHidden(pass, weights, normed, hidden.view());
    pass.watch(downGroup, hidden.view());
    pass.roundInput(downGroup, hidden.view());
    pass.multiply(hidden.view(), weights.down, y, true);
}

} // namespace bw
