// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/sensitivity/head_probe.h"

#include "core/base/parallel.h"
#include "core/compute/cpu_device.h"

#include <algorithm>
#include <cmath>

namespace bw::detail {
namespace {

/// Logits of as many rows as fit into this are made by one product: that pays for reading the head.
constexpr std::int64_t kLogitBytes = 256 << 20;
constexpr std::int64_t kPositions = 4; // per piece of the comparison
/// What a background may keep beside the base's logits, to be near to: its own and the head in bf16.
constexpr std::int64_t kKnownBytes = 1ll << 30;

} // namespace

std::vector<std::int64_t> scoredRows(const Windows& windows, double share) {
    const std::int64_t scored = windows.length - 1, all = windows.count * scored;
    const auto wanted =
        std::clamp<std::int64_t>(std::llround(share * static_cast<double>(all)), std::min<std::int64_t>(2, all), all);
    std::vector<std::int64_t> rows;
    for (std::int64_t i = 0; i < wanted; ++i) {
        const std::int64_t position = (2 * i + 1) * all / (2 * wanted); // the middle of the i-th of equal parts
        rows.push_back(position / scored * windows.length + position % scored);
    }
    return rows;
}

HeadProbe::HeadProbe(const Model& model, std::vector<std::int64_t> rows, JobContext& job)
    : model_(model), job_(job), rows_(std::move(rows)) {
    const std::int64_t perRow = model.config().vocabulary * static_cast<std::int64_t>(sizeof(float));
    const Device& device = model.device();
    const std::int64_t bytes = device.keepsResults() ? std::min(kLogitBytes, static_cast<std::int64_t>(device.activationBytes())) : kLogitBytes;
    batch_ = std::clamp<std::int64_t>(bytes / perRow, 1, positions());
    states_ = Matrix(batch_, model.config().width);
    logits_ = Matrix(batch_, model.config().vocabulary);
}

void HeadProbe::inBatches(const std::function<void(std::int64_t, std::int64_t)>& use) {
    for (std::int64_t first = 0; first < positions(); first += batch_) {
        job_.checkpoint();
        use(first, std::min(batch_, positions() - first));
    }
}

void HeadProbe::gather(MatrixView<const float> states, std::int64_t first, MatrixView<float> to) {
    for (std::int64_t r = 0; r < to.rows; ++r)
        std::copy_n(states.row(rows_[static_cast<std::size_t>(first + r)]), to.cols, to.row(r));
}

void HeadProbe::setBase(const HeadWeights& head, MatrixView<const float> states) {
    Device& device = model_.device();
    lentBase_.reset();
    base_ = ScratchMatrix(positions(), model_.config().vocabulary);
    baseNorms_.assign(rows_.size(), 0.0);
    inBatches([&](std::int64_t first, std::int64_t count) {
        const auto x = states_.view().middleRows(0, count);
        gather(states, first, x);
        model_.logits(head, x, base_.view().middleRows(first, count));
        parallelFor(count, kPositions, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t i = first + begin; i < first + end; ++i)
                baseNorms_[static_cast<std::size_t>(i)] = logSumExp(std::as_const(base_).view().rowSpan(i));
        });
    });
    const auto bytes = static_cast<std::uint64_t>(base_.view().size()) * sizeof(float);
    if (device.keepsResults() && bytes > 0 && bytes <= device.activationBytes()) lentBase_.emplace(device, base_.view(), true);
}

void HeadProbe::setBackground(const HeadWeights& head, MatrixView<const float> states) {
    background_ = &head;
    near_ = {};
    const std::int64_t bytes =
        model_.config().vocabulary * (positions() * static_cast<std::int64_t>(sizeof(float)) +
                                      model_.config().width * static_cast<std::int64_t>(kNearBytesPerWeight));
    // A capped logit is no linear function of the states any more.
    if (!canUseNearBlocks(model_) || model_.config().headSoftCap > 0 || bytes > kKnownBytes)
        return;
    near_.output = std::make_shared<NearWeight>(model_.device(), head.output, cursor_, inputs_, true);
    inBatches([&](std::int64_t first, std::int64_t count) {
        cursor_ = {static_cast<std::size_t>(first / batch_), true, cursor_.run + 1};
        const auto x = states_.view().middleRows(0, count);
        gather(states, first, x);
        model_.logits(near_, x, logits_.view().middleRows(0, count));
    });
    cursor_.learning = false;
}

std::vector<double> HeadProbe::divergences(const HeadWeights* head, MatrixView<const float> states) {
    std::vector<double> kl(rows_.size());
    if (head == nullptr)
        head = near_.output ? &near_ : background_;
    inBatches([&](std::int64_t first, std::int64_t count) {
        cursor_ = {static_cast<std::size_t>(first / batch_), false, cursor_.run + 1};
        const auto x = states_.view().middleRows(0, count);
        const auto logits = logits_.view().middleRows(0, count);
        gather(states, first, x);
        if (model_.device().keepsResults()) {
            model_.withLogits(*head, x, logits, [&] {
                model_.device().divergeRows(std::as_const(base_).view().middleRows(first, count), logits, std::span(kl).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count)));
            });
            return;
        }
        model_.logits(*head, x, logits);
        job_.checkpoint();
        parallelFor(count, kPositions, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t i = begin; i < end; ++i) {
                const auto at = static_cast<std::size_t>(first + i);
                kl[at] = klDivergenceFast(std::as_const(base_).view().rowSpan(first + i), baseNorms_[at],
                                          std::span<const float>(logits.rowSpan(i)));
            }
        });
    });
    return kl;
}

} // namespace bw::detail
