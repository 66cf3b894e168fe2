// SPDX-License-Identifier: GPL-3.0-or-later
// KL(base‖candidate) with one site changed at a time. The background — the model as it is, or quantized to one format —
// leaves the input of every block behind; a candidate starts from its block's input, runs the blocks behind it and is
// compared with the base at the head. Where the CPU has bf16 products, only what differs from the background is
// multiplied.
#include "core/base/parallel.h"
#include "core/sensitivity/block_store.h"
#include "core/sensitivity/cells.h"
#include "core/sensitivity/head_probe.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace bw::detail {
namespace {

/// Rows past which a product gains nothing from more; candidates are run together up to here.
constexpr std::int64_t kRowsTogether = 2048;
/// When blocks must be loaded, or what they know worked out, again and again, so many bytes of states run together.
constexpr std::int64_t kStateBytes = 512ll << 20;
/// Rows of a group that a near block knows: the values between its linears then stay in the third-level cache.
constexpr std::int64_t kGroupRows = 512;

void copyRows(MatrixView<const float> from, MatrixView<float> to) {
    constexpr std::int64_t kPieceValues = 1 << 18; // 1 MiB; a stop is seen between pieces
    parallelFor(from.rows, std::max<std::int64_t>(1, kPieceValues / std::max<std::int64_t>(1, from.cols)),
                [&](std::int64_t begin, std::int64_t end) {
                    for (std::int64_t r = begin; r < end; ++r)
                        std::memcpy(to.row(r), from.row(r), static_cast<std::size_t>(from.cols) * sizeof(float));
                });
}

/// Replaces one site's weight over what another source gives (or the checkpoint).
class OneSite final : public WeightSource {
public:
    OneSite(const WeightSource* others, SiteId site, const Matrix& weight)
        : others_(others), site_(site), weight_(weight) {}
    void apply(const Site& site, MatrixView<float> weight) const override {
        if (site.id == site_)
            copyRows(weight_.view(), weight);
        else if (others_ != nullptr)
            others_->apply(site, weight);
    }

private:
    const WeightSource* others_;
    SiteId site_;
    const Matrix& weight_;
};

/// Keeps every block's input and counts the tokens of the experts.
class BoundaryKeeper final : public WalkVisitor, public ActivationObserver {
public:
    explicit BoundaryKeeper(Sweep& sweep)
        : boundaries(static_cast<std::size_t>(sweep.model.config().blocks)), sweep_(sweep) {}
    void beforeBlock(BlockIndex block, MatrixView<const float> states) override {
        ScratchMatrix& kept = boundaries[static_cast<std::size_t>(block.value())];
        kept = ScratchMatrix(states.rows, states.cols);
        copyRows(states, kept.view());
    }
    ActivationObserver* observer(BlockIndex) override { return sweep_.model.config().experts > 0 ? this : nullptr; }
    void onInput(int group, std::int64_t, MatrixView<const float> x) override { sweep_.countTokens(group, x.rows); }

    std::vector<ScratchMatrix> boundaries;

private:
    Sweep& sweep_;
};

/// One run of the model with one site changed.
struct Candidate {
    const Site* site = nullptr;
    SiteChoice choice;                         ///< its format null: the site in full precision
    std::vector<const SitePlan::Cell*> cells;  ///< that it answers
    double expected = 0;
    std::vector<double> kl;                    ///< at each scored position
};

/// Mean and its error over positions; with `reference`, of the difference at each of them.
Measure meanOf(const std::vector<double>& kl, const std::vector<double>* reference) {
    const auto n = static_cast<double>(kl.size());
    const auto at = [&](std::size_t i) { return reference != nullptr ? kl[i] - (*reference)[i] : kl[i]; };
    Measure measure;
    for (std::size_t i = 0; i < kl.size(); ++i)
        measure.value += at(i) / n;
    double squares = 0;
    for (std::size_t i = 0; i < kl.size(); ++i)
        squares += (at(i) - measure.value) * (at(i) - measure.value);
    if (kl.size() > 1)
        measure.error = std::sqrt(squares / (n - 1) / n);
    return measure;
}

/// Distinct candidates in the order in which they are wanted: in model order (outer sites last), or the dearest first.
std::vector<Candidate> listCandidates(const Sweep& sweep) {
    std::vector<const SitePlan*> plans = sweep.plans();
    std::stable_partition(plans.begin(), plans.end(),
                          [](const SitePlan* plan) { return plan->site->block.value() >= 0; });
    std::vector<Candidate> out;
    for (const SitePlan* plan : plans) {
        const std::size_t first = out.size();
        for (const SitePlan::Cell& cell : plan->cells) {
            const auto same = std::find_if(out.begin() + static_cast<std::ptrdiff_t>(first), out.end(),
                                           [&](const Candidate& c) { return c.choice.name() == cell.used.name(); });
            Candidate& candidate =
                same != out.end() ? *same : out.emplace_back(Candidate{plan->site, cell.used, {}, 0, {}});
            candidate.cells.push_back(&cell);
            if (sweep.options().expected)
                candidate.expected =
                    std::max(candidate.expected, sweep.options().expected(plan->site->name, cell.asked));
        }
    }
    if (sweep.options().expected)
        std::stable_sort(out.begin(), out.end(),
                         [](const Candidate& a, const Candidate& b) { return a.expected > b.expected; });
    return out;
}

class KlSweep {
public:
    explicit KlSweep(Sweep& sweep)
        : sweep_(sweep), model_(sweep.model), windows_(sweep.windows), keeper_(sweep),
          probe_(model_, scoredRows(windows_, sweep.options().positions), sweep.job) {}

