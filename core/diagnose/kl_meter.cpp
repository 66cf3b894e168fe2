// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/diagnose/kl_meter.h"

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/compute/cpu_device.h"
#include "core/evaluate/statistics.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace bw {
namespace {

/// Positions handed to a thread at once: a row of logits takes tens of microseconds or more.
constexpr std::int64_t kRows = 4;

void requirePositions(const Windows& windows) {
    if (windows.count < 1 || windows.length < 2)
        throw Error(ErrorCode::textTooShort,
                    fmt::format("{} windows of {} tokens hold no position to score", windows.count, windows.length),
                    "give more text or longer windows");
}

/// KL of each row, where the logits lie.
void diverge(MatrixView<const float> base, MatrixView<const float> other, std::span<float> kl, Device& device) {
    if (device.keepsResults()) {
        std::vector<double> values(kl.size());
        device.divergeRows(base, other, values);
        std::transform(values.begin(), values.end(), kl.begin(), [](double value) { return static_cast<float>(value); });
        return;
    }
    parallelFor(base.rows, kRows, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r)
            kl[static_cast<std::size_t>(r)] = static_cast<float>(klDivergenceFast(base.rowSpan(r), logSumExp(base.rowSpan(r)), other.rowSpan(r)));
    });
}

} // namespace

KlMeter::KlMeter(const Model& base, const Windows& windows, JobContext& job) : base_(base), windows_(windows) {
    requirePositions(windows);
    states_ = walkBlocks(base, windows_, nullptr, nullptr, job, "baseline");
}

KlMeter::KlMeter(const Model& base, const Windows& windows, ScratchMatrix states)
    : base_(base), windows_(windows), states_(std::move(states)) {
    requirePositions(windows);
}

KlMeter::Measured KlMeter::measure(const WeightSource& source, JobContext& job) const {
    return measure(base_, &source, job);
}

KlMeter::Measured KlMeter::measure(const Model& model, const WeightSource* source, JobContext& job) const {
    if (model.config().vocabulary != base_.config().vocabulary)
        throw Error(ErrorCode::vocabularyMismatch,
                    fmt::format("the model has {} tokens, its baseline {}", model.config().vocabulary,
                                base_.config().vocabulary),
                    "compare models with the same tokenizer");
    const ScratchMatrix states = walkBlocks(model, windows_, source, nullptr, job, "measure");
    const HeadWeightsPtr baseHead = base_.loadHead(nullptr);
    const std::int64_t scored = windows_.length - 1;
    Measured out;
    out.tokens.resize(static_cast<std::size_t>(windows_.count * scored));
    Matrix expected(windows_.length, base_.config().vocabulary);
    walkHeadOnDevice(model, windows_, states.view(), source, job, [&](std::int64_t window, MatrixView<const float> logits) {
        float* kl = out.tokens.data() + window * scored;
        base_.withLogits(*baseHead, states_.view().middleRows(window * windows_.length, windows_.length), expected.view(), [&] {
            diverge(std::as_const(expected).view().middleRows(0, scored), logits.middleRows(0, scored), {kl, static_cast<std::size_t>(scored)}, model.device());
        });
        for (std::int64_t p = 0; p < scored; ++p)
            if (!std::isfinite(kl[p]))
                throw Error(ErrorCode::nonFinite,
                            fmt::format("the logits of window {}, position {} give no finite divergence", window, p),
                            "the model's output matrix or last states hold NaN, infinities or huge values");
    });
    const std::vector<double> values(out.tokens.begin(), out.tokens.end());
    const detail::MeanError mean = detail::groupedMean(values, windows_.count);
    out.mean = mean.mean;
    out.standardError = mean.error;
    return out;
}

} // namespace bw
