// SPDX-License-Identifier: GPL-3.0-or-later
// What it costs to quantize one site to one format: relative output error from one walk, or measured KL with each site
// alone, restarted from its block's stored input. Both are resumable: finished cells are handed out as they come and
// cells already known are skipped.
#pragma once

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

/// @param known cells of an earlier, interrupted run: not computed again.
/// @param onCell called on the walk's thread for every new cell, in order; commit there.
/// Cost: output error: one forward walk + per cell O·I² flops on the Gram matrix; KL: per cell the blocks behind the site.
std::vector<SensitivityCell> sweep(const Model& model, const Windows& windows, const SweepOptions& options,
                                   const ImportanceLookup& importance, const std::vector<SensitivityCell>& known,
                                   const std::function<void(const SensitivityCell&)>& onCell, JobContext& job);

} // namespace bw
