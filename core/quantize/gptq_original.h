// SPDX-License-Identifier: GPL-3.0-or-later
// The model as it was, walked beside the one that is being rounded: what the inputs of a site have lost to the rounding before
// it, which the site can be asked to make up for (gptq_target.h). Private to core/quantize.
#pragma once

#include "core/base/scratch.h"
#include "core/calibrate/gram.h"
#include "core/model/staged_block.h"
#include "core/quantize/gptq.h"

#include <map>
#include <memory>
#include <set>

namespace bw::detail {

/// Observer of the rounded model that fills its Gram matrices, and of the groups that it compares the drift besides.
/// Experts are not compared: a token may go to another one in the rounded model.
/// Memory: hidden states of all tokens, and one more activation of all tokens at a time, spilled as StagedBlock's are; the
/// block's original weights; I×I and C×I floats for each group of a stage.
class OriginalRun final : public ActivationObserver {
public:
    OriginalRun(const Model& model, const Windows& windows, GramObserver& grams, JobContext& job);
    ~OriginalRun() override;

    /// @param states of the rounded model, (B·T)×C, as its StagedBlock moves them.
    void beginBlock(BlockIndex block, MatrixView<const float> states);
    /// Works up to a stage and keeps what enters `groups`, so that the rounded model may come to the same stage.
    void inputs(BlockStage stage, const std::set<int>& groups);
    void onInput(int inputGroup, std::int64_t window, MatrixView<const float> x) override;
    void finishBlock();

    /// Of a group of the last stage; null where nothing was compared.
    const InputDrift* drift(int inputGroup) const;

private:
    class Keeper;
    bool addsToResidual(BlockStage stage) const;
    MatrixView<const float> windowOf(MatrixView<const float> all, std::int64_t window) const;
    void add(Matrix& sum, MatrixView<const float> was, MatrixView<const float> is, MatrixView<const float> x) const;

    const Model& model_;
    const Windows& windows_;
    GramObserver& grams_;
    JobContext& job_;
    ScratchMatrix own_; ///< hidden states of the original
    MatrixView<const float> rounded_;
    std::unique_ptr<StagedBlock> staged_;
    BlockWeightsPtr weights_;
    std::unique_ptr<Keeper> keeper_;
    bool residual_ = false; ///< do the sites of this stage add to the hidden states?
    std::map<int, InputDrift> drifts_;
};

} // namespace bw::detail
