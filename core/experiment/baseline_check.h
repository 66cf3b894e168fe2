// SPDX-License-Identifier: GPL-3.0-or-later
// Is the baseline that a logged run was held against still there, and still the same? Private to core/experiment.
#pragma once

#include "core/experiment/workbench.h"

namespace bw {

/// SHA-256 of the weight files that a run's KL was measured against; empty where the log names none.
std::string loggedBaseline(const LogReader& log, RunId run);

/// @throws Error(fileNotFound) when the recipe of a logged run names a baseline that is gone; both errors name run and path.
void requireBaselineThere(RunId run, const Recipe& recipe);
/// The same, and @throws Error(fileChanged) when its weights are not those that were logged. Cost: a digest of its files,
/// from the user's cache where they have not changed.
void requireSameBaseline(Workbench& bench, const LogReader& log, RunId run, const Recipe& recipe, JobContext& job);

} // namespace bw
