// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/plots/plot_style.h"

#include "widgets/theme/theme.h"

namespace bw {
namespace {

QColor faded(const QColor& color, int alpha) {
    QColor result = color;
    result.setAlpha(alpha);
    return result;
}

void dress(QCustomPlot* plot) {
    const Tokens& t = Theme::instance().tokens();
    const QFont figures = smallFigures();
    plot->setBackground(QBrush(t.panel));
    for (QCPAxisRect* rect : plot->axisRects()) {
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

} // namespace

QFont smallFigures() {
    QFont font = Theme::instance().figures();
    font.setPixelSize(11);
    return font;
}

void stylePlot(QCustomPlot* plot) {
    dress(plot);
    QObject::connect(&Theme::instance(), &Theme::changed, plot, [plot] {
        dress(plot);
        plot->replot(QCustomPlot::rpQueuedReplot);
    });
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
