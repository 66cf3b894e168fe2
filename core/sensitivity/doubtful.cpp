// SPDX-License-Identifier: GPL-3.0-or-later
// Cells that their neighbours at the same site contradict.
#include "core/base/text.h"
#include "core/sensitivity/sensitivity.h"

#include <cmath>
#include <fmt/format.h>
#include <map>

namespace bw {
namespace {

/// A better rounder may well do more than a larger format.
std::string_view rounderOf(const SensitivityCell& cell) {
    const std::size_t at = cell.format.find('@');
    return at == std::string::npos ? std::string_view() : std::string_view(cell.format).substr(at);
}

} // namespace

std::vector<CellDoubt> doubtfulCells(const std::vector<SensitivityCell>& cells) {
    constexpr double kErrors = 3, kShare = 0.5;
    std::map<std::string, std::vector<std::size_t>> bySite;
    for (std::size_t i = 0; i < cells.size(); ++i)
        bySite[cells[i].site_name].push_back(i);
    std::vector<CellDoubt> doubts;
    for (std::size_t i = 0; i < cells.size(); ++i) {
        const SensitivityCell& cell = cells[i];
        const SensitivityCell* witness = nullptr; // the mildest of those that contradict
        for (const std::size_t j : bySite[cell.site_name]) {
            const SensitivityCell& other = cells[j];
            const double excess = cell.value - other.value;
            if (other.bytes < cell.bytes && rounderOf(other) == rounderOf(cell) &&
                excess > kErrors * std::hypot(cell.standardError, other.standardError) &&
                excess > kShare * std::abs(other.value) && (witness == nullptr || other.value < witness->value))
                witness = &other;
        }
        if (witness != nullptr)
            doubts.push_back(
                {i, fmt::format("{} costs {:.3g} ± {:.1g} with {}, but {:.3g} ± {:.1g} with {}, which takes {} less",
                                cell.site_name, cell.value, cell.standardError, cell.format, witness->value,
                                witness->standardError, witness->format, formatBytes(cell.bytes - witness->bytes))});
    }
    return doubts;
}

} // namespace bw
