// SPDX-License-Identifier: GPL-3.0-or-later
// One feed-forward: gated with two linears, gated with one fused linear, or plain.
#include "core/model/model_impl.h"

#include <algorithm>

namespace bw {

void runFeedForward(const BlockPass& pass, const FeedForwardWeights& weights, MatrixView<const float> normed,
                    MatrixView<float> y, int downGroup) {
    const Activation f = pass.config().activation;
    BufferPool::Lease up(pass.model.buffers, normed.rows, weights.up.weight->rows);
    const auto finish = [&](MatrixView<float> hidden) {
        pass.watch(downGroup, hidden);
        pass.roundInput(downGroup, hidden);
        pass.multiply(hidden, weights.down, y, true);
    };
    if (weights.gate.weight) {
        BufferPool::Lease gate(pass.model.buffers, normed.rows, weights.gate.weight->rows);
        pass.multiply(normed, weights.gate, gate.view());
        pass.pause();
        pass.multiply(normed, weights.up, up.view());
        pass.pause();
        pass.device().activateMultiply(f, gate.view(), up.view());
        return finish(gate.view());
    }
    pass.multiply(normed, weights.up, up.view());
    pass.pause();
    if (!pass.config().gated) {
        pass.device().activate(f, up.view());
        return finish(up.view());
    }
    // Gate and up side by side; the observer and the product want rows without a gap.
    const std::int64_t width = weights.up.weight->rows / 2;
    BufferPool::Lease gate(pass.model.buffers, normed.rows, width);
    for (std::int64_t r = 0; r < normed.rows; ++r) std::copy_n(up.view().row(r), width, gate.view().row(r));
    pass.device().activateMultiply(f, gate.view(), up.view().middleCols(width, width));
    finish(gate.view());
}

} // namespace bw
