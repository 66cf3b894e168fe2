// SPDX-License-Identifier: GPL-3.0-or-later
// An evaluation as metrics, as JSON and as per-token rows. Private to core/experiment.
#pragma once

#include "core/evaluate/evaluate.h"
#include "core/experiment/log.h"

namespace bw {

std::vector<MetricRow> evaluationMetrics(const Evaluation& evaluation);
Json evaluationJson(const Evaluation& evaluation);
/// Scores with the tokens they belong to: the last positions of every window are the scored ones.
TokenScoreRow tokenScoreRow(const Evaluation& evaluation, const Windows& windows);

} // namespace bw
