// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/sensitivity/fisher.h"

#include "core/base/error.h"
#include "core/compute/cpu_device.h"
#include "core/sensitivity/block_store.h"
#include "core/sensitivity/fisher_observer.h"
#include "core/sensitivity/label_loss.h"

#include <algorithm>

namespace bw {
namespace {

/// W − Ŵ of a block; what does not fit is decoded anew for every batch of windows.
std::uint64_t changeBytes() { return std::max<std::uint64_t>(1ull << 30, detail::availableMemory() / 4); }

/// Only the predictions, when every cell is known already.
void observePredictions(const Model& model, const Windows& windows, detail::LabelLoss& loss, JobContext& job) {
    const ScratchMatrix states = walkBlocks(model, windows, nullptr, nullptr, job, "sketch: predictions");
    Matrix probabilities(windows.length, model.config().vocabulary);
    walkHead(model, windows, states.view(), nullptr, job, [&](std::int64_t, MatrixView<const float> logits) {
        softmaxRows(logits, probabilities.view());
        loss.observe(logits, probabilities.view());
    });
}

} // namespace

std::int64_t windowsForProbes(std::int64_t probes, std::int64_t length) {
    const std::int64_t segments = detail::segmentsOf(length);
    return (std::max<std::int64_t>(1, probes) + segments - 1) / segments;
}

FisherFacts fisherSketch(const Model& model, const Windows& windows, const FisherOptions& options,
                         const ImportanceLookup& importance, const std::vector<SensitivityCell>& known,
                         const std::function<void(const FisherRow&)>& onRow, JobContext& job) {
    model.requireForward();
    if (windows.count < 1 || windows.length < 2)
        throw Error(ErrorCode::textTooShort, "a Fisher sketch needs at least one window of two tokens",
                    "give more text");
    detail::FisherCells cells(model, options, known);
    FisherFacts facts;
    facts.windows = windows.count;
    // Of everything asked for, so that a resumed sketch has the same.
    const std::size_t all = detail::FisherCells(model, options, {}).count();
    const detail::FisherLayout layout = detail::fisherLayout(windows.count, windows.length, options.probes, all);
    facts.draws = layout.perWindow();
    detail::LabelLoss loss(model.config().vocabulary, layout.draws, options.seed);
    if (cells.empty()) {
        observePredictions(model, windows, loss, job);
    } else {
        detail::SiteRounder rounder(importance, options.rounder, options.gptq, options.given);
        rounder.prepare(model, cells.wanted(), job);
        detail::WeightChanges changes(model, rounder, changeBytes());
        detail::FisherObserver observer(model, windows, layout, cells, changes, onRow, options.halfGradients, job);
        walkBackwards(model, windows, nullptr, loss, observer, job, "sketch: backwards",
                      options.halfGradients ? ReversePrecision::half : ReversePrecision::full);
        observer.finish();
    }
    facts.saturation = loss.saturation();
    return facts;
}

} // namespace bw
