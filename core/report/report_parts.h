// SPDX-License-Identifier: GPL-3.0-or-later
// Sections that reports of one run and of two share. Private to core/report.
#pragma once

#include "core/experiment/log.h"
#include "core/report/html.h"

namespace bw::report {

/// "quantize run 7 “name” of demo, 2026-11-23 10:00 UTC".
std::string runLine(const RunDetail& run);
std::string runTitle(const RunDetail& run);
/// The evaluation in a run's result, wherever its kind keeps it; null without one.
Json evaluationOf(const Json& result);
std::string metricsSection(const RunDetail& run);
/// By text and by position of an evaluation; empty without.
std::string partsSection(const Json& evaluation);
/// The same of a comparison, with intervals.
std::string pairedPartsSection(const Json& compared);
/// Runs that differ in their seed alone; empty without.
std::string noiseSection(const Json& noise);
std::string dataSection(const std::vector<const RunDetail*>& runs);
std::string warningsSection(const LogReader& log, RunId run);
std::string outputsSection(const RunDetail& run);
std::string canarySection(const RunDetail& run);
/// Recipe, command line and software stack.
std::string recipeSection(const RunDetail& run, const std::string& id, const std::string& title);
std::string footer(const RunDetail& run);
/// Of a metric, for programs.
Json metricsJson(const RunDetail& run);
/// Newest finished diagnosis of the run; null without one.
Json diagnosisOf(const LogReader& log, RunId run);

} // namespace bw::report
