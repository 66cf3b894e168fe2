// SPDX-License-Identifier: GPL-3.0-or-later
// What a Model is made of; private to core/model.
#pragma once

#include "core/model/buffer_pool.h"
#include "core/model/model.h"
#include "core/model/walk.h"

#include <algorithm>
#include <map>
#include <string>

namespace bw {

/// Where the sites and input groups of one block lie in Model's lists.
struct BlockLayout {
    int firstSite = 0, sites = 0;
    int attnIn = -1, attnOutputIn = -1, ffnIn = -1;
    int ffnDownIn = -1;   ///< of the feed-forward, or of the expert that every token passes; −1 without either
    int firstExpert = -1; ///< input of expert e: firstExpert + 2e, of its down: one more
};

struct SiteLayout {
    std::vector<Site> sites;
    std::vector<InputGroup> groups;
    std::vector<BlockLayout> blocks;
};

struct Model::Impl {
    std::shared_ptr<const Checkpoint> checkpoint;
    std::shared_ptr<Device> device;
    ModelConfig config; ///< tiedHead says what the forward pass does
    NonFinite nonFinite = NonFinite::refuse;
    SiteLayout layout;
    std::map<std::string, SiteId, std::less<>> byName;
    struct RopeFrequencies {
        std::vector<float> usual, longSequence;
    };
    std::vector<RopeFrequencies> ropes; ///< one per entry of config.ropes
    Norm finalNorm;
    std::vector<float> positions;       ///< learned ones, context×C; else empty
    mutable BufferPool buffers;

    const BlockLayout& at(BlockIndex block) const { return layout.blocks[static_cast<std::size_t>(block.value())]; }
    const BlockConfig& blockConfig(BlockIndex block) const {
        return config.layers[static_cast<std::size_t>(block.value())];
    }
    int headGroup() const { return static_cast<int>(layout.groups.size()) - 1; }
    float epsilon() const { return static_cast<float>(config.normEpsilon); }
    std::vector<float> vector(const std::string& tensor) const;
    /// Empty where the checkpoint has no such tensor, which checkTensors() has allowed.
    Norm norm(const std::string& name) const;
    void applyNorm(const Norm& norm, MatrixView<const float> x, MatrixView<float> y) const;
    /// dx = the gradient of applyNorm's x, `add`: dx += that; rows as in Device's reverse operations.
    void applyNormBack(const Norm& norm, MatrixView<const float> x, MatrixView<const float> dy, MatrixView<float> dx,
                       bool add) const;
};

/// Lists sites and input groups. `checkpoint` says whether experts are stacked.
SiteLayout layOutSites(const ModelConfig& config, const Checkpoint& checkpoint);
/// Every weight matrix of a checkpoint that cannot be run. @throws Error(unsupportedModel) when there is none.
SiteLayout layOutWeights(const Checkpoint& checkpoint);
/// Compares the checkpoint with its configuration. @throws Error unsupportedModel, tensorMissing, shapeMismatch.
void checkTensors(const Checkpoint& checkpoint, const ModelConfig& config);

/// One pass of some rows through one block: what all its parts need. Private to forward.cpp and its neighbours.
struct BlockPass {
    const Model::Impl& model;
    const BlockWeights& weights;
    const BlockLayout& layout;
    std::int64_t windowLength; ///< rows from one window to the next
    ActivationObserver* observer;
    std::int64_t firstWindow;
    JobContext* job; ///< may be null
    bool lends = false;     ///< intermediate results may stay on the device
    int* watched = nullptr; ///< counts what the observer was shown, window by window
    int seenBefore = 0;     ///< of that, what a pass which failed half-way has shown already

