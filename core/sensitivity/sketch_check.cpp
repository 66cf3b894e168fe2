// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/sensitivity/sketch_check.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace bw {
namespace {

constexpr double kShare = 0.1;     ///< of the largest damage: below it a bias moves no decision
constexpr double kPriorBias =
    0.2; ///< log units that formats are off by: up to 0.16 was seen at two bits, 0.03 at three
constexpr double kStandsOut = 2;   ///< errors that a measured cell must be worth
constexpr std::size_t kFewest = 3;

} // namespace

std::vector<std::pair<std::string, std::string>> cellsToCheck(const std::vector<SensitivityCell>& sketch,
                                                              std::size_t perFormat) {
    std::map<std::string, std::string> first; // format → the first choice with it
    std::map<std::string, std::vector<const SensitivityCell*>> byFormat;
    std::map<std::string, double> damage;
    double most = 0;
    for (const SensitivityCell& cell : sketch) {
        const std::string format = choiceFormat(cell.format);
        if (first.emplace(format, cell.format).first->second != cell.format)
            continue;
        byFormat[format].push_back(&cell);
        most = std::max(most, damage[format] += cell.value);
    }
    std::set<std::pair<std::string, std::string>> chosen;
    for (auto& [format, cells] : byFormat) {
        if (!(damage[format] > 0) || damage[format] < kShare * most)
            continue;
        std::stable_sort(cells.begin(), cells.end(), [](const auto* a, const auto* b) { return a->value > b->value; });
        const std::size_t wanted = std::min(perFormat, cells.size()), dearest = (wanted + 1) / 2,
                          spread = wanted - dearest;
        for (std::size_t i = 0; i < wanted; ++i) {
            const std::size_t at =
                i < dearest ? i : dearest + (2 * (i - dearest) + 1) * (cells.size() - dearest) / (2 * spread);
            chosen.emplace(cells[at]->site_name, cells[at]->format);
        }
    }
    std::vector<std::pair<std::string, std::string>> out;
    for (const SensitivityCell& cell : sketch)
        if (chosen.contains({cell.site_name, cell.format}))
            out.emplace_back(cell.site_name, cell.format);
    return out;
}

SketchBias sketchBias(const std::vector<CheckedCell>& cells) {
    std::vector<double> logs;
    double errors = 0;
    for (const CheckedCell& cell : cells) {
        if (!(cell.estimate > 0) || !(cell.measured > kStandsOut * cell.error) || !(cell.measured > 0))
            continue;
        logs.push_back(std::log(cell.measured / cell.estimate));
        errors += cell.error / cell.measured;
    }
    if (logs.size() < kFewest)
        return {};
    const auto n = static_cast<double>(logs.size());
    double mean = 0, squares = 0;
    for (const double log : logs)
        mean += log / n;
    for (const double log : logs)
        squares += (log - mean) * (log - mean);
    // All cells were measured on the same tokens, whose own error they share.
    const double shared = errors / n, noise = squares / (n - 1) / n + shared * shared;
    const double believed = kPriorBias * kPriorBias / (kPriorBias * kPriorBias + noise);
    return {std::exp(believed * mean), std::sqrt(believed * noise)};
}

} // namespace bw