    void run() {
        walkBackground();
        std::vector<Candidate> candidates = listCandidates(sweep_);
        for (const Candidate& candidate : candidates)
            left_[candidate.site] += static_cast<int>(candidate.cells.size());
        if (store_->keepsKnown())
            learnAll(candidates);
        probe_.setBackground(*head_, final_.view());
        sweep_.job.beginStage("sweep: measured KL", sweep_.cellsLeft(), "cells");
        const std::size_t together = candidatesTogether();
        for (std::size_t next = 0; next < candidates.size();) {
            std::vector<Candidate> batch;
            for (; next < candidates.size() && batch.size() < together; ++next) {
                addReference(batch, candidates[next]);
                batch.push_back(std::move(candidates[next]));
            }
            measure(batch);
        }
    }

private:
    /// The block that a candidate changes: −1 is the embedding, before all blocks, and the head comes after them.
    int start(const Candidate& candidate) const {
        return candidate.site->kind == SiteKind::output ? static_cast<int>(model_.config().blocks)
                                                        : candidate.site->block.value();
    }

    /// Base logits, and boundaries and final states of the background.
    void walkBackground() {
        const bool rest = sweep_.options().context == SweepContext::rest;
        final_ = walkBlocks(model_, windows_, nullptr, rest ? nullptr : &keeper_, sweep_.job, "sweep: baseline");
        head_ = model_.loadHead();
        sweep_.job.beginStage("sweep: baseline logits", 0, "tokens");
        probe_.setBase(*head_, final_.view());
        if (rest) {
            std::vector<SiteFormat> formats;
            const SiteChoice asked = parseChoice(sweep_.options().rest);
            for (const Site& site : model_.sites())
                if (site.block.value() >= 0 || sweep_.options().includeHead)
                    formats.push_back({site.id,
                                       asked.format->name(),
                                       fallbackFormat(asked.format, site.rows, site.cols),
                                       {},
                                       asked.rounder});
            const GptqSweep& gptq = sweep_.options().gptq;
            const bool byGptq = asked.rounder.empty() ? gptq.byDefault : asked.rounder == "gptq";
            rest_ = byGptq ? gptqModel(model_, formats, gptq.windows != nullptr ? *gptq.windows : Windows{},
                                       sweep_.importance(), sweep_.options().rounder, gptq.options, nullptr, sweep_.job)
                           : QuantizedModel::build(model_, formats, sweep_.importance(), sweep_.options().rounder,
                                                   sweep_.job);
            final_ = walkBlocks(model_, windows_, rest_.get(), &keeper_, sweep_.job, "sweep: the rest quantized");
            head_ = model_.loadHead(rest_.get());
        }
        const bool near = sweep_.options().halfDifferences && canUseNearBlocks(model_);
        const std::uint64_t memory = sweep_.options().memory;
        store_ = std::make_unique<BlockStore>(model_, memory > 0 ? memory : availableMemory() / 2, rest_.get(), near,
                                              windows_.tokens());
    }

    /// Every block behind the first candidate learns the background, which becomes what the blocks make of each other.
    void learnAll(const std::vector<Candidate>& candidates) {
        int first = static_cast<int>(model_.config().blocks);
        for (const Candidate& candidate : candidates)
            first = std::min(first, std::max(0, start(candidate)));
        if (first == model_.config().blocks)
            return;
        sweep_.job.beginStage("sweep: baseline products", windows_.tokens() * (model_.config().blocks - first),
                              "tokens");
        copyRows(boundary(first), final_.view());
        for (int b = first; b < model_.config().blocks; ++b) {
            copyRows(final_.view(), boundary(b));
            for (std::size_t g = 0; g < groups(); ++g)
                store_->nearBlock(BlockIndex{b}).learn(g, group(final_.view(), g), windows_.length, sweep_.job);
            sweep_.job.advance(windows_.tokens());
        }
    }

