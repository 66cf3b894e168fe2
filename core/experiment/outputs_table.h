// SPDX-License-Identifier: GPL-3.0-or-later
// What several runs wrote to the same prompts, against the one baseline that they share.
#pragma once

#include "core/experiment/log.h"

#include <string>
#include <vector>

namespace bw {

struct OutputCell {
    std::string text;
    std::int64_t divergence = -1;  ///< first new token that differs from the baseline's; −1: the same
    double cosine = 1, lowestCosine = 1; ///< of last hidden states over the baseline's text
    std::int64_t editDistance = 0; ///< tokens
    bool collapsed = false;
};
struct OutputPromptRow {
    std::string id, prompt, base;  ///< base: what the baseline wrote
    std::vector<OutputCell> cells; ///< one for each run
};
struct OutputColumn {
    RunId run;
    std::string name;
    std::int64_t same = 0, alerts = 0, collapsed = 0; ///< prompts: as the baseline wrote; cosine < 0.95; loops
    double meanCosine = 1;
};
struct OutputsTable {
    std::vector<OutputColumn> runs;
    std::vector<OutputPromptRow> rows; ///< prompts that all runs have, in the first one's order
    std::int64_t skipped = 0;          ///< prompts that some run lacks
};

inline constexpr std::size_t kMostOutputRuns = 8;

/// @throws Error(usage) for more than kMostOutputRuns or the same run twice, a run without outputs (names it), runs without a common prompt, and baselines
/// that wrote different texts to a prompt (names it): then they are not one baseline. Error(unknownRun).
OutputsTable outputsTable(const LogReader& log, const std::vector<RunId>& runs);
Json toJson(const OutputsTable& table);

} // namespace bw
