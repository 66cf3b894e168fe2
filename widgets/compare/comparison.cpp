// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/compare/comparison.h"

#include "widgets/plots/number_text.h"
#include "widgets/plots/plot_export.h"
#include "widgets/session/engine_words.h"

#include <QCoreApplication>
#include <QFileInfo>
#include <QMap>
#include <algorithm>
#include <cmath>

namespace bw {
namespace {

QString tr(const char* text) { return QCoreApplication::translate("bw::Comparison", text); }

struct Known { const char* name; const char* label; };
/// In the order in which a person asks; what is not named here follows.
constexpr Known kKnown[] = {
    {"kl_mean", QT_TRANSLATE_NOOP("bw::Comparison", "mean KL, nats")},
    {"same_top1", QT_TRANSLATE_NOOP("bw::Comparison", "same top token")},
    {"perplexity", QT_TRANSLATE_NOOP("bw::Comparison", "perplexity")},
    {"nll", QT_TRANSLATE_NOOP("bw::Comparison", "NLL per token")},
    {"kl_mean_ideal", QT_TRANSLATE_NOOP("bw::Comparison", "mean KL, exact")},
    {"perplexity_ideal", QT_TRANSLATE_NOOP("bw::Comparison", "perplexity, exact")},
    {"kl_median", QT_TRANSLATE_NOOP("bw::Comparison", "median KL")},
    {"kl_p99", QT_TRANSLATE_NOOP("bw::Comparison", "99 % KL")},
    {"kl_p999", QT_TRANSLATE_NOOP("bw::Comparison", "99.9 % KL")},
    {"kl_max", QT_TRANSLATE_NOOP("bw::Comparison", "largest KL")},
    {"delta_p_rms", QT_TRANSLATE_NOOP("bw::Comparison", "Δp, RMS")},
    {"ece", QT_TRANSLATE_NOOP("bw::Comparison", "calibration error")},
    {"brier", QT_TRANSLATE_NOOP("bw::Comparison", "Brier score")},
    {"bytes", QT_TRANSLATE_NOOP("bw::Comparison", "size")},
    {"bits_per_weight", QT_TRANSLATE_NOOP("bw::Comparison", "bits per weight")},
};
/// Facts about the run, not about the model.
constexpr const char* kHidden[] = {"evaluation_tokens", "evaluation_windows", "evaluation_seconds", "tokens_per_second", "base_perplexity",
                                   "kl_p90", "delta_p_mean", "seconds", "peak_memory", "rounding_seconds", "held_scales", "gram_matrices_taken"};

MetricLine::Verdict verdictOf(const std::string& text) {
    if (text == "b is better") return MetricLine::Verdict::better;
    if (text == "b is worse") return MetricLine::Verdict::worse;
    return text.empty() || text == "not comparable" ? MetricLine::Verdict::none : MetricLine::Verdict::unclear;
}

QVector<MetricLine> metricLines(const Json& rows) {
    QVector<MetricLine> lines;
    for (const Json& row : rows) {
        MetricLine line;
        line.name = QString::fromStdString(row.at("name").get<std::string>());
        if (std::any_of(std::begin(kHidden), std::end(kHidden), [&](const char* name) { return line.name == QLatin1String(name); }) || line.name.startsWith(QLatin1String("device."))) continue;
        line.unit = QString::fromStdString(row.value("unit", std::string()));
        line.a = row.at("a").get<double>();
        line.b = row.at("b").get<double>();
        line.difference = row.at("difference").get<double>();
        line.interval = row.at("ci_low").is_number();
        if (line.interval) {
            line.low = row.at("ci_low").get<double>();
            line.high = row.at("ci_high").get<double>();
        }
        line.how = QString::fromStdString(row.value("interval", std::string()));
        line.verdict = verdictOf(row.value("verdict", std::string()));
        line.label = QString(line.name).replace(QLatin1Char('_'), QLatin1Char(' '));
        lines << line;
    }
    const auto rank = [](const MetricLine& line) {
        const auto* known = std::find_if(std::begin(kKnown), std::end(kKnown), [&](const Known& k) { return line.name == QLatin1String(k.name); });
        return known - std::begin(kKnown);
    };
    std::stable_sort(lines.begin(), lines.end(), [&](const MetricLine& x, const MetricLine& y) { return rank(x) < rank(y); });
    for (MetricLine& line : lines) {
        if (rank(line) < std::end(kKnown) - std::begin(kKnown)) line.label = tr(kKnown[rank(line)].label);
    }
    return lines;
}

QVector<SiteLine> siteLines(const Json& rows) {
    QVector<SiteLine> lines;
    for (const Json& row : rows) {
        SiteLine line;
        line.site = QString::fromStdString(row.at("site").get<std::string>());
        const QStringList parts = line.site.split(QLatin1Char('.'));
        if (parts.size() >= 3 && parts[0] == QLatin1String("blk")) {
            line.block = parts[1].toInt();
            line.kind = parts.mid(2).join(QLatin1Char('.'));
        } else {
            line.kind = line.site;
        }
        line.formatA = QString::fromStdString(row.at("a").get<std::string>());
        line.formatB = QString::fromStdString(row.at("b").get<std::string>());
        line.difference = row.at("difference").get<double>();
        lines << line;
    }
    return lines;
}

QString leafText(const Json& value) {
    if (value.is_string()) return QString::fromStdString(value.get<std::string>());
    if (value.is_array() && std::all_of(value.begin(), value.end(), [](const Json& v) { return v.is_string(); })) {
        QStringList names; // files: the folder says little
        for (const Json& v : value) names << QFileInfo(QString::fromStdString(v.get<std::string>())).fileName();
        return names.join(QStringLiteral(" + "));
    }
    return QString::fromStdString(value.dump());
}

void flatten(const Json& json, const QString& path, QMap<QString, QString>& out) {
    for (const auto& [key, value] : json.items()) {
        const QString here = path.isEmpty() ? QString::fromStdString(key) : path + QLatin1Char('.') + QString::fromStdString(key);
        // Names, places and the numbers of other runs do not change a result; rules are told site by site.
        static const QStringList kTold{QStringLiteral("name"), QStringLiteral("version"), QStringLiteral("export"), QStringLiteral("assignment.rules"),
                                       QStringLiteral("assignment.sweep_run"), QStringLiteral("assignment.scale_run")};
        if (kTold.contains(here)) continue;
        if (value.is_object()) flatten(value, here, out);
        else out.insert(here, leafText(value));
    }
}

/// "q4_0 ×5, q5_0" of all sites of one kind.
QString formatCounts(const QVector<SiteLine>& sites, const QString& kind, bool b) {
    QMap<QString, int> counts;
    for (const SiteLine& site : sites) {
        if (site.kind == kind) ++counts[b ? site.formatB : site.formatA];
    }
    QStringList parts;
    for (auto it = counts.cbegin(); it != counts.cend(); ++it) {
        parts << (it.value() > 1 ? QStringLiteral("%1 ×%2").arg(it.key()).arg(it.value()) : it.key());
    }
    return parts.join(QStringLiteral(", "));
}

QVector<RecipeLine> recipeLines(const Json& a, const Json& b, const QVector<SiteLine>& sites) {
    QVector<RecipeLine> lines;
    QMap<QString, QString> left, right;
    flatten(a, {}, left);
    flatten(b, {}, right);
    QStringList keys = left.keys();
    for (const QString& key : right.keys()) {
        if (!left.contains(key)) keys << key;
    }
    const auto shown = [](const QString& text) { return text.isEmpty() ? QStringLiteral("–") : text; };
    // First how weights are made, then data and the rest.
    std::stable_sort(keys.begin(), keys.end(), [](const QString& x, const QString& y) {
        const auto late = [](const QString& key) { return key.contains(QLatin1Char('.')) && !key.startsWith(QLatin1String("assignment")); };
        return !late(x) && late(y);
    });
    for (const QString& key : std::as_const(keys)) {
        if (left.value(key) != right.value(key)) lines << RecipeLine{key, shown(left.value(key)), shown(right.value(key))};
    }
    QStringList kinds;
    for (const SiteLine& site : sites) {
        if (!kinds.contains(site.kind) && site.formatA != site.formatB) kinds << site.kind;
    }
    for (const QString& kind : std::as_const(kinds)) {
        const bool inBlocks = std::any_of(sites.begin(), sites.end(), [&](const SiteLine& s) { return s.kind == kind && s.block >= 0; });
        lines << RecipeLine{inBlocks ? QStringLiteral("blk.*.") + kind : kind, formatCounts(sites, kind, false), formatCounts(sites, kind, true)};
    }
    return lines;
}

} // namespace

namespace {

/// What a result says of reliability; nothing where it holds anything else in that place.
std::vector<ReliabilityBin> reliabilityOf(const Json& result) {
    std::vector<ReliabilityBin> bins;
    const auto evaluation = result.find("evaluation");
    if (!result.is_object() || evaluation == result.end() || !evaluation->is_object()) return bins;
    const auto list = evaluation->find("reliability");
    if (list == evaluation->end() || !list->is_array()) return bins;
    const auto share = [](const Json& bin, const char* name) {
        const auto value = bin.find(name);
        return value != bin.end() && value->is_number() ? std::clamp(value->get<double>(), 0.0, 1.0) : 0.0;
    };
    for (const Json& bin : *list) {
        if (!bin.is_object() || !bin.contains("count") || !bin["count"].is_number_integer()) return {};
        bins.push_back({bin["count"].get<std::int64_t>(), share(bin, "confidence"), share(bin, "accuracy"), share(bin, "low"), share(bin, "high")});
    }
    return bins;
}

} // namespace

Comparison Comparison::read(const LogReader& log, RunId a, RunId b) {
    Comparison c;
    if (a == RunId() || b == RunId()) return c;
    const Json json = Runner::compare(log, a, b);
    const RunDetail left = log.run(a), right = log.run(b);
    c.a = a;
    c.b = b;
    c.summaryA = left.summary;
    c.summaryB = right.summary;
    c.metrics = metricLines(json.at("metrics"));
    for (MetricLine& line : c.metrics) line.detail = intervalDetail(json.at("tokens"), line.name == QLatin1String("perplexity") ? QString() : line.name);
    c.byText = partLines(json.at("by_text"));
    c.byPosition = partLines(json.at("positions"));
    c.seeds = seedLines(json.at("noise"), c.seedRunsA, c.seedRunsB);
    for (SeedLine& line : c.seeds)
        for (const MetricLine& metric : std::as_const(c.metrics))
            if (metric.name == line.name) line.label = metric.label;
    c.fair = json.at("fair").get<bool>();
    for (const Json& reason : json.at("unfair_because")) c.reasons << engineText(reason.get<std::string>());
    c.sites = siteLines(json.at("sites"));
    c.recipe = recipeLines(left.recipe, right.recipe, c.sites);
    c.outputsA = left.outputs;
    c.outputsB = right.outputs;
    c.reliabilityA = reliabilityOf(log.result(a));
    c.reliabilityB = reliabilityOf(log.result(b));
    c.tokensA = log.tokenScores(a).value_or(TokenScoreRow());
    c.tokensB = log.tokenScores(b).value_or(TokenScoreRow());
    c.sameTokens = !c.tokensA.ids.empty() && c.tokensA.ids == c.tokensB.ids;
    return c;
}

QString Comparison::markdown() const {
    const auto cell = [](QString text) { return text.replace(QLatin1Char('|'), QStringLiteral("\\|")); };
    QString text = QStringLiteral("| | %1 (run %2) | %3 (run %4) | %5 |\n|---|---:|---:|---:|\n")
                       .arg(cell(runTitle(summaryA))).arg(a.value()).arg(cell(runTitle(summaryB))).arg(b.value()).arg(tr("B − A (95 %)"));
    for (const MetricLine& line : metrics) {
        text += QStringLiteral("| %1 | %2 | %3 | %4 |\n").arg(cell(line.label), line.aText(), line.bText(), line.differenceText());
    }
    text += partsMarkdown(byText, tr("text")) + partsMarkdown(byPosition, tr("position"));
    text += QLatin1Char('\n') + (fair ? tr("Fair comparison: same text, settings, baseline and stack.") : tr("Not a fair comparison: %1.").arg(reasons.join(QStringLiteral("; ")))) + QLatin1Char('\n');
    if (recipe.isEmpty()) return text;
    text += QStringLiteral("\n| %1 | A | B |\n|---|---|---|\n").arg(tr("what differs"));
    for (const RecipeLine& line : recipe) text += QStringLiteral("| %1 | %2 | %3 |\n").arg(cell(line.what), cell(line.a), cell(line.b));
    return text;
}

QString Comparison::metricsCsv(const QVector<MetricLine>& metrics) {
    const auto number = [](double v) { return QString::number(v, 'g', 17); };
    QString text = QStringLiteral("metric,unit,a,b,difference,ci_low,ci_high,interval\n");
    for (const MetricLine& line : metrics) {
        text += QStringList{csvField(line.name), csvField(line.unit), number(line.a), number(line.b), number(line.difference),
                            line.interval ? number(line.low) : QString(), line.interval ? number(line.high) : QString(), csvField(line.how)}
                    .join(QLatin1Char(',')) + QLatin1Char('\n');
    }
    return text;
}

QString runTitle(const RunSummary& run) {
    return QString::fromStdString(!run.name.empty() ? run.name : run.kind + ' ' + run.checkpoint);
}

QString runDetailText(const RunSummary& run) {
    QStringList parts;
    for (const MetricRow& metric : run.metrics) {
        if (metric.name == "bits_per_weight") parts.prepend(bitsText(metric.value));
        if (metric.name == "bytes") parts << bytesText(metric.value);
    }
    if (parts.isEmpty()) parts << engineText(run.kind);
    parts << QString::fromStdString(run.checkpoint) << QCoreApplication::translate("bw::Comparison", "run %1").arg(run.id.value());
    return parts.join(QStringLiteral(" · "));
}

} // namespace bw
