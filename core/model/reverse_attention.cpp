// SPDX-License-Identifier: GPL-3.0-or-later
// Reverse of a block's attention: output projection, softmax, rotation, norms of queries and keys, projections.
#include "core/model/reverse_impl.h"

namespace bw {

AttentionReverse::AttentionReverse(const ReversePass& reverse, MatrixView<const float> normed)
    : reverse_(reverse), normed_(normed), q_(reverse.pass.config().queryWidth()), kv_(reverse.pass.config().kvWidth()),
      fused_(reverse.weights().qkv.weight != nullptr), projected_(reverse.buffers(), normed.rows, q_ + 2 * kv_),
      mixed_(reverse.buffers(), normed.rows, q_) {
    const BlockPass& pass = reverse.pass;
    const BlockWeights& weights = pass.weights;
    const std::int64_t rows = normed.rows, length = pass.windowLength;
    MatrixView<float> all = projected_.view();
    if (fused_) {
        pass.multiply(normed, weights.qkv, all);
        queries_ = all.middleCols(0, q_);
        keys_ = all.middleCols(q_, kv_);
        values_ = all.middleCols(q_ + kv_, kv_);
    } else {
        queries_ = {all.data, rows, q_};
        keys_ = {all.data + rows * q_, rows, kv_};
        values_ = {all.data + rows * (q_ + kv_), rows, kv_};
        pass.multiply(normed, weights.q, queries_);
        pass.multiply(normed, weights.k, keys_);
        pass.multiply(normed, weights.v, values_);
    }
    pass.pause();
    const auto normalize = [&](const Norm& norm, MatrixView<float> x, std::optional<Lease>& before) {
        if (norm.weight.empty()) return;
        before.emplace(reverse.buffers(), rows, x.cols);
        copyRows(x, before->view());
        normalizeHeads(pass, norm, x);
    };
    normalize(weights.qNorm, queries_, queriesBefore_);
    normalize(weights.kNorm, keys_, keysBefore_);
    for (std::int64_t first = 0; first < rows; first += length) {
        const auto q = queries_.middleRows(first, length), k = keys_.middleRows(first, length);
        rotate(pass, q, 0, length);
        rotate(pass, k, 0, length);
        reverse.device().attention(q, k, values_.middleRows(first, length), attentionShape(pass, 0),
                                   mixed_.view().middleRows(first, length));
        pass.pause();
    }
}

void AttentionReverse::normalizeBack(const Norm& norm, MatrixView<const float> before,
                                     MatrixView<float> gradients) const {
    const Model::Impl& model = reverse_.pass.model;
    const std::int64_t headDim = model.config.headDim, heads = gradients.cols / headDim;
    if (model.config.qkNorm == QkNorm::width) return model.applyNormBack(norm, before, gradients, gradients, false);
    const bool perHead = model.config.qkNorm == QkNorm::perHead;
    for (std::int64_t h = 0; h < heads; ++h) {
        const auto columns = gradients.middleCols(h * headDim, headDim);
        const float* first = norm.weight.data() + (perHead ? h * headDim : 0);
        model.applyNormBack({{first, first + headDim}, {}}, before.middleCols(h * headDim, headDim), columns, columns,
                            false);
    }
}

void AttentionReverse::rotateBack(MatrixView<float> gradients) const {
    const std::int64_t length = reverse_.pass.windowLength;
    for (std::int64_t first = 0; first < gradients.rows; first += length)
        rotate(reverse_.pass, gradients.middleRows(first, length), 0, length, true);
}

void AttentionReverse::showCache(MatrixView<const float> dk, MatrixView<const float> dv) const {
    if (!reverse_.observer.wantsCache()) return;
    const std::string prefix = "blk." + std::to_string(reverse_.weights().block.value());
    requireFiniteGradients(dk, reverse_.draws, reverse_.windows.view(), prefix + "'s keys");
    requireFiniteGradients(dv, reverse_.draws, reverse_.windows.view(), prefix + "'s values");
    const auto keyGradients = splitDraws(dk, reverse_.draws), valueGradients = splitDraws(dv, reverse_.draws);
    reverse_.observer.onCache(
        {reverse_.weights().block, reverse_.windows.view(), keys_, values_, keyGradients, valueGradients});
}

void AttentionReverse::projectionsBack(MatrixView<float> dq, MatrixView<float> dk, MatrixView<float> dv,
                                       MatrixView<float> all, MatrixView<float> dNormed, bool add) const {
    const BlockWeights& weights = reverse_.weights();
    if (fused_) {
        reverse_.showSite(SiteKind::attnQkv, -1, reverse_.windows, normed_, all);
        return reverse_.multiplyBack(all, weights.qkv, dNormed, add);
    }
    reverse_.showSite(SiteKind::attnQ, -1, reverse_.windows, normed_, dq);
    reverse_.showSite(SiteKind::attnK, -1, reverse_.windows, normed_, dk);
    reverse_.showSite(SiteKind::attnV, -1, reverse_.windows, normed_, dv);
    reverse_.multiplyBack(dq, weights.q, dNormed, add);
    reverse_.multiplyBack(dk, weights.k, dNormed, true);
    reverse_.multiplyBack(dv, weights.v, dNormed, true);
}

void AttentionReverse::back(MatrixView<const float> gradients, MatrixView<float> dNormed, bool add) {
    const BlockPass& pass = reverse_.pass;
    const std::int64_t rows = gradients.rows;
    Lease dProjected(reverse_.buffers(), rows, q_ + 2 * kv_);
    MatrixView<float> all = dProjected.view(), dq, dk, dv;
    if (fused_) {
        dq = all.middleCols(0, q_);
        dk = all.middleCols(q_, kv_);
        dv = all.middleCols(q_ + kv_, kv_);
    } else {
        dq = {all.data, rows, q_};
        dk = {all.data + rows * q_, rows, kv_};
        dv = {all.data + rows * (q_ + kv_), rows, kv_};
    }
    {
        Lease dMixed(reverse_.buffers(), rows, q_);
        reverse_.showSite(SiteKind::attnOutput, -1, reverse_.windows, mixed_.view(), gradients);
        reverse_.multiplyBack(gradients, pass.weights.output, dMixed.view());
        reverse_.showInput(pass.layout.attnOutputIn, reverse_.windows, mixed_.view(), dMixed.view());
        reverse_.device().attentionBack(queries_, keys_, values_, attentionShape(pass, 0), pass.windowLength,
                                        dMixed.view(), dq, dk, dv);
    }
    pass.pause();
    showCache(dk, dv);
    rotateBack(dq);
    rotateBack(dk);
    if (queriesBefore_) normalizeBack(pass.weights.qNorm, queriesBefore_->view(), dq);
    if (keysBefore_) normalizeBack(pass.weights.kNorm, keysBefore_->view(), dk);
    projectionsBack(dq, dk, dv, all, dNormed, add);
    pass.pause();
}

} // namespace bw
