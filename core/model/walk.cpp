// SPDX-License-Identifier: GPL-3.0-or-later
// The walk over blocks: load one block, run every window through it in batches, look for numbers gone bad, move on.
#include "core/model/walk.h"

#include "core/base/error.h"
#include "core/base/matrix.h"
#include "core/base/parallel.h"
#include "core/compute/cpu_device.h"
#include "core/model/model_impl.h"

#include <atomic>
#include <cmath>
#include <future>
#include <fmt/format.h>

namespace bw {

void checkWindows(const Model& model, const Windows& windows) {
    model.requireForward();
    if (windows.count <= 0 || windows.length <= 0 || windows.tokens() != static_cast<std::int64_t>(windows.ids.size()))
        throw Error(ErrorCode::usage, fmt::format("{} windows of {} tokens can't be made of {} token ids",
                                                  windows.count, windows.length, windows.ids.size()));
    if (const std::int64_t context = model.config().context; context > 0 && windows.length > context)
        throw Error(
            ErrorCode::usage,
            fmt::format("windows of {} tokens are longer than the model's context of {}", windows.length, context),
            fmt::format("Choose windows of at most {} tokens.", context));
}

void requireFinite(MatrixView<const float> rows, std::int64_t firstRow, std::int64_t windowLength,
                   const std::string& where) {
    constexpr std::int64_t kRows = 32;
    std::atomic<bool> good{true};
    parallelFor(rows.rows, kRows, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r)
            if (!allFinite(rows.rowSpan(r))) good.store(false, std::memory_order_relaxed);
    });
    if (good.load()) return;
    for (std::int64_t r = 0; r < rows.rows; ++r) {
        for (std::int64_t c = 0; c < rows.cols; ++c) {
            if (std::isfinite(rows(r, c))) continue;
            throw Error(ErrorCode::nonFinite,
                        fmt::format("{} gives {} at window {}, token {}, channel {}", where,
                                    std::isnan(rows(r, c)) ? "NaN" : "infinity", (firstRow + r) / windowLength,
                                    (firstRow + r) % windowLength, c),
                        "Its weights hold NaN, infinities or values too large to add up; check them in the checkpoint "
                        "or choose a "
                        "format with more range for this part.");
        }
    }
}

namespace {

void embedWindows(const Model& model, const Windows& windows, const WeightSource* source, MatrixView<float> states,
                  JobContext& job) {
    const auto embedding = model.loadEmbedding(source);
    for (std::int64_t w = 0; w < windows.count; ++w) {
        const auto rows = states.middleRows(w * windows.length, windows.length);
        model.embed(*embedding, windows.window(w), rows);
        requireFinite(rows, w * windows.length, windows.length, "token_embd");
        job.checkpoint();
    }
}

} // namespace

ScratchMatrix walkBlocks(const Model& model, const Windows& windows, const WeightSource* source, WalkVisitor* visitor,
                         JobContext& job, const std::string& stage) {
    checkWindows(model, windows);
    const auto blocks = static_cast<int>(model.config().blocks);
    job.beginStage(stage, windows.tokens() * blocks, "tokens");
    ScratchMatrix states(windows.tokens(), model.config().width);
    embedWindows(model, windows, source, states.view(), job);
    const std::int64_t batch = model.batchWindows(windows.length);
    std::future<BlockWeightsPtr> next;
    for (int b = 0; b < blocks; ++b) {
        const BlockIndex block{b};
        job.checkpoint();
        if (visitor != nullptr) visitor->beforeBlock(block, states.view());
        const BlockWeightsPtr weights = next.valid() ? next.get() : model.loadBlock(block, source);
        // A device copies the next weights while it works on these; two blocks fit its budget, or they stay on the host.
        if (model.device().keepsResults() && b + 1 < blocks)
            next = std::async(std::launch::async, [&model, b, source] { return model.loadBlock(BlockIndex{b + 1}, source); });
        ActivationObserver* observer = visitor != nullptr ? visitor->observer(block) : nullptr;
        for (std::int64_t w = 0; w < windows.count; w += batch) {
            const std::int64_t first = w * windows.length, count = std::min(batch, windows.count - w) * windows.length;
            const auto rows = states.view().middleRows(first, count);
            model.runBlockWindows(*weights, rows, windows.length, observer, w, &job);
            requireFinite(rows, first, windows.length, fmt::format("blk.{}", b));
            job.advance(count);
            job.checkpoint();
        }
        if (visitor != nullptr) visitor->afterBlock(block, states.view());
    }
    return states;
}

void walkHead(const Model& model, const Windows& windows, MatrixView<const float> finalStates,
              const WeightSource* source, JobContext& job,
              const std::function<void(std::int64_t, MatrixView<const float>)>& use, ActivationObserver* observer) {
    walkHeadOnDevice(model, windows, finalStates, source, job, [&](std::int64_t window, MatrixView<const float> logits) {
        model.device().toHost(logits);
        use(window, logits);
    }, observer);
}

void walkHeadOnDevice(const Model& model, const Windows& windows, MatrixView<const float> finalStates,
                      const WeightSource* source, JobContext& job,
                      const std::function<void(std::int64_t, MatrixView<const float>)>& use, ActivationObserver* observer) {
    checkWindows(model, windows);
    job.beginStage("head", windows.tokens(), "tokens");
    const auto head = model.loadHead(source);
    Matrix logits(windows.length, model.config().vocabulary);
    const MatrixView<const float> made = std::as_const(logits).view();
    for (std::int64_t w = 0; w < windows.count; ++w) {
        job.checkpoint();
        const JobScope scope(&job); // a window's product takes 100 ms and more with large vocabularies
        model.withLogits(*head, finalStates.middleRows(w * windows.length, windows.length), logits.view(), [&] {
            // A bad row of the head spoils its logit at every token, so one token shows it.
            model.device().toHost(made.middleRows(0, 1));
            requireFinite(made.middleRows(0, 1), w * windows.length, windows.length, "the head");
            use(w, made);
        }, observer, w);
        job.advance(windows.length);
    }
}

} // namespace bw
