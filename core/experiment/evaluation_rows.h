// SPDX-License-Identifier: GPL-3.0-or-later
// An evaluation as metrics, as JSON and as per-token rows. Private to core/experiment.
#pragma once

#include "core/evaluate/evaluate.h"
#include "core/experiment/log.h"

namespace bw {

std::vector<MetricRow> evaluationMetrics(const Evaluation& evaluation);
Json evaluationJson(const Evaluation& evaluation);
/// Scores with the tokens they belong to (the last positions of every window are the scored ones) and their texts.
TokenScoreRow tokenScoreRow(const Evaluation& evaluation, const Windows& windows, std::vector<ScoredText> texts);
/// "by_text" and "positions" of an evaluation's JSON: [{name, tokens, nll, nll_se, perplexity, top1, kl_mean, kl_se, same_top1}].
void addParts(Json& out, const TokenScoreRow& row, std::int64_t windows);
Json partsJson(const std::vector<PartFigures>& parts, bool hasBase);

} // namespace bw
