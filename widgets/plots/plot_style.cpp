// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/plots/plot_style.h"

#include "widgets/plots/plot_navigation.h"
#include "widgets/theme/theme.h"

#include <QLocale>
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
    QLocale figures = QLocale::c(); // powers of ten are written as such only where the exponent is a small e
    figures.setNumberOptions(QLocale::OmitGroupSeparator);
    setLocale(figures);
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

void Plot::setNavigation(Qt::Orientations along) {
    along_ = along;
    setFocusPolicy(Qt::StrongFocus);
    setInteraction(QCP::iRangeDrag, along != Qt::Orientations());
    axisRect()->setRangeDrag(along);
    for (QCPAxis* axis : {xAxis, yAxis})
        connect(axis, qOverload<const QCPRange&>(&QCPAxis::rangeChanged), this, [this, axis] {
            if (along_.testFlag(axis->orientation())) hold(axis, axis == xAxis ? homeX_ : homeY_);
        });
}

/// Never beyond what there is, and never closer than a millionth of it.
void Plot::hold(QCPAxis* axis, const QCPRange& home) {
    if (holding_ || !(home.size() > 0)) return;
    const bool log = axis->scaleType() == QCPAxis::stLogarithmic;
    const ViewSpan kept = heldWithin({axis->range().lower, axis->range().upper}, {home.lower, home.upper}, log);
    holding_ = true; // setting the range comes back here
    axis->setRange(kept.low, kept.high);
    holding_ = false;
    const double slack = 1e-9 * home.size();
    if (kept.low > home.lower + slack || kept.high < home.upper - slack) zoomed_ = true;
}

void Plot::setHome(const QCPRange& x, const QCPRange& y, bool keep) {
    homeX_ = x;
    homeY_ = y;
    for (QCPAxis* axis : {xAxis, yAxis}) {
        const QCPRange& home = axis == xAxis ? homeX_ : homeY_;
        if (!along_.testFlag(axis->orientation())) axis->setRange(home);
        else if (keep && zoomed_) hold(axis, home);
    }
    if (!keep || !zoomed_) showHome();
}

void Plot::showHome() {
    zoomed_ = false;
    for (QCPAxis* axis : {xAxis, yAxis})
        if (along_.testFlag(axis->orientation())) axis->setRange(axis == xAxis ? homeX_ : homeY_);
    zoomed_ = false; // holding a range may have set it
    replot(rpQueuedReplot);
}

void Plot::zoom(double factor, const QPointF& around) {
    if (along_ == Qt::Orientations() || !xAxis->visible()) return;
    for (QCPAxis* axis : {xAxis, yAxis}) {
        if (!along_.testFlag(axis->orientation())) continue;
        axis->scaleRange(factor, axis->pixelToCoord(axis == xAxis ? around.x() : around.y()));
    }
    const auto full = [](const QCPRange& range, const QCPRange& home) { return range.size() >= home.size() * (1 - 1e-9); };
    zoomed_ = (along_.testFlag(Qt::Horizontal) && !full(xAxis->range(), homeX_)) || (along_.testFlag(Qt::Vertical) && !full(yAxis->range(), homeY_));
    replot(rpQueuedReplot);
}

void Plot::move(double x, double y) {
    const QRect area = axisRect()->rect();
    for (const auto& [axis, pixels] : {std::pair(xAxis, x * area.width()), std::pair(yAxis, -y * area.height())}) {
        if (!along_.testFlag(axis->orientation())) continue;
        const double low = axis->coordToPixel(axis->range().lower), high = axis->coordToPixel(axis->range().upper);
        axis->setRange(axis->pixelToCoord(low + pixels), axis->pixelToCoord(high + pixels));
    }
    replot(rpQueuedReplot);
}

void Plot::wheelEvent(QWheelEvent* event) {
    const double factor = zoomFactor(*event);
    const bool nothing = along_ == Qt::Orientations() || !xAxis->visible() || !axisRect()->rect().contains(event->position().toPoint());
    // Where there is nothing more to see the wheel is the page's: it scrolls.
    if (nothing || factor == 1 || (factor > 1 && !zoomed_)) return event->ignore();
    zoom(factor, event->position());
    event->accept();
}

void Plot::mouseDoubleClickEvent(QMouseEvent* event) {
    if (along_ != Qt::Orientations() && event->button() == Qt::LeftButton) showHome();
    else QCustomPlot::mouseDoubleClickEvent(event);
}

void Plot::keyPressEvent(QKeyEvent* event) {
    const QPointF middle = axisRect()->rect().center();
    switch (along_ == Qt::Orientations() ? ViewKey::none : viewKey(*event)) {
    case ViewKey::closer: return zoom(kZoomStep, middle);
    case ViewKey::farther: return zoom(1 / kZoomStep, middle);
    case ViewKey::all: return showHome();
    case ViewKey::left: return move(-kMoveStep, 0);
    case ViewKey::right: return move(kMoveStep, 0);
    case ViewKey::up: return move(0, kMoveStep);
    case ViewKey::down: return move(0, -kMoveStep);
    case ViewKey::none: break;
    }
    QCustomPlot::keyPressEvent(event);
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
