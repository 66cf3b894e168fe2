// SPDX-License-Identifier: GPL-3.0-or-later
// The parts of runPass() (forward.cpp) over all batches of windows, one part after the other.
#include "core/model/staged_block.h"

#include "core/base/scratch.h"
#include "core/model/model_impl.h"

#include <algorithm>
#include <cassert>
#include <fmt/format.h>

namespace bw {
namespace {

/// Some windows that are worked on together.
struct Batch {
    std::int64_t first = 0, rows = 0;
    std::vector<ExpertBatch> experts; ///< routes, once they are known
    ExpertBatch shared;
};

} // namespace

struct StagedBlock::Impl {
    const Model& model;
    const BlockLayout& layout;
    MatrixView<float> states;
    std::int64_t windowLength;
    std::vector<Batch> batches;
    ScratchMatrix mixed;  ///< outputs of the attention, (B·T)×(H·D)
    ScratchMatrix normed; ///< of a parallel feed-forward: what the attention read
    ScratchMatrix hidden; ///< inputs of down, (B·T)×F; of experts one row for each token of each
    ScratchMatrix shared; ///< of the expert that every token passes

    bool parallel() const { return model.config().parallelResidual; }
    bool hasExperts() const { return layout.firstExpert >= 0; }
    std::int64_t width(int group) const { return model.inputGroups()[static_cast<std::size_t>(group)].width; }

    BlockPass pass(const BlockWeights& weights, const Batch& batch, ActivationObserver* observer, JobContext& job) const {
        return {model.impl(), weights, layout, windowLength, observer, batch.first / windowLength, &job};
    }
    MatrixView<float> rows(ScratchMatrix& of, const Batch& batch) const { return of.view().middleRows(batch.first, batch.rows); }
    MatrixView<float> statesOf(const Batch& batch) const { return states.middleRows(batch.first, batch.rows); }

    void attentionInputs(const BlockPass& pass, const Batch& batch) const {
        if (pass.observer == nullptr) return;
        BufferPool::Lease x(model.impl().buffers, batch.rows, states.cols);
        pass.model.applyNorm(pass.weights.attnNorm, statesOf(batch), x.view());
        pass.watch(layout.attnIn, x.view());
    }

    void attention(const BlockPass& pass, const Batch& batch) {
        BufferPool::Lease own(model.impl().buffers, parallel() ? 0 : batch.rows, states.cols);
        const MatrixView<float> x = parallel() ? rows(normed, batch) : own.view(), y = rows(mixed, batch);
        pass.model.applyNorm(pass.weights.attnNorm, statesOf(batch), x);
        pass.roundInput(layout.attnIn, x);
        attend(pass, x, nullptr, y);
        pass.watch(layout.attnOutputIn, y);
        pass.roundInput(layout.attnOutputIn, y);
    }

    /// What the feed-forward reads, into `own` unless it is kept already.
    MatrixView<float> feedForwardInput(const BlockPass& pass, const Batch& batch, MatrixView<float> own) {
        if (parallel()) return rows(normed, batch);
        pass.model.applyNorm(pass.weights.ffnNorm, statesOf(batch), own);
        return own;
    }

    void feedForwardInputs(const BlockPass& pass, Batch& batch) {
        addToResidual(pass, pass.weights.postAttnNorm, statesOf(batch),
                      [&](MatrixView<float> y) { pass.multiply(rows(mixed, batch), pass.weights.output, y, true); });
        if (pass.observer == nullptr && !hasExperts()) return;
        BufferPool::Lease own(model.impl().buffers, batch.rows, states.cols);
        const MatrixView<float> x = feedForwardInput(pass, batch, own.view());
        if (!hasExperts()) {
            if (!parallel()) pass.watch(layout.ffnIn, x);
            return;
        }
        const bool shares = layout.ffnDownIn >= 0;
        if (shares) pass.watch(layout.ffnIn, x);
        batch.experts = routeTokens(pass, x);
        if (shares) batch.shared = sharedBatch(pass, x);
        for (std::size_t e = 0; e < batch.experts.size() && pass.observer != nullptr; ++e) {
            const ExpertBatch& tokens = batch.experts[e];
            if (tokens.rows.empty()) continue;
            BufferPool::Lease gathered(model.impl().buffers, tokens.count(), x.cols);
            gatherRows(pass, tokens, x, gathered.view());
            watchBatch(pass, expertGroup(e), tokens, gathered.view());
            pass.pause();
        }
    }

    int expertGroup(std::size_t expert) const { return layout.firstExpert + 2 * static_cast<int>(expert); }

    /// Calls use(expert, its tokens, their rows of `hidden`) for every expert that has any.
    template <class Use>
    void eachExpert(const Batch& batch, Use use) {
        std::int64_t at = batch.first * model.config().expertsUsed;
        for (std::size_t e = 0; e < batch.experts.size(); ++e) {
            const ExpertBatch& tokens = batch.experts[e];
            if (!tokens.rows.empty()) use(e, tokens, hidden.view().middleRows(at, tokens.count()));
            at += tokens.count();
        }
    }

