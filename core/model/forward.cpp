// SPDX-License-Identifier: GPL-3.0-or-later
// One transformer block and the head, as calls to a Device. Shape letters as everywhere: B windows of T tokens, C model
// width, H heads of D channels, F feed-forward width, V vocabulary.
#include "core/model/model_impl.h"

#include <algorithm>
#include <cassert>

namespace bw {
namespace {

/// Hands the input of a site group to the observer, window by window.
struct Watch {
    ActivationObserver* observer;
    std::int64_t firstWindow, windowLength;
    void operator()(int group, MatrixView<const float> x) const {
        if (observer == nullptr) return;
        for (std::int64_t w = 0; w * windowLength < x.rows; ++w)
            observer->onInput(group, firstWindow + w, x.middleRows(w * windowLength, windowLength));
    }
};

void pause(JobContext* job) {
    if (job != nullptr) job->checkpoint();
}

/// gate(x) ⊙ silu, up, down: x += down(silu(gate(n))·up(n)), n = norm(x).
void feedForward(Device& device, BufferPool& buffers, const BlockWeights& weights, float epsilon, MatrixView<float> x,
                 MatrixView<float> normed, int firstGroup, const Watch& watch, JobContext* job) {
    BufferPool::Lease gate(buffers, x.rows, weights.gate->rows), up(buffers, x.rows, weights.up->rows);
    device.rmsNorm(x, weights.ffnNorm, epsilon, normed);
    watch(firstGroup + 2, normed);
    device.multiply(normed, *weights.gate, gate.view());
    pause(job);
    device.multiply(normed, *weights.up, up.view());
    pause(job);
    device.siluMultiply(gate.view(), up.view());
    watch(firstGroup + 3, gate.view());
    device.multiply(gate.view(), *weights.down, x, true);
}

} // namespace

std::int64_t Model::batchWindows(std::int64_t windowLength) const {
    const ModelConfig& c = impl_->config;
    constexpr std::int64_t kBudget = 64 << 20; // bytes of activations
    // Past 2,048 rows a product gains nothing more from sharing a weight.
    constexpr std::int64_t kMaxRows = 2048;
    const std::int64_t perToken = static_cast<std::int64_t>(sizeof(float)) *
                                  (c.width + 2 * impl_->queryWidth() + 2 * impl_->kvWidth() + 2 * c.feedForward);
    const std::int64_t rows = std::min(kMaxRows, kBudget / std::max<std::int64_t>(1, perToken));
    return std::max<std::int64_t>(1, rows / std::max<std::int64_t>(1, windowLength));
}

void Model::runBlockWindows(const BlockWeights& weights, MatrixView<float> x, std::int64_t windowLength,
                            ActivationObserver* observer, std::int64_t firstWindow, JobContext* job) const {
    assert(windowLength > 0 && x.rows % windowLength == 0 && x.cols == impl_->config.width);
    Device& device = *impl_->device;
    const ModelConfig& config = impl_->config;
    const auto epsilon = static_cast<float>(config.normEpsilon);
    const int group = Impl::firstGroup(weights.block);
    const Watch watch{observer, firstWindow, windowLength};
    BufferPool::Lease normed(impl_->buffers, x.rows, x.cols);
    {
        BufferPool::Lease q(impl_->buffers, x.rows, impl_->queryWidth()), k(impl_->buffers, x.rows, impl_->kvWidth());
        BufferPool::Lease v(impl_->buffers, x.rows, impl_->kvWidth()),
            mixed(impl_->buffers, x.rows, impl_->queryWidth());
        device.rmsNorm(x, weights.attnNorm, epsilon, normed.view());
        watch(group, normed.view());
        device.multiply(normed.view(), *weights.q, q.view());
        device.multiply(normed.view(), *weights.k, k.view());
        device.multiply(normed.view(), *weights.v, v.view());
        pause(job);
        const AttentionShape shape{config.heads, config.kvHeads, config.headDim, 0};
        for (std::int64_t first = 0; first < x.rows; first += windowLength) {
            const auto windowQ = q.view().middleRows(first, windowLength),
                       windowK = k.view().middleRows(first, windowLength);
            device.rope(windowQ, config.headDim, 0, config.ropes.front().theta);
            device.rope(windowK, config.headDim, 0, config.ropes.front().theta);
            device.attention(windowQ, windowK, v.view().middleRows(first, windowLength), shape,
                             mixed.view().middleRows(first, windowLength));
            pause(job);
        }
        watch(group + 1, mixed.view());
        device.multiply(mixed.view(), *weights.output, x, true);
    }
    feedForward(device, impl_->buffers, weights, epsilon, x, normed.view(), group, watch, job);
}

void Model::runBlock(const BlockWeights& weights, MatrixView<float> x, KvCache* cache, ActivationObserver* observer,
                     std::int64_t window) const {
    if (cache == nullptr) {
        runBlockWindows(weights, x, x.rows, observer, window);
        return;
    }
    Device& device = *impl_->device;
    const ModelConfig& config = impl_->config;
    const auto epsilon = static_cast<float>(config.normEpsilon);
    const int group = Impl::firstGroup(weights.block);
    const Watch watch{observer, window, x.rows};
    const std::int64_t past = cache->length(), total = past + x.rows;
    BufferPool::Lease normed(impl_->buffers, x.rows, x.cols), q(impl_->buffers, x.rows, impl_->queryWidth());
    BufferPool::Lease mixed(impl_->buffers, x.rows, impl_->queryWidth());
    const MatrixView<float> keys = cache->keys(weights.block, total), values = cache->values(weights.block, total);
    device.rmsNorm(x, weights.attnNorm, epsilon, normed.view());
    watch(group, normed.view());
    device.multiply(normed.view(), *weights.q, q.view());
    device.multiply(normed.view(), *weights.k, keys.middleRows(past, x.rows));
    device.multiply(normed.view(), *weights.v, values.middleRows(past, x.rows));
    device.rope(q.view(), config.headDim, past, config.ropes.front().theta);
    device.rope(keys.middleRows(past, x.rows), config.headDim, past, config.ropes.front().theta);
    const AttentionShape shape{config.heads, config.kvHeads, config.headDim, past};
    device.attention(q.view(), keys, values, shape, mixed.view());
    watch(group + 1, mixed.view());
    device.multiply(mixed.view(), *weights.output, x, true);
    feedForward(device, impl_->buffers, weights, epsilon, x, normed.view(), group, watch, nullptr);
}

void Model::logits(const HeadWeights& head, MatrixView<const float> x, MatrixView<float> out,
                   ActivationObserver* observer, std::int64_t window) const {
    assert(x.cols == impl_->config.width && out.rows == x.rows && out.cols == impl_->config.vocabulary);
    BufferPool::Lease normed(impl_->buffers, x.rows, x.cols);
    impl_->device->rmsNorm(x, head.norm, static_cast<float>(impl_->config.normEpsilon), normed.view());
    if (observer != nullptr) observer->onInput(impl_->headGroup(), window, normed.view());
    impl_->device->multiply(normed.view(), *head.output, out);
}

} // namespace bw
