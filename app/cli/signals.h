// SPDX-License-Identifier: GPL-3.0-or-later
// Ctrl-C: the first asks the job to stop at its next safe point, the second ends the program at once. SIGTERM is a first.
#pragma once

#include "core/base/job.h"

namespace bw::cli {

inline constexpr int kExitOk = 0, kExitFailed = 1, kExitUsage = 2, kExitThreshold = 3, kExitInterrupted = 130;

/// `job` must outlive every signal (the program's own lifetime).
void stopOnSignals(JobContext& job);

} // namespace bw::cli