    std::size_t candidatesTogether() const {
        const std::int64_t tokens = windows_.tokens();
        const std::int64_t stateBytes = tokens * model_.config().width * static_cast<std::int64_t>(sizeof(float));
        if (store_->near() ? store_->keepsKnown() : store_->keepsAll())
            return static_cast<std::size_t>(std::max<std::int64_t>(1, store_->near() ? 1 : kRowsTogether / tokens));
        return static_cast<std::size_t>(std::max<std::int64_t>(1, kStateBytes / stateBytes));
    }

    /// With the rest quantized, a site's cells are compared with the site in full precision.
    void addReference(std::vector<Candidate>& batch, const Candidate& next) {
        if (sweep_.options().context == SweepContext::alone || references_.contains(next.site))
            return;
        references_[next.site] = {};
        batch.push_back({next.site, {}, {}, 0, {}});
    }

    MatrixView<float> boundary(int block) { return keeper_.boundaries[static_cast<std::size_t>(block)].view(); }
    std::int64_t groupWindows() const {
        return std::clamp<std::int64_t>(kGroupRows / windows_.length, 1, model_.batchWindows(windows_.length));
    }
    std::size_t groups() const {
        return static_cast<std::size_t>((windows_.count + groupWindows() - 1) / groupWindows());
    }
    MatrixView<float> group(MatrixView<float> states, std::size_t g) const {
        const std::int64_t first = static_cast<std::int64_t>(g) * groupWindows();
        return states.middleRows(first * windows_.length,
                                 std::min(groupWindows(), windows_.count - first) * windows_.length);
    }

    /// Runs whole windows of `states` (any number of candidates' windows, one behind the other) through a block.
    void runThrough(const BlockWeights& weights, MatrixView<float> states) {
        const std::int64_t rows = model_.batchWindows(windows_.length) * windows_.length;
        for (std::int64_t first = 0; first < states.rows; first += rows) {
            sweep_.job.checkpoint();
            model_.runBlockWindows(weights, states.middleRows(first, std::min(rows, states.rows - first)),
                                   windows_.length, nullptr, 0, &sweep_.job);
        }
    }

    Matrix weightOf(const Candidate& candidate) {
        sweep_.job.checkpoint();
        if (weightSite_ != candidate.site) {
            weight_ = model_.siteWeight(*candidate.site);
            weightSite_ = candidate.site;
        }
        if (candidate.choice.format)
            return sweep_.quantized(*candidate.site, weight_.view(), candidate.choice);
        Matrix full(weight_.rows(), weight_.cols());
        copyRows(weight_.view(), full.view());
        return full;
    }

    /// The states that enter the first block a candidate runs.
    void enter(const Candidate& candidate, MatrixView<float> states) {
        if (candidate.site->kind == SiteKind::output)
            return copyRows(final_.view(), states);
        if (candidate.site->kind != SiteKind::tokenEmbedding)
            return copyRows(boundary(candidate.site->block.value()), states);
        const Matrix table = weightOf(candidate);
        const OneSite source(rest_.get(), candidate.site->id, table);
        const auto embedding = model_.loadEmbedding(&source);
        for (std::int64_t w = 0; w < windows_.count; ++w)
            model_.embed(*embedding, windows_.window(w), states.middleRows(w * windows_.length, windows_.length));
    }

    void measure(std::vector<Candidate>& batch) {
        // Those that start early stand first: at every block the unchanged ones follow each other.
        std::vector<std::size_t> order(batch.size());
        for (std::size_t i = 0; i < order.size(); ++i)
            order[i] = i;
        std::stable_sort(order.begin(), order.end(),
                         [&](std::size_t a, std::size_t b) { return start(batch[a]) < start(batch[b]); });
        const std::int64_t tokens = windows_.tokens();
        ScratchMatrix all(static_cast<std::int64_t>(batch.size()) * tokens, model_.config().width);
        const auto slice = [&](std::size_t i) {
            return all.view().middleRows(static_cast<std::int64_t>(i) * tokens, tokens);
        };
        for (std::size_t i = 0; i < order.size(); ++i)
            enter(batch[order[i]], slice(i));
        std::vector<const Candidate*> lined;
        for (const std::size_t i : order)
            lined.push_back(&batch[i]);
        runBlocks(lined, all.view());
        for (std::size_t i = 0; i < order.size(); ++i)
            batch[order[i]].kl = compare(batch[order[i]], slice(i));
        for (const Candidate& candidate : batch)
            handOut(candidate);
    }

