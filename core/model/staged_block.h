// SPDX-License-Identifier: GPL-3.0-or-later
// One block over all windows, part by part, so that its weights can be changed between the parts and each part still runs
// once: what GPTQ needs, which rounds q/k/v, then the output projection, then gate and up, then down, each on inputs that
// come from what was rounded before. For a block that runs as it is, Model::runBlockWindows() needs less memory.
#pragma once

#include "core/model/model.h"

namespace bw {

/// Parts of a block by the inputs they come to.
enum class BlockStage {
    attention,       ///< of q, k, v (and of a parallel feed-forward)
    attentionOutput, ///< of the output projection
    feedForward,     ///< of gate and up, of every expert's too
    down,            ///< of down
};

/// Results equal those of runBlockWindows() with the weights that each part was given, bit for bit.
/// Memory: besides the states one activation of all tokens at a time, the widest of which is the feed-forward's (times the
/// experts that a token is sent to); past the scratch limit it lies on disk.
class StagedBlock {
public:
    /// @param states hidden states before the block, (B·T)×C; they change while stages run and end as those after it.
    StagedBlock(const Model& model, BlockIndex block, MatrixView<float> states, std::int64_t windowLength);
    ~StagedBlock();

    /// Works up to the inputs of a stage and shows them to `observer` (may be null), window by window, as runBlockWindows()
    /// does. Stages are called once each, in their order; the linears of earlier stages must be final in `weights`, later
    /// ones are not read. @throws Error(cancelled).
    void inputs(BlockStage stage, const BlockWeights& weights, ActivationObserver* observer, JobContext& job);
    /// The rest, after the last stage: all linears are final. @throws Error(nonFinite) naming block, window and token.
    void finish(const BlockWeights& weights, JobContext& job);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace bw
