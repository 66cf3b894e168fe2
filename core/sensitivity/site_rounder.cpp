// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/sensitivity/site_rounder.h"

#include "core/base/error.h"

#include <algorithm>
#include <cstring>
#include <functional>

namespace bw::detail {
namespace {

/// Gram matrices of the inputs of wanted sites, block by block; `round` is called for each site when its block has
/// passed.
class GptqWalk final : public WalkVisitor {
public:
    using Round = std::function<void(const Site&, const SiteChoice&, const Gram&)>;
    GptqWalk(const Model& model, const SiteRounder::Wanted& wanted, Round round)
        : model_(model), wanted_(wanted), round_(std::move(round)), grams_(model) {}

    ActivationObserver* observer(BlockIndex block) override { return watch(block) ? &grams_ : nullptr; }
    void afterBlock(BlockIndex block, MatrixView<const float>) override { roundAll(block); }

    /// An output matrix of its own.
    void finish(const Windows& windows, MatrixView<const float> states, JobContext& job) {
        if (!watch(BlockIndex{-1})) return;
        Matrix x(windows.length, states.cols);
        const int group = static_cast<int>(model_.inputGroups().size()) - 1;
        for (std::int64_t w = 0; w < windows.count; ++w) {
            job.checkpoint();
            model_.headInput(states.middleRows(w * windows.length, windows.length), x.view());
            grams_.onInput(group, w, x.view());
        }
        roundAll(BlockIndex{-1});
    }

private:
    /// False where nothing of the block is wanted.
    bool watch(BlockIndex block) {
        std::vector<int> groups;
        for (const auto& [site, choice] : wanted_)
            if (site->block == block && std::ranges::find(groups, site->inputGroup) == groups.end())
                groups.push_back(site->inputGroup);
        grams_.watch(groups);
        return !groups.empty();
    }
    void roundAll(BlockIndex block) {
        for (const auto& [site, choice] : wanted_)
            if (site->block == block) round_(*site, choice, grams_.of(site->inputGroup));
        grams_.watch({});
    }

    const Model& model_;
    const SiteRounder::Wanted& wanted_;
    Round round_;
    GramObserver grams_;
};

ScratchMatrix keptBytes(const std::vector<std::byte>& bytes) {
    ScratchMatrix kept(1, static_cast<std::int64_t>((bytes.size() + sizeof(float) - 1) / sizeof(float)));
    std::memcpy(kept.view().data, bytes.data(), bytes.size());
    return kept;
}

} // namespace

SiteChoice fallbackChoice(const SiteChoice& asked, const Site& site) {
    return {fallbackFormat(asked.format, site.rows, site.cols), asked.rounder};
}

bool SiteRounder::byGptq(const Site& site, const SiteChoice& choice) const {
    return (choice.rounder.empty() ? gptq_.byDefault : choice.rounder == "gptq") &&
           site.kind != SiteKind::tokenEmbedding;
}

void SiteRounder::prepare(const Model& model, const Wanted& wanted, JobContext& job) {
    Wanted asking;
    for (const auto& [site, choice] : wanted)
        if (byGptq(*site, choice)) asking.emplace_back(site, choice);
    if (asking.empty()) return;
    if (gptq_.windows == nullptr || gptq_.windows->tokens() < 1)
        throw Error(ErrorCode::usage, "GPTQ needs windows of a calibration text", "Name one with --text.");
    GptqWalk walk(model, asking, [&](const Site& site, const SiteChoice& choice, const Gram& gram) {
        ScratchMatrix& kept = rounded_[{site.id.value(), choice.format->name()}];
        if (kept.view().size() > 0) return;
        job.checkpoint();
        const Matrix weight = model.siteWeight(site);
        kept = keptBytes(gptqSite(site, weight.view(), choice.format, gram, options_, gptq_.options, job).tensor.bytes);
    });
    const ScratchMatrix states = walkBlocks(model, *gptq_.windows, nullptr, &walk, job, "sweep: GPTQ");
    walk.finish(*gptq_.windows, states.view(), job);
}

QuantizedTensor SiteRounder::round(const Site& site, MatrixView<const float> weight, const SiteChoice& choice) const {
    if (byGptq(site, choice)) {
        const auto found = rounded_.find({site.id.value(), choice.format->name()});
        if (found == rounded_.end())
            throw Error(ErrorCode::usage, "'" + choice.name() + "' of '" + site.name + "' was not prepared",
                        "This is a fault of the program.");
        const auto* bytes = reinterpret_cast<const std::byte*>(found->second.view().data);
        return {site.id, choice.format, {bytes, bytes + choice.format->bytes(site.rows, site.cols)}};
    }
    const RounderOptions options = siteRounder(options_, choice.rounder == "gptq" ? std::string() : choice.rounder);
    const bool looks = options.weighted && importance_;
    return quantizeSite(site, weight, choice.format, looks ? importance_(site) : std::span<const float>{}, options);
}

} // namespace bw::detail
