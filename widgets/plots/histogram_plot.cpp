// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/plots/histogram_plot.h"

#include "widgets/plots/number_text.h"
#include "widgets/plots/plot_export.h"
#include "widgets/theme/theme.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace bw {
namespace {

constexpr int kMostBars = 512;      ///< more bins than this are merged for drawing: bars narrower than a pixel
constexpr double kGrabDistance = 6; ///< px around a line where it can be taken
constexpr double kLogFloor = 0.6;   ///< base of the bars on the log axis: a count of one still stands above it

/// First bin that holds anything and one past the last.
std::pair<std::ptrdiff_t, std::ptrdiff_t> filledBins(const Histogram& histogram) {
    const auto filled = [](auto n) { return n > 0; };
    const auto& bins = histogram.bins;
    return {std::find_if(bins.begin(), bins.end(), filled) - bins.begin(), bins.rend() - std::find_if(bins.rbegin(), bins.rend(), filled)};
}

} // namespace

/// Clip lines, their shade and names, grid ticks and the note on values outside the axis.
class HistogramPlot::Overlay final : public QCPLayerable {
public:
    explicit Overlay(HistogramPlot* plot) : QCPLayerable(plot, QStringLiteral("overlay")), plot_(plot) {}

protected:
    void applyDefaultAntialiasingHint(QCPPainter*) const override {}

    void draw(QCPPainter* painter) override {
        if (plot_->empty()) return;
        const QRect area = plot_->axisRect()->rect();
        drawTicks(painter, area);
        painter->setFont(plot_->xAxis->tickLabelFont());
        for (int i = 0; i < plot_->markers_.size(); ++i) drawMarker(painter, area, i);
        const QString outside = plot_->outsideText();
        if (!outside.isEmpty()) {
            painter->setPen(Theme::instance().tokens().amber);
            painter->drawText(area.adjusted(0, 2, -4, 0), static_cast<int>(Qt::AlignRight) | static_cast<int>(Qt::AlignTop), outside);
        }
    }

private:
    void drawTicks(QCPPainter* painter, const QRect& area) {
        painter->setPen(QPen(Theme::instance().tokens().amber, 1));
        for (const double value : plot_->ticks_) {
            const double x = plot_->xAxis->coordToPixel(value);
            if (x < area.left() || x > area.right()) continue;
            painter->drawLine(QPointF(x, area.bottom() + 1), QPointF(x, area.bottom() + 6));
        }
    }

    void drawMarker(QCPPainter* painter, const QRect& area, int index) {
        const Marker& marker = plot_->markers_[index];
        const double low = plot_->xAxis->coordToPixel(marker.low), high = plot_->xAxis->coordToPixel(marker.high);
        QColor shade = marker.color;
        shade.setAlpha(26);
        const qreal left = std::clamp<qreal>(low, area.left(), area.right()), right = std::clamp<qreal>(high, area.left(), area.right());
        if (std::isfinite(low)) painter->fillRect(QRectF(area.left(), area.top(), left - area.left(), area.height()), shade);
        if (std::isfinite(high)) painter->fillRect(QRectF(right, area.top(), area.right() - right, area.height()), shade);
        const bool active = plot_->dragged_.marker == index || (plot_->hasFocus() && plot_->keyboard_.marker == index);
        painter->setPen(QPen(marker.color, active ? 2.5 : 1.5));
        for (const double x : {low, high}) {
            if (x >= area.left() && x <= area.right()) painter->drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()));
        }
        if (std::isfinite(high)) {
            const QFontMetrics metrics(painter->font());
            const int line = metrics.height();
            QRectF text(0, area.top() + 2 + (index + 1) * line, metrics.horizontalAdvance(marker.name) + 2, line);
            text.moveRight(std::max<qreal>(std::min<qreal>(right - 4, area.right()), area.left() + text.width()));
            // In a low plot the name lies on bars: its own ground keeps it legible.
            const QRectF ground = painter->boundingRect(text, static_cast<int>(Qt::AlignRight) | static_cast<int>(Qt::AlignVCenter), marker.name);
            QColor panel = Theme::instance().tokens().panel;
            panel.setAlphaF(0.85f);
            painter->fillRect(ground.adjusted(-2, 0, 2, 0), panel);
            painter->drawText(text, static_cast<int>(Qt::AlignRight) | static_cast<int>(Qt::AlignVCenter), marker.name);
        }
    }

    HistogramPlot* plot_;
};

