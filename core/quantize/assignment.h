// SPDX-License-Identifier: GPL-3.0-or-later
// Which format each site gets: a default, rules by name pattern, per-site settings, and the fallback where a format
// does not fit a shape.
#pragma once

#include "core/format/format.h"
#include "core/model/model.h"

#include <map>
#include <string>
#include <vector>

namespace bw {

/// Later rules win over earlier ones. Pattern: glob over site names ("blk.*.attn_v").
struct FormatRule { std::string pattern, format; };

struct SiteFormat {
    SiteId site;
    std::string asked;    ///< format string; "keep" = the checkpoint's own type
    FormatPtr used;       ///< nullptr = kept as it is
    std::string whyDiffers; ///< empty when used == asked
};

/// @param defaultFormat for every site but token_embd/output when `headDefault` is given for those.
/// @throws Error(invalidFormat); Error(usage) when a rule matches no site (names the rule): nothing is ignored silently.
std::vector<SiteFormat> resolveFormats(const Model& model, const std::string& defaultFormat, const std::string& headDefault,
                                       const std::vector<FormatRule>& rules);

} // namespace bw
