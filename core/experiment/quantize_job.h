// SPDX-License-Identifier: GPL-3.0-or-later
// The steps of a quantization, stage_quantize.cpp is their order. Private to core/experiment.
#pragma once

#include "core/experiment/plan_rows.h"
#include "core/experiment/runtime_schemes.h"
#include "core/experiment/workbench.h"
#include "core/quantize/gptq.h"

#include <chrono>
#include <optional>

namespace bw {

using StageClock = std::chrono::steady_clock;
inline double secondsSince(StageClock::time_point begun) { return std::chrono::duration<double>(StageClock::now() - begun).count(); }

/// How a recipe rounds one weight. GPTQ's scales, and what it falls back to, are weighted.
RounderOptions rounderOf(const Recipe& recipe);
GptqOptions gptqOptions(const Recipe& recipe);

struct QuantizeTexts {
    std::optional<TextSet> calibration; ///< absent when nothing of the recipe looks at inputs
    std::optional<TextSet> evaluation;
    std::vector<DataWarning> warnings; ///< of both, which are in the log
};
/// Loads what the recipe names before any work, so that a missing file costs seconds, not the whole run; logs the texts and
/// their warnings. @throws Error(usage) when calibration text is needed and none is named.
QuantizeTexts prepareTexts(const Stage& stage);

/// The model that is quantized: the stage's own, or that with the recipe's transform folded in.
struct WorkedModel {
    const Model& model;
    const TransformedModel* transform = nullptr; ///< null: the stage's own
};
WorkedModel workedModel(const Stage& stage, const std::vector<SiteFormat>& formats);

struct RoundedModel {
    std::shared_ptr<QuantizedModel> model;
    std::vector<GptqSite> report; ///< of the sites that GPTQ was asked for
    double seconds = 0;
    Json cache;                   ///< what the cache of rounded tensors did; null without one
};
/// Rounds every site as the recipe and its own choice say; `schemes` are what it is run with.
RoundedModel roundModel(const Stage& stage, const WorkedModel& worked, const ExportPlan& plan, const QuantizeTexts& texts, const RuntimeSchemes& schemes,
                        std::vector<SiteFormat> formats);

/// Writes, audits and logs the file or folder; the audit as JSON.
Json writeAndAudit(const Stage& stage, const Model& worked, const QuantizedModel& quantized, const ExportPlan& plan, bool replace, const QuantizeTexts& texts, const RuntimeSchemes& schemes);

/// Against the recipe's baseline, or the stage's model as it was before any transform, as the recipe's runtime computes; logged.
/// @param scores gets its scores by token.
Json evaluateQuantized(const Stage& stage, const Model& worked, const QuantizedModel& quantized, const TextSet& texts, const RuntimeSchemes& schemes, TokenScoreRow& scores);

} // namespace bw
