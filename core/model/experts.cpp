// SPDX-License-Identifier: GPL-3.0-or-later
// A mixture of experts: the router chooses for every token, the tokens of each expert are gathered so that an expert is
// one product per linear, and the results are added back in the order of the experts, whatever the number of threads.
#include "core/base/parallel.h"
#include "core/model/model_impl.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace bw {
namespace {

/// Rows per piece of a loop that copies or adds rows.
constexpr std::int64_t kRows = 64;

/// The `used` most likely experts of one token, softmax over all of them; ties go to the lower number.
void chooseExperts(std::span<const float> logits, std::int64_t used, bool renormalize, std::span<int> chosen,
                   std::span<float> shares) {
    std::vector<int> order(logits.size());
    std::iota(order.begin(), order.end(), 0);
    const auto score = [&](int e) { return logits[static_cast<std::size_t>(e)]; };
    std::partial_sort(order.begin(), order.begin() + used, order.end(), [&](int a, int b) {
        return score(a) > score(b) || (!(score(a) < score(b)) && a < b);
    });
    const float peak = score(order.front());
    float total = 0, kept = 0;
    for (const float logit : logits) total += std::exp(logit - peak);
    for (std::size_t i = 0; i < static_cast<std::size_t>(used); ++i) {
        chosen[i] = order[i];
        shares[i] = std::exp(score(order[i]) - peak) / total;
        kept += shares[i];
    }
    if (renormalize)
        for (float& share : shares) share /= kept;
}

} // namespace

std::vector<ExpertBatch> routeTokens(const BlockPass& pass, MatrixView<const float> normed) {
    const std::int64_t experts = pass.config().experts, used = pass.config().expertsUsed;
    BufferPool::Lease logits = pass.buffer(normed.rows, experts);
    pass.device().multiply(normed, *pass.weights.router, logits.view());
    pass.device().toHost(logits.view());
    std::vector<int> chosen(static_cast<std::size_t>(normed.rows * used));
    std::vector<float> shares(chosen.size());
    const auto width = static_cast<std::size_t>(used);
    parallelFor(normed.rows, kRows, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t t = begin; t < end; ++t) {
            const auto first = static_cast<std::size_t>(t * used);
            chooseExperts(logits.view().rowSpan(t), used, pass.config().renormalizeExperts,
                          std::span(chosen).subspan(first, width), std::span(shares).subspan(first, width));
        }
    });
    std::vector<ExpertBatch> batches(static_cast<std::size_t>(experts));
    for (std::size_t i = 0; i < chosen.size(); ++i) {
        ExpertBatch& batch = batches[static_cast<std::size_t>(chosen[i])];
        batch.rows.push_back(static_cast<std::int64_t>(i / width));
        batch.shares.push_back(shares[i]);
    }
    return batches;
}

ExpertBatch sharedBatch(const BlockPass& pass, MatrixView<const float> normed) {
    ExpertBatch all{std::vector<std::int64_t>(static_cast<std::size_t>(normed.rows)),
                    std::vector<float>(static_cast<std::size_t>(normed.rows), 1.0f)};
    std::iota(all.rows.begin(), all.rows.end(), std::int64_t{0});
    const std::vector<float>& gate = pass.weights.sharedGate;
    if (!gate.empty()) pass.device().toHost(normed);
    for (std::int64_t r = 0; !gate.empty() && r < normed.rows; ++r) {
        double sum = 0;
        for (std::int64_t c = 0; c < normed.cols; ++c)
            sum += static_cast<double>(normed(r, c)) * static_cast<double>(gate[static_cast<std::size_t>(c)]);
        all.shares[static_cast<std::size_t>(r)] = static_cast<float>(1 / (1 + std::exp(-sum)));
    }
    return all;
}

void watchBatch(const BlockPass& pass, int group, const ExpertBatch& batch, MatrixView<const float> x) {
    if (pass.observer == nullptr) return;
    const std::int64_t rows = batch.count();
    for (std::int64_t first = 0, last = 0; first < rows; first = last) {
        const std::int64_t window = batch.rows[static_cast<std::size_t>(first)] / pass.windowLength;
        while (last < rows && batch.rows[static_cast<std::size_t>(last)] / pass.windowLength == window) ++last;
        pass.show(group, pass.firstWindow + window, x.middleRows(first, last - first));
    }
}

