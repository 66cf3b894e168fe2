// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/sensitivity/site_rounder.h"

#include "core/base/error.h"

namespace bw::detail {

SiteChoice fallbackChoice(const SiteChoice& asked, const Site& site) {
    return {fallbackFormat(asked.format, site.rows, site.cols), asked.rounder};
}

QuantizedTensor SiteRounder::round(const Site& site, MatrixView<const float> weight, const SiteChoice& choice) const {
    const RounderOptions options = siteRounder(options_, choice.rounder);
    if (choice.rounder == "gptq")
        throw Error(ErrorCode::usage, "'" + choice.name() + "' can't be tried at '" + site.name + "' alone", "sweep nearest or weighted rounding");
    const std::span<const float> importance = options.weighted && importance_ ? importance_(site) : std::span<const float>{};
    return quantizeSite(site, weight, choice.format, importance, options);
}

} // namespace bw::detail
