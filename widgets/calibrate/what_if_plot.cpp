// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/calibrate/what_if_plot.h"

#include "widgets/plots/plot_export.h"
#include "widgets/theme/theme.h"

#include <QTextStream>
#include <algorithm>
#include <cmath>
#include <utility>

namespace bw {
namespace {

constexpr int kBars = 160;         ///< across the axis: as many as are told apart
constexpr double kFloor = 1e-6;    ///< share of the values below which nothing is drawn

/// Shares of the values by position in the range.
void fill(QCPGraph* graph, const WhatIfPlot::Curve& curve) {
    const Histogram& h = curve.histogram;
    QVector<double> keys, shares(kBars, 0.0);
    double all = 0;
    const double width = h.bins.empty() ? 0 : (double(h.high) - double(h.low)) / double(h.bins.size());
    for (std::size_t i = 0; i < h.bins.size(); ++i) {
        const double at = curve.range > 0 ? (double(h.low) + (double(i) + 0.5) * width) / curve.range : 0;
        const int bar = std::clamp(int((at + 1) / 2 * kBars), 0, kBars - 1);
        shares[bar] += double(h.bins[i]);
        all += double(h.bins[i]);
    }
    for (int b = 0; b < kBars; ++b) {
        keys << (b + 0.5) * 2 / kBars - 1;
        shares[b] = std::max(kFloor, all > 0 ? shares[b] / all : 0);
    }
    graph->setData(keys, shares, true);
}

} // namespace

WhatIfPlot::WhatIfPlot(QWidget* parent) : Plot(parent) {
    before_ = addGraph();
    after_ = addGraph();
    for (QCPGraph* graph : {before_, after_}) graph->setLineStyle(QCPGraph::lsStepCenter);
    low_ = new QCPItemStraightLine(this);
    high_ = new QCPItemStraightLine(this);
    message_ = new PlotMessage(this);
    setNavigation(Qt::Horizontal);
    setMouseTracking(true);
    xAxis->grid()->setVisible(false);
    xAxis->setLabel(tr("value, as a share of the range"));
    yAxis->setScaleType(QCPAxis::stLogarithmic);
    const auto ticks = QSharedPointer<QCPAxisTickerLog>::create();
    ticks->setLogBase(100); // a label for every other power of ten: there may be little height
    yAxis->setTicker(ticks);
    yAxis->setNumberFormat(QStringLiteral("eb"));
    yAxis->setNumberPrecision(0);
    setHome({-1.02, 1.02}, {kFloor, 1}, false);
    setAccessibleName(tr("Values over the range of their grid, before and after"));
    addExportMenu(this, QStringLiteral("what-if"), [this] { return csv(); });
    connect(&Theme::instance(), &Theme::changed, this, &WhatIfPlot::recolor);
    recolor();
    setMessage(tr("no data"));
}

void WhatIfPlot::setCurves(const Curve& before, const Curve* after) {
    message_->setText({});
    fill(before_, before);
    before_->setVisible(true);
    after_->setVisible(after);
    if (after) fill(after_, *after);
    clip_ = after && after->range > 0 ? std::clamp(after->clip / after->range, 0.0, 1.0) : 1;
    for (QCPItemStraightLine* line : {low_, high_}) { // at the ends where nothing is clipped: there they can be taken
        line->setVisible(true);
        const double at = clip_ * (line == low_ ? -1 : 1);
        line->point1->setCoords(at, kFloor);
        line->point2->setCoords(at, 1);
    }
    for (QCPAxis* axis : {xAxis, yAxis}) axis->setVisible(true);
    replot(rpQueuedReplot);
}

void WhatIfPlot::setMessage(const QString& text) {
    message_->setText(text);
    for (QCPGraph* graph : {before_, after_}) graph->setVisible(text.isEmpty());
    for (QCPItemStraightLine* line : {low_, high_}) line->setVisible(false);
    for (QCPAxis* axis : {xAxis, yAxis}) axis->setVisible(text.isEmpty());
    replot(rpQueuedReplot);
}

void WhatIfPlot::recolor() {
    const Tokens& t = Theme::instance().tokens();
    QColor shade = t.muted;
    shade.setAlpha(70);
    before_->setPen(QPen(t.muted, 1));
    before_->setBrush(shade);
    after_->setPen(QPen(t.accent, 1.6));
    for (QCPItemStraightLine* line : {low_, high_}) line->setPen(QPen(t.amber, 1.5));
    replot(rpQueuedReplot);
}

bool WhatIfPlot::onClipLine(const QPointF& position) const {
    constexpr double kReach = 6; // px
    if (!low_->visible() || !axisRect()->rect().adjusted(-8, 0, 8, 0).contains(position.toPoint())) return false;
    return std::min(std::abs(xAxis->coordToPixel(clip_) - position.x()), std::abs(xAxis->coordToPixel(-clip_) - position.x())) <= kReach;
}

void WhatIfPlot::mousePressEvent(QMouseEvent* event) {
    dragging_ = event->button() == Qt::LeftButton && onClipLine(event->position());
    if (!dragging_) Plot::mousePressEvent(event);
}

void WhatIfPlot::mouseMoveEvent(QMouseEvent* event) {
    if (dragging_) {
        Q_EMIT clipMoved(std::clamp(std::abs(xAxis->pixelToCoord(event->position().x())), 0.01, 1.0));
        return;
    }
    setCursor(onClipLine(event->position()) ? Qt::SplitHCursor : Qt::ArrowCursor);
    Plot::mouseMoveEvent(event);
}

void WhatIfPlot::mouseReleaseEvent(QMouseEvent* event) {
    if (!std::exchange(dragging_, false)) Plot::mouseReleaseEvent(event);
}

/// Left and Right move the lines, inwards and outwards.
void WhatIfPlot::keyPressEvent(QKeyEvent* event) {
    const bool arrow = event->key() == Qt::Key_Left || event->key() == Qt::Key_Right;
    if (!arrow || !low_->visible() || (event->modifiers() & Qt::ShiftModifier)) return Plot::keyPressEvent(event);
    Q_EMIT clipMoved(std::clamp(clip_ + (event->key() == Qt::Key_Left ? -0.01 : 0.01), 0.01, 1.0));
}

QString WhatIfPlot::csv() const {
    QString out;
    QTextStream text(&out);
    text << "share_of_range,before,after\n";
    for (int i = 0; i < before_->dataCount(); ++i)
        text << before_->dataMainKey(i) << ',' << before_->dataMainValue(i) << ',' << (after_->visible() && i < after_->dataCount() ? after_->dataMainValue(i) : before_->dataMainValue(i)) << '\n';
    return out;
}

} // namespace bw
