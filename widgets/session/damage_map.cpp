// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/session/damage_map.h"

#include <algorithm>

namespace bw {
namespace {

using Cells = QHash<QString, QHash<QString, DamageOption>>;

Cells cellsOf(const std::vector<SensitivityRow>& rows) {
    Cells cells;
    for (const SensitivityRow& row : rows) {
        const QString format = QString::fromStdString(row.format);
        cells[QString::fromStdString(row.site)].insert(
            format, {format, row.bytes, std::max(0.0, row.value), row.standardError, false});
    }
    return cells;
}

/// Adds what only the output-error map knows, scaled to the measured damage of the same site.
void fillFrom(Cells& cells, const Cells& errors) {
    for (auto site = cells.begin(); site != cells.end(); ++site) {
        const auto known = errors.constFind(site.key());
        if (known == errors.constEnd()) continue;
        const DamageOption* anchor = nullptr;
        for (const DamageOption& option : std::as_const(site.value())) {
            const auto error = known->constFind(option.format);
            if (error != known->constEnd() && error->damage > 0 && (!anchor || option.damage > anchor->damage)) anchor = &option;
        }
        if (!anchor) continue;
        const DamageOption base = *anchor;
        const double perError = base.damage / known->value(base.format).damage;
        for (const DamageOption& error : *known) {
            if (site->contains(error.format)) continue;
            const double damage = perError * error.damage;
            const double spread = base.damage > 0 ? base.standardError * damage / base.damage : base.standardError;
            site->insert(error.format, {error.format, error.bytes, damage, spread, true});
        }
    }
}

} // namespace

const DamageOption* DamageMap::find(const QString& site, const QString& format) const {
    const auto it = sites.constFind(site);
    if (it == sites.constEnd()) return nullptr;
    const auto option = std::find_if(it->begin(), it->end(), [&](const DamageOption& o) { return o.format == format; });
    return option == it->end() ? nullptr : &*option;
}

QVector<double> DamageMap::damages() const {
    QVector<double> values;
    for (const auto& options : sites) {
        for (const DamageOption& option : options) {
            if (option.damage > 0) values << option.damage;
        }
    }
    return values;
}

DamageMap DamageMap::read(const LogReader& log, RunId run, RunId scale) {
    DamageMap map;
    const auto rows = log.sensitivities(run);
    if (rows.empty()) return map;
    map.metric = QString::fromStdString(rows.front().metric);
    const RunDetail detail = log.run(run);
    map.rounder = QString::fromStdString(detail.recipe.value("rounder", std::string()));
    map.final = detail.summary.status == runStatusName(RunStatus::done);
    Cells cells = cellsOf(rows);
    if (scale != RunId(0) && map.metric == QLatin1String("kl")) fillFrom(cells, cellsOf(log.sensitivities(scale)));

    QHash<QString, quint64> weight; // bytes over all sites: the order of formats
    for (auto site = cells.cbegin(); site != cells.cend(); ++site) {
        QVector<DamageOption> options(site->cbegin(), site->cend());
        std::sort(options.begin(), options.end(), [](const DamageOption& a, const DamageOption& b) {
            return a.bytes != b.bytes ? a.bytes < b.bytes : a.format < b.format;
        });
        for (const DamageOption& option : options) {
            weight[option.format] += option.bytes;
            ++(option.estimated ? map.estimated : map.measured);
        }
        map.sites.insert(site.key(), options);
    }
    map.formats = weight.keys();
    std::sort(map.formats.begin(), map.formats.end(), [&](const QString& a, const QString& b) {
        return weight[a] != weight[b] ? weight[a] < weight[b] : a < b;
    });
    return map;
}

RunId DamageMap::findScaleRun(const LogReader& log, RunId run) {
    constexpr std::int64_t kRunsLookedAt = 500;
    const auto runs = log.runs(kRunsLookedAt);
    const auto self = std::find_if(runs.begin(), runs.end(), [&](const RunSummary& r) { return r.id == run; });
    if (self == runs.end()) return {};
    for (const RunSummary& other : runs) {
        if (other.kind != "sweep" || other.id == run || other.checkpoint != self->checkpoint) continue;
        const auto rows = log.sensitivities(other.id);
        if (!rows.empty() && rows.front().metric == "output") return other.id;
    }
    return {};
}

} // namespace bw