    void runBlocks(const std::vector<const Candidate*>& lined, MatrixView<float> all) {
        const int first = std::max(0, start(*lined.front()));
        ScratchMatrix background;
        if (store_->near() && !store_->keepsKnown() && first < model_.config().blocks) {
            background = ScratchMatrix(windows_.tokens(), all.cols);
            copyRows(boundary(first), background.view());
        }
        for (int b = first; b < model_.config().blocks; ++b) {
            std::size_t unchanged = 0, running = 0;
            for (const Candidate* candidate : lined) {
                running += start(*candidate) <= b;
                unchanged += start(*candidate) < b;
            }
            if (store_->near())
                runNear(BlockIndex{b}, lined, unchanged, running, all, background.view());
            else
                runPlain(BlockIndex{b}, lined, unchanged, running, all);
        }
    }

    void runPlain(BlockIndex block, const std::vector<const Candidate*>& lined, std::size_t unchanged,
                  std::size_t running, MatrixView<float> all) {
        const std::int64_t tokens = windows_.tokens();
        const BlockWeightsPtr weights = store_->block(block);
        runThrough(*weights, all.middleRows(0, static_cast<std::int64_t>(unchanged) * tokens));
        for (std::size_t i = unchanged; i < running; ++i) {
            const PatchedBlock patched(model_, weights, *lined[i]->site, weightOf(*lined[i]));
            runThrough(patched.weights(), all.middleRows(static_cast<std::int64_t>(i) * tokens, tokens));
        }
    }

    /// Group by group, so that what the block knows of a group serves all candidates while it is in the cache.
    void runNear(BlockIndex block, const std::vector<const Candidate*>& lined, std::size_t unchanged,
                 std::size_t running, MatrixView<float> all, MatrixView<float> background) {
        NearBlock& near = store_->nearBlock(block);
        std::vector<std::unique_ptr<PatchedBlock>> patched(running);
        for (std::size_t i = unchanged; i < running; ++i)
            patched[i] = std::make_unique<PatchedBlock>(model_, near.weights(), *lined[i]->site, weightOf(*lined[i]));
        for (std::size_t g = 0; g < groups(); ++g) {
            const std::size_t kept = store_->keepsKnown() ? g : 0;
            if (!store_->keepsKnown())
                near.learn(kept, group(background, g), windows_.length, sweep_.job);
            for (std::size_t i = 0; i < running; ++i) {
                sweep_.job.checkpoint();
                near.use(kept);
                const auto states = all.middleRows(static_cast<std::int64_t>(i) * windows_.tokens(), windows_.tokens());
                const BlockWeights& weights = patched[i] ? patched[i]->weights() : *near.weights();
                model_.runBlockWindows(weights, group(states, g), windows_.length, nullptr, 0, &sweep_.job);
            }
        }
        if (!store_->keepsKnown())
            near.forget();
    }

    std::vector<double> compare(const Candidate& candidate, MatrixView<const float> states) {
        if (candidate.site->inputGroup < 0 || candidate.site->block.value() >= 0)
            return probe_.divergences(nullptr, states);
        const Matrix weight = weightOf(candidate);
        const OneSite source(rest_.get(), candidate.site->id, weight);
        return probe_.divergences(model_.loadHead(&source).get(), states);
    }

    void handOut(const Candidate& candidate) {
        if (!candidate.choice.format) {
            references_[candidate.site] = candidate.kl;
            return;
        }
        const auto reference = references_.find(candidate.site);
        const Measure measure = meanOf(candidate.kl, reference != references_.end() ? &reference->second : nullptr);
        for (const SitePlan::Cell* cell : candidate.cells) {
            sweep_.hand(*candidate.site, *cell, measure);
            sweep_.job.setDone(sweep_.handed());
        }
        if ((left_[candidate.site] -= static_cast<int>(candidate.cells.size())) == 0)
            references_.erase(candidate.site);
    }

    Sweep& sweep_;
    const Model& model_;
    const Windows& windows_;
    BoundaryKeeper keeper_;
    HeadProbe probe_;
    std::shared_ptr<const QuantizedModel> rest_; ///< null: the background is the model as it is
    std::unique_ptr<BlockStore> store_;
    HeadWeightsPtr head_;
    ScratchMatrix final_;
    Matrix weight_;
    const Site* weightSite_ = nullptr;
    std::map<const Site*, int> left_;                        ///< cells still to hand out
    std::map<const Site*, std::vector<double>> references_;  ///< of sites in work
};

} // namespace

void sweepMeasuredKl(Sweep& sweep) { KlSweep(sweep).run(); }

} // namespace bw::detail
