// SPDX-License-Identifier: GPL-3.0-or-later
// From the rows of the log to the plots' data. Reads only; draws nothing.
#pragma once

#include "core/experiment/log.h"
#include "core/plot/plot.h"

#include <string>
#include <vector>

namespace bw::cli {

/// A sweep's map, one panel per format; of an assignment (assign or quantize) what each site costs at its format, and what
/// one format less would cost. @param formats only these, in this order; empty = all of the run's.
/// @throws Error(usage) for a run without either, or a format that it has not measured; Error(unknownRun).
plot::HeatmapData heatmapOf(const LogReader& log, RunId run, const std::vector<std::string>& formats);

/// The front of a solved assignment, its mix, and all mixes of the checkpoint whose damage was measured like the newest
/// one's (same texts and protocol). A quantize run shows the assignment that its mix came from.
/// @throws Error(usage) for a run without an assignment; Error(unknownRun).
plot::ParetoData paretoOf(const LogReader& log, RunId run);

/// @throws as core/experiment/agreement.h.
plot::AgreementData agreementOf(const LogReader& log, RunId a, RunId b);

} // namespace bw::cli