    void downInputs(const BlockPass& pass, const Batch& batch) {
        BufferPool::Lease own(model.impl().buffers, batch.rows, states.cols);
        const MatrixView<float> x = feedForwardInput(pass, batch, own.view());
        const auto finish = [&](int group, MatrixView<float> y) {
            pass.watch(group, y);
            pass.roundInput(group, y);
        };
        eachExpert(batch, [&](std::size_t e, const ExpertBatch& tokens, MatrixView<float> y) {
            BufferPool::Lease gathered(model.impl().buffers, tokens.count(), x.cols);
            gatherRows(pass, tokens, x, gathered.view());
            pass.roundInput(expertGroup(e), gathered.view());
            feedForwardHidden(pass, pass.weights.experts[e], gathered.view(), y);
            watchBatch(pass, expertGroup(e) + 1, tokens, y);
            pass.roundInput(expertGroup(e) + 1, y);
        });
        if (layout.ffnDownIn < 0) return;
        if (!parallel() || hasExperts()) pass.roundInput(layout.ffnIn, x); // a parallel one was rounded for the attention
        const MatrixView<float> y = rows(hasExperts() ? shared : hidden, batch);
        feedForwardHidden(pass, pass.weights.feedForward, x, y);
        finish(layout.ffnDownIn, y);
    }

    void outputs(const BlockPass& pass, const Batch& batch) {
        addToResidual(pass, pass.weights.postFfnNorm, statesOf(batch), [&](MatrixView<float> y) {
            if (!hasExperts()) return pass.multiply(rows(hidden, batch), pass.weights.feedForward.down, y, true);
            const auto addBatch = [&](const FeedForwardWeights& weights, const ExpertBatch& tokens, MatrixView<const float> from) {
                BufferPool::Lease result(model.impl().buffers, tokens.count(), y.cols);
                std::fill_n(result.view().data, result.view().size(), 0.0f);
                pass.multiply(from, weights.down, result.view(), true);
                addShares(pass, tokens, result.view(), y);
                pass.pause();
            };
            eachExpert(batch, [&](std::size_t e, const ExpertBatch& tokens, MatrixView<float> from) { addBatch(pass.weights.experts[e], tokens, from); });
            if (layout.ffnDownIn >= 0) addBatch(pass.weights.feedForward, batch.shared, rows(shared, batch));
        });
    }
};

StagedBlock::StagedBlock(const Model& model, BlockIndex block, MatrixView<float> states, std::int64_t windowLength)
    : impl_(new Impl{model, model.impl().at(block), states, windowLength, {}, {}, {}, {}, {}}) {
    assert(windowLength > 0 && states.rows % windowLength == 0 && states.cols == model.config().width);
    const std::int64_t step = model.batchWindows(windowLength) * windowLength;
    for (std::int64_t first = 0; first < states.rows; first += step) impl_->batches.push_back({first, std::min(step, states.rows - first), {}, {}});
}

StagedBlock::~StagedBlock() = default;

void StagedBlock::inputs(BlockStage stage, const BlockWeights& weights, ActivationObserver* observer, JobContext& job) {
    Impl& s = *impl_;
    const std::int64_t tokens = s.states.rows;
    if (stage == BlockStage::attentionOutput) {
        s.mixed = ScratchMatrix(tokens, s.model.config().queryWidth());
        if (s.parallel()) s.normed = ScratchMatrix(tokens, s.states.cols);
    } else if (stage == BlockStage::down) {
        s.mixed = {};
        if (s.hasExperts()) s.hidden = ScratchMatrix(tokens * s.model.config().expertsUsed, s.width(s.layout.firstExpert + 1));
        if (s.layout.ffnDownIn >= 0) (s.hasExperts() ? s.shared : s.hidden) = ScratchMatrix(tokens, s.width(s.layout.ffnDownIn));
    }
    for (Batch& batch : s.batches) {
        const BlockPass pass = s.pass(weights, batch, observer, job);
        switch (stage) {
        case BlockStage::attention: s.attentionInputs(pass, batch); break;
        case BlockStage::attentionOutput: s.attention(pass, batch); break;
        case BlockStage::feedForward: s.feedForwardInputs(pass, batch); break;
        case BlockStage::down: s.downInputs(pass, batch); break;
        }
        job.checkpoint();
    }
}

void StagedBlock::finish(const BlockWeights& weights, JobContext& job) {
    for (const Batch& batch : impl_->batches) {
        impl_->outputs(impl_->pass(weights, batch, nullptr, job), batch);
        requireFinite(impl_->statesOf(batch), batch.first, impl_->windowLength, fmt::format("blk.{}", weights.block.value()));
        job.checkpoint();
    }
}

} // namespace bw
