// SPDX-License-Identifier: GPL-3.0-or-later
// Which sites of a changed model cost what it lost, found by putting the base's weights back: a Fisher sketch of the very
// changes gives the order, measurements decide.
#pragma once

#include "core/diagnose/kl_meter.h"
#include "core/diagnose/search.h"
#include "core/diagnose/swapped_sites.h"

#include <string>
#include <vector>

namespace bw {

struct CulpritOptions {
    SearchOptions search;
    int probes = 256;          ///< of the sketch that orders the sites
    std::uint64_t seed = 1234;
};

struct SiteSuspicion {
    SiteId site;
    std::string name;
    double predicted = 0; ///< KL that the change of this site alone is expected to cost, nats per token
    double relative = 0;  ///< ‖ΔW‖/‖W‖
};

struct CulpritReport {
    double whole = 0, wholeError = 0;      ///< KL of all changes of weights together, nats per token
    double model = 0; ///< KL of the changed model itself: its norms, biases and routers too, but nothing rounded at run time
    std::vector<SiteSuspicion> suspects;   ///< sites whose weights changed, the most damaging by prediction first
    std::vector<SiteSuspicion> culprits;   ///< the most telling first
    std::vector<double> alone;             ///< by culprit: share won back by putting it back alone; NaN: not measured
    double explained = 0;                  ///< share of `whole` that putting all culprits back wins
    int evaluations = 0;                   ///< measured KLs, that of `whole` included
};

/// @param meter of changed.base. @throws as requireSameSites() and KlMeter; Error(usage) when no weight differs, and when
/// the changed weights in the base are another model than the changed one (a transform was folded into its norms).
/// Cost: a sketch of `probes` over the meter's windows (about four walks) and the report's evaluations, one walk each.
CulpritReport findCulprits(const ChangedModel& changed, const KlMeter& meter, const CulpritOptions& options,
                           JobContext& job);

/// Sites that cost most at chosen tokens: the sketch's order, each put back alone, `count` of them measured.
/// @return by site, nats by which putting it back lowers the mean KL of `positions` (indices into Measured::tokens).
struct TokenShare { SiteSuspicion site; double won = 0; };
std::vector<TokenShare> whoDamaged(const ChangedModel& changed, const KlMeter& meter,
                                   const std::vector<SiteSuspicion>& suspects, const std::vector<std::size_t>& positions,
                                   std::size_t count, JobContext& job);

} // namespace bw
