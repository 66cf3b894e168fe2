// SPDX-License-Identifier: GPL-3.0-or-later
// The sensitivity map of a checkpoint as the pages show it: for every site its options with bytes, damage and where that
// figure comes from. Computes no sensitivity itself; the sweeps of the log are put together in damage_table.h.
#pragma once

#include "core/base/types.h"

#include <QHash>
#include <QString>
#include <QVector>

namespace bw {

/// Where the figure of a cell comes from.
enum class CellSource {
    measured, ///< KL with this site alone quantized
    fisher,   ///< estimate from gradients, nats too
    output,   ///< relative error of the site's own output
    scaled,   ///< the site's measured KL times the ratio of output errors
};

/// "measured", "Fisher estimate" …
QString sourceText(CellSource source);

/// One format that a site can take.
struct DamageOption {
    QString format;             ///< as asked in the sweep
    quint64 bytes = 0;
    double damage = 0;          ///< ≥ 0; a negative measurement is noise around nothing
    double standardError = 0;
    CellSource source = CellSource::measured;
    QString doubt;              ///< why this figure contradicts its neighbours; mostly empty
};

struct DamageMap {
    QString rounder;            ///< the sweep's: what is predicted holds for it
    QString metric;             ///< "kl", "fisher" (nats per token), "output" (relative squared error); empty = no map
    QHash<QString, QVector<DamageOption>> sites; ///< options by rising bytes
    QStringList formats;        ///< all formats of the map, by rising bytes over all sites
    RunId run;                  ///< the sweep that leads; others only fill or override
    QVector<RunId> measuredRuns; ///< measured sweeps whose cells override those of `run`, later ones hold
    /// By what the estimates of a format were multiplied, from cells known both ways; 1 for formats that are not in it.
    QHash<QString, double> corrections;
    RunId scaleRun;             ///< the output-error sweep that scaled cells come from; RunId(0) = none

    bool empty() const { return sites.isEmpty(); }
    /// Damage in nats per token: comparable with measured runs, and adds up over sites.
    bool inNats() const { return metric == QLatin1String("kl") || metric == QLatin1String("fisher"); }
    qsizetype cells() const;
    qsizetype cells(CellSource source) const;
    const DamageOption* find(const QString& site, const QString& format) const;
    /// Every damage above zero, for colour scales.
    QVector<double> damages() const;

    /// Puts or replaces a cell; finish() must follow.
    void put(const QString& site, const DamageOption& option);
    /// Sorts, lists the formats and marks what contradicts its neighbours.
    void finish();
    /// Adds formats that only `errors` knows: damage(f) = damage(f₀)·error(f)/error(f₀), f₀ the format of this map with
    /// the largest damage at that site. finish() must follow.
    void fillFrom(const DamageMap& errors);
};

} // namespace bw
