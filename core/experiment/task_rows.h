// SPDX-License-Identifier: GPL-3.0-or-later
// An evaluation's prompt sets: scored, compared with the baseline's outputs, held to thresholds, logged. Private to core/experiment.
#pragma once

#include "core/evaluate/outputs.h"
#include "core/evaluate/tasks.h"
#include "core/experiment/workbench.h"

namespace bw {

/// Adds to `out`: "tasks" [{file, items, figures: [{name, value, se, items}], rows: [{id, kind, right, chosen, text}]}], with a baseline and
/// Recipe::Tasks::compare "outputs" {prompts, same, alerts, collapsed, mean_divergence, mean_cosine, log_probability_gap, pairs}, and "warnings".
/// Figures are metrics of the run; several files' figures of one name are joined by their numbers of items.
/// @param base null: none. @throws as loadPrompts(), runTasks(), compareOutputs().
void runPromptSets(const Stage& stage, const WeightSource* source, const Model* base, Json& out);

/// Holds the run's metrics to the recipe's thresholds. @return [{figure, limit, value, holds}].
/// @throws Error(usage) for a threshold on a figure that the run does not have; names those it has.
Json checkThresholds(const Stage& stage, const std::vector<MetricRow>& metrics);

Json pairJson(const OutputPair& pair);

} // namespace bw
