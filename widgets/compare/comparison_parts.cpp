// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/compare/comparison_parts.h"

#include "core/base/text.h"
#include "core/experiment/replicates.h"
#include "widgets/plots/number_text.h"
#include "widgets/plots/plot_export.h"

#include <QCoreApplication>
#include <QStringList>
#include <algorithm>
#include <cmath>

namespace bw {
namespace {

/// Members of a log that may come from anywhere: what has another type counts as not there.
bool number(const Json& json, const char* name, double& out) {
    const auto it = json.find(name);
    if (it == json.end() || !it->is_number()) return false;
    out = it->get<double>();
    return true;
}

QString words(const Json& json, const char* name) {
    const auto it = json.find(name);
    return it != json.end() && it->is_string() ? QString::fromStdString(escapeForDisplay(it->get<std::string>(), 200)) : QString();
}

bool isShare(const QString& metric) { return metric == QLatin1String("same_top1") || metric == QLatin1String("top1"); }

bool partFigure(const Json& row, MetricLine& line) {
    if (!row.is_object()) return false;
    line.name = words(row, "name");
    line.label = partFigureName(line.name);
    line.interval = number(row, "ci_low", line.low) && number(row, "ci_high", line.high);
    line.how = QCoreApplication::translate("bw::Comparison", "paired, windows drawn anew");
    if (!number(row, "a", line.a) || !number(row, "b", line.b) || !number(row, "difference", line.difference)) return false;
    const auto clear = row.find("distinguishable");
    const bool distinguishable = clear != row.end() && clear->is_boolean() && clear->get<bool>();
    if (line.interval)
        line.verdict = !distinguishable ? MetricLine::Verdict::unclear
                       : (line.difference < 0) == !isShare(line.name) ? MetricLine::Verdict::better
                                                                      : MetricLine::Verdict::worse;
    return true;
}

QString reach(const QString& metric, double low, double high) {
    const double factor = isShare(metric) ? 100 : 1;
    const QString unit = isShare(metric) ? QStringLiteral(" %") : QString();
    return withMinus(figureText(factor * low)) + QStringLiteral(" … ") + withMinus(figureText(factor * high)) + unit;
}

QString cell(QString text) { return text.replace(QLatin1Char('|'), QStringLiteral("\\|")); }

} // namespace

QString partFigureName(const QString& metric) {
    if (metric == QLatin1String("kl_mean")) return QCoreApplication::translate("bw::Comparison", "mean KL, nats");
    if (metric == QLatin1String("nll")) return QCoreApplication::translate("bw::Comparison", "NLL per token");
    if (metric == QLatin1String("same_top1")) return QCoreApplication::translate("bw::Comparison", "same top token");
    return metric == QLatin1String("top1") ? QCoreApplication::translate("bw::Comparison", "top token right") : metric;
}

QString valueText(const QString& metric, double value) {
    if (metric == QLatin1String("bytes")) return bytesText(value);
    if (isShare(metric)) return QString::number(100 * value, 'f', 1) + QStringLiteral(" %");
    return figureText(value, 4);
}

QString MetricLine::aText() const { return valueText(name, a); }
QString MetricLine::bText() const { return valueText(name, b); }

QString MetricLine::differenceText() const {
    const double half = interval ? (high - low) / 2 : 0;
    if (name == QLatin1String("bytes")) return (difference > 0 ? QStringLiteral("+") : QString()) + bytesText(difference);
    if (isShare(name)) return signedWithError(100 * difference, 100 * half) + QStringLiteral(" %");
    return signedWithError(difference, half);
}

QString MetricLine::explanation() const {
    QStringList lines;
    switch (verdict) {
    case Verdict::better: lines << QCoreApplication::translate("bw::Comparison", "B is better"); break;
    case Verdict::worse: lines << QCoreApplication::translate("bw::Comparison", "B is worse"); break;
    case Verdict::unclear: lines << QCoreApplication::translate("bw::Comparison", "not distinguishable: the interval holds zero, or seeds differ as much"); break;
    case Verdict::none: break;
    }
    lines << (interval ? QCoreApplication::translate("bw::Comparison", "95 % interval %1, %2").arg(reach(name, low, high), how) : how) << detail;
    lines.removeAll(QString());
    return lines.join(QLatin1Char('\n'));
}

const MetricLine* PartLine::figure(const QString& metric) const {
    const auto at = std::find_if(figures.begin(), figures.end(), [&](const MetricLine& line) { return line.name == metric; });
    return at == figures.end() ? nullptr : &*at;
}

QString SeedLine::text(const SeedLine& line, const Side& side) {
    if (!side.known) return QStringLiteral("–");
    if (isShare(line.name)) return withError(100 * side.mean, 100 * side.deviation) + QStringLiteral(" %");
    return withError(side.mean, side.deviation);
}

QVector<PartLine> partLines(const Json& rows) {
    QVector<PartLine> parts;
    if (!rows.is_array()) return parts;
    for (const Json& row : rows) {
        double tokens = 0;
        if (!row.is_object() || !number(row, "tokens", tokens)) continue;
        PartLine part{words(row, "name"), qint64(tokens), {}};
        const auto figures = row.find("figures");
        if (figures == row.end() || !figures->is_array()) continue;
        for (const Json& figure : *figures) {
            MetricLine line;
            if (partFigure(figure, line)) part.figures << line;
        }
        parts << part;
    }
    return parts;
}

QVector<SeedLine> seedLines(const Json& noise, int& runsA, int& runsB) {
    QVector<SeedLine> lines;
    runsA = runsB = 0;
    NoiseBand bandA, bandB;
    const auto take = [&](const char* which, int& runs, SeedLine::Side SeedLine::* side, NoiseBand& of) {
        const auto band = noise.is_object() ? noise.find(which) : noise.end();
        if (!noise.is_object() || band == noise.end() || !band->is_object() || !band->contains("figures") || !band->contains("runs")) return;
        for (const Json& run : band->at("runs"))
            if (run.is_number_integer()) of.runs.emplace_back(run.get<std::int64_t>());
        runs = int(of.runs.size());
        for (const Json& figure : band->at("figures")) {
            const QString name = figure.is_object() ? words(figure, "name") : QString();
            SeedLine::Side read;
            if (name.isEmpty() || !number(figure, "mean", read.mean) || !number(figure, "deviation", read.deviation)) continue;
            of.figures[name.toStdString()] = {read.mean, read.deviation};
            read.known = true;
            auto at = std::find_if(lines.begin(), lines.end(), [&](const SeedLine& line) { return line.name == name; });
            if (at == lines.end()) {
                SeedLine line;
                line.name = name;
                line.label = partFigureName(name);
                if (line.label == name) line.label.replace(QLatin1Char('_'), QLatin1Char(' '));
                at = lines.insert(lines.end(), line);
            }
            (*at).*side = read;
        }
    };
    take("a", runsA, &SeedLine::a, bandA);
    take("b", runsB, &SeedLine::b, bandB);
    for (SeedLine& line : lines) line.halfWidth = noiseHalfWidth(bandA, bandB, line.name.toStdString()).value_or(0);
    lines.removeIf([](const SeedLine& line) { return !(line.halfWidth > 0); }); // sizes and the like, which no seed changes
    const auto rank = [](const SeedLine& line) {
        static const QStringList first{QStringLiteral("kl_mean"), QStringLiteral("same_top1"), QStringLiteral("perplexity"), QStringLiteral("nll")};
        const qsizetype at = first.indexOf(line.name);
        return at < 0 ? first.size() : at;
    };
    std::stable_sort(lines.begin(), lines.end(), [&](const SeedLine& x, const SeedLine& y) { return rank(x) < rank(y); });
    return lines;
}

QString intervalDetail(const Json& tokens, const QString& metric) {
    const auto figures = tokens.is_object() ? tokens.find("figures") : tokens.end();
    if (!tokens.is_object() || figures == tokens.end() || !figures->is_array()) return {};
    for (const Json& figure : *figures) {
        if (!figure.is_object() || words(figure, "name") != metric) continue;
        double low = 0, high = 0, from = 0, to = 0;
        if (!number(figure, "windows_low", low) || !number(figure, "windows_high", high)) return {};
        if (!number(figure, "documents_low", from) || !number(figure, "documents_high", to)) return QCoreApplication::translate("bw::Comparison", "over windows %1").arg(reach(metric, low, high));
        return QCoreApplication::translate("bw::Comparison", "over windows %1, over documents %2").arg(reach(metric, low, high), reach(metric, from, to));
    }
    return {};
}

QString partsCsv(const QVector<PartLine>& parts) {
    const auto exact = [](double v) { return QString::number(v, 'g', 17); };
    QString text = QStringLiteral("part,tokens,metric,a,b,difference,ci_low,ci_high,distinguishable\n");
    for (const PartLine& part : parts)
        for (const MetricLine& line : part.figures)
            text += QStringList{csvField(part.name), QString::number(part.tokens), csvField(line.name), exact(line.a), exact(line.b), exact(line.difference),
                                line.interval ? exact(line.low) : QString(), line.interval ? exact(line.high) : QString(),
                                !line.interval ? QString() : line.verdict == MetricLine::Verdict::unclear ? QStringLiteral("no") : QStringLiteral("yes")}
                        .join(QLatin1Char(',')) + QLatin1Char('\n');
    return text;
}

QString seedsCsv(const QVector<SeedLine>& lines) {
    const auto exact = [](double v) { return QString::number(v, 'g', 17); };
    QString text = QStringLiteral("metric,a_mean,a_deviation,b_mean,b_deviation,half_width\n");
    for (const SeedLine& line : lines)
        text += QStringList{csvField(line.name), line.a.known ? exact(line.a.mean) : QString(), line.a.known ? exact(line.a.deviation) : QString(),
                            line.b.known ? exact(line.b.mean) : QString(), line.b.known ? exact(line.b.deviation) : QString(), exact(line.halfWidth)}
                    .join(QLatin1Char(',')) + QLatin1Char('\n');
    return text;
}

QString partsMarkdown(const QVector<PartLine>& parts, const QString& what) {
    if (parts.size() < 2) return {};
    const QString metric = parts.first().figure(QStringLiteral("kl_mean")) ? QStringLiteral("kl_mean") : QStringLiteral("nll");
    QString text = QStringLiteral("\n| %1 | %2 | %3: A | B | %4 |\n|---|---:|---:|---:|---:|\n").arg(what, QCoreApplication::translate("bw::Comparison", "tokens"), partFigureName(metric), QCoreApplication::translate("bw::Comparison", "B − A (95 %)"));
    for (const PartLine& part : parts)
        if (const MetricLine* line = part.figure(metric))
            text += QStringLiteral("| %1 | %2 | %3 | %4 | %5%6 |\n").arg(cell(part.name)).arg(part.tokens)
                        .arg(line->aText(), line->bText(), line->differenceText(), line->verdict == MetricLine::Verdict::unclear ? QStringLiteral(", ") + QCoreApplication::translate("bw::Comparison", "not distinguishable") : QString());
    return text;
}

} // namespace bw
