// SPDX-License-Identifier: GPL-3.0-or-later
// The walk backwards over a whole model: forward with every block's input stored, the head window by window, the blocks
// from last to first in batches of windows, the embedding. One block's reverse is in reverse_block.cpp.
#include "core/model/reverse.h"

#include "core/base/error.h"
#include "core/base/scratch.h"
#include "core/compute/half_product.h"
#include "core/model/reverse_impl.h"

#include <algorithm>
#include <cassert>
#include <fmt/format.h>

namespace bw {
namespace {

/// Copies what enters every block.
class Boundaries final : public WalkVisitor {
public:
    void beforeBlock(BlockIndex, MatrixView<const float> states) override {
        ScratchMatrix& copy = inputs_.emplace_back(states.rows, states.cols);
        copyRows(states, copy.view());
    }
    ScratchMatrix takeLast() {
        ScratchMatrix last = std::move(inputs_.back());
        inputs_.pop_back();
        return last;
    }

private:
    std::vector<ScratchMatrix> inputs_;
};

/// The gradients of all draws with respect to the states, K·(B·T)×C: those of one draw follow each other.
struct StateGradients {
    ScratchMatrix all;
    int draws;
    std::int64_t tokens;

    std::vector<MatrixView<float>> rows(std::int64_t first, std::int64_t count) {
        std::vector<MatrixView<float>> parts;
        for (int k = 0; k < draws; ++k) parts.push_back(all.view().middleRows(k * tokens + first, count));
        return parts;
    }
};

/// Everything that the steps of one walk share.
struct Walk {
    const Model& model;
    const Windows& windows;
    const WeightSource* source;
    LogitLoss& loss;
    GradientObserver& observer;
    JobContext& job;
    bool half; ///< products in bf16

