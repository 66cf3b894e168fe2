// SPDX-License-Identifier: GPL-3.0-or-later
// One page on a logged run, or on two side by side, for people who do not have the program: recipe, data sheet, figures
// with their uncertainty, warnings, plots, outputs, and what to watch once the model is in use.
#pragma once

#include "core/experiment/log.h"

#include <string>

namespace bw {

struct Report {
    std::string html; ///< a whole document without links to anything outside; light, dark and in print
    Json json;        ///< the same figures for programs
};

/// @throws Error(unknownRun). Cost: reads the run's rows; no model is opened.
Report runReport(const LogReader& log, RunId run);
/// `b` against `a`. @throws as runReport().
Report comparisonReport(const LogReader& log, RunId a, RunId b);

/// What to watch when the model serves: figures of this run on `tokens` tokens of its evaluation text, and the values beyond
/// which chance is no explanation.
struct Canary {
    std::string metric;
    double expected = 0, alarm = 0;
    bool above = true; ///< alarm when the figure rises above it, else when it falls below
    std::string how;
};
/// Empty for a run without evaluation. Alarms are three standard errors away, of a sample of `tokens` tokens: the run's own
/// error scaled by the root of the sizes.
std::vector<Canary> canaryAdvice(const RunDetail& run, double tokens = 2000);

/// Writes FILE.html and FILE.json beside it; both appear whole or not at all.
/// @throws Error(usage) for a path that does not end in .html, targetExists, and as AtomicFile.
void writeReport(const Report& report, const std::string& path, bool replace);

} // namespace bw