void gatherRows(const BlockPass& pass, const ExpertBatch& batch, MatrixView<const float> from, MatrixView<float> to) {
    pass.device().toHost(from);
    parallelFor(batch.count(), kRows, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r) std::copy_n(from.row(batch.rows[static_cast<std::size_t>(r)]), from.cols, to.row(r));
    });
    pass.device().hostWrote(to);
}

void addShares(const BlockPass& pass, const ExpertBatch& batch, MatrixView<const float> from, MatrixView<float> y) {
    pass.device().toHost(from);
    pass.device().toHost(y);
    parallelFor(from.rows, kRows, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r) {
            const float share = batch.shares[static_cast<std::size_t>(r)];
            const float* source = from.row(r);
            float* target = y.row(batch.rows[static_cast<std::size_t>(r)]);
            for (std::int64_t c = 0; c < from.cols; ++c) target[c] += share * source[c];
        }
    });
    pass.device().hostWrote(y);
}

namespace {

/// Puts a batch in the place of windows while its feed-forward runs.
class BatchObserver final : public ActivationObserver {
public:
    BatchObserver(const BlockPass& pass, const ExpertBatch& batch) : pass_(pass), batch_(batch) {}
    void onInput(int group, std::int64_t, MatrixView<const float> x) override { watchBatch(pass_, group, batch_, x); }
    bool readsOnDevice() const override { return true; } // brought to the host where it is shown

private:
    const BlockPass& pass_;
    const ExpertBatch& batch_;
};

void runExpert(const BlockPass& pass, std::size_t expert, const ExpertBatch& batch, MatrixView<const float> normed,
               MatrixView<float> y) {
    const std::int64_t rows = batch.count();
    BufferPool::Lease gathered = pass.buffer(rows, normed.cols), result = pass.buffer(rows, y.cols);
    gatherRows(pass, batch, normed, gathered.view());
    pass.device().fill(result.view(), 0.0f);
    const int group = pass.layout.firstExpert + 2 * static_cast<int>(expert);
    watchBatch(pass, group, batch, gathered.view());
    pass.roundInput(group, gathered.view());
    BatchObserver observer(pass, batch);
    BlockPass inner = pass;
    inner.observer = pass.observer != nullptr ? &observer : nullptr;
    inner.watched = nullptr; // what it is shown goes on to this pass, which counts
    inner.windowLength = rows;
    runFeedForward(inner, pass.weights.experts[expert], gathered.view(), result.view(), group + 1);
    addShares(pass, batch, result.view(), y);
}

/// Every token passes the shared expert, scaled by σ(gate·x).
void runShared(const BlockPass& pass, MatrixView<const float> normed, MatrixView<float> y) {
    BufferPool::Lease result = pass.buffer(normed.rows, y.cols), input = pass.buffer(normed.rows, normed.cols);
    pass.device().fill(result.view(), 0.0f);
    pass.device().copy(normed, input.view()); // its gate reads what is not rounded
    pass.roundInput(pass.layout.ffnIn, input.view());
    runFeedForward(pass, pass.weights.feedForward, input.view(), result.view(), pass.layout.ffnDownIn);
    addShares(pass, sharedBatch(pass, normed), result.view(), y);
}

} // namespace

void runExperts(const BlockPass& pass, MatrixView<const float> normed, MatrixView<float> y) {
    if (pass.weights.feedForward.up.weight) pass.watch(pass.layout.ffnIn, normed);
    const std::vector<ExpertBatch> batches = routeTokens(pass, normed);
    for (std::size_t e = 0; e < batches.size(); ++e) {
        if (batches[e].rows.empty()) continue;
        runExpert(pass, e, batches[e], normed, y);
        pass.pause();
    }
    if (pass.weights.feedForward.up.weight) runShared(pass, normed, y);
}

} // namespace bw
