// SPDX-License-Identifier: GPL-3.0-or-later
// Plots of a report from what the log holds. Private to core/report.
#pragma once

#include "core/experiment/log.h"
#include "core/plot/plot.h"

#include <optional>

namespace bw::report {

/// Relative rounding errors of sites by block and kind; nothing without assignments.
std::optional<plot::HeatmapData> siteErrors(const std::vector<std::pair<std::string, const RunDetail*>>& runs);
/// From "reliability" of evaluations; nothing where none has it.
std::optional<plot::ReliabilityData> reliability(const std::vector<std::pair<std::string, Json>>& evaluations);
/// Share of tokens by their KL, in tenths of decades; nothing without per-token scores.
std::optional<plot::BarsData> klByToken(const std::string& name, const TokenScoreRow& scores);
/// Error after each block, of a diagnosis' "trace".
std::optional<plot::BarsData> trace(const Json& diagnosis);

} // namespace bw::report
