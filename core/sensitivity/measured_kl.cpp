// SPDX-License-Identifier: GPL-3.0-or-later
// KL(base‖quantized) with one site quantized at a time. The base walk leaves the input of every block and the base
// logits behind; a cell starts from its block's input, runs the blocks behind it and is compared at the head.
#include "core/base/parallel.h"
#include "core/compute/cpu_device.h"
#include "core/sensitivity/block_store.h"
#include "core/sensitivity/cells.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace bw::detail {
namespace {

/// Logits of as many windows as fit into this are made by one product: that pays for reading the head.
constexpr std::int64_t kLogitBytes = 256 << 20;
/// Rows past which a product gains nothing from more; cells are run together up to here.
constexpr std::int64_t kRowsTogether = 2048;
/// When blocks must be loaded again and again, so many bytes of states run through each together.
constexpr std::int64_t kStateBytes = 512ll << 20;
constexpr std::int64_t kPositions = 4;

void copyRows(MatrixView<const float> from, MatrixView<float> to) {
    constexpr std::int64_t kPieceValues = 1 << 18; // 1 MiB; a stop is seen between pieces
    parallelFor(from.rows, std::max<std::int64_t>(1, kPieceValues / std::max<std::int64_t>(1, from.cols)), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r)
            std::memcpy(to.row(r), from.row(r), static_cast<std::size_t>(from.cols) * sizeof(float));
    });
}

/// Replaces one site's weight and leaves all others.
class OneSite final : public WeightSource {
public:
    OneSite(SiteId site, Matrix weight) : site_(site), weight_(std::move(weight)) {}
    void apply(const Site& site, MatrixView<float> weight) const override {
        if (site.id == site_)
            copyRows(weight_.view(), weight);
    }

private:
    SiteId site_;
    Matrix weight_;
};

/// Keeps the inputs of the blocks that have cells left.
class BoundaryKeeper final : public WalkVisitor {
public:
    explicit BoundaryKeeper(const Sweep& sweep) : sweep_(sweep), boundaries(static_cast<std::size_t>(sweep.model.config().blocks)) {}
    void beforeBlock(BlockIndex block, MatrixView<const float> states) override {
        if (sweep_.blockPlans(block).empty())
            return;
        ScratchMatrix& kept = boundaries[static_cast<std::size_t>(block.value())];
        kept = ScratchMatrix(states.rows, states.cols);
        copyRows(states, kept.view());
    }

private:
    const Sweep& sweep_;

public:
    std::vector<ScratchMatrix> boundaries;
};

class KlSweep {
public:
    explicit KlSweep(Sweep& sweep) : sweep_(sweep), model_(sweep.model), windows_(sweep.windows), store_(model_, availableMemory() / 2) {
        const std::int64_t windowBytes = windows_.length * model_.config().vocabulary * static_cast<std::int64_t>(sizeof(float));
        batch_ = std::clamp<std::int64_t>(kLogitBytes / windowBytes, 1, windows_.count);
    }

    void run() {
        BoundaryKeeper keeper(sweep_);
        final_ = walkBlocks(model_, windows_, nullptr, &keeper, sweep_.job, "sweep: baseline");
        head_ = model_.loadHead();
        keepBaseLogits();
        sweep_.job.beginStage("sweep: measured KL", sweep_.cellsLeft(), "cells");
        for (int b = 0; b < model_.config().blocks; ++b) {
            sweepBlock(BlockIndex{b}, keeper.boundaries[static_cast<std::size_t>(b)].view());
            keeper.boundaries[static_cast<std::size_t>(b)] = ScratchMatrix();
        }
        for (const SitePlan* plan : sweep_.outerPlans()) {
            handOut(sweep_, *plan, [&](const FormatPtr& format) { return measureOuter(*plan->site, format); });
            sweep_.job.setDone(sweep_.handed());
        }
    }

private:
    /// One distinct format at one site of a block.
    struct Job { const SitePlan* plan; FormatPtr format; Measure result; };

    void keepBaseLogits() {
        baseLogits_ = ScratchMatrix(windows_.tokens(), model_.config().vocabulary);
        sweep_.job.beginStage("sweep: baseline logits", windows_.tokens(), "tokens");
        for (std::int64_t w = 0; w < windows_.count; ++w) {
            sweep_.job.checkpoint();
            const std::int64_t first = w * windows_.length;
            model_.logits(*head_, final_.view().middleRows(first, windows_.length), baseLogits_.view().middleRows(first, windows_.length));
            sweep_.job.advance(windows_.length);
        }
    }

    /// Runs whole windows of `states` (any number of cells' windows, one behind the other) through a block.
    void runThrough(const BlockWeights& weights, MatrixView<float> states) {
        const std::int64_t rows = model_.batchWindows(windows_.length) * windows_.length;
        for (std::int64_t first = 0; first < states.rows; first += rows) {
            sweep_.job.checkpoint();
            model_.runBlockWindows(weights, states.middleRows(first, std::min(rows, states.rows - first)), windows_.length, nullptr, 0, &sweep_.job);
        }
    }

