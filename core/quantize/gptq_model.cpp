// SPDX-License-Identifier: GPL-3.0-or-later
// GPTQ over a model: block by block, and inside a block stage by stage, the sites of a stage see inputs that come from what
// was rounded before.
#include "core/base/error.h"
#include "core/base/scratch.h"
#include "core/model/staged_block.h"
#include "core/quantize/clip.h"
#include "core/quantize/gptq.h"
#include "core/quantize/gptq_original.h"
#include "core/quantize/outlier_split.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <optional>
#include <set>

namespace bw {
namespace {

constexpr int kStages = 4;

/// As BlockStage counts.
int stageOf(SiteKind kind) {
    switch (kind) {
    case SiteKind::attnOutput: return 1;
    case SiteKind::ffnGate:
    case SiteKind::ffnUp:
    case SiteKind::ffnGateExperts:
    case SiteKind::ffnUpExperts:
    case SiteKind::ffnGateShared:
    case SiteKind::ffnUpShared: return 2;
    case SiteKind::ffnDown:
    case SiteKind::ffnDownExperts:
    case SiteKind::ffnDownShared: return 3;
    default: return 0;
    }
}

class ModelRun {
public:
    ModelRun(const Model& model, const Windows& windows, const RounderOptions& rounder, const GptqOptions& options,
             std::vector<GptqSite>* report, JobContext& job, const KeptLookup& kept)
        : model_(model), windows_(windows), rounder_(rounder), options_(options), report_(report), job_(job), kept_(kept), grams_(model) {}

    void run(const std::vector<SiteFormat>& formats, QuantizedModel& into) {
        into_ = &into;
        for (const SiteFormat& format : formats)
            if (format.used && into.find(format.site) == nullptr) wanted_.emplace(format.site.value(), format.used);
        std::int64_t total = 0;
        for (const auto& [id, format] : wanted_) total += model_.site(SiteId{id}).rows * model_.site(SiteId{id}).cols;
        job_.beginStage("gptq", total, "weights");
        states_ = ScratchMatrix(windows_.tokens(), model_.config().width);
        const auto embedding = model_.loadEmbedding(into_);
        for (std::int64_t w = 0; w < windows_.count; ++w) {
            model_.embed(*embedding, windows_.window(w), states_.view().middleRows(w * windows_.length, windows_.length));
            job_.checkpoint();
        }
        if (options_.correction > 0 && options_.sequential) original_.emplace(model_, windows_, grams_, job_);
        for (int b = 0; b < model_.config().blocks; ++b) block(BlockIndex{b});
        head();
    }

private:
    std::vector<const Site*> stage(BlockIndex block, int stage) const {
        std::vector<const Site*> sites;
        for (const Site& site : model_.blockSites(block))
            if (wanted_.contains(site.id.value()) && (stage < 0 || firstStage(block, site) == stage)) sites.push_back(&site);
        return sites;
    }

    /// Sites that share an input are rounded at once, so that the gate of a parallel feed-forward goes with the queries.
    int firstStage(BlockIndex block, const Site& site) const {
        int first = 3;
        for (const Site& other : model_.blockSites(block))
            if (other.inputGroup == site.inputGroup) first = std::min(first, stageOf(other.kind));
        return first;
    }

    void block(BlockIndex block) {
        weights_ = *model_.loadBlock(block, into_);
        options_.sequential ? sequentialBlock(block) : blockFromItsInputs(block);
        weights_ = {};
    }

    void sequentialBlock(BlockIndex block) {
        StagedBlock staged(model_, block, states_.view(), windows_.length);
        if (original_) original_->beginBlock(block, std::as_const(states_).view());
        ActivationObserver* const observer = original_ ? static_cast<ActivationObserver*>(&*original_) : &grams_;
        for (int s = 0; s < kStages; ++s) {
            const std::vector<const Site*> sites = watched(block, s);
            {
                const JobScope scope(&job_);
                if (original_) original_->inputs(static_cast<BlockStage>(s), comparedGroups(sites));
                staged.inputs(static_cast<BlockStage>(s), weights_, sites.empty() ? nullptr : observer, job_);
            }
            for (const Site* site : sites) round(*site, grams_.of(site->inputGroup), original_ ? original_->drift(site->inputGroup) : nullptr);
        }
        const JobScope scope(&job_);
        staged.finish(weights_, job_);
        if (original_) original_->finishBlock();
    }

    static std::set<int> comparedGroups(const std::vector<const Site*>& sites) {
        std::set<int> groups;
        for (const Site* site : sites)
            if (site->expert < 0) groups.insert(site->inputGroup);
        return groups;
    }

    void blockFromItsInputs(BlockIndex block) {
        const std::vector<const Site*> sites = watched(block, -1);
        if (!sites.empty()) pass(false);
        for (const Site* site : sites) round(*site, grams_.of(site->inputGroup));
        pass(true);
    }

    /// The sites of a stage, whose inputs are collected from now on.
    std::vector<const Site*> watched(BlockIndex block, int of) {
        std::vector<const Site*> sites = stage(block, of);
        std::set<int> groups;
        for (const Site* site : sites) groups.insert(site->inputGroup);
        grams_.watch({groups.begin(), groups.end()});
        return sites;
    }

