// SPDX-License-Identifier: GPL-3.0-or-later
// Static scales of activation schemes from calibration.
#include "core/quantize/activation_scheme.h"

#include "core/base/error.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <map>

namespace bw {
namespace {

/// Clip ranges of an input: one, or one a channel.
using Ranges = std::vector<ClipRange>;

bool isKept(const std::vector<std::int32_t>& kept, std::size_t channel) {
    return std::binary_search(kept.begin(), kept.end(), static_cast<std::int32_t>(channel));
}

/// What the channels that are rounded have shown.
ClipRange seen(const InputStatistics& s, const std::vector<std::int32_t>& kept) {
    ClipRange all;
    for (std::size_t j = 0; j < s.channelLow.size(); ++j)
        if (!isKept(kept, j)) all = {std::min(all.low, static_cast<double>(s.channelLow[j])), std::max(all.high, static_cast<double>(s.channelHigh[j]))};
    return all;
}

ClipRange tensorRange(const ActivationScheme& scheme, const InputStatistics& s, const std::vector<std::int32_t>& kept) {
    const ClipRange whole = seen(s, kept);
    ClipRange found = whole;
    if (scheme.calibrator == "percentile") found = rangePercentile(s.fit, scheme.percentile);
    else if (scheme.calibrator == "kl") found = rangeKl(s.fit, scheme.bits);
    else if (scheme.calibrator == "mse") found = rangeMse(s.fit, scheme.bits);
    else if (scheme.calibrator == "average") found = s.ranges.at("average");
    // Never wider than what is rounded: a kept outlier is in the histogram, and a symmetric search may reach past one side.
    return {std::max(found.low, whole.low), std::min(found.high, whole.high)};
}

Ranges channelRanges(const ActivationScheme& scheme, const InputStatistics& s) {
    const auto found = s.channelRanges.find(scheme.calibrator);
    if (found == s.channelRanges.end())
        throw Error(ErrorCode::usage, fmt::format("{}: the calibration holds no {} of the channels of {}", scheme.text(), scheme.calibrator, s.group),
                    "Calibrate with statistics per channel.");
    Ranges out;
    for (std::size_t j = 0; j < found->second.low.size(); ++j)
        out.push_back({static_cast<double>(found->second.low[j]), static_cast<double>(found->second.high[j])});
    return out;
}

/// "blk.3.ffn_in.e5" → "blk.3.ffn_in.e"; empty for other inputs.
std::string expertKind(const std::string& group) {
    const auto at = group.rfind(".e");
    if (at == std::string::npos || at + 2 == group.size() || group.find_first_not_of("0123456789", at + 2) != std::string::npos) return {};
    return group.substr(0, at + 2);
}

void widen(Ranges& into, const Ranges& from) {
    into.resize(std::max(into.size(), from.size()));
    for (std::size_t j = 0; j < from.size(); ++j)
        into[j] = {std::min(into[j].low, from[j].low), std::max(into[j].high, from[j].high)};
}

void setScales(const ActivationScheme& scheme, const Ranges& ranges, InputScales& out) {
    const float top = scheme.runtimeGrid().top();
    for (const ClipRange& range : ranges) {
        const auto low = static_cast<float>(range.low), high = static_cast<float>(range.high);
        if (scheme.symmetric) {
            out.scales.push_back(std::max(std::abs(low), std::abs(high)) / top);
            continue;
        }
        const ScaleAndZero found = scaleAndZero(low, high, top);
        out.scales.push_back(found.scale);
        out.zeros.push_back(found.zero);
    }
}

} // namespace

std::shared_ptr<const ActivationRounding> ActivationRounding::fit(const Model& model, const ActivationScheme& scheme, const CalibrationResult* statistics,
                                                                  const std::vector<std::vector<std::int32_t>>& kept) {
    const auto rounding = std::make_shared<ActivationRounding>();
    const std::vector<InputGroup>& groups = model.inputGroups();
    rounding->scheme_ = scheme;
    rounding->groups_.resize(groups.size());
    rounding->rounds_.assign(groups.size(), false);
    for (std::size_t g = 0; g < groups.size() && !scheme.empty(); ++g) {
        rounding->rounds_[g] = groups[g].block.value() >= 0 || scheme.roundsHead();
        if (g < kept.size()) rounding->groups_[g].keptColumns = kept[g];
    }
    if (!scheme.isStatic() || scheme.empty()) return rounding;

    std::map<std::string, Ranges> layers; // the widest of a layer's experts
    std::vector<Ranges> ranges(groups.size());
    for (std::size_t g = 0; g < groups.size(); ++g) {
        const InputStatistics* found = statistics == nullptr || groups[g].sites.empty() ? nullptr : statistics->forSite(groups[g].sites.front());
        if (!rounding->rounds_[g] || found == nullptr || found->tokens == 0) continue;
        ranges[g] = scheme.scope == ActivationScheme::Scope::channel ? channelRanges(scheme, *found) : Ranges{tensorRange(scheme, *found, rounding->groups_[g].keptColumns)};
        if (const std::string layer = expertKind(groups[g].name); !layer.empty()) widen(layers[layer], ranges[g]);
    }
    for (std::size_t g = 0; g < groups.size(); ++g) {
        if (!rounding->rounds_[g]) continue;
        if (ranges[g].empty()) {
            ranges[g] = layers[expertKind(groups[g].name)];
            rounding->notes_.push_back(fmt::format("{} saw no calibration token: its scale is the widest of the layer's experts", groups[g].name));
        }
        if (ranges[g].empty())
            throw Error(ErrorCode::usage, fmt::format("{} has no static range for {}: no calibration token reached it", scheme.text(), groups[g].name),
                        "Calibrate on more text, or use a scale per token.");
        setScales(scheme, ranges[g], rounding->groups_[g]);
    }
    return rounding;
}

} // namespace bw
