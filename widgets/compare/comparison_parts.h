// SPDX-License-Identifier: GPL-3.0-or-later
// What a comparison says of parts of the tokens (each text, each stretch of positions) and of chance: figures with intervals and
// verdicts, and what seeds alone differ by. Reading and writing out only.
#pragma once

#include "core/base/json.h"

#include <QString>
#include <QVector>

namespace bw {

struct MetricLine {
    enum class Verdict { better, worse, unclear, none }; ///< of B against A
    QString name, label, unit;
    double a = 0, b = 0, difference = 0;
    bool interval = false;
    double low = 0, high = 0; ///< 95 % interval of the difference
    QString how;              ///< how the interval was made
    QString detail;           ///< the interval over windows and that over documents; empty: neither is known
    Verdict verdict = Verdict::none;
    QString aText() const;
    QString bText() const;
    QString differenceText() const; ///< "−0.0131 ± 0.0011"
    QString explanation() const;    ///< the verdict, the interval and how it was made, a line each
};

struct PartLine {
    QString name;             ///< of the text; "16–31" of positions
    qint64 tokens = 0;
    QVector<MetricLine> figures;
    const MetricLine* figure(const QString& metric) const; ///< null: not recorded
};

/// Runs of one recipe that differ in nothing but the seed.
struct SeedLine {
    QString name, label;
    struct Side { bool known = false; double mean = 0, deviation = 0; } a, b;
    double halfWidth = 0;     ///< differences inside ± this are noise
    static QString text(const SeedLine& line, const Side& side);
};

/// @param rows "by_text" or "positions" of Runner::compare. Rows of another shape are left out.
QVector<PartLine> partLines(const Json& rows);
/// @param noise "noise" of Runner::compare. @param runsA, runsB  how many runs each band is of; 0: none.
QVector<SeedLine> seedLines(const Json& noise, int& runsA, int& runsB);
/// "over windows −0.013 … −0.011, over documents −0.014 … −0.010".
QString intervalDetail(const Json& tokens, const QString& metric);

/// Figures of parts that the window shows, as it names them: mean KL, NLL, top token right, same top token.
QString partFigureName(const QString& metric);
QString valueText(const QString& metric, double value);
QString partsCsv(const QVector<PartLine>& parts);
QString seedsCsv(const QVector<SeedLine>& lines);
/// One table with mean KL (without a baseline: NLL) of each part; empty with fewer than two parts.
QString partsMarkdown(const QVector<PartLine>& parts, const QString& what);

} // namespace bw
