// SPDX-License-Identifier: GPL-3.0-or-later
// Experts that few tokens were routed to: what a map really knows about them, and what is done about the rest. A cost
// measured on three tokens is luck; it is drawn towards the layer's other experts, with an error that says so.
// Not for: counting tokens (sweeps and calibration do).
#pragma once

#include "core/quantize/quantized_model.h"
#include "core/sensitivity/sensitivity.h"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace bw {

enum class StarvedPolicy {
    nearest, ///< its importance is not used: plain rounding; costs are estimated from it and the layer's others
    keep,    ///< costs as nearest, and only the largest of its measured formats is allowed
    borrow,  ///< costs and importance of the layer's other experts, its own few tokens not used
};
std::string_view starvedPolicyName(StarvedPolicy policy);      ///< "nearest", "keep", "borrow"
StarvedPolicy parseStarvedPolicy(std::string_view text);       ///< @throws Error(usage)

/// Mean squares of n activations are known to √(2/n) for normal ones: 12 % at 128, and heavy tails double that. One bit
/// changes damage fourfold, so a factor of 1.25 seldom turns a choice between neighbouring formats; at 32 tokens and a
/// factor of 1.5 it would.
inline constexpr std::int64_t kMinExpertTokens = 128;

struct ExpertOptions {
    StarvedPolicy policy = StarvedPolicy::nearest;
    std::int64_t minTokens = kMinExpertTokens;
};

/// One weight of an expert that saw too little.
struct StarvedExpert {
    SiteId site;
    std::string name;             ///< "blk.3.ffn_up.e5"
    std::int64_t tokens = 0;
    double share = 0;             ///< of all tokens routed to experts of its layer
    std::vector<SiteId>
        donors; ///< the same weight of the layer's experts that saw enough; of all that saw any, if none did
    std::string why;              ///< for people: what it saw and what was done
};

/// @param tokens that reached a site. Layers none of whose experts has any count as not recorded and are left out.
/// @return in the order of `sites`; empty for models without experts.
std::vector<StarvedExpert> starvedExperts(const std::vector<Site>& sites,
                                          const std::function<std::int64_t(const Site&)>& tokens,
                                          const ExpertOptions& options);

struct ExpertCosts {
    std::vector<SensitivityCell> cells; ///< in the order given, those of starved experts replaced
    std::vector<StarvedExpert> starved;
    std::vector<std::string> forbid;    ///< policy keep: "SITE=FORMAT" for ProblemOptions::forbid
};

/// Replaces the costs of starved experts and weighs output errors by the share of tokens.
/// Damage per routed token, u = value / share, is comparable among the experts of one layer and role. Those that saw
/// enough give a prior (their mean, and their spread as that of one more of them); the own measurement counts with the
/// noise per token that theirs show; the share is uncertain, too (½ token added to each expert, binomial error):
/// value = share·u, both errors in standardError. KL and Fisher values hold the share already, as tokens that go
/// elsewhere are not damaged; output errors are relative to what passed the expert and are multiplied by it, so that
/// the experts of a layer together weigh as much as one dense layer.
/// @param cells  of one metric, with `tokens`; policy keep needs `bytes`: @throws Error(internal) without.
/// Source of the estimate: empirical Bayes shrinkage (Efron and Morris 1973); ½ per category is Perks' prior (1947).
ExpertCosts adjustExperts(const std::vector<Site>& sites, std::vector<SensitivityCell> cells, SensitivityMetric metric,
                          const ExpertOptions& options);

/// Importance under a policy: nearest: none for starved experts; borrow: the mean of their donors', weighted by tokens;
/// keep: as given. @param tokens as for starvedExperts. The result holds borrowed values itself and `from` by copy.
ImportanceLookup expertImportance(const std::vector<Site>& sites, const std::vector<StarvedExpert>& starved,
                                  StarvedPolicy policy, const std::function<std::int64_t(const Site&)>& tokens,
                                  ImportanceLookup from);

} // namespace bw
