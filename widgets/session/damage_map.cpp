// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/session/damage_map.h"

#include "core/sensitivity/sensitivity.h"
#include "widgets/session/engine_words.h"

#include <QCoreApplication>
#include <algorithm>

namespace bw {

QString sourceText(CellSource source) {
    const auto tr = [](const char* text) { return QCoreApplication::translate("bw", text); };
    switch (source) {
    case CellSource::measured: return tr("measured KL");
    case CellSource::fisher: return tr("Fisher estimate");
    case CellSource::scaled: return tr("KL scaled by output error");
    default: return tr("output error");
    }
}

qsizetype DamageMap::cells() const {
    qsizetype count = 0;
    for (const auto& options : sites) count += options.size();
    return count;
}

qsizetype DamageMap::cells(CellSource source) const {
    qsizetype count = 0;
    for (const auto& options : sites)
        count += std::count_if(options.begin(), options.end(), [&](const DamageOption& o) { return o.source == source; });
    return count;
}

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

void DamageMap::put(const QString& site, const DamageOption& option) {
    auto& options = sites[site];
    const auto known = std::find_if(options.begin(), options.end(), [&](const DamageOption& o) { return o.format == option.format; });
    if (known == options.end()) options << option;
    else *known = option;
}

void DamageMap::finish() {
    QHash<QString, quint64> weight; // bytes over all sites: the order of formats
    for (auto site = sites.begin(); site != sites.end(); ++site) {
        std::sort(site->begin(), site->end(), [](const DamageOption& a, const DamageOption& b) {
            return a.bytes != b.bytes ? a.bytes < b.bytes : a.format < b.format;
        });
        std::vector<SensitivityCell> cells;
        for (DamageOption& option : *site) {
            weight[option.format] += option.bytes;
            option.doubt.clear();
            SensitivityCell cell;
            cell.site_name = site.key().toStdString();
            cell.format = cell.used = option.format.toStdString();
            cell.bytes = option.bytes;
            cell.value = option.damage;
            cell.standardError = option.standardError;
            cells.push_back(std::move(cell));
        }
        for (const CellDoubt& doubt : doubtfulCells(cells)) (*site)[qsizetype(doubt.cell)].doubt = engineText(doubt.why);
    }
    formats = weight.keys();
    std::sort(formats.begin(), formats.end(), [&](const QString& a, const QString& b) {
        return weight[a] != weight[b] ? weight[a] < weight[b] : a < b;
    });
}

void DamageMap::fillFrom(const DamageMap& errors) {
    for (auto site = sites.begin(); site != sites.end(); ++site) {
        const auto known = errors.sites.constFind(site.key());
        if (known == errors.sites.constEnd()) continue;
        const DamageOption* anchor = nullptr;
        double anchorError = 0;
        for (const DamageOption& option : std::as_const(site.value())) {
            const DamageOption* error = errors.find(site.key(), option.format);
            if (!error || !(error->damage > 0) || (anchor && option.damage <= anchor->damage)) continue;
            anchor = &option;
            anchorError = error->damage;
        }
        if (!anchor) continue;
        const DamageOption base = *anchor;
        for (const DamageOption& error : *known) {
            if (find(site.key(), error.format)) continue;
            const double damage = base.damage / anchorError * error.damage;
            const double spread = base.damage > 0 ? base.standardError * damage / base.damage : base.standardError;
            site->append({error.format, error.bytes, damage, spread, CellSource::scaled, {}});
        }
    }
}

} // namespace bw
