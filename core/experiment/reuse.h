// SPDX-License-Identifier: GPL-3.0-or-later
// What of a stopped job need not be done again: finished runs with the same content, sweeps that can go on, and files that
// are this job's own. Content is the recipe, the checkpoint, the texts' hashes, the executable, CPU and device. Private
// to core/experiment.
#pragma once

#include "core/experiment/workbench.h"

namespace bw {

/// A finished run that did exactly what `recipe` asks (its name and whether files may be replaced do not count); the file
/// it wrote, if any, still holds the bytes it wrote. result: without "sites" and "cells".
std::optional<RunOutcome> finishedTwin(Workbench& bench, const Recipe& recipe, JobContext& job);

/// A sweep of exactly this recipe that was stopped before its end; RunId(0) when there is none.
RunId unfinishedSweep(Workbench& bench, const Recipe& recipe, JobContext& job);

/// Is what stands at the recipe's export path the work of an earlier run of the same recipe, so that writing it again
/// takes nothing from anybody? @param anyMix which site got which format does not count (it is not solved yet).
bool isOwnExport(Workbench& bench, const Recipe& recipe, bool anyMix, JobContext& job);

} // namespace bw
