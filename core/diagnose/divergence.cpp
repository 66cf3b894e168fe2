// SPDX-License-Identifier: GPL-3.0-or-later
// The base's walk leads; before each of its blocks the changed block is run on a copy of the base's states, after it the
// changed model's own states are taken one block further.
#include "core/diagnose/divergence.h"

#include "core/base/error.h"

#include <algorithm>
#include <cmath>

namespace bw {
namespace {

struct Distance { double relative = 0, cosine = 1; };

Distance distance(MatrixView<const float> changed, MatrixView<const float> base) {
    double difference = 0, size = 0, cosines = 0;
    for (std::int64_t r = 0; r < base.rows; ++r) {
        double dot = 0, a = 0, b = 0, d = 0;
        for (std::int64_t c = 0; c < base.cols; ++c) {
            const double x = changed(r, c), y = base(r, c);
            dot += x * y;
            a += x * x;
            b += y * y;
            d += (x - y) * (x - y);
        }
        difference += d;
        size += b;
        cosines += a > 0 && b > 0 ? dot / std::sqrt(a * b) : 1.0;
    }
    return {size > 0 ? std::sqrt(difference / size) : 0.0, cosines / static_cast<double>(std::max<std::int64_t>(1, base.rows))};
}

class Trace final : public WalkVisitor {
public:
    Trace(const ChangedModel& changed, const Windows& windows, JobContext& job)
        : changed_(changed), windows_(windows), job_(job), own_(windows.tokens(), changed.base.config().width),
          states_(windows.tokens(), changed.base.config().width) {
        const auto embedding = changed.model.loadEmbedding(changed.source);
        for (std::int64_t w = 0; w < windows.count; ++w)
            changed.model.embed(*embedding, windows.window(w), states_.view().middleRows(w * windows.length, windows.length));
    }
    void beforeBlock(BlockIndex block, MatrixView<const float> states) override {
        const BlockWeightsPtr weights = changed_.model.loadBlock(block, changed_.source);
        for (std::int64_t r = 0; r < states.rows; ++r)
            std::copy_n(states.row(r), states.cols, own_.view().row(r));
        run(*weights, own_.view());
        run(*weights, states_.view());
    }
    void afterBlock(BlockIndex block, MatrixView<const float> states) override {
        const Distance all = distance(std::as_const(states_).view(), states);
        out_.push_back({block, all.relative, distance(std::as_const(own_).view(), states).relative, all.cosine});
    }
    std::vector<BlockDivergence> take() { return std::move(out_); }

private:
    void run(const BlockWeights& weights, MatrixView<float> states) {
        const std::int64_t batch = changed_.model.batchWindows(windows_.length);
        for (std::int64_t w = 0; w < windows_.count; w += batch) {
            job_.checkpoint();
            const std::int64_t count = std::min(batch, windows_.count - w) * windows_.length;
            changed_.model.runBlockWindows(weights, states.middleRows(w * windows_.length, count), windows_.length, nullptr, w, &job_);
        }
    }
    const ChangedModel& changed_;
    const Windows& windows_;
    JobContext& job_;
    ScratchMatrix own_, states_;
    std::vector<BlockDivergence> out_;
};

} // namespace

std::vector<BlockDivergence> divergenceTrace(const ChangedModel& changed, const Windows& windows, JobContext& job) {
    requireSameSites(changed);
    Trace trace(changed, windows, job);
    walkBlocks(changed.base, windows, nullptr, &trace, job, "divergence");
    return trace.take();
}

} // namespace bw
