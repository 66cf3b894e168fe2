// SPDX-License-Identifier: GPL-3.0-or-later
// Rounds single sites to what a map tries there: a format by the sweep's own rounder, or by the one that the choice
// names. Private to core/sensitivity.
#pragma once

#include "core/base/scratch.h"
#include "core/sensitivity/sensitivity.h"

namespace bw::detail {

class SiteRounder {
public:
    /// What is to be tried: sites, and choices that fit them.
    using Wanted = std::vector<std::pair<const Site*, SiteChoice>>;

    /// @param given not null: its weights are what every choice comes to, encoded in the choice's format.
    SiteRounder(const ImportanceLookup& importance, const RounderOptions& options, const GptqSweep& gptq,
                const WeightSource* given = nullptr)
        : importance_(importance), options_(options), gptq_(gptq), given_(given) {}
    /// Rounds by GPTQ what asks for it, each site by itself under the inputs that the unchanged model gives it: one
    /// walk over `gptq.windows`, none when nothing asks. To be called before round() of such a choice. Memory: one
    /// block's Gram matrices; the encoded bytes lie in scratch. @throws as gptqSite().
    void prepare(const Model& model, const Wanted& wanted, JobContext& job);
    /// @param choice what fits the site (fallbackChoice). @throws Error(nonFinite) naming the site; Error(usage) for a
    /// choice that prepare() was not told of.
    QuantizedTensor round(const Site& site, MatrixView<const float> weight, const SiteChoice& choice) const;

private:
    /// A look-up has no inputs to make up for: as in a whole model, the embedding is rounded by what GPTQ falls back
    /// to.
    bool byGptq(const Site& site, const SiteChoice& choice) const;

    const ImportanceLookup& importance_;
    RounderOptions options_;
    GptqSweep gptq_;
    const WeightSource* given_;
    Device* device_ = nullptr; ///< of the model that prepare() was told of
    std::map<std::pair<int, std::string>, ScratchMatrix> rounded_; ///< encoded bytes by SiteId and format
};

/// The choice with the format that the site falls back to.
SiteChoice fallbackChoice(const SiteChoice& asked, const Site& site);

} // namespace bw::detail
