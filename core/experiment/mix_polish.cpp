// SPDX-License-Identifier: GPL-3.0-or-later
// The last rounding of a mix by GPTQ: formats and bytes stay, codes change. A map of weighted rounding decides between
// formats: it is cheaper than cells rounded by GPTQ, which formats like q4_k@gptq ask for.
#include "core/experiment/mix_job.h"

#include <algorithm>
#include <fmt/format.h>

namespace bw {

std::string MixJob::mapRounder() const { return options_.rounder == "gptq" ? "weighted" : options_.rounder; }

void MixJob::takeGptq(MixCandidate& candidate) const {
    candidate.rounder = candidate.recipe.rounder = "gptq";
    candidate.recipe.gptq.correction = options_.correction;
    candidate.name += " + GPTQ";
    candidate.recipe.name = "measure: " + candidate.name;
    candidate.predicted.reset();
}

/// The best of the mix, of what was to be handed out and of the best list, each by GPTQ; none without it, or where GPTQ made
/// none of them better than `chosen`.
std::optional<MixCandidate> MixJob::polished(const MixCandidate& mix, const MixCandidate& chosen) {
    if (options_.rounder != "gptq" || parseBudget(options_.budget).kind == Budget::Kind::cost)
        return std::nullopt;
    std::vector<MixCandidate> candidates{mix};
    const auto add = [&](const MixCandidate& candidate) {
        if (std::none_of(candidates.begin(), candidates.end(), [&](const MixCandidate& known) { return known.name == candidate.name; }))
            candidates.push_back(candidate);
    };
    add(chosen);
    const auto isBetterList = [](const MixCandidate& a, const MixCandidate& b) { return (a.name.starts_with("list ") ? a.kl : 1e300) < (b.name.starts_with("list ") ? b.kl : 1e300); };
    if (const auto list = std::min_element(rivals_.begin(), rivals_.end(), isBetterList); list != rivals_.end() && list->name.starts_with("list "))
        add(*list);
    std::optional<MixCandidate> best;
    for (MixCandidate candidate : candidates) {
        const double before = candidate.kl;
        const bool isMix = candidate.name == mix.name;
        takeGptq(candidate);
        measure(candidate, "gptq_" + (isMix ? std::string("mix") : candidate.format));
        polish_.push_back({{"name", candidate.name}, {"before", before}, {"kl", candidate.kl}, {"kl_se", candidate.se}, {"bytes", candidate.bytes}, {"run", candidate.run.value()}});
        if (!best || candidate.kl < best->kl)
            best = candidate;
        polished_.push_back(candidate);
    }
    return best && best->kl < chosen.kl ? best : std::nullopt;
}

} // namespace bw
