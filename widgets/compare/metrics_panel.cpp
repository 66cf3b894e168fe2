// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/compare/metrics_panel.h"

#include "widgets/compare/comparison_tables.h"
#include "widgets/theme/elided_label.h"

#include <QComboBox>
#include <QHBoxLayout>
#include <QStackedWidget>
#include <QTabBar>
#include <QVBoxLayout>
#include <algorithm>

namespace bw {
namespace {

enum Tab { kAll, kTexts, kPositions, kSeeds };

} // namespace

MetricsPanel::MetricsPanel(QWidget* parent)
    : QFrame(parent), tabs_(new QTabBar(this)), figure_(new QComboBox(this)), shown_(new QStackedWidget(this)), metrics_(new MetricTable(this)),
      texts_(new PartsTable(tr("Text"), QStringLiteral("by-text"), this)), positions_(new PartsTable(tr("Position"), QStringLiteral("by-position"), this)), seeds_(new SeedsTable(this)),
      note_(new ElidedLabel(this)) {
    setProperty("role", QStringLiteral("panel"));
    setAccessibleName(tr("Metrics"));
    tabs_->setObjectName(QStringLiteral("compare.metrics"));
    tabs_->setAccessibleName(tr("Metrics"));
    tabs_->setDrawBase(false);
    tabs_->setExpanding(false);
    for (const QString& name : {tr("Metrics"), tr("By text"), tr("By position"), tr("Seeds")}) tabs_->addTab(name);
    tabs_->setTabToolTip(kTexts, tr("Each evaluation text by itself, with the 95 % interval of the paired difference"));
    tabs_->setTabToolTip(kPositions, tr("Tokens by their place in the window: what an early token, which has little text before it, loses"));
    tabs_->setTabToolTip(kSeeds, tr("Runs that differ in nothing but the seed: a difference within theirs is noise"));
    figure_->setObjectName(QStringLiteral("compare.figure"));
    figure_->setAccessibleName(tr("Figure"));
    note_->setProperty("role", QStringLiteral("muted"));
    for (QWidget* table : {static_cast<QWidget*>(metrics_), static_cast<QWidget*>(texts_), static_cast<QWidget*>(positions_), static_cast<QWidget*>(seeds_)}) shown_->addWidget(table);
    auto* head = new QHBoxLayout;
    head->addWidget(tabs_);
    head->addStretch(1);
    head->addWidget(figure_);
    auto* all = new QVBoxLayout(this);
    all->setContentsMargins(16, 6, 16, 12);
    all->setSpacing(6);
    all->addLayout(head);
    all->addWidget(shown_, 1);
    all->addWidget(note_);
    connect(tabs_, &QTabBar::currentChanged, this, &MetricsPanel::showTab);
    connect(figure_, &QComboBox::currentIndexChanged, this, &MetricsPanel::showFigure);
    showTab(kAll);
}

void MetricsPanel::setComparison(const Comparison& comparison) {
    comparison_ = comparison;
    metrics_->setLines(comparison_.metrics);
    seeds_->setLines(comparison_.seeds);
    const QString chosen = figure_->currentData().toString();
    {
        const QSignalBlocker quiet(figure_);
        figure_->clear();
        const QVector<PartLine>& parts = comparison_.byText.isEmpty() ? comparison_.byPosition : comparison_.byText;
        for (const char* name : {"kl_mean", "nll", "same_top1", "top1"})
            if (!parts.isEmpty() && parts.first().figure(QString::fromLatin1(name))) figure_->addItem(partFigureName(QString::fromLatin1(name)), QString::fromLatin1(name));
        figure_->setCurrentIndex(std::max(0, figure_->findData(chosen)));
    }
    // One text alone says what all metrics say.
    tabs_->setTabVisible(kTexts, comparison_.byText.size() > 1);
    tabs_->setTabVisible(kPositions, comparison_.byPosition.size() > 1);
    tabs_->setTabVisible(kSeeds, !comparison_.seeds.isEmpty());
    if (!tabs_->isTabVisible(tabs_->currentIndex())) tabs_->setCurrentIndex(kAll);
    showFigure();
    showTab(tabs_->currentIndex());
}

void MetricsPanel::showFigure() {
    texts_->setParts(comparison_.byText, figure_->currentData().toString());
    positions_->setParts(comparison_.byPosition, figure_->currentData().toString());
}

void MetricsPanel::showTab(int tab) {
    if (tab < 0) return;
    shown_->setCurrentIndex(tab);
    figure_->setVisible(tab == kTexts || tab == kPositions);
    note_->setVisible(tab == kSeeds);
    const auto runs = [](int count) { return count == 0 ? tr("none") : QString::number(count); };
    note_->setText(tr("runs with other seeds: A %1 · B %2").arg(runs(comparison_.seedRunsA), runs(comparison_.seedRunsB)));
}

} // namespace bw
