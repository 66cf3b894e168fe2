// SPDX-License-Identifier: GPL-3.0-or-later
// Warnings that only a result can give: fitted to its calibration text and worse for it, a block that is far off, other tokens than
// the baseline's, weights that are no numbers, another stack. Each is a row of the log. Private to core/experiment.
#pragma once

#include "core/diagnose/divergence.h"
#include "core/experiment/evaluation_rows.h"
#include "core/experiment/quantize_job.h"
#include "core/model/non_finite.h"

#include <optional>

namespace bw {

/// Notes, logs and lists warnings in "warnings" of a result.
void addResultWarnings(const Stage& stage, const std::vector<DataWarning>& warnings, Json& out);

/// "tokenizer": the two read the first tokens of a text as different ones. None where they agree.
std::optional<DataWarning> tokenizerWarning(const Stage& stage, const Model& base, const TextSet& texts);
/// "worse-than-chance": a model that finds a text less likely than even odds for every token was not made for these tokens.
std::optional<DataWarning> chanceWarning(const Model& model, double nll);
/// "block-error": blocks that, given the base's own inputs, are more than a tenth off; the worst first.
std::optional<DataWarning> blockWarning(const std::vector<BlockDivergence>& trace);
/// The trace behind it on a few hundred tokens of the text; none for models of different shapes. Cost: three walks over them.
std::optional<DataWarning> checkBlocks(const ChangedModel& changed, const TextSet& texts, JobContext& job);
/// "non-finite": which tensors hold it; without any, where the computation met it first.
DataWarning nonFiniteWarning(const std::vector<NonFiniteTensor>& tensors, const std::string& met);
/// "stack": what changed since another run, and what became of its figures.
DataWarning stackWarning(RunId since, const std::vector<std::string>& changes, bool agrees);

/// "inversion": what was fitted to the calibration text (GPTQ, a transform) is worse on the evaluation text than plain nearest rounding in
/// the same formats, beyond the block bootstrap's 95 %. Measured on at most 2,048 tokens, each site rounded as the walk passes it.
/// None for recipes that fit nothing, or are run with rounded activations or caches, or judged against another checkpoint.
/// @param formats of the stage's own model. @param scores of the evaluation, in window order.
std::optional<DataWarning> inversionWarning(const Stage& stage, const std::vector<SiteFormat>& formats, const std::vector<GptqSite>& report, const TextSet& evaluation, const TokenScoreRow& scores);

} // namespace bw
