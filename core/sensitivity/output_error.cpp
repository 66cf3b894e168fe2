// SPDX-License-Identifier: GPL-3.0-or-later
// Relative output error of every site and format from one walk. With G = XᵀX of a site's inputs, ‖X·Aᵀ‖² = tr(A·G·Aᵀ):
// the walk keeps G of the block it is in (summed where the inputs lie), and each cell then costs one product with it, however many tokens there were.
#include "core/base/parallel.h"
#include "core/compute/cpu_device.h"
#include "core/sensitivity/gram.h"

#include <algorithm>
#include <cmath>

namespace bw::detail {
namespace {

/// W − Ŵ into `decoded`.
void subtractFrom(MatrixView<const float> weight, Matrix& decoded) {
    constexpr std::int64_t kPieceWeights = 1 << 16; // a stop is seen between pieces
    parallelFor(weight.rows, std::max<std::int64_t>(1, kPieceWeights / weight.cols),
                [&](std::int64_t begin, std::int64_t end) {
                    for (std::int64_t r = begin; r < end; ++r)
                        for (std::int64_t c = 0; c < weight.cols; ++c)
                            decoded.row(r)[c] = weight(r, c) - decoded.row(r)[c];
                });
}

class OutputErrorWalk final : public WalkVisitor, public ActivationObserver {
public:
    explicit OutputErrorWalk(Sweep& sweep) : sweep_(sweep), groups_(sweep.model.inputGroups()) {
        std::uint64_t bytes = 0;
        for (const InputGroup& group : groups_)
            if (group.block.value() <= 0)
                bytes += static_cast<std::uint64_t>(group.width * group.width) * sizeof(float);
        const int folds = foldCount(sweep.windows.count, bytes);
        for (const InputGroup& group : groups_)
            grams_.emplace_back(group.width, folds, sweep.windows.count);
        folds_ = static_cast<std::size_t>(folds);
    }

    ActivationObserver* observer(BlockIndex block) override {
        plans_ = sweep_.blockPlans(block);
        return plans_.empty() ? nullptr : this;
    }

    void onInput(int group, std::int64_t window, MatrixView<const float> x) override {
        const bool wanted =
            std::any_of(plans_.begin(), plans_.end(), [&](const SitePlan* p) { return p->site->inputGroup == group; });
        if (wanted)
            grams_[static_cast<std::size_t>(group)].add(window, sweep_.windows.length, x, &sweep_.model.device());
        sweep_.countTokens(group, x.rows); // last: after a fault of the device the call comes again
    }
    bool readsOnDevice() const override { return true; }
    bool readsWholePasses() const override { return sweep_.model.device().keepsResults(); }

    void afterBlock(BlockIndex, MatrixView<const float>) override {
        for (const SitePlan* plan : plans_)
            measureLinear(*plan, {}, {});
        for (const SitePlan* plan : plans_)
            grams_[static_cast<std::size_t>(plan->site->inputGroup)].clear();
        plans_.clear();
    }

    /// Embedding and head, from the states behind the last block.
    void finish(MatrixView<const float> states) {
        plans_ = sweep_.outerPlans();
        const bool head =
            std::any_of(plans_.begin(), plans_.end(), [](const SitePlan* p) { return p->site->inputGroup >= 0; });
        if (head)
            observeHead(states);
        for (const SitePlan* plan : plans_) {
            if (plan->site->kind == SiteKind::tokenEmbedding)
                measureEmbedding(*plan);
            else
                measureLinear(*plan, {}, {});
        }
    }

private:
    using Extra = std::function<Measure(MatrixView<const float> difference)>;

    void observeHead(MatrixView<const float> states) {
        const Model& model = sweep_.model;
        const std::int64_t length = sweep_.windows.length;
        Matrix x(length, states.cols);
        const int group = static_cast<int>(groups_.size()) - 1;
        for (std::int64_t w = 0; w < sweep_.windows.count; ++w) {
            sweep_.job.checkpoint();
            model.headInput(states.middleRows(w * length, length), x.view());
            onInput(group, w, x.view());
        }
    }

    /// Measures the plan's cells through the site's Gram matrix (if it has one), plus `extra` of W − Ŵ (if given).
    void measureLinear(const SitePlan& plan, const Matrix& given, const Extra& extra) {
        const Site& site = *plan.site;
        Matrix owned;
        if (given.size() == 0)
            owned = sweep_.model.siteWeight(site);
        const MatrixView<const float> weight = given.size() > 0 ? given.view() : owned.view();
        const FoldedGram* gram = site.inputGroup >= 0 ? &grams_[static_cast<std::size_t>(site.inputGroup)] : nullptr;
        const std::vector<double> whole = gram ? gram->quadratic(weight, sweep_.job) : std::vector<double>{};
        handOut(sweep_, plan, [&](const SiteChoice& choice) {
            sweep_.job.checkpoint();
            Matrix difference = sweep_.quantized(site, weight, choice);
            subtractFrom(weight, difference);
            Measure measure = gram ? ratioOf(gram->quadratic(difference.view(), sweep_.job), whole) : Measure{};
            if (extra) {
                const Measure more = extra(difference.view());
                measure = {measure.value + more.value, std::hypot(measure.error, more.error)};
            }
            return measure;
        });
    }

    /// Look-up: relative error of the rows that the windows' tokens read. A tied embedding is damaged in both places,
    /// and the two relative errors add up.
    void measureEmbedding(const SitePlan& plan) {
        const Matrix weight = sweep_.model.siteWeight(*plan.site);
        const Matrix zero = [&] {
            Matrix m(1, weight.cols());
            m.fill(0.0f);
            return m;
        }();
        const auto perFold = [&](const std::function<double(TokenId)>& of) {
            std::vector<double> sums(folds_, 0.0);
            const Windows& windows = sweep_.windows;
            for (std::int64_t w = 0; w < windows.count; ++w)
                for (const TokenId id : windows.window(w))
                    sums[static_cast<std::size_t>(w * static_cast<std::int64_t>(folds_) / windows.count)] += of(id);
            return sums;
        };
        const std::vector<double> whole = perFold([&](TokenId id) {
            return squaredDistance({weight.row(id), static_cast<std::size_t>(weight.cols())}, zero.view().rowSpan(0));
        });
        measureLinear(plan, weight, [&](MatrixView<const float> difference) {
            return ratioOf(
                perFold([&](TokenId id) { return squaredDistance(difference.rowSpan(id), zero.view().rowSpan(0)); }),
                whole);
        });
    }

    Sweep& sweep_;
    const std::vector<InputGroup>& groups_;
    std::vector<FoldedGram> grams_;
    std::size_t folds_ = 1;
    std::vector<const SitePlan*> plans_;
};

} // namespace

void sweepOutputError(Sweep& sweep) {
    OutputErrorWalk walk(sweep);
    const ScratchMatrix states =
        walkBlocks(sweep.model, sweep.windows, nullptr, &walk, sweep.job, "sweep: output error");
    if (!sweep.outerPlans().empty())
        sweep.job.beginStage("sweep: embedding and head", 0, "cells");
    walk.finish(states.view());
}

} // namespace bw::detail
