// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/compare/comparison_tables.h"

#include "widgets/theme/theme.h"

#include <QHeaderView>

namespace bw {
namespace {

constexpr int kRowHeight = 25;

void dress(QTableWidget* table, const QStringList& heads) {
    table->setColumnCount(int(heads.size()));
    table->setHorizontalHeaderLabels(heads);
    table->verticalHeader()->hide();
    table->verticalHeader()->setDefaultSectionSize(kRowHeight);
    table->verticalHeader()->setMinimumSectionSize(kRowHeight);
    table->setShowGrid(false);
    table->setEditTriggers(QAbstractItemView::NoEditTriggers);
    table->setSelectionBehavior(QAbstractItemView::SelectRows);
    table->setSelectionMode(QAbstractItemView::ExtendedSelection);
    table->setWordWrap(false);
    table->setTextElideMode(Qt::ElideRight);
    table->setFrameShape(QFrame::NoFrame);
    table->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    table->setTabKeyNavigation(false);
}

QTableWidgetItem* cellOf(const QString& text, bool figures, bool right) {
    auto* cell = new QTableWidgetItem(text);
    if (figures) cell->setFont(Theme::instance().figures());
    cell->setTextAlignment((right ? Qt::AlignRight : Qt::AlignLeft) | Qt::AlignVCenter);
    cell->setToolTip(text);
    return cell;
}

} // namespace

MetricTable::MetricTable(QWidget* parent) : QTableWidget(parent) {
    dress(this, {tr("Metric"), tr("A"), tr("B"), tr("B − A (95 %)")});
    setAccessibleName(tr("Metrics of both runs"));
    horizontalHeader()->setSectionResizeMode(QHeaderView::ResizeToContents);
    horizontalHeader()->setSectionResizeMode(0, QHeaderView::Stretch);
    for (int c = 0; c < 4; ++c) horizontalHeaderItem(c)->setTextAlignment((c == 0 ? Qt::AlignLeft : Qt::AlignRight) | Qt::AlignVCenter);
    connect(&Theme::instance(), &Theme::changed, this, &MetricTable::fill);
}

void MetricTable::setLines(const QVector<MetricLine>& lines) {
    lines_ = lines;
    fill();
}

void MetricTable::fill() {
    const Tokens& t = Theme::instance().tokens();
    setRowCount(int(lines_.size()));
    for (int r = 0; r < lines_.size(); ++r) {
        const MetricLine& line = lines_[r];
        setItem(r, 0, cellOf(line.label, false, false));
        setItem(r, 1, cellOf(line.aText(), true, true));
        setItem(r, 2, cellOf(line.bText(), true, true));
        auto* difference = cellOf(line.differenceText(), true, true);
        QString verdict;
        switch (line.verdict) {
        case MetricLine::Verdict::better: difference->setForeground(t.green); verdict = tr("B is better"); break;
        case MetricLine::Verdict::worse: difference->setForeground(t.red); verdict = tr("B is worse"); break;
        case MetricLine::Verdict::unclear: difference->setForeground(t.muted); verdict = tr("not distinguishable: the interval holds zero"); break;
        case MetricLine::Verdict::none: difference->setForeground(t.muted); break;
        }
        difference->setToolTip(QStringList{verdict, line.interval ? tr("95 % interval %1 … %2, %3").arg(line.low, 0, 'g', 4).arg(line.high, 0, 'g', 4).arg(line.how) : line.how}
                                   .join(QLatin1Char('\n')).trimmed());
        setItem(r, 3, difference);
    }
}

RecipeTable::RecipeTable(QWidget* parent) : QTableWidget(parent) {
    dress(this, {tr("What"), tr("A"), tr("B")});
    setAccessibleName(tr("What differs in the recipes"));
    horizontalHeader()->setSectionResizeMode(QHeaderView::Stretch);
    horizontalHeader()->setSectionResizeMode(0, QHeaderView::ResizeToContents);
    for (int c = 0; c < 3; ++c) horizontalHeaderItem(c)->setTextAlignment(Qt::AlignLeft | Qt::AlignVCenter);
}

void RecipeTable::setLines(const QVector<RecipeLine>& lines) {
    setRowCount(int(lines.size()));
    for (int r = 0; r < lines.size(); ++r) {
        auto* what = cellOf(lines[r].what, false, false);
        what->setForeground(palette().placeholderText());
        setItem(r, 0, what);
        setItem(r, 1, cellOf(lines[r].a, true, false));
        setItem(r, 2, cellOf(lines[r].b, true, false));
    }
}

} // namespace bw
