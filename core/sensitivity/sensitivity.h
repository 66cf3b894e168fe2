// SPDX-License-Identifier: GPL-3.0-or-later
// What it costs to quantize one site to one format: relative output error from one walk, or measured KL with each site
// alone, restarted from its block's stored input. Both are resumable: finished cells are handed out as they come and
// cells already known are skipped.
#pragma once

#include "core/model/walk.h"
#include "core/quantize/quantized_model.h"

#include <functional>
#include <string>
#include <vector>

namespace bw {

enum class SensitivityMetric { outputError, measuredKl };
std::string_view metricName(SensitivityMetric metric);     ///< "output", "kl"
SensitivityMetric parseMetric(std::string_view text);       ///< @throws Error(usage)

/// One cell of the map. `value`: outputError: ‖X(W−Ŵ)ᵀ‖²/‖XWᵀ‖²; measuredKl: mean KL(base‖quantized) in nats per token.
struct SensitivityCell {
    SiteId site;
    std::string site_name;
    std::string format;       ///< as asked
    std::string used;         ///< after fallback
    std::uint64_t bytes = 0;
    double value = 0;
    double standardError = 0; ///< KL: over windows' tokens (σ/√n); output error: over windows
};

struct SweepOptions {
    SensitivityMetric metric = SensitivityMetric::outputError;
    std::vector<std::string> formats;
    RounderOptions rounder;
    bool includeHead = true;   ///< token_embd / output too (tied: damage through both look-up and head)
};

/// @param known cells of an earlier, interrupted run (matched by site name and asked format): not computed again.
/// @param onCell called on the walk's thread for every new cell: block by block in model order, embedding and head last;
/// commit there. Formats that fall back to the same one at a site are measured once.
/// @return known and new cells, in model order, then in the order of the formats.
/// @throws Error(usage), Error(textTooShort), Error(nonFinite) naming site and format, Error(cancelled): cells handed out
/// before stay valid.
/// Memory: output error: the Gram matrices of one block (≤ 1 GiB of folds, at least one); KL: every block's boundary and
/// the base logits (scratch, spilled past the limit), all blocks in f32 when half of the free memory holds them.
/// Cost: output error: one forward walk + per cell O·I² flops on the Gram matrix; KL: per cell the blocks behind the site.
std::vector<SensitivityCell> sweep(const Model& model, const Windows& windows, const SweepOptions& options,
                                   const ImportanceLookup& importance, const std::vector<SensitivityCell>& known,
                                   const std::function<void(const SensitivityCell&)>& onCell, JobContext& job);

} // namespace bw
