// SPDX-License-Identifier: GPL-3.0-or-later
// Reverse mode: gradients of a loss of the logits with respect to every site's weight, input and output, block by block
// from the last to the first. A block's activations are computed anew from its stored input when its turn comes, so that
// memory is one block, the boundaries (spilled past a limit) and the gradients there. Several losses ("draws") share one
// recomputation. Not for: deciding what to do with gradients; no gradient of a weight is ever formed here.
#pragma once

#include "core/model/walk.h"

#include <span>

namespace bw {

/// Which rows of a batch belong to which window: window `first`+b has the rows starts[b] … starts[b+1]−1. At an expert
/// these are the tokens routed to it, and a window may have none.
struct WindowRows {
    std::int64_t first = 0;
    std::span<const std::int64_t> starts; ///< B+1
    std::int64_t count() const { return static_cast<std::int64_t>(starts.size()) - 1; }
};

/// One linear, N rows of some windows, K draws. The weight's gradient of draw k is outputGradients[k]ᵀ·input (O×I).
struct SiteGradients {
    const Site& site;
    WindowRows windows;
    MatrixView<const float> input;                             ///< N×I
    std::span<const MatrixView<const float>> outputGradients;  ///< K of N×O
};

/// What entered the sites of an input group, and the losses' gradients with respect to it (summed over those sites).
struct InputGradients {
    int group = 0; ///< index into Model::inputGroups()
    WindowRows windows;
    MatrixView<const float> input;                       ///< N×I
    std::span<const MatrixView<const float>> gradients;  ///< K of N×I
};

/// Keys and values as a cache would hold them (keys normalized and rotated) of some windows.
struct CacheGradients {
    BlockIndex block{-1};
    WindowRows windows;
    MatrixView<const float> keys, values;                                  ///< N×(kvHeads·D)
    std::span<const MatrixView<const float>> keyGradients, valueGradients; ///< K of N×(kvHeads·D)
};

/// The embedding look-up: row ids[n] of token_embd, times the family's embedding scale, became row n of the states.
struct EmbeddingGradients {
    WindowRows windows;
    std::span<const TokenId> ids;                        ///< N
    float scale = 1;                                     ///< of the family; states = scale·row
    std::span<const MatrixView<const float>> gradients;  ///< K of N×C, of the states
};

/// Sees gradients as the reverse walk passes them. All views are valid during the call only; calls come from the walk's
/// thread. Overriding what is not needed costs nothing: `wants…` says what is worked out at all.
class GradientObserver {
public:
    virtual ~GradientObserver() = default;
    virtual bool wantsInputs() const { return false; }
    virtual bool wantsCache() const { return false; }
    /// Before and after all windows of a block; −1 for the head, which comes first.
    virtual void beginBlock(BlockIndex) {}
    virtual void endBlock(BlockIndex) {}
    virtual void onSite(const SiteGradients&) {}
    virtual void onInput(const InputGradients&) {}
    virtual void onCache(const CacheGradients&) {}
    virtual void onEmbedding(const EmbeddingGradients&) {}
};

/// Losses of the logits, one number per window and draw.
class LogitLoss {
public:
    virtual ~LogitLoss() = default;
    virtual int draws() const = 0; ///< K ≥ 1
    /// gradient T×V ← ∂L_k/∂logits of window w. Called once per window and draw, in order, from the walk's thread.
    virtual void gradient(std::int64_t window, int draw, MatrixView<const float> logits, MatrixView<float> gradient) = 0;
};

/// How the way back multiplies.
enum class ReversePrecision {
    full, ///< f32
    /// bf16 factors with f32 sums where the CPU has them (else f32): twice as fast, and gradients err by some 2⁻⁸ of
    /// themselves at random. The forward walk, the logits and the losses' own gradients stay in f32.
    half,
};

/// Forward walk that stores every block's input, then the head, then the blocks from last to first, then the embedding.
/// Stages "forward", "head" and `stage`, all in "tokens": tokens·blocks, tokens, and K·tokens·blocks on the way back.
/// @param source replaced weights (null: the checkpoint's); gradients are then those of the replaced model.
/// @throws Error(nonFinite) naming the first part whose output, or whose gradient on the way back, has NaN or Inf;
/// Error(usage) for a source that rounds activations or the cache;
/// Error(unsupportedModel) for a model opened for its weights only; Error(cancelled).
/// Cost: per token two forward passes and, per draw, one backward pass of the inputs (about one forward pass).
/// Memory: one block, (blocks+1)·B·T·C floats of boundaries, K·B·T·C of gradients and, at the head, K·T·V in scratch; on
/// the way back K times the activations of some windows, as much as batchWindows() allows or those of one window.
void walkBackwards(const Model& model, const Windows& windows, const WeightSource* source, LogitLoss& loss,
                   GradientObserver& observer, JobContext& job, const std::string& stage = "reverse",
                   ReversePrecision precision = ReversePrecision::full);

/// One block's reverse. `x` (B·T)×C is what entered the block, T = windowLength; each of `gradients` (K of (B·T)×C) holds
/// ∂L_k/∂output on entry and ∂L_k/∂x on return. The router's own weight takes part in the gradient of the input; which
/// experts are chosen counts as fixed.
void runBlockBackwards(const Model& model, const BlockWeights& weights, MatrixView<const float> x,
                       std::int64_t windowLength, std::int64_t firstWindow,
                       std::span<const MatrixView<float>> gradients, GradientObserver& observer,
                       JobContext* job = nullptr);

} // namespace bw