HistogramPlot::HistogramPlot(QWidget* parent) : Plot(parent), emptyText_(tr("no data")) {
    bars_ = new QCPBars(xAxis, yAxis);
    bars_->setAntialiased(false); // antialiased neighbours show hairline seams
    bars_->setWidthType(QCPBars::wtPlotCoords);
    overlay_ = new Overlay(this);
    message_ = new PlotMessage(this);
    setNavigation(Qt::Horizontal);
    connect(xAxis, qOverload<const QCPRange&>(&QCPAxis::rangeChanged), this, &HistogramPlot::fillBars);
    setMouseTracking(true);
    setAccessibleName(tr("Histogram"));
    setNoAntialiasingOnDrag(false);
    xAxis->grid()->setVisible(false);
    xAxis->setTickLabelPadding(9);
    addExportMenu(this, QStringLiteral("histogram"), [this] { return csv(); });
    connect(&Theme::instance(), &Theme::changed, this, &HistogramPlot::recolor);
    rebuild();
}

HistogramPlot::~HistogramPlot() = default;

bool HistogramPlot::empty() const {
    return std::all_of(histogram_.bins.begin(), histogram_.bins.end(), [](auto n) { return n == 0; });
}

double HistogramPlot::binWidth() const {
    return (double(histogram_.high) - double(histogram_.low)) / double(std::max<std::size_t>(1, histogram_.bins.size()));
}

void HistogramPlot::setHistogram(const Histogram& histogram) {
    histogram_ = histogram;
    rebuild();
}

void HistogramPlot::clear() { setHistogram({}); }

void HistogramPlot::setLogCounts(bool log) {
    log_ = log;
    rebuild();
}

void HistogramPlot::setMarkers(const QVector<Marker>& markers) {
    markers_ = markers;
    if (dragged_.marker >= markers_.size()) dragged_ = {};
    if (keyboard_.marker >= markers_.size()) keyboard_ = {};
    rebuild(true);
}

void HistogramPlot::setTicksBelow(const QVector<double>& values) {
    ticks_ = values;
    replot(rpQueuedReplot);
}

void HistogramPlot::setBarColor(const QColor& color) {
    barColor_ = color;
    recolor();
}

void HistogramPlot::setEmptyText(const QString& text) {
    emptyText_ = text;
    rebuild();
}

void HistogramPlot::recolor() {
    bars_->setPen(Qt::NoPen);
    bars_->setBrush(barColor_.isValid() ? barColor_ : Theme::instance().tokens().accent);
    replot(rpQueuedReplot);
}

/// Values the axis can't show, so that nothing is hidden silently.
QString HistogramPlot::outsideText() const {
    QStringList parts;
    if (histogram_.below > 0) parts << tr("%1 below").arg(histogram_.below);
    if (histogram_.above > 0) parts << tr("%1 above").arg(histogram_.above);
    if (histogram_.nan > 0) parts << tr("%1 NaN").arg(histogram_.nan);
    if (histogram_.infinite > 0) parts << tr("%1 infinite").arg(histogram_.infinite);
    return parts.join(QStringLiteral(" · "));
}

