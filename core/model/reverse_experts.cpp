// SPDX-License-Identifier: GPL-3.0-or-later
// Reverse of a mixture of experts: every expert's own, and the router's through the shares of the chosen ones. Which
// experts are chosen is taken as fixed, like everywhere gradients of routers are taken.
#include "core/base/parallel.h"
#include "core/model/reverse_impl.h"

#include <algorithm>
#include <cmath>

namespace bw {
namespace {

constexpr std::int64_t kRows = 64; // per piece of a loop that copies or adds rows

/// Gradients of the router's probabilities: rows of K draws, zero for experts that were not chosen.
using ShareGradients = MatrixView<float>;

/// to[k·n + r] = from[k·N + rows[r]]: the rows of one expert's tokens, for each of K draws.
void gather(MatrixView<const float> from, std::int64_t tokens, std::span<const std::int64_t> rows,
            MatrixView<float> to) {
    const auto count = static_cast<std::int64_t>(rows.size());
    parallelFor(to.rows, kRows, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r)
            std::copy_n(from.row(r / count * tokens + rows[static_cast<std::size_t>(r % count)]), from.cols, to.row(r));
    });
}

void scatterAdd(MatrixView<const float> from, std::int64_t tokens, std::span<const std::int64_t> rows,
                MatrixView<float> to) {
    const auto count = static_cast<std::int64_t>(rows.size());
    parallelFor(from.rows, kRows, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r) {
            const float* source = from.row(r);
            float* target = to.row(r / count * tokens + rows[static_cast<std::size_t>(r % count)]);
            for (std::int64_t c = 0; c < from.cols; ++c) target[c] += source[c];
        }
    });
}

void expertBack(const ReversePass& reverse, int expert, const ExpertBatch& batch, MatrixView<const float> normed,
                MatrixView<const float> gradients, MatrixView<float> dNormed, ShareGradients dShares) {
    const std::int64_t count = batch.count(), tokens = normed.rows;
    Lease input(reverse.buffers(), count, normed.cols);
    Lease given(reverse.buffers(), reverse.draws * count, gradients.cols);
    Lease dInput(reverse.buffers(), reverse.draws * count, normed.cols);
    gather(normed, tokens, batch.rows, input.view());
    gather(gradients, tokens, batch.rows, given.view());
    const WindowRows all = reverse.windows.view();
    const WindowStarts rows(all.first, all.count(), reverse.pass.windowLength, batch.rows);
    const int group = reverse.pass.layout.firstExpert + 2 * expert;
    const FeedForwardPlace place{
        {SiteKind::ffnGateExperts, SiteKind::ffnUpExperts, SiteKind::ffnDownExperts}, expert, group + 1};
    std::vector<float> own(static_cast<std::size_t>(given.view().rows));
    FeedForwardReverse feedForward(reverse, reverse.weights().experts[static_cast<std::size_t>(expert)], rows,
                                   input.view());
    feedForward.back(place, given.view(), dInput.view(), batch.shares, own);
    reverse.showInput(group, rows, input.view(), dInput.view());
    scatterAdd(dInput.view(), tokens, batch.rows, dNormed);
    for (std::size_t r = 0; r < own.size(); ++r) {
        const auto at = static_cast<std::int64_t>(r);
        dShares(at / count * tokens + batch.rows[r % batch.rows.size()], expert) = own[r];
    }
}

void sharedBack(const ReversePass& reverse, MatrixView<const float> normed, MatrixView<const float> gradients,
                MatrixView<float> dNormed) {
    const BlockWeights& weights = reverse.weights();
    const ExpertBatch batch = sharedBatch(reverse.pass, normed);
    Lease given(reverse.buffers(), gradients.rows, gradients.cols),
        dInput(reverse.buffers(), gradients.rows, normed.cols);
    copyRows(gradients, given.view());
    std::vector<float> dShares(static_cast<std::size_t>(gradients.rows));
    FeedForwardReverse feedForward(reverse, weights.feedForward, reverse.windows, normed);
    feedForward.back(
        {{SiteKind::ffnGateShared, SiteKind::ffnUpShared, SiteKind::ffnDownShared}, -1, reverse.pass.layout.ffnDownIn},
        given.view(), dInput.view(), batch.shares, dShares);
    reverse.showInput(reverse.pass.layout.ffnIn, reverse.windows, normed, dInput.view());
    reverse.device().add(dNormed, dInput.view());
    if (weights.sharedGate.empty()) return;
    parallelFor(dNormed.rows, kRows, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r) {
            const float share = batch.shares[static_cast<std::size_t>(r % normed.rows)];
            const float slope = dShares[static_cast<std::size_t>(r)] * share * (1 - share);
            for (std::int64_t c = 0; c < dNormed.cols; ++c)
                dNormed(r, c) += slope * weights.sharedGate[static_cast<std::size_t>(c)];
        }
    });
}

/// dShares (of the chosen experts' shares) becomes the gradient of the router's logits.
void softmaxBack(const ReversePass& reverse, MatrixView<const float> normed, std::span<const ExpertBatch> batches,
                 ShareGradients dShares) {
    const std::int64_t experts = dShares.cols, tokens = normed.rows;
    Lease shares(reverse.buffers(), tokens, experts);
    if (reverse.pass.config().renormalizeExperts) {
        // The shares are a softmax over the chosen logits alone.
        zeroRows(shares.view());
        for (std::int64_t e = 0; e < experts; ++e) {
            const ExpertBatch& batch = batches[static_cast<std::size_t>(e)];
            for (std::size_t r = 0; r < batch.rows.size(); ++r) shares.view()(batch.rows[r], e) = batch.shares[r];
        }
    } else {
        reverse.device().multiply(normed, *reverse.weights().router, shares.view());
        for (std::int64_t t = 0; t < tokens; ++t) {
            const auto row = shares.view().rowSpan(t);
            const float peak = *std::max_element(row.begin(), row.end());
            float total = 0;
            for (float& value : row) total += value = std::exp(value - peak);
            for (float& value : row) value /= total;
        }
    }
    for (std::int64_t r = 0; r < dShares.rows; ++r) {
        const auto row = dShares.rowSpan(r);
        const auto share = shares.view().rowSpan(r % tokens);
        double mean = 0;
        for (std::size_t e = 0; e < row.size(); ++e)
            mean += static_cast<double>(row[e]) * static_cast<double>(share[e]);
        for (std::size_t e = 0; e < row.size(); ++e) row[e] = share[e] * (row[e] - static_cast<float>(mean));
    }
}

} // namespace

void expertsBack(const ReversePass& reverse, MatrixView<const float> normed, MatrixView<const float> gradients,
                 MatrixView<float> dNormed) {
    const std::vector<ExpertBatch> batches = routeTokens(reverse.pass, normed);
    Lease dShares(reverse.buffers(), gradients.rows, static_cast<std::int64_t>(batches.size()));
    zeroRows(dShares.view());
    zeroRows(dNormed);
    for (std::size_t e = 0; e < batches.size(); ++e) {
        if (batches[e].rows.empty()) continue;
        expertBack(reverse, static_cast<int>(e), batches[e], normed, gradients, dNormed, dShares.view());
        reverse.pass.pause();
    }
    if (reverse.weights().feedForward.up.weight) sharedBack(reverse, normed, gradients, dNormed);
    softmaxBack(reverse, normed, batches, dShares.view());
    reverse.device().multiplyBack(dShares.view(), *reverse.weights().router, dNormed, true);
}

} // namespace bw
