// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/experiment/replicates.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

namespace bw {
namespace {

constexpr std::size_t kMostReplicates = 64;

} // namespace

bool isTiming(const std::string& metric) {
    static const std::set<std::string> names{"tokens_per_second", "evaluation_seconds", "rounding_seconds", "peak_memory"};
    return names.contains(metric) || metric.starts_with("device.");
}

double studentT95(std::int64_t freedom) {
    constexpr std::array kExact{12.7062, 4.30265, 3.18245, 2.77645, 2.57058, 2.44691, 2.36462, 2.30600, 2.26216, 2.22814};
    if (freedom <= static_cast<std::int64_t>(kExact.size()))
        return kExact[static_cast<std::size_t>(std::max<std::int64_t>(1, freedom)) - 1];
    // Cornish–Fisher expansion about the normal quantile (Abramowitz & Stegun 26.7.5).
    constexpr double z = 1.959964;
    const double v = static_cast<double>(freedom), z3 = z * z * z, z5 = z3 * z * z;
    return z + (z3 + z) / (4 * v) + (5 * z5 + 16 * z3 + 3 * z) / (96 * v * v);
}

NoiseBand noiseBand(const LogReader& log, RunId run) {
    NoiseBand out;
    std::vector<RunId> runs = log.replicates(run);
    if (runs.size() < 2)
        return out;
    std::set<std::uint64_t> seeds;
    std::map<std::string, std::vector<double>> values;
    std::size_t read = 0;
    for (auto it = runs.rbegin(); it != runs.rend() && read < kMostReplicates; ++it, ++read) {
        const RunDetail detail = log.run(*it);
        const auto seed = detail.recipe.find("seed");
        if (seed == detail.recipe.end() || !seed->is_number_integer() || !seeds.insert(seed->get<std::uint64_t>()).second)
            continue; // a repetition tells nothing of chance
        out.runs.push_back(*it);
        for (const MetricRow& metric : detail.summary.metrics)
            if (!isTiming(metric.name) && std::isfinite(metric.value))
                values[metric.name].push_back(metric.value);
    }
    std::reverse(out.runs.begin(), out.runs.end());
    if (out.runs.size() < 2)
        return {};
    for (const auto& [name, list] : values) {
        if (list.size() != out.runs.size())
            continue;
        double mean = 0, squares = 0;
        for (const double v : list)
            mean += v / static_cast<double>(list.size());
        for (const double v : list)
            squares += (v - mean) * (v - mean);
        out.figures[name] = {mean, std::sqrt(squares / static_cast<double>(list.size() - 1))};
    }
    return out;
}

std::optional<double> noiseHalfWidth(const NoiseBand& a, const NoiseBand& b, const std::string& metric) {
    double squares = 0;
    std::int64_t freedom = 0;
    const auto add = [&](const NoiseBand& band) {
        const auto found = band.figures.find(metric);
        if (found == band.figures.end())
            return;
        const auto n = static_cast<std::int64_t>(band.runs.size()) - 1;
        squares += static_cast<double>(n) * found->second.deviation * found->second.deviation;
        freedom += n;
    };
    add(a);
    if (a.runs != b.runs)
        add(b);
    if (freedom < 1)
        return std::nullopt;
    return studentT95(freedom) * std::sqrt(2 * squares / static_cast<double>(freedom));
}

Json noiseJson(const NoiseBand& band) {
    if (band.runs.size() < 2)
        return nullptr;
    Json runs = Json::array(), figures = Json::array();
    for (const RunId run : band.runs)
        runs.push_back(run.value());
    for (const auto& [name, figure] : band.figures)
        figures.push_back({{"name", name}, {"mean", figure.mean}, {"deviation", figure.deviation}, {"half_width", *noiseHalfWidth(band, {}, name)}});
    return {{"runs", runs}, {"figures", figures}};
}

} // namespace bw
