// SPDX-License-Identifier: GPL-3.0-or-later
// Rounds single sites to what a map tries there: a format by the sweep's own rounder, or by the one that the choice names.
// Private to core/sensitivity.
#pragma once

#include "core/quantize/quantized_model.h"

namespace bw::detail {

class SiteRounder {
public:
    SiteRounder(const Model& model, const ImportanceLookup& importance, const RounderOptions& options)
        : model_(model), importance_(importance), options_(options) {}
    /// @param choice what fits the site (fallbackChoice). @throws Error(nonFinite) naming the site; Error(usage) for a
    /// rounder that single sites are not rounded by here.
    QuantizedTensor round(const Site& site, MatrixView<const float> weight, const SiteChoice& choice) const;

private:
    [[maybe_unused]] const Model& model_;
    const ImportanceLookup& importance_;
    RounderOptions options_;
};

/// The choice with the format that the site falls back to.
SiteChoice fallbackChoice(const SiteChoice& asked, const Site& site);

} // namespace bw::detail