    /// Mean KL over the scored positions (all but each window's last, which predicts nothing) of one cell's final states.
    Measure compare(const HeadWeights& head, MatrixView<const float> states) {
        const std::int64_t length = windows_.length, scored = length - 1;
        if (logits_.size() == 0)
            logits_ = Matrix(batch_ * length, model_.config().vocabulary);
        std::vector<double> kl(static_cast<std::size_t>(windows_.count * scored));
        for (std::int64_t w = 0; w < windows_.count; w += batch_) {
            sweep_.job.checkpoint();
            const std::int64_t count = std::min(batch_, windows_.count - w);
            const auto logits = logits_.view().middleRows(0, count * length);
            model_.logits(head, states.middleRows(w * length, count * length), logits);
            sweep_.job.checkpoint();
            parallelFor(count * scored, kPositions, [&](std::int64_t begin, std::int64_t end) {
                for (std::int64_t i = begin; i < end; ++i) {
                    const std::int64_t row = i / scored * length + i % scored;
                    kl[static_cast<std::size_t>(w * scored + i)] =
                        klDivergence(std::as_const(baseLogits_).view().rowSpan(w * length + row), std::span<const float>(logits.rowSpan(row)));
                }
            });
        }
        Measure measure;
        const auto n = static_cast<double>(kl.size());
        for (const double v : kl)
            measure.value += v / n;
        double squares = 0;
        for (const double v : kl)
            squares += (v - measure.value) * (v - measure.value);
        if (kl.size() > 1)
            measure.error = std::sqrt(squares / (n - 1) / n);
        return measure;
    }

    void sweepBlock(BlockIndex block, MatrixView<const float> boundary) {
        struct Pending { const SitePlan* plan; const SitePlan::Cell* cell; std::size_t job; };
        std::vector<Job> jobs;
        std::vector<Pending> pending;
        for (const SitePlan* plan : sweep_.blockPlans(block))
            for (const SitePlan::Cell& cell : plan->cells) {
                const auto same = std::find_if(jobs.begin(), jobs.end(), [&](const Job& j) { return j.plan == plan && j.format->name() == cell.used->name(); });
                pending.push_back({plan, &cell, static_cast<std::size_t>(same - jobs.begin())});
                if (same == jobs.end())
                    jobs.push_back({plan, cell.used, {}});
            }
        const std::int64_t tokens = windows_.tokens();
        const std::int64_t stateBytes = tokens * model_.config().width * static_cast<std::int64_t>(sizeof(float));
        const auto together = static_cast<std::size_t>(std::max<std::int64_t>(1, store_.keepsAll() ? kRowsTogether / tokens : kStateBytes / stateBytes));
        std::size_t next = 0;
        for (std::size_t first = 0; first < jobs.size(); first += together) {
            const std::size_t count = std::min(together, jobs.size() - first);
            measureTogether(block, boundary, std::span(jobs).subspan(first, count));
            for (; next < pending.size() && pending[next].job < first + count; ++next) {
                sweep_.hand(*pending[next].plan->site, *pending[next].cell, jobs[pending[next].job].result);
                sweep_.job.setDone(sweep_.handed());
            }
        }
    }

    void measureTogether(BlockIndex block, MatrixView<const float> boundary, std::span<Job> jobs) {
        const std::int64_t tokens = windows_.tokens();
        ScratchMatrix all(static_cast<std::int64_t>(jobs.size()) * tokens, boundary.cols);
        const auto slice = [&](std::size_t i) { return all.view().middleRows(static_cast<std::int64_t>(i) * tokens, tokens); };
        for (std::size_t i = 0; i < jobs.size(); ++i) {
            const Site& site = *jobs[i].plan->site;
            sweep_.job.checkpoint();
            if (weightOf_ != &site) {
                weight_ = model_.siteWeight(site);
                weightOf_ = &site;
            }
            const PatchedBlock patched(model_, store_.block(block), site, sweep_.quantized(site, weight_.view(), jobs[i].format));
            copyRows(boundary, slice(i));
            runThrough(patched.weights(), slice(i));
        }
        for (int b = block.value() + 1; b < model_.config().blocks; ++b)
            runThrough(*store_.block(BlockIndex{b}), all.view());
        for (std::size_t i = 0; i < jobs.size(); ++i)
            jobs[i].result = compare(*head_, slice(i));
    }

    /// Embedding and output matrix. A tied embedding acts through the look-up, all blocks, and the head.
    Measure measureOuter(const Site& site, const FormatPtr& format) {
        sweep_.job.checkpoint();
        const OneSite source(site.id, sweep_.quantized(site, model_.siteWeight(site).view(), format));
        HeadWeightsPtr head = head_;
        if (site.inputGroup >= 0)
            head = model_.loadHead(&source);
        if (site.kind != SiteKind::tokenEmbedding)
            return compare(*head, final_.view());
        ScratchMatrix states(windows_.tokens(), model_.config().width);
        const auto table = model_.loadEmbedding(&source);
        for (std::int64_t w = 0; w < windows_.count; ++w)
            model_.embed(*table, windows_.window(w), states.view().middleRows(w * windows_.length, windows_.length));
        for (int b = 0; b < model_.config().blocks; ++b)
            runThrough(*store_.block(BlockIndex{b}), states.view());
        return compare(*head, states.view());
    }

    Sweep& sweep_;
    const Model& model_;
    const Windows& windows_;
    BlockStore store_;
    std::int64_t batch_ = 1;
    HeadWeightsPtr head_;
    ScratchMatrix final_, baseLogits_;
    Matrix logits_, weight_;
    const Site* weightOf_ = nullptr;
};

} // namespace

void sweepMeasuredKl(Sweep& sweep) { KlSweep(sweep).run(); }

} // namespace bw::detail
