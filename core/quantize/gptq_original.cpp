// SPDX-License-Identifier: GPL-3.0-or-later
// Stage by stage the original goes first and its inputs are kept; the rounded model's are compared with them as they come.
#include "core/quantize/gptq_original.h"

#include "core/base/parallel.h"
#include "core/compute/cpu_device.h"

#include <cstring>
#include <utility>

namespace bw::detail {

class OriginalRun::Keeper final : public ActivationObserver {
public:
    explicit Keeper(std::int64_t windowLength) : windowLength_(windowLength) {}
    void watch(const Model& model, const std::set<int>& groups, std::int64_t tokens) {
        kept_.clear();
        for (const int group : groups)
            kept_.emplace(group, ScratchMatrix(tokens, model.inputGroups()[static_cast<std::size_t>(group)].width));
    }
    void onInput(int inputGroup, std::int64_t window, MatrixView<const float> x) override {
        const auto found = kept_.find(inputGroup);
        if (found == kept_.end()) return;
        const auto rows = found->second.view().middleRows(window * windowLength_, windowLength_);
        std::memcpy(rows.data, x.data, static_cast<std::size_t>(x.size()) * sizeof(float));
    }
    const ScratchMatrix* of(int inputGroup) const {
        const auto found = kept_.find(inputGroup);
        return found == kept_.end() ? nullptr : &found->second;
    }

private:
    std::int64_t windowLength_;
    std::map<int, ScratchMatrix> kept_;
};

OriginalRun::OriginalRun(const Model& model, const Windows& windows, GramObserver& grams, JobContext& job)
    : model_(model), windows_(windows), grams_(grams), job_(job), own_(windows.tokens(), model.config().width),
      keeper_(std::make_unique<Keeper>(windows.length)) {
    const auto embedding = model_.loadEmbedding();
    for (std::int64_t w = 0; w < windows_.count; ++w) {
        model_.embed(*embedding, windows_.window(w), own_.view().middleRows(w * windows_.length, windows_.length));
        job_.checkpoint();
    }
}

OriginalRun::~OriginalRun() = default;

void OriginalRun::beginBlock(BlockIndex block, MatrixView<const float> states) {
    weights_ = model_.loadBlock(block);
    staged_ = std::make_unique<StagedBlock>(model_, block, own_.view(), windows_.length);
    rounded_ = states;
}

/// Where the outputs of a stage's sites are added to the hidden states as they are, they can make up for what those lack. A
/// parallel block adds both at once: its attention's output takes that on.
bool OriginalRun::addsToResidual(BlockStage stage) const {
    if (stage == BlockStage::attentionOutput) return weights_->postAttnNorm.weight.empty();
    return stage == BlockStage::down && weights_->postFfnNorm.weight.empty() && weights_->experts.empty() && !model_.config().parallelResidual;
}

void OriginalRun::inputs(BlockStage stage, const std::set<int>& groups) {
    drifts_.clear();
    keeper_->watch(model_, groups, windows_.tokens());
    residual_ = addsToResidual(stage);
    staged_->inputs(stage, *weights_, groups.empty() ? nullptr : keeper_.get(), job_);
}

void OriginalRun::onInput(int inputGroup, std::int64_t window, MatrixView<const float> x) {
    grams_.onInput(inputGroup, window, x);
    const ScratchMatrix* const kept = keeper_->of(inputGroup);
    if (kept == nullptr) return;
    InputDrift& drift = drifts_[inputGroup];
    add(drift.inputs, windowOf(kept->view(), window), x, x);
    if (residual_) add(drift.residual, windowOf(std::as_const(own_).view(), window), windowOf(rounded_, window), x);
}

MatrixView<const float> OriginalRun::windowOf(MatrixView<const float> all, std::int64_t window) const {
    return all.middleRows(window * windows_.length, windows_.length);
}

/// sum += (was−is)ᵀ·x
void OriginalRun::add(Matrix& sum, MatrixView<const float> was, MatrixView<const float> is, MatrixView<const float> x) const {
    if (sum.size() == 0) {
        sum = Matrix(was.cols, x.cols);
        sum.fill(0.0f);
    }
    Matrix lost(was.cols, was.rows);
    parallelFor(was.cols, 16, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t t = 0; t < was.rows; ++t)
            for (std::int64_t c = begin; c < end; ++c) lost.row(c)[t] = was(t, c) - is(t, c);
    });
    gemmTimes(std::as_const(lost).view(), x, sum.view(), true);
}

void OriginalRun::finishBlock() {
    staged_->finish(*weights_, job_);
    staged_.reset();
    weights_.reset();
}

const InputDrift* OriginalRun::drift(int inputGroup) const {
    const auto found = drifts_.find(inputGroup);
    return found == drifts_.end() ? nullptr : &found->second;
}

} // namespace bw::detail
