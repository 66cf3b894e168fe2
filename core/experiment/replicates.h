// SPDX-License-Identifier: GPL-3.0-or-later
// What chance does to a recipe's figures: runs that differ in nothing but their seed, and the band that differences must leave.
#pragma once

#include "core/experiment/log.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace bw {

struct NoiseFigure { double mean = 0, deviation = 0; }; ///< deviation: of one run, n−1

struct NoiseBand {
    std::vector<RunId> runs;                    ///< the newest of each seed, oldest first; with fewer than two there are no figures
    std::map<std::string, NoiseFigure> figures; ///< by metric; timings are left out
};

/// @throws Error(unknownRun). Cost: reads each replicate once, at most 64.
NoiseBand noiseBand(const LogReader& log, RunId run);

/// Half width of what the difference of two single runs stays within for 95 % of pairs of seeds, from the replicates of either or both
/// (their variances pooled): t·√2·s. None where nothing is known of that metric.
std::optional<double> noiseHalfWidth(const NoiseBand& a, const NoiseBand& b, const std::string& metric);

/// {runs, figures: [{name, mean, deviation, half_width}]}; null with fewer than two runs.
Json noiseJson(const NoiseBand& band);

/// Two-sided 95 % quantile of Student's t. @param freedom ≥ 1. Error below 0.1 %.
double studentT95(std::int64_t freedom);

/// Figures of the moment, not of the result: seconds, tokens per second, memory, work of a device.
bool isTiming(const std::string& metric);

} // namespace bw
