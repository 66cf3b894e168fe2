// SPDX-License-Identifier: GPL-3.0-or-later
// What a recipe rounds besides weights: activation and cache schemes fitted and joined, and what an evaluation says of them.
// Private to core/experiment.
#pragma once

#include "core/evaluate/evaluate.h"
#include "core/experiment/log.h"
#include "core/experiment/workbench.h"
#include "core/quantize/runtime_profile.h"

namespace bw {

struct RuntimeSchemes {
    std::shared_ptr<const ActivationRounding> activations; ///< null where the recipe has none
    std::shared_ptr<const CacheRounding> cache;            ///< likewise
    std::shared_ptr<const RuntimeRounding> rounding;       ///< both; null when both are
    /// Of the transform's outlier split, by input group: channels whose weights and inputs are not rounded.
    std::vector<std::vector<std::int32_t>> outlierColumns;
};
/// @param model  that runs: the stage's own, or one with the transform folded in; static scales are fitted on the
/// calibration text that the recipe names. @throws Error(usage) when such scales need a text and none is named.
RuntimeSchemes runtimeSchemes(const Stage& stage, const Model& model);

/// What an evaluation of `model` rounds at run time: the recipe's schemes, or what its runtime profile does, with the recipe's
/// cache. @param quantized  what weights become; null = the checkpoint's. @throws Error(usage) when that runtime has no
/// product for a site's format.
std::shared_ptr<const RuntimeRounding> evaluationRounding(const Stage& stage, const Model& model, const RuntimeSchemes& schemes, const QuantizedModel* quantized);

/// "runtime" and, of the same weights in exact arithmetic, "ideal" {perplexity, perplexity_se, kl_mean, kl_se} into an evaluation's
/// JSON, and the metrics "perplexity_ideal" and "kl_mean_ideal"; nothing where the recipe's runtime is ideal.
void addRuntime(const Stage& stage, const Evaluation& ideal, Json& out);

/// Must a walk over calibration text come before the recipe's schemes are known?
bool schemesReadText(const Recipe& recipe);

/// Adds "activations", "kv_cache", "cache_bytes_per_token", "cache_bytes_per_token_f16" and "by_position" ([{from, to, tokens,
/// perplexity, kl, kl_se, cache_bytes_per_token}], positions below 32, 64, 128 …) to an evaluation's JSON where the
/// recipe has such schemes, and the same figures to the run's metrics.
void addSchemes(const Stage& stage, const Model& model, const Evaluation& evaluation, const Windows& windows, Json& out);

} // namespace bw
