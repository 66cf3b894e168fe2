// SPDX-License-Identifier: GPL-3.0-or-later
// One transformer block and the head, as calls to a Device. Shape letters as everywhere: B windows of T tokens, C model
// width, H heads of D channels, F feed-forward width, V vocabulary.
#include "core/compute/lent.h"
#include "core/model/model_impl.h"

#include <algorithm>
#include <cassert>

namespace bw {

void BlockPass::watch(int group, MatrixView<const float> x) const {
    if (observer == nullptr) return;
    if (observer->readsWholePasses()) return show(group, firstWindow, x, static_cast<int>(x.rows / windowLength));
    for (std::int64_t w = 0; w * windowLength < x.rows; ++w) show(group, firstWindow + w, x.middleRows(w * windowLength, windowLength));
}

void BlockPass::show(int group, std::int64_t window, MatrixView<const float> x, int windows) const {
    if (watched == nullptr || *watched >= seenBefore) {
        if (!observer->readsOnDevice()) device().toHost(x);
        observer->onInput(group, window, x);
    }
    if (watched != nullptr) *watched += windows;
}

void BlockPass::multiply(MatrixView<const float> x, const Linear& linear, MatrixView<float> y, bool add) const {
    if (weights.rounding && weights.rounding->roundsSite(linear.site)) {
        BufferPool::Lease own = buffer(x.rows, x.cols);
        device().copy(x, own.view());
        device().toHost(own.view());
        weights.rounding->roundSite(linear.site, own.view());
        device().hostWrote(own.view());
        device().multiply(own.view(), *linear.weight, y, add);
    } else if (weights.rounding && linear.site.value() >= 0 && weights.rounding->roundsToBytes(model.layout.sites[static_cast<std::size_t>(linear.site.value())].inputGroup)) {
        device().multiplyBytes(x, *linear.weight, y, add);
    } else {
        device().multiply(x, *linear.weight, y, add);
    }
    if (!linear.bias.empty()) device().addBias(y, linear.bias);
}

void Model::Impl::applyNorm(const Norm& norm, MatrixView<const float> x, MatrixView<float> y) const {
    if (config.norm == NormKind::rms)
        device->rmsNorm(x, norm.weight, epsilon(), y);
    else
        device->layerNorm(x, norm.weight, norm.bias, epsilon(), y);
}

void Model::Impl::applyNormBack(const Norm& norm, MatrixView<const float> x, MatrixView<const float> dy,
                                MatrixView<float> dx, bool add) const {
    if (config.norm == NormKind::rms)
        device->rmsNormBack(x, norm.weight, epsilon(), dy, dx, add);
    else
        device->layerNormBack(x, norm.weight, epsilon(), dy, dx, add);
}

namespace {

/// x ← block(x); `cache` as for Model::runBlock.
void runParts(const BlockPass& pass, MatrixView<float> x, KvCache* cache) {
    const BlockWeights& weights = pass.weights;
    BufferPool::Lease normed = pass.buffer(x.rows, x.cols);
    pass.model.applyNorm(weights.attnNorm, x, normed.view());
    pass.watch(pass.layout.attnIn, normed.view());
    pass.roundInput(pass.layout.attnIn, normed.view());
    {
        BufferPool::Lease mixed = pass.buffer(x.rows, pass.config().queryWidth());
        attend(pass, normed.view(), cache, mixed.view());
        pass.watch(pass.layout.attnOutputIn, mixed.view());
        pass.roundInput(pass.layout.attnOutputIn, mixed.view());
        addToResidual(pass, weights.postAttnNorm, x,
                      [&](MatrixView<float> y) { pass.multiply(mixed.view(), weights.output, y, true); });
    }
    // A parallel feed-forward reads what the attention read, rounded as that: its sites are of the same group.
    if (!pass.config().parallelResidual) {
        pass.model.applyNorm(weights.ffnNorm, x, normed.view());
        if (weights.experts.empty()) {
            pass.watch(pass.layout.ffnIn, normed.view());
            pass.roundInput(pass.layout.ffnIn, normed.view());
        }
    }
    addToResidual(pass, weights.postFfnNorm, x, [&](MatrixView<float> y) {
        if (weights.experts.empty())
            runFeedForward(pass, weights.feedForward, normed.view(), y, pass.layout.ffnDownIn);
        else if (!pass.lends)
            runExperts(pass, normed.view(), y);
        else { // the experts' results are added up on the host, which x must not come to before its end
            BufferPool::Lease sum = pass.buffer(y.rows, y.cols);
            pass.device().fill(sum.view(), 0.0f);
            runExperts(pass, normed.view(), sum.view());
            pass.device().add(y, sum.view());
        }
    });
}

/// runParts() with results kept on the device. On the host x changes last and at once, and keys and values that a cache has
/// already do not: so when the device is lost, the pass starts again, on the CPU.
void runPass(BlockPass pass, MatrixView<float> x, KvCache* cache) {
    int watched = 0;
    pass.watched = &watched;
    if (pass.device().keepsResults() && x.stride == x.cols && x.rows > 0) {
        pass.lends = true;
        try {
            const Lent lent(pass.device(), x, true);
            runParts(pass, x, cache);
            if (cache != nullptr) {
                const std::int64_t past = cache->length(), total = past + x.rows;
                pass.device().toHost(cache->keys(pass.weights.block, total).middleRows(past, x.rows));
                pass.device().toHost(cache->values(pass.weights.block, total).middleRows(past, x.rows));
            }
            return pass.device().toHost(x);
        } catch (const DeviceLost&) {
            pass.lends = false;
            pass.seenBefore = watched;
            watched = 0;
        }
    }
    runParts(pass, x, cache);
}

} // namespace

std::int64_t Model::batchWindows(std::int64_t windowLength) const {
    const ModelConfig& c = impl_->config;
    const auto budget = static_cast<std::int64_t>(impl_->device->activationBytes());
    // Past 2,048 rows a product gains nothing more from sharing a weight.
    constexpr std::int64_t kMaxRows = 2048;
    const std::int64_t hidden = std::max({c.feedForward, c.expertFeedForward, c.sharedFeedForward});
    const std::int64_t perToken = static_cast<std::int64_t>(sizeof(float)) *
                                  (c.width + 2 * c.queryWidth() + 2 * c.kvWidth() + 2 * hidden);
    const std::int64_t rows = std::min(kMaxRows, budget / std::max<std::int64_t>(1, perToken));
    return std::max<std::int64_t>(1, rows / std::max<std::int64_t>(1, windowLength));
}

void Model::runBlockWindows(const BlockWeights& weights, MatrixView<float> x, std::int64_t windowLength,
                            ActivationObserver* observer, std::int64_t firstWindow, JobContext* job) const {
    assert(windowLength > 0 && x.rows % windowLength == 0 && x.cols == impl_->config.width);
    runPass({*impl_, weights, impl_->at(weights.block), windowLength, observer, firstWindow, job}, x, nullptr);
}

void Model::runBlock(const BlockWeights& weights, MatrixView<float> x, KvCache* cache, ActivationObserver* observer,
                     std::int64_t window) const {
    runPass({*impl_, weights, impl_->at(weights.block), x.rows, observer, window, nullptr}, x, cache);
}

void Model::headInput(MatrixView<const float> x, MatrixView<float> out) const {
    impl_->applyNorm(impl_->finalNorm, x, out);
}

void Model::logits(const HeadWeights& head, MatrixView<const float> x, MatrixView<float> out,
                   ActivationObserver* observer, std::int64_t window) const {
    withLogits(head, x, out, [&] { impl_->device->toHost(out); }, observer, window);
}

void Model::withLogits(const HeadWeights& head, MatrixView<const float> x, MatrixView<float> out, const std::function<void()>& use,
                       ActivationObserver* observer, std::int64_t window) const {
    assert(x.cols == impl_->config.width && out.rows == x.rows && out.cols == impl_->config.vocabulary);
    Device& device = *impl_->device;
    const int group = impl_->headGroup();
    const bool rounds = head.rounding && head.rounding->roundsInput(group);
    const auto work = [&](Device* lentTo) {
        BufferPool::Lease normed(impl_->buffers, x.rows, x.cols, lentTo);
        headInput(x, normed.view());
        if (observer != nullptr || rounds) device.toHost(normed.view());
        if (observer != nullptr) observer->onInput(group, window, normed.view());
        observer = nullptr; // once, whatever comes
        if (rounds) {
            head.rounding->roundInput(group, normed.view());
            device.hostWrote(normed.view());
        }
        device.multiply(normed.view(), *head.output, out);
        if (impl_->config.headSoftCap > 0) device.softCap(out, static_cast<float>(impl_->config.headSoftCap));
    };
    if (device.keepsResults() && out.stride == out.cols && out.rows > 0) {
        try {
            const Lent lent(device, out, false);
            work(&device);
            return use();
        } catch (const DeviceLost&) { // out is written anew
        }
    }
    work(nullptr);
    use();
}

} // namespace bw
