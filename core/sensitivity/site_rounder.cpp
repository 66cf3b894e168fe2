// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/sensitivity/site_rounder.h"

#include "core/base/error.h"
#include "core/calibrate/input_walk.h"

#include <algorithm>
#include <cstring>
#include <set>

namespace bw::detail {
namespace {

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
    device_ = &model.device();
    Wanted asking;
    for (const auto& [site, choice] : wanted)
        if (byGptq(*site, choice)) asking.emplace_back(site, choice);
    if (asking.empty()) return;
    if (gptq_.windows == nullptr || gptq_.windows->tokens() < 1)
        throw Error(ErrorCode::usage, "GPTQ needs windows of a calibration text", "Name one with --text.");
    std::set<int> groups;
    for (const auto& [site, choice] : asking) groups.insert(site->inputGroup);
    const auto roundOne = [&](const Site& site, const SiteChoice& choice, const Gram& gram) {
        ScratchMatrix& kept = rounded_[{site.id.value(), choice.format->name()}];
        if (kept.view().size() > 0) return;
        job.checkpoint();
        const Matrix weight = model.siteWeight(site);
        kept = keptBytes(gptqSite(site, weight.view(), choice.format, gram, options_, gptq_.options, job).tensor.bytes);
    };
    const InputUse use = [&](BlockIndex block, const BlockInputs& inputs) {
        for (const auto& [site, choice] : asking)
            if (site->block == block) roundOne(*site, choice, inputs.at(site->inputGroup).gram);
    };
    walkInputs(model, *gptq_.windows, groups, {}, gptq_.inputs, "sweep: GPTQ", use, job);
}

QuantizedTensor SiteRounder::round(const Site& site, MatrixView<const float> weight, const SiteChoice& choice) const {
    if (given_ != nullptr) {
        Matrix changed(weight.rows, weight.cols);
        for (std::int64_t r = 0; r < weight.rows; ++r) std::copy_n(weight.row(r), weight.cols, changed.row(r));
        given_->apply(site, changed.view());
        return quantizeSite(site, changed.view(), choice.format, {}, {});
    }
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
    return quantizeSite(site, weight, choice.format, looks ? importance_(site) : std::span<const float>{}, options, device_);
}

} // namespace bw::detail
