// SPDX-License-Identifier: GPL-3.0-or-later
// Measuring what is uncertain, for other stages of a job. Private to core/experiment; the public way is
// Runner::measureUncertain.
#pragma once

#include "core/experiment/workbench.h"

namespace bw {

/// As Runner::measureUncertain, on a bench that has models and texts open already. Runs that the log holds finished
/// with the same content are taken from it; a stopped sweep goes on.
RunOutcome measureUncertainCells(Workbench& bench, const Runner::RefineOptions& options, JobContext& job,
                                 const std::string& commandLine);

} // namespace bw
