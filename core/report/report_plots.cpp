// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/report/report_plots.h"

#include "core/format/format.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <map>
#include <set>

namespace bw::report {
namespace {

/// "blk.3.attn_q" → block 3, "attn_q"; others have no block.
struct SitePlace { int block = -1; std::string kind; };
SitePlace placeOf(const std::string& site) {
    if (!site.starts_with("blk.")) return {-1, site};
    const std::size_t dot = site.find('.', 4);
    if (dot == std::string::npos) return {-1, site};
    const std::string digits = site.substr(4, dot - 4);
    if (digits.empty() || digits.size() > 6 || digits.find_first_not_of("0123456789") != std::string::npos) return {-1, site};
    return {std::stoi(digits), site.substr(dot + 1)};
}

std::size_t indexOf(const std::vector<std::string>& names, const std::string& name) {
    return static_cast<std::size_t>(std::find(names.begin(), names.end(), name) - names.begin());
}

} // namespace

std::optional<plot::HeatmapData> siteErrors(const std::vector<std::pair<std::string, const RunDetail*>>& runs) {
    plot::HeatmapData data;
    data.heading = {"Rounding error of every site", "squared error of the weights, of their squares"};
    data.unit = "of the weights' squares";
    int blocks = 0;
    for (const auto& [name, run] : runs)
        for (const AssignmentRow& row : run->assignments) {
            const SitePlace place = placeOf(row.site);
            auto& names = place.block < 0 ? data.extraRows : data.columns;
            if (indexOf(names, place.kind) == names.size()) names.push_back(place.kind);
            blocks = std::max(blocks, place.block + 1);
        }
    if (blocks == 0 || data.columns.size() * static_cast<std::size_t>(blocks) * runs.size() > 100'000) return std::nullopt;
    for (int b = 0; b < blocks; ++b) data.rows.push_back(std::to_string(b));
    bool any = false;
    for (const auto& [name, run] : runs) {
        plot::HeatmapPanel panel;
        panel.name = name;
        panel.cells.resize(data.columns.size() * static_cast<std::size_t>(blocks));
        panel.extra.resize(data.extraRows.size());
        for (const AssignmentRow& row : run->assignments) {
            const SitePlace place = placeOf(row.site);
            const bool known = row.relativeError > 0 && std::isfinite(row.relativeError);
            any = any || known;
            plot::HeatmapCell cell;
            cell.value = known ? row.relativeError : plot::kUnknown;
            cell.note = row.used;
            if (place.block < 0) panel.extra[indexOf(data.extraRows, place.kind)] = cell;
            else panel.cells[static_cast<std::size_t>(place.block) * data.columns.size() + indexOf(data.columns, place.kind)] = cell;
        }
        data.panels.push_back(std::move(panel));
    }
    return any ? std::optional(data) : std::nullopt;
}

std::optional<plot::ReliabilityData> reliability(const std::vector<std::pair<std::string, Json>>& evaluations) {
    plot::ReliabilityData data;
    data.heading = {"Is the model as often right as it is sure?", "15 groups of equal size; bars: 95 % intervals"};
    for (const auto& [name, evaluation] : evaluations) {
        if (!evaluation.is_object() || !evaluation.contains("reliability") || !evaluation.at("reliability").is_array()) continue;
        plot::ReliabilityData::Series series{name, {}};
        for (const Json& bin : evaluation.at("reliability"))
            series.bins.push_back({bin.value("confidence", 0.0), bin.value("accuracy", 0.0), bin.value("low", 0.0), bin.value("high", 0.0), bin.value("count", 0.0)});
        data.series.push_back(std::move(series));
    }
    return data.series.empty() ? std::nullopt : std::optional(data);
}

std::optional<plot::BarsData> klByToken(const std::string& name, const TokenScoreRow& scores) {
    constexpr int kLow = -7, kHigh = 2, kSteps = 4; // decades, and steps in each
    if (scores.kl.empty()) return std::nullopt;
    std::vector<double> counts(static_cast<std::size_t>((kHigh - kLow) * kSteps), 0.0);
    for (const float kl : scores.kl) {
        const double at = kl > 0 ? (std::log10(static_cast<double>(kl)) - kLow) * kSteps : 0;
        counts[static_cast<std::size_t>(std::clamp(std::floor(at), 0.0, static_cast<double>(counts.size() - 1)))] += 1;
    }
    plot::BarsData data;
    data.heading = {"How the damage is spread over tokens", fmt::format("{}: {} tokens by their KL", name, scores.kl.size())};
    data.xTitle = "KL of a token, nats (left end of each bar)";
    data.yTitle = "share of tokens";
    const auto last = static_cast<std::size_t>(std::find_if(counts.rbegin(), counts.rend(), [](double c) { return c > 0; }).base() - counts.begin());
    for (std::size_t i = 0; i < last; ++i) {
        const double value = std::pow(10.0, kLow + static_cast<double>(i) / kSteps);
        data.bars.push_back({fmt::format("{:.2g}", value), counts[i] / static_cast<double>(scores.kl.size()), 0, value >= 1});
    }
    return data;
}

std::optional<plot::BarsData> trace(const Json& diagnosis) {
    if (!diagnosis.is_object() || !diagnosis.contains("trace") || diagnosis.at("trace").empty()) return std::nullopt;
    plot::BarsData data;
    data.heading = {"Where the models part", "relative error of the hidden states that each block adds by itself"};
    data.xTitle = "block";
    data.yTitle = "relative error";
    double largest = 0;
    for (const Json& block : diagnosis.at("trace")) largest = std::max(largest, block.value("own", 0.0));
    for (const Json& block : diagnosis.at("trace")) {
        const double own = block.value("own", 0.0);
        data.bars.push_back({std::to_string(block.value("block", 0)), own, 0, own >= largest});
    }
    return data;
}

} // namespace bw::report
