// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/plots/plot_style.h"

#include "widgets/theme/theme.h"

#include <algorithm>
#include <utility>

namespace bw {
namespace {

QColor faded(const QColor& color, int alpha) {
    QColor result = color;
    result.setAlpha(alpha);
    return result;
}

} // namespace

QFont smallFigures() {
    QFont font = Theme::instance().figures();
    font.setPixelSize(11);
    return font;
}

Plot::Plot(QWidget* parent) : QCustomPlot(parent) {
    dress();
    connect(&Theme::instance(), &Theme::changed, this, [this] {
        dress();
        replot(rpQueuedReplot);
    });
}

void Plot::replot(RefreshPriority priority) {
    stale_ = priority == rpQueuedReplot && !isVisible();
    if (!stale_) QCustomPlot::replot(priority);
}

void Plot::showEvent(QShowEvent* event) {
    QCustomPlot::showEvent(event);
    if (std::exchange(stale_, false)) QCustomPlot::replot(rpQueuedReplot);
}

void Plot::resizeEvent(QResizeEvent* event) {
    if (event->size().isEmpty()) return;
    // A figure along the bottom takes up to 55 px; QCustomPlot's own count of five would overlap in a narrow plot.
    xAxis->ticker()->setTickCount(std::clamp(event->size().width() / 55 - 1, 2, 5));
    QCustomPlot::resizeEvent(event);
}

void Plot::dress() {
    const Tokens& t = Theme::instance().tokens();
    const QFont figures = smallFigures();
    setBackground(QBrush(t.panel));
    for (QCPAxisRect* rect : axisRects()) {
        rect->setBackground(QBrush(Qt::NoBrush));
        for (QCPAxis* axis : rect->axes()) {
            axis->setBasePen(Qt::NoPen);
            axis->setTickPen(Qt::NoPen);
            axis->setSubTickPen(Qt::NoPen);
            axis->setTickLabelColor(t.muted);
            axis->setLabelColor(t.muted);
            axis->setTickLabelFont(figures);
            axis->setLabelFont(figures);
            axis->grid()->setPen(QPen(faded(t.line, 160), 1));
            axis->grid()->setZeroLinePen(QPen(t.line, 1));
            axis->grid()->setSubGridVisible(false);
        }
    }
}

PlotMessage::PlotMessage(QCustomPlot* plot) : QCPLayerable(plot, QStringLiteral("overlay")) {}

void PlotMessage::draw(QCPPainter* painter) {
    if (text_.isEmpty()) return;
    painter->setPen(Theme::instance().tokens().muted);
    painter->setFont(parentPlot()->font());
    const QRect area = parentPlot()->viewport().adjusted(12, 12, -12, -12);
    painter->drawText(area, static_cast<int>(Qt::AlignCenter) | static_cast<int>(Qt::TextWordWrap), text_);
}

} // namespace bw
