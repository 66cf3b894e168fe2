// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/plots/reliability_plot.h"

#include "widgets/plots/number_text.h"
#include "widgets/plots/plot_export.h"
#include "widgets/theme/theme.h"

#include <QHelpEvent>
#include <QToolTip>
#include <cmath>
#include <limits>

namespace bw {
namespace {

constexpr double kReach = 14; ///< px around a point

} // namespace

ReliabilityPlot::ReliabilityPlot(QWidget* parent) : Plot(parent) {
    diagonal_ = addGraph();
    diagonal_->setData(QVector<double>{0, 1}, QVector<double>{0, 1}, true);
    a_.name = QStringLiteral("A");
    b_.name = QStringLiteral("B");
    for (Series* series : {&a_, &b_}) {
        series->graph = addGraph();
        series->bars = new QCPErrorBars(xAxis, yAxis);
        series->bars->setDataPlottable(series->graph);
        series->bars->setErrorType(QCPErrorBars::etValueError);
        series->bars->setWhiskerWidth(5);
    }
    message_ = new PlotMessage(this);
    setNavigation(Qt::Horizontal | Qt::Vertical);
    setHome({-0.02, 1.02}, {-0.02, 1.02}, false);
    xAxis->setLabel(tr("confidence"));
    yAxis->setLabel(tr("share right"));
    setAccessibleName(tr("Reliability: share of right predictions by confidence"));
    addExportMenu(this, QStringLiteral("reliability"), [this] { return csv(); });
    connect(&Theme::instance(), &Theme::changed, this, &ReliabilityPlot::recolor);
    setBins({}, {});
    recolor();
}

void ReliabilityPlot::setBins(const std::vector<ReliabilityBin>& a, const std::vector<ReliabilityBin>& b) {
    for (Series* series : {&a_, &b_}) {
        series->bins.clear();
        QVector<double> confidence, accuracy, below, above;
        for (const ReliabilityBin& bin : series == &a_ ? a : b) {
            if (bin.count <= 0) continue;
            series->bins.push_back(bin);
            confidence << bin.confidence;
            accuracy << bin.accuracy;
            below << bin.accuracy - bin.low;
            above << bin.high - bin.accuracy;
        }
        series->graph->setData(confidence, accuracy, true);
        series->bars->setData(below, above);
    }
    const bool any = !a_.bins.empty() || !b_.bins.empty();
    diagonal_->setVisible(any);
    for (QCPAxis* axis : {xAxis, yAxis}) axis->setVisible(any);
    message_->setText(any ? QString() : tr("Neither run holds a reliability diagram: evaluate anew."));
    replot(rpQueuedReplot);
}

void ReliabilityPlot::recolor() {
    const Tokens& t = Theme::instance().tokens();
    diagonal_->setPen(QPen(t.muted, 1, Qt::DashLine));
    for (const Series* series : {&a_, &b_}) {
        const QColor color = series == &a_ ? t.accent : t.amber;
        series->graph->setPen(QPen(color, 1.6));
        series->graph->setScatterStyle(QCPScatterStyle(QCPScatterStyle::ssDisc, color, 6));
        series->bars->setPen(QPen(color, 1));
    }
    replot(rpQueuedReplot);
}

QString ReliabilityPlot::textAt(const QPointF& position) const {
    QString text;
    double nearest = kReach;
    for (const Series* series : {&a_, &b_}) {
        for (const ReliabilityBin& bin : series->bins) {
            const double distance = std::hypot(xAxis->coordToPixel(bin.confidence) - position.x(), yAxis->coordToPixel(bin.accuracy) - position.y());
            if (distance >= nearest) continue;
            nearest = distance;
            text = tr("%1: sure %2, right %3 (95 %: %4 … %5), %6 tokens")
                       .arg(series->name).arg(bin.confidence, 0, 'f', 3).arg(bin.accuracy, 0, 'f', 3).arg(bin.low, 0, 'f', 3).arg(bin.high, 0, 'f', 3)
                       .arg(groupedText(bin.count));
        }
    }
    return text;
}

bool ReliabilityPlot::event(QEvent* event) {
    if (event->type() != QEvent::ToolTip) return Plot::event(event);
    auto* help = static_cast<QHelpEvent*>(event);
    const QString text = textAt(help->pos());
    if (text.isEmpty()) QToolTip::hideText();
    else QToolTip::showText(help->globalPos(), text, this);
    return true;
}

QString ReliabilityPlot::csv() const {
    QString text = QStringLiteral("run,confidence,accuracy,low,high,count\n");
    for (const Series* series : {&a_, &b_})
        for (const ReliabilityBin& bin : series->bins)
            text += QStringLiteral("%1,%2,%3,%4,%5,%6\n").arg(series->name).arg(bin.confidence, 0, 'g', 9).arg(bin.accuracy, 0, 'g', 9).arg(bin.low, 0, 'g', 9).arg(bin.high, 0, 'g', 9).arg(bin.count);
    return text;
}

} // namespace bw
