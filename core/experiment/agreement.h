// SPDX-License-Identifier: GPL-3.0-or-later
// How well two sensitivity maps of one checkpoint agree: the pairs of their common cells, and rank and log correlation.
// A read model: works on what the log holds.
#pragma once

#include "core/experiment/log.h"

#include <span>

namespace bw {

struct AgreementPair {
    std::string site, format;
    double a = 0, b = 0;           ///< in the units of each map
    double seA = 0, seB = 0;
};

/// Figures over some pairs; NaN where they are not defined (fewer than three pairs; ratio: units differ).
struct AgreementScore {
    std::string format;            ///< empty: all formats together
    std::int64_t pairs = 0;
    double spearman = 0;           ///< rank correlation, ties at their mean rank
    double medianRatio = 0;        ///< median of a/b, when both maps are in nats
    double logCorrelation = 0;     ///< Pearson's of log a and log b, pairs with both above 0
};

struct Agreement {
    RunId a, b;
    std::string metricA, metricB;
    std::vector<AgreementPair> pairs;   ///< cells that both maps hold, by site, then format
    std::vector<AgreementScore> scores; ///< all first, then one per format in the order of a's recipe
};

/// @throws Error(unknownRun); Error(usage) for a run that is no sweep, for maps of different checkpoints and for maps
/// without a common cell. Unfinished sweeps are read as far as they are.
Agreement agreement(const LogReader& log, RunId a, RunId b);

/// The figures of some pairs. @param sameUnit whether a ratio means anything.
AgreementScore agreementScore(std::string format, std::span<const AgreementPair> pairs, bool sameUnit);

} // namespace bw
