// SPDX-License-Identifier: GPL-3.0-or-later
// How much of a calibration each expert of a mixture saw. Not for: what is done about experts that saw too little
// (core/sensitivity/experts.h) and choosing windows for them (balance.h).
#pragma once

#include "core/calibrate/data_warnings.h"
#include "core/calibrate/observers.h"

#include <vector>

namespace bw {

/// Calibration tokens that were routed to one expert of one block.
struct ExpertTokens {
    int block = 0, expert = 0;
    std::int64_t tokens = 0;
};

/// Every expert of every block, in that order, also those that no token reached; empty for models without experts.
std::vector<ExpertTokens> expertCoverage(const Model& model, const CalibrationResult& result);

/// The warning about experts below `floor` tokens, by block and expert in its details (at most 64 of them); none when all reach it.
std::vector<DataWarning> starvedExpertsWarning(const std::vector<ExpertTokens>& coverage, std::int64_t floor);

} // namespace bw