    const Model::Impl& impl() const { return model.impl(); }
    int draws() const { return loss.draws(); }
};

/// One window through the head and back: x T×C the states, `gradients` K·T×V room for the losses', `to` K of T×C.
/// @param output the head's matrix for the way back.
void headBack(const Walk& walk, const HeadWeights& head, const DeviceWeight& output, std::int64_t window, MatrixView<const float> x,
              MatrixView<float> logits, MatrixView<float> gradients, std::span<const MatrixView<float>> to) {
    const Model::Impl& impl = walk.impl();
    const WindowStarts rows(window, 1, x.rows);
    Lease normed(impl.buffers, x.rows, x.cols), dNormed(impl.buffers, gradients.rows, x.cols);
    walk.model.headInput(x, normed.view());
    walk.model.logits(head, x, logits);
    requireFinite(MatrixView<const float>(logits).middleRows(0, 1), window * x.rows, x.rows, "the head");
    const auto parts = splitDraws(gradients, walk.draws());
    for (int k = 0; k < walk.draws(); ++k) {
        walk.loss.gradient(window, k, logits, parts[static_cast<std::size_t>(k)]);
        walk.job.checkpoint();
    }
    if (impl.config.headSoftCap > 0)
        impl.device->softCapBack(logits, static_cast<float>(impl.config.headSoftCap), gradients);
    const Site& site = impl.config.tiedHead ? walk.model.sites().front() : walk.model.sites().back();
    requireFiniteGradients(gradients, walk.draws(), rows.view(), site.name);
    const std::vector<MatrixView<const float>> given(parts.begin(), parts.end());
    walk.observer.onSite({site, rows.view(), normed.view(), given});
    walk.job.checkpoint();
    impl.device->multiplyBack(gradients, output, dNormed.view());
    const int group = impl.headGroup();
    requireFiniteGradients(dNormed.view(), walk.draws(), rows.view(),
                           walk.model.inputGroups()[static_cast<std::size_t>(group)].name);
    const auto inputs = splitDraws(MatrixView<const float>(dNormed.view()), walk.draws());
    if (walk.observer.wantsInputs()) walk.observer.onInput({group, rows.view(), normed.view(), inputs});
    for (std::size_t k = 0; k < to.size(); ++k) impl.applyNormBack(impl.finalNorm, x, inputs[k], to[k], false);
}

StateGradients allHeadsBack(const Walk& walk, MatrixView<const float> finalStates) {
    const std::int64_t length = walk.windows.length;
    StateGradients gradients{ScratchMatrix(walk.draws() * walk.windows.tokens(), finalStates.cols), walk.draws(),
                             walk.windows.tokens()};
    walk.job.beginStage("head", walk.windows.tokens(), "tokens");
    walk.observer.beginBlock(BlockIndex{-1});
    {
        const auto head = walk.model.loadHead(walk.source);
        const DeviceWeightPtr output = walk.half ? std::make_shared<HalfWeight>(head->output, false) : head->output;
        const std::int64_t vocabulary = walk.model.config().vocabulary;
        Matrix logits(length, vocabulary);
        ScratchMatrix lossGradients(walk.draws() * length, vocabulary);
        for (std::int64_t w = 0; w < walk.windows.count; ++w) {
            walk.job.checkpoint();
            headBack(walk, *head, *output, w, finalStates.middleRows(w * length, length), logits.view(), lossGradients.view(),
                     gradients.rows(w * length, length));
            walk.job.advance(length);
        }
    }
    walk.observer.endBlock(BlockIndex{-1});
    return gradients;
}

/// The block with all products in bf16; experts too, whose rows may be few but are as many backwards as forwards.
BlockWeightsPtr inHalf(const Model& model, const BlockWeightsPtr& weights) {
    const auto half = std::make_shared<BlockWeights>(*weights);
    for (const Site& site : model.blockSites(weights->block)) {
        Linear& linear = half->linear(site);
        linear.weight = std::make_shared<HalfWeight>(linear.weight);
    }
    return half;
}

/// Fewer windows at once than forward: gradients are K times as large as activations.
std::int64_t batchOf(const Walk& walk) {
    return std::max<std::int64_t>(1, walk.model.batchWindows(walk.windows.length) / walk.draws());
}

void blockBack(const Walk& walk, BlockIndex block, MatrixView<const float> input, StateGradients& gradients) {
    const std::int64_t length = walk.windows.length, batch = batchOf(walk);
    walk.observer.beginBlock(block);
    const BlockWeightsPtr full = walk.model.loadBlock(block, walk.source);
    const BlockWeightsPtr weights = walk.half ? inHalf(walk.model, full) : full;
    for (std::int64_t w = 0; w < walk.windows.count; w += batch) {
        const std::int64_t first = w * length, count = std::min(batch, walk.windows.count - w) * length;
        const auto parts = gradients.rows(first, count);
        runBlockBackwards(walk.model, *weights, input.middleRows(first, count), length, w, parts, walk.observer,
                          &walk.job);
        const WindowStarts rows(w, count / length, length);
        for (const auto& part : parts)
            requireFiniteGradients(part, 1, rows.view(), fmt::format("blk.{}'s input", block.value()));
        walk.job.advance(count * walk.draws());
        walk.job.checkpoint();
    }
    walk.observer.endBlock(block);
}

void embeddingBack(const Walk& walk, StateGradients& gradients) {
    const std::int64_t length = walk.windows.length, batch = batchOf(walk);
    for (std::int64_t w = 0; w < walk.windows.count; w += batch) {
        const std::int64_t first = w * length, count = std::min(batch, walk.windows.count - w) * length;
        const auto parts = gradients.rows(first, count);
        const std::vector<MatrixView<const float>> given(parts.begin(), parts.end());
        const WindowStarts rows(w, count / length, length);
        const auto ids =
            std::span(walk.windows.ids).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
        walk.observer.onEmbedding({rows.view(), ids, static_cast<float>(walk.model.config().embeddingScale), given});
        walk.job.checkpoint();
    }
}

} // namespace

void walkBackwards(const Model& model, const Windows& windows, const WeightSource* source, LogitLoss& loss,
                   GradientObserver& observer, JobContext& job, const std::string& stage, ReversePrecision precision) {
    checkWindows(model, windows);
    assert(loss.draws() >= 1);
    if (source != nullptr && source->rounding())
        throw Error(ErrorCode::usage, "gradients can't be taken through rounded activations or a rounded cache",
                    "Leave activation and cache schemes out of the sweep's background; their cost is estimated beside it.");
    const JobScope scope(&job);
    const bool half = precision == ReversePrecision::half && model.device().name() == "cpu" && hasHalfProducts();
    const Walk walk{model, windows, source, loss, observer, job, half};
    Boundaries boundaries;
    StateGradients gradients = [&] {
        const ScratchMatrix states = walkBlocks(model, windows, source, &boundaries, job, "forward");
        return allHeadsBack(walk, states.view());
    }();
    const auto blocks = static_cast<int>(model.config().blocks);
    job.beginStage(stage, windows.tokens() * blocks * walk.draws(), "tokens");
    for (int b = blocks - 1; b >= 0; --b) {
        job.checkpoint();
        const ScratchMatrix input = boundaries.takeLast();
        blockBack(walk, BlockIndex{b}, input.view(), gradients);
    }
    embeddingBack(walk, gradients);
}

} // namespace bw
