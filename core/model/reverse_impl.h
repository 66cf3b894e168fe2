// SPDX-License-Identifier: GPL-3.0-or-later
// What the parts of a block's reverse share. Private to core/model's reverse*.cpp. Gradients of the K draws lie below
// each other ("stacked"): K·N rows for N rows of activations, as Device's reverse operations want them.
#pragma once

#include "core/model/model_impl.h"
#include "core/model/reverse.h"

#include <array>
#include <optional>

namespace bw {

using Lease = BufferPool::Lease;

/// The K parts of stacked gradients.
template <class T>
std::vector<MatrixView<T>> splitDraws(MatrixView<T> stacked, int draws) {
    const std::int64_t rows = stacked.rows / draws;
    std::vector<MatrixView<T>> parts;
    for (int k = 0; k < draws; ++k) parts.push_back(stacked.middleRows(k * rows, rows));
    return parts;
}

/// Rows of a batch that belong together window by window; keeps what a WindowRows points to.
class WindowStarts {
public:
    /// Whole windows.
    WindowStarts(std::int64_t firstWindow, std::int64_t count, std::int64_t windowLength);
    /// Those of an expert's tokens, whose `rows` ascend.
    WindowStarts(std::int64_t firstWindow, std::int64_t count, std::int64_t windowLength,
                 std::span<const std::int64_t> rows);
    WindowRows view() const { return {first_, starts_}; }

private:
    std::int64_t first_;
    std::vector<std::int64_t> starts_;
};

/// One pass of K draws of gradients back through one block.
struct ReversePass {
    const Model& owner;
    BlockPass pass; ///< of the recomputed forward pass; has no activation observer
    GradientObserver& observer;
    int draws;
    WindowStarts windows;

    const BlockWeights& weights() const { return pass.weights; }
    BufferPool& buffers() const { return pass.model.buffers; }
    Device& device() const { return pass.device(); }
    /// Hands a linear's input N×I and its output's gradients K·N×O to the observer.
    /// @throws Error(nonFinite) naming the site.
    void showSite(SiteKind kind, int expert, const WindowStarts& rows, MatrixView<const float> input,
                  MatrixView<const float> gradients) const;
    /// The same of an input group.
    void showInput(int group, const WindowStarts& rows, MatrixView<const float> input,
                   MatrixView<const float> gradients) const;
    /// dx = dy·w of a linear, or dx += that.
    void multiplyBack(MatrixView<const float> dy, const Linear& linear, MatrixView<float> dx, bool add = false) const {
        device().multiplyBack(dy, *linear.weight, dx, add);
    }
};

/// @throws Error(nonFinite) "the gradient of `what` has NaN at …" for the first bad value of stacked gradients.
void requireFiniteGradients(MatrixView<const float> gradients, int draws, const WindowRows& windows,
                            const std::string& what);

void zeroRows(MatrixView<float> x);
void copyRows(MatrixView<const float> from, MatrixView<float> to);

/// The attention of a block, computed anew and then backwards. reverse_attention.cpp
class AttentionReverse {
public:
    /// Runs it forward over normed N×C.
    AttentionReverse(const ReversePass& reverse, MatrixView<const float> normed);
    /// What enters the output projection, N×(H·D).
    MatrixView<float> mixed() { return mixed_.view(); }
    /// gradients K·N×C of the output projection's result → of normed, added to dNormed with `add`.
    void back(MatrixView<const float> gradients, MatrixView<float> dNormed, bool add);

private:
    void normalizeBack(const Norm& norm, MatrixView<const float> before, MatrixView<float> gradients) const;
    void rotateBack(MatrixView<float> gradients) const;
    void showCache(MatrixView<const float> dk, MatrixView<const float> dv) const;
    void projectionsBack(MatrixView<float> dq, MatrixView<float> dk, MatrixView<float> dv, MatrixView<float> all,
                         MatrixView<float> dNormed, bool add) const;

    const ReversePass& reverse_;
    MatrixView<const float> normed_;
    std::int64_t q_, kv_;
    bool fused_;
    Lease projected_;                                 ///< N×(q+2kv) when fused, else Q, K and V one after the other
    std::optional<Lease> queriesBefore_, keysBefore_; ///< not yet normalized
    MatrixView<float> queries_, keys_, values_;
    Lease mixed_;
};

/// Which sites a feed-forward fills and where its inputs are listed.
struct FeedForwardPlace {
    std::array<SiteKind, 3> kinds{}; ///< gate, up, down
    int expert = -1;
    int downGroup = -1;
};

/// One feed-forward, computed anew up to its last product and then backwards. reverse_feed_forward.cpp
class FeedForwardReverse {
public:
    FeedForwardReverse(const ReversePass& reverse, const FeedForwardWeights& weights, const WindowStarts& rows,
                       MatrixView<const float> input);
    /// What enters the last product, N×F.
    MatrixView<const float> hidden() const { return hidden_; }
    /// output gradients K·N×C → gradients of the input, K·N×C. With `shares` (one per row) the output is scaled by
    /// them: `gradients` are those of the scaled result and are scaled here, and `dShares` K·N ← theirs.
    void back(const FeedForwardPlace& place, MatrixView<float> gradients, MatrixView<float> dInput,
              std::span<const float> shares = {}, std::span<float> dShares = {});

private:
    void applyShares(MatrixView<float> gradients, MatrixView<float> dHidden, std::span<const float> shares,
                     std::span<float> dShares) const;

    const ReversePass& reverse_;
    const FeedForwardWeights& weights_;
    const WindowStarts& rows_;
    MatrixView<const float> input_;
    Lease up_;
    std::optional<Lease> gate_, result_;
    MatrixView<float> gateView_, upView_; ///< before the nonlinearity
    MatrixView<const float> hidden_;
};

/// dNormed K·N×C ← gradients of the input of a mixture of experts from those of its output. reverse_experts.cpp
void expertsBack(const ReversePass& reverse, MatrixView<const float> normed, MatrixView<const float> gradients,
                 MatrixView<float> dNormed);

} // namespace bw
