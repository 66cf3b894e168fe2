// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/compare/comparison_tables.h"

#include "widgets/plots/number_text.h"
#include "widgets/plots/table_export.h"
#include "widgets/theme/theme.h"

#include <QHeaderView>

namespace bw {
namespace {

QColor colorOf(MetricLine::Verdict verdict) {
    const Tokens& t = Theme::instance().tokens();
    return verdict == MetricLine::Verdict::better ? t.green : verdict == MetricLine::Verdict::worse ? t.red : t.muted;
}

void putFigures(QTableWidget* table, int row, const MetricLine& line) {
    table->setItem(row, 1, tableCell(line.aText(), true, true));
    table->setItem(row, 2, tableCell(line.bText(), true, true));
    auto* difference = tableCell(line.differenceText(), true, true);
    difference->setForeground(colorOf(line.verdict));
    difference->setToolTip(line.explanation());
    table->setItem(row, 3, difference);
}

} // namespace

MetricTable::MetricTable(QWidget* parent) : QTableWidget(parent) {
    dressTable(this, {tr("Metric"), tr("A"), tr("B"), tr("B − A (95 %)")});
    setAccessibleName(tr("Metrics of both runs"));
    addTableMenu(this, QStringLiteral("metrics"), [this] { return Comparison::metricsCsv(lines_); });
    connect(&Theme::instance(), &Theme::changed, this, &MetricTable::fill);
}

void MetricTable::setLines(const QVector<MetricLine>& lines) {
    lines_ = lines;
    fill();
}

void MetricTable::fill() {
    setRowCount(int(lines_.size()));
    for (int r = 0; r < lines_.size(); ++r) {
        setItem(r, 0, tableCell(lines_[r].label, false, false));
        putFigures(this, r, lines_[r]);
    }
}

PartsTable::PartsTable(const QString& what, const QString& fileName, QWidget* parent) : QTableWidget(parent) {
    dressTable(this, {what, tr("A"), tr("B"), tr("B − A (95 %)")});
    setAccessibleName(what);
    setObjectName(QStringLiteral("compare.") + fileName);
    addTableMenu(this, fileName, [this] { return partsCsv(parts_); });
    connect(&Theme::instance(), &Theme::changed, this, &PartsTable::fill);
}

void PartsTable::setParts(const QVector<PartLine>& parts, const QString& metric) {
    parts_ = parts;
    metric_ = metric;
    fill();
}

void PartsTable::fill() {
    setRowCount(int(parts_.size()));
    for (int r = 0; r < parts_.size(); ++r) {
        const MetricLine* line = parts_[r].figure(metric_);
        auto* name = tableCell(parts_[r].name, false, false);
        name->setToolTip(tr("%1: %2 tokens scored").arg(parts_[r].name).arg(parts_[r].tokens));
        setItem(r, 0, name);
        if (line) putFigures(this, r, *line);
        for (int c = 1; c < 4 && !line; ++c) setItem(r, c, tableCell(QStringLiteral("–"), true, true));
    }
}

SeedsTable::SeedsTable(QWidget* parent) : QTableWidget(parent) {
    dressTable(this, {tr("Metric"), tr("A, all seeds"), tr("B, all seeds"), tr("noise of B − A")});
    setAccessibleName(tr("What seeds alone differ by"));
    setObjectName(QStringLiteral("compare.seeds"));
    addTableMenu(this, QStringLiteral("seeds"), [this] { return seedsCsv(lines_); });
}

void SeedsTable::setLines(const QVector<SeedLine>& lines) {
    lines_ = lines;
    setRowCount(int(lines_.size()));
    for (int r = 0; r < lines_.size(); ++r) {
        const SeedLine& line = lines_[r];
        setItem(r, 0, tableCell(line.label, false, false));
        for (const auto& [column, side] : {std::pair{1, &line.a}, std::pair{2, &line.b}}) {
            auto* cell = tableCell(SeedLine::text(line, *side), true, true);
            cell->setToolTip(side->known ? tr("mean and standard deviation of single runs") : tr("no runs of this recipe with other seeds"));
            setItem(r, column, cell);
        }
        const bool share = line.name == QLatin1String("same_top1") || line.name == QLatin1String("top1");
        auto* noise = tableCell(QStringLiteral("± ") + figureText(share ? 100 * line.halfWidth : line.halfWidth) + (share ? QStringLiteral(" %") : QString()), true, true);
        noise->setToolTip(tr("95 of 100 pairs of seeds differ by less: such a difference says nothing about the recipes"));
        setItem(r, 3, noise);
    }
}

RecipeTable::RecipeTable(QWidget* parent) : QTableWidget(parent) {
    dressTable(this, {tr("What"), tr("A"), tr("B")}, 3);
    setAccessibleName(tr("What differs in the recipes"));
    horizontalHeader()->setSectionResizeMode(QHeaderView::Stretch);
    horizontalHeader()->setSectionResizeMode(0, QHeaderView::ResizeToContents);
    addTableMenu(this, QStringLiteral("recipes"), [this] { return tableCsv(*this); });
}

void RecipeTable::setLines(const QVector<RecipeLine>& lines) {
    setRowCount(int(lines.size()));
    for (int r = 0; r < lines.size(); ++r) {
        auto* what = tableCell(lines[r].what, false, false);
        what->setForeground(palette().placeholderText());
        setItem(r, 0, what);
        setItem(r, 1, tableCell(lines[r].a, true, false));
        setItem(r, 2, tableCell(lines[r].b, true, false));
    }
}

} // namespace bw