/// With the view kept: only lines moved, the values are the same.
void HistogramPlot::rebuild(bool keepView) {
    const bool none = empty();
    message_->setText(none ? (outsideText().isEmpty() ? emptyText_ : outsideText()) : QString());
    for (QCPAxis* axis : {xAxis, yAxis}) axis->setVisible(!none);
    bars_->setVisible(!none);
    setAccessibleDescription(none ? emptyText_ : tr("values from %1 to %2").arg(histogram_.low).arg(histogram_.high));
    if (none) return recolor();

    double low = std::numeric_limits<double>::infinity(), high = -low;
    if (const auto [first, last] = filledBins(histogram_); first < last) { // only the filled part of the range is worth the width
        low = double(histogram_.low) + double(first) * binWidth();
        high = double(histogram_.low) + double(last) * binWidth();
    }
    for (const Marker& marker : markers_) {
        if (std::isfinite(marker.low)) low = std::min(low, marker.low);
        if (std::isfinite(marker.high)) high = std::max(high, marker.high);
    }
    if (!(high > low)) { // one value only
        low -= 0.5;
        high += 0.5;
    }
    yAxis->setScaleType(log_ ? QCPAxis::stLogarithmic : QCPAxis::stLinear);
    if (log_) {
        yAxis->setTicker(QSharedPointer<QCPAxisTickerLog>::create());
        yAxis->setNumberFormat(QStringLiteral("eb"));
        yAxis->setNumberPrecision(0);
    } else {
        auto ticker = QSharedPointer<QCPAxisTicker>::create();
        ticker->setTickCount(3);
        yAxis->setTicker(ticker);
        yAxis->setNumberFormat(QStringLiteral("gb"));
        yAxis->setNumberPrecision(3);
    }
    const double margin = 0.02 * (high - low);
    setHome({low - margin, high + margin}, yAxis->range(), keepView);
    fillBars();
    recolor();
}

/// Bars of what is in view, each at least about a pixel wide: the closer one looks the fewer bins a bar holds.
void HistogramPlot::fillBars() {
    if (empty()) return;
    const auto [filledFirst, filledLast] = filledBins(histogram_);
    const auto binAt = [&](double value) {
        const double bin = binWidth() > 0 ? (value - double(histogram_.low)) / binWidth() : 0;
        return std::clamp(std::ptrdiff_t(std::floor(std::clamp(bin, 0.0, double(histogram_.bins.size())))), filledFirst, filledLast);
    };
    const std::ptrdiff_t begin = zoomed() ? binAt(xAxis->range().lower) : filledFirst;
    const std::ptrdiff_t last = zoomed() ? std::min(filledLast, binAt(xAxis->range().upper) + 1) : filledLast;
    const auto merge = std::max<std::ptrdiff_t>(1, (last - begin + kMostBars - 1) / kMostBars);
    const std::ptrdiff_t first = begin - (begin - filledFirst) % merge; // the same bars wherever the view begins
    QVector<double> keys, counts;
    double most = 0;
    for (std::ptrdiff_t i = first; i < last; i += merge) {
        double sum = 0;
        for (std::ptrdiff_t k = i; k < std::min(i + merge, filledLast); ++k) sum += double(histogram_.bins[static_cast<std::size_t>(k)]);
        // A bar without a height (NaN, or 0 on a log axis) would be painted from top to bottom.
        if (sum > 0) {
            keys << double(histogram_.low) + (double(i) + double(merge) / 2) * binWidth();
            counts << sum;
        }
        most = std::max(most, sum);
    }
    bars_->setWidth(double(merge) * (binWidth() > 0 ? binWidth() : 1.0));
    bars_->setBaseValue(log_ ? kLogFloor : 0);
    bars_->setData(keys, counts, true);
    yAxis->setRange(log_ ? kLogFloor : 0, log_ ? std::max(most * 2, 10.0) : std::max(most, 1.0) * 1.08);
}

HistogramPlot::Edge HistogramPlot::edgeAt(const QPointF& position) const {
    Edge best;
    double nearest = kGrabDistance;
    if (empty() || !axisRect()->rect().adjusted(-6, 0, 6, 0).contains(position.toPoint())) return best;
    for (int i = 0; i < markers_.size(); ++i) {
        if (!markers_[i].draggable) continue;
        for (const bool high : {false, true}) {
            const double value = high ? markers_[i].high : markers_[i].low;
            const double distance = std::abs(xAxis->coordToPixel(value) - position.x());
            if (std::isfinite(value) && distance <= nearest) {
                nearest = distance;
                best = {i, high};
            }
        }
    }
    return best;
}

void HistogramPlot::moveEdge(Edge edge, double value) {
    Marker& marker = markers_[edge.marker];
    value = std::clamp(value, xAxis->range().lower, xAxis->range().upper);
    if (edge.high) {
        marker.high = std::isfinite(marker.low) ? std::max(value, marker.low) : value;
    } else {
        marker.low = std::isfinite(marker.high) ? std::min(value, marker.high) : value;
    }
    replot(rpQueuedReplot);
    Q_EMIT markerMoved(marker.name, marker.low, marker.high);
}