    Device& device() const { return *model.device; }
    /// A buffer of this pass.
    BufferPool::Lease buffer(std::int64_t rows, std::int64_t cols) const { return {model.buffers, rows, cols, lends ? model.device.get() : nullptr}; }
    /// Hands x, of so many windows, to the observer, once it is on the host.
    void show(int group, std::int64_t window, MatrixView<const float> x, int windows = 1) const;
    const ModelConfig& config() const { return model.config; }
    /// Hands the input of a site group to the observer, window by window.
    void watch(int group, MatrixView<const float> x) const;
    /// Makes x what the linears of a group are given; the observer has seen it as it was.
    void roundInput(int group, MatrixView<float> x) const {
        if (!weights.rounding || !weights.rounding->roundsInput(group)) return;
        if (weights.rounding->roundsToBytes(group) && device().roundToBytes(x)) return;
        device().toHost(x);
        weights.rounding->roundInput(group, x);
        device().hostWrote(x);
    }
    bool roundsCache() const { return weights.rounding && weights.rounding->roundsCache(weights.block); }
    void pause() const {
        if (job != nullptr) job->checkpoint();
    }
    /// y = x·wᵀ + bias, or y += that.
    void multiply(MatrixView<const float> x, const Linear& linear, MatrixView<float> y, bool add = false) const;
};

/// Runs `part(y)`, which adds to y, on x itself, or where a norm stands before the addition on zeros.
template <class Part>
void addToResidual(const BlockPass& pass, const Norm& postNorm, MatrixView<float> x, Part part) {
    if (postNorm.weight.empty()) return part(x);
    BufferPool::Lease sum = pass.buffer(x.rows, x.cols);
    pass.device().fill(sum.view(), 0.0f);
    part(sum.view());
    pass.model.applyNorm(postNorm, sum.view(), sum.view());
    pass.device().add(x, sum.view());
}

/// Normalizes queries or keys, x T×(heads·D), in place; nothing where the family has no such norm. attention_part.cpp
void normalizeHeads(const BlockPass& pass, const Norm& norm, MatrixView<float> x);
/// Rotates the heads of x, whose first row stands at `position0` of a sequence that may grow to `sequence` tokens;
/// `back`: by the negative angles, which is the reverse.
void rotate(const BlockPass& pass, MatrixView<float> x, std::int64_t position0, std::int64_t sequence, bool back = false);
AttentionShape attentionShape(const BlockPass& pass, std::int64_t position0);
/// mixed = attention(normed); keys and values of `cache` grow by x.rows when there is one. attention_part.cpp
void attend(const BlockPass& pass, MatrixView<const float> normed, KvCache* cache, MatrixView<float> mixed);
/// hidden = act(gate)·up of one feed-forward, T×F, from an input that is rounded already. feed_forward.cpp
void feedForwardHidden(const BlockPass& pass, const FeedForwardWeights& weights, MatrixView<const float> normed, MatrixView<float> hidden);
/// y += down(act(gate)·up) of one feed-forward, whose input is rounded already. `downGroup` is watched and rounded. feed_forward.cpp
void runFeedForward(const BlockPass& pass, const FeedForwardWeights& weights, MatrixView<const float> normed,
                    MatrixView<float> y, int downGroup);
/// y += the mixture of experts. The router, which is no site, reads `normed` as it is. experts.cpp
void runExperts(const BlockPass& pass, MatrixView<const float> normed, MatrixView<float> y);

/// The tokens that one expert works on, in their order, and their shares of its result.
struct ExpertBatch {
    std::vector<std::int64_t> rows;
    std::vector<float> shares;
    std::int64_t count() const { return static_cast<std::int64_t>(rows.size()); }
};
/// One batch per expert.
std::vector<ExpertBatch> routeTokens(const BlockPass& pass, MatrixView<const float> normed);
/// The observer sees each window's rows of a batch.
void watchBatch(const BlockPass& pass, int group, const ExpertBatch& batch, MatrixView<const float> x);
/// to[i] = from[batch.rows[i]]
void gatherRows(const BlockPass& pass, const ExpertBatch& batch, MatrixView<const float> from, MatrixView<float> to);
/// y[batch.rows[i]] += batch.shares[i]·from[i]
void addShares(const BlockPass& pass, const ExpertBatch& batch, MatrixView<const float> from, MatrixView<float> y);
/// All tokens with the shares of the shared expert: σ(gate·x), or 1 without a gate.
ExpertBatch sharedBatch(const BlockPass& pass, MatrixView<const float> normed);

/// Names the first bad value of `rows`, if there is one. `firstRow` is the row's number among all windows. walk.cpp
/// @throws Error(nonFinite) "`where` gives NaN at window …"
void requireFinite(MatrixView<const float> rows, std::int64_t firstRow, std::int64_t windowLength,
                   const std::string& where);
/// @throws Error(usage) for windows without tokens or longer than the context.
void checkWindows(const Model& model, const Windows& windows);

} // namespace bw