    /// All windows through the block as it is rounded so far; with `keep` their states move on, else inputs are collected.
    void pass(bool keep) {
        const JobScope scope(&job_);
        const std::int64_t batch = model_.batchWindows(windows_.length);
        for (std::int64_t w = 0; w < windows_.count; w += batch) {
            const std::int64_t count = std::min(batch, windows_.count - w) * windows_.length;
            const auto rows = states_.view().middleRows(w * windows_.length, count);
            Matrix copy;
            MatrixView<float> x = rows;
            if (!keep) {
                copy = Matrix(rows.rows, rows.cols);
                std::memcpy(copy.data(), rows.data, static_cast<std::size_t>(rows.size()) * sizeof(float));
                x = copy.view();
            }
            model_.runBlockWindows(weights_, x, windows_.length, keep ? nullptr : &grams_, w, &job_);
            for (std::int64_t r = 0; r < x.rows; ++r)
                if (!std::all_of(x.row(r), x.row(r) + x.cols, [](float v) { return std::isfinite(v); }))
                    throw Error(ErrorCode::nonFinite,
                                fmt::format("blk.{} gives NaN or infinity at window {}, token {}", weights_.block.value(), w + r / windows_.length, r % windows_.length),
                                "Its weights hold NaN, infinities or values too large to add up; check them in the checkpoint.");
            job_.checkpoint();
        }
    }

    /// Of a block's site the weights that its later stages run with are replaced too.
    void round(const Site& site, const Gram& gram, const InputDrift* drift = nullptr) {
        const bool inBlock = site.kind != SiteKind::output;
        // A device may hold the checkpoint's own codes or blocks, whose values are read anew.
        Matrix own;
        const MatrixView<const float> held = inBlock ? weights_.linear(site).weight->values : MatrixView<const float>();
        if (held.empty()) own = model_.siteWeight(site);
        const MatrixView<const float> weight = held.empty() ? std::as_const(own).view() : held;
        job_.checkpoint();
        GptqSite rounded = gptqSite(site, weight, wanted_.at(site.id.value()), gram, rounder_, options_, job_, drift, kept_ ? kept_(site, weight) : KeptWeights{});
        if (!rounded.fallback.empty()) job_.note(fmt::format("{} keeps nearest rounding: {}", site.name, rounded.fallback));
        if (inBlock) {
            auto values = std::make_shared<Matrix>(site.rows, site.cols);
            rounded.tensor.decode(values->view());
            Linear& linear = weights_.linear(site);
            const auto was = std::find_if(weights_.owned.begin(), weights_.owned.end(), [&](const auto& m) { return m->data() == linear.weight->values.data; });
            if (was != weights_.owned.end()) *was = values;
            else weights_.owned.push_back(values);
            linear.weight = model_.device().prepare(std::as_const(*values).view());
        }
        into_->set(rounded.tensor);
        if (report_ != nullptr) report_->push_back(std::move(rounded));
        job_.advance(site.rows * site.cols);
    }

    /// An output matrix of its own, from the inputs that the rounded blocks give.
    void head() {
        for (const auto& [id, format] : wanted_) {
            const Site& site = model_.site(SiteId{id});
            if (site.kind != SiteKind::output) continue;
            Gram gram(site.cols);
            Matrix x(windows_.length, site.cols);
            for (std::int64_t w = 0; w < windows_.count; ++w) {
                model_.headInput(std::as_const(states_).view().middleRows(w * windows_.length, windows_.length), x.view());
                gram.add(std::as_const(x).view(), &model_.device());
                job_.checkpoint();
            }
            round(site, gram);
        }
    }

    const Model& model_;
    const Windows& windows_;
    const RounderOptions& rounder_;
    const GptqOptions& options_;
    std::vector<GptqSite>* report_;
    JobContext& job_;
    const KeptLookup& kept_;
    GramObserver grams_;
    QuantizedModel* into_ = nullptr;
    std::map<int, FormatPtr> wanted_;
    ScratchMatrix states_;
    std::optional<detail::OriginalRun> original_; ///< walked beside when inputs are corrected
    BlockWeights weights_; ///< of the block at hand, rounded as far as it is
};

} // namespace

std::shared_ptr<QuantizedModel> gptqModel(const Model& model, const std::vector<SiteFormat>& formats, const Windows& windows,
                                          const ImportanceLookup& importance, const RounderOptions& rounder,
                                          const GptqOptions& options, std::vector<GptqSite>* report, JobContext& job, const KeptLookup& kept) {
    model.requireForward();
    if (windows.count <= 0 || windows.length <= 0)
        throw Error(ErrorCode::usage, "GPTQ needs windows of a calibration text", "Name one with --text.");
    // The look-up table feeds the first block, so it is rounded before any input is known, also where it is the head too;
    // what names another rounder is rounded by it.
    std::vector<SiteFormat> others, mine;
    for (const SiteFormat& format : formats) {
        const bool ours = (format.rounder.empty() || format.rounder == "gptq") && model.site(format.site).kind != SiteKind::tokenEmbedding;
        (ours ? mine : others).push_back(format);
        if (!ours && others.back().rounder == "gptq") others.back().rounder.clear();
    }
    const auto result = options.clipOutputs ? clippedModel(model, others, windows, importance, rounder, job, kept)
                        : kept              ? buildAround(model, others, importance, rounder, kept, job)
                                            : QuantizedModel::build(model, others, importance, rounder, job);
    ModelRun(model, windows, rounder, options, report, job, kept).run(mine, *result);
    result->setFormats(formats);
    return result;
}

} // namespace bw
