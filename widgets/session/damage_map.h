// SPDX-License-Identifier: GPL-3.0-or-later
// The sensitivity map of a sweep as the pages show it: for every site its options with bytes and damage. Reads the log;
// computes no sensitivity itself.
#pragma once

#include "core/experiment/log.h"

#include <QHash>
#include <QString>
#include <QVector>

namespace bw {

/// One format that a site can take.
struct DamageOption {
    QString format;             ///< as asked in the sweep
    quint64 bytes = 0;
    double damage = 0;          ///< ≥ 0; a negative measurement is noise around nothing
    double standardError = 0;
    bool estimated = false;     ///< scaled from the output error, not measured
};

struct DamageMap {
    QString rounder;            ///< the sweep's: what is predicted holds for it
    QString metric;             ///< "kl" (nats per token), "output" (relative squared error); empty = no map
    QHash<QString, QVector<DamageOption>> sites; ///< options by rising bytes
    QStringList formats;        ///< all formats of the map, by rising bits per weight
    qsizetype measured = 0, estimated = 0;       ///< cells
    bool final = false;         ///< the sweep is done: its rows do not change any more

    bool empty() const { return sites.isEmpty(); }
    const DamageOption* find(const QString& site, const QString& format) const;
    /// Every damage above zero, for colour scales.
    QVector<double> damages() const;

    /// @param run the sweep shown. @param scale an output-error sweep that fills formats a KL sweep did not measure:
    /// damage(f) = damage(f₀)·error(f)/error(f₀), f₀ the measured format with the largest damage at that site; 0 = none.
    static DamageMap read(const LogReader& log, RunId run, RunId scale);
    /// The newest output-error sweep with cells for the same checkpoint name as `run`; RunId(0) when there is none.
    static RunId findScaleRun(const LogReader& log, RunId run);
};

} // namespace bw