void HistogramPlot::mousePressEvent(QMouseEvent* event) {
    if (event->button() == Qt::LeftButton) dragged_ = keyboard_ = edgeAt(event->position());
    if (dragged_.marker < 0) Plot::mousePressEvent(event);
}

void HistogramPlot::mouseMoveEvent(QMouseEvent* event) {
    if (dragged_.marker >= 0) return moveEdge(dragged_, xAxis->pixelToCoord(event->position().x()));
    setCursor(edgeAt(event->position()).marker >= 0 ? Qt::SplitHCursor : Qt::ArrowCursor);
    if (!empty() && binWidth() > 0) {
        const double bin = (xAxis->pixelToCoord(event->position().x()) - double(histogram_.low)) / binWidth();
        if (bin >= 0 && bin < double(histogram_.bins.size())) {
            const double low = double(histogram_.low) + std::floor(bin) * binWidth();
            Q_EMIT binHovered(low, low + binWidth(), histogram_.bins[static_cast<std::size_t>(bin)]);
        }
    }
    Plot::mouseMoveEvent(event);
}

void HistogramPlot::mouseReleaseEvent(QMouseEvent* event) {
    dragged_ = {};
    replot(rpQueuedReplot);
    Plot::mouseReleaseEvent(event);
}

/// Up and Down choose a line, Left and Right move it by one bin.
void HistogramPlot::keyPressEvent(QKeyEvent* event) {
    QVector<Edge> edges;
    for (int i = 0; i < markers_.size(); ++i) {
        if (!markers_[i].draggable) continue;
        if (std::isfinite(markers_[i].low)) edges << Edge{i, false};
        if (std::isfinite(markers_[i].high)) edges << Edge{i, true};
    }
    const auto key = event->key();
    if (edges.isEmpty() || (event->modifiers() & Qt::ShiftModifier) || (key != Qt::Key_Up && key != Qt::Key_Down && key != Qt::Key_Left && key != Qt::Key_Right)) {
        return Plot::keyPressEvent(event);
    }
    qsizetype at = -1;
    for (qsizetype i = 0; i < edges.size(); ++i) {
        if (edges[i].marker == keyboard_.marker && edges[i].high == keyboard_.high) at = i;
    }
    if (at < 0 || key == Qt::Key_Up || key == Qt::Key_Down) {
        const qsizetype step = key == Qt::Key_Up ? edges.size() - 1 : 1;
        keyboard_ = edges[at < 0 ? 0 : (at + step) % edges.size()];
        replot(rpQueuedReplot);
        return;
    }
    const Marker& marker = markers_[keyboard_.marker];
    moveEdge(keyboard_, (keyboard_.high ? marker.high : marker.low) + (key == Qt::Key_Left ? -1 : 1) * binWidth());
}

bool HistogramPlot::event(QEvent* event) {
    if (event->type() != QEvent::ToolTip || empty() || !(binWidth() > 0)) return Plot::event(event);
    auto* help = static_cast<QHelpEvent*>(event);
    const double bin = (xAxis->pixelToCoord(help->pos().x()) - double(histogram_.low)) / binWidth();
    if (bin < 0 || bin >= double(histogram_.bins.size())) return Plot::event(event);
    const double low = double(histogram_.low) + std::floor(bin) * binWidth();
    QToolTip::showText(help->globalPos(),
                       tr("%1 … %2\n%3 values").arg(figureText(low, 4), figureText(low + binWidth(), 4)).arg(histogram_.bins[static_cast<std::size_t>(bin)]),
                       this);
    return true;
}

QString HistogramPlot::csv() const {
    QString text = QStringLiteral("low,high,count\n");
    for (std::size_t i = 0; i < histogram_.bins.size(); ++i) {
        const double low = double(histogram_.low) + double(i) * binWidth();
        text += QString::number(low, 'g', 9) + QLatin1Char(',') + QString::number(low + binWidth(), 'g', 9) + QLatin1Char(',') +
                QString::number(histogram_.bins[i]) + QLatin1Char('\n');
    }
    return text;
}

} // namespace bw
