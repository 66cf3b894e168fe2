// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/mix/agreement_plot.h"

#include "widgets/mix/mix_state.h"
#include "widgets/plots/number_text.h"
#include "widgets/plots/plot_export.h"
#include "widgets/theme/theme.h"

#include <QHelpEvent>
#include <QMouseEvent>
#include <QToolTip>
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace bw {
namespace {

constexpr double kReach = 10;   ///< px around a point where a click takes it
constexpr double kDecades = 6;  ///< shown at most: what is a million times smaller than the worst is nothing

} // namespace

/// Line, points, the selected site's error bars and the key of colours.
class AgreementPlot::Points final : public QCPLayerable {
public:
    explicit Points(AgreementPlot* plot) : QCPLayerable(plot, QStringLiteral("main")), plot_(plot) {}

protected:
    void applyDefaultAntialiasingHint(QCPPainter* painter) const override { painter->setAntialiasing(true); }

    void draw(QCPPainter* painter) override {
        if (plot_->pairs_.empty()) return;
        const Tokens& t = Theme::instance().tokens();
        painter->setAntialiasing(true);
        painter->setClipRect(plot_->axisRect()->rect().adjusted(-4, -4, 4, 4));
        if (plot_->sameUnit_) drawLine(painter, t);
        const std::string selected = plot_->selected_.toStdString();
        const auto isSelected = [&](int i) { return !selected.empty() && selected == plot_->pairs_[std::size_t(i)].site; };
        // Points of one colour at the same place hide each other: one of them is drawn. A crowd is a cloud, not points.
        constexpr std::size_t kCrowd = 5000;
        const int cell = plot_->pairs_.size() > kCrowd ? 3 : 1; // px
        const QSize size = plot_->size() / cell + QSize(1, 1);
        std::vector<std::uint32_t> taken(std::size_t(size.width()) * std::size_t(size.height()), 0);
        for (int i = 0; i < int(plot_->pairs_.size()); ++i) {
            const QPointF place = plot_->pixelOf(i);
            if (!std::isfinite(place.x()) || !std::isfinite(place.y()) || !QRectF(plot_->rect()).contains(place) || isSelected(i)) continue;
            const QPoint at(std::min(int(place.x()) / cell, size.width() - 1), std::min(int(place.y()) / cell, size.height() - 1));
            std::uint32_t& colors = taken[std::size_t(at.y()) * std::size_t(size.width()) + std::size_t(at.x())];
            const std::uint32_t color = 1u << (plot_->bits_[i] & 31);
            if ((colors & color) == 0) drawPoint(painter, i, t.panel, 3.5);
            colors |= color;
        }
        for (int i = 0; i < int(plot_->pairs_.size()) && !selected.empty(); ++i) {
            if (!isSelected(i)) continue;
            drawErrors(painter, i, t.text);
            drawPoint(painter, i, t.text, 5);
        }
        if (plot_->hover_ >= 0) {
            drawErrors(painter, plot_->hover_, t.text);
            drawPoint(painter, plot_->hover_, t.text, 5);
        }
        drawKey(painter, t);
    }

private:
    void drawLine(QCPPainter* painter, const Tokens& t) const {
        const double low = std::max(plot_->xAxis->range().lower, plot_->yAxis->range().lower), high = std::min(plot_->xAxis->range().upper, plot_->yAxis->range().upper);
        if (!(low < high)) return;
        painter->setPen(QPen(t.muted, 1, Qt::DashLine));
        painter->drawLine(QPointF(plot_->xAxis->coordToPixel(low), plot_->yAxis->coordToPixel(low)), QPointF(plot_->xAxis->coordToPixel(high), plot_->yAxis->coordToPixel(high)));
    }

    void drawPoint(QCPPainter* painter, int i, const QColor& edge, qreal radius) const {
        painter->setPen(QPen(edge, 1));
        painter->setBrush(Theme::instance().formatColor(plot_->bits_[i]));
        painter->drawEllipse(plot_->pixelOf(i), radius, radius);
    }

    void drawErrors(QCPPainter* painter, int i, const QColor& color) const {
        const AgreementPair& pair = plot_->pairs_[std::size_t(i)];
        const QPointF at = plot_->pixelOf(i);
        painter->setPen(QPen(color, 1));
        const auto x = [&](double value) { return plot_->xAxis->coordToPixel(std::max(value, plot_->floorB_)); };
        const auto y = [&](double value) { return plot_->yAxis->coordToPixel(std::max(value, plot_->floorA_)); };
        if (pair.seB > 0) painter->drawLine(QPointF(x(pair.b - pair.seB), at.y()), QPointF(x(pair.b + pair.seB), at.y()));
        if (pair.seA > 0) painter->drawLine(QPointF(at.x(), y(pair.a - pair.seA)), QPointF(at.x(), y(pair.a + pair.seA)));
    }

    /// Bits by colour, in the upper left, where only a damage much overestimated could lie.
    void drawKey(QCPPainter* painter, const Tokens& t) const {
        QVector<int> bits = plot_->bits_;
        std::sort(bits.begin(), bits.end());
        bits.erase(std::unique(bits.begin(), bits.end()), bits.end());
        painter->setFont(smallFigures());
        const QRectF area(plot_->axisRect()->rect());
        qreal y = area.top() + 8;
        for (const int b : std::as_const(bits)) {
            painter->setPen(Qt::NoPen);
            painter->setBrush(Theme::instance().formatColor(b));
            painter->drawEllipse(QPointF(area.left() + 10, y + 6), 4, 4);
            painter->setPen(t.muted);
            painter->drawText(QRectF(area.left() + 20, y - 2, 80, 16), static_cast<int>(Qt::AlignLeft) | static_cast<int>(Qt::AlignVCenter), AgreementPlot::tr("%1 bits").arg(b));
            y += 16;
        }
    }

    AgreementPlot* plot_;
};

AgreementPlot::AgreementPlot(QWidget* parent) : Plot(parent) {
    points_ = new Points(this);
    setNavigation(Qt::Horizontal | Qt::Vertical);
    setMouseTracking(true);
    setAccessibleName(tr("Agreement"));
    for (QCPAxis* axis : {xAxis, yAxis}) {
        axis->setScaleType(QCPAxis::stLogarithmic);
        axis->setTicker(QSharedPointer<QCPAxisTickerLog>::create());
        axis->setNumberFormat(QStringLiteral("eb"));
        axis->setNumberPrecision(0);
    }
    addExportMenu(this, QStringLiteral("agreement"), [this] { return csv(); });
    connect(&Theme::instance(), &Theme::changed, this, [this] { replot(rpQueuedReplot); });
}

AgreementPlot::~AgreementPlot() = default;

void AgreementPlot::setPairs(const std::vector<AgreementPair>& pairs, const QString& nameA, const QString& nameB, bool sameUnit) {
    pairs_ = pairs;
    nameA_ = nameA;
    nameB_ = nameB;
    sameUnit_ = sameUnit;
    hover_ = -1;
    bits_.clear();
    double lowA = std::numeric_limits<double>::infinity(), lowB = lowA, highA = 0, highB = 0;
    QHash<QString, int> known; // a handful of formats, but many pairs
    for (const AgreementPair& pair : pairs_) {
        const QString format = QString::fromStdString(pair.format);
        auto bits = known.constFind(format);
        if (bits == known.cend()) bits = known.insert(format, MixState::formatBits(format));
        bits_ << *bits;
        if (pair.a > 0) lowA = std::min(lowA, pair.a);
        if (pair.b > 0) lowB = std::min(lowB, pair.b);
        highA = std::max(highA, pair.a);
        highB = std::max(highB, pair.b);
    }
    if (highA <= 0) lowA = highA = 1e-6;
    if (highB <= 0) lowB = highB = 1e-6;
    if (sameUnit) { // one scale for both, so that the line runs from corner to corner
        lowA = lowB = std::min(lowA, lowB);
        highA = highB = std::max(highA, highB);
    }
    floorA_ = std::max(lowA, highA * std::pow(10.0, -kDecades));
    floorB_ = std::max(lowB, highB * std::pow(10.0, -kDecades));
    setHome({floorB_ / 1.6, highB * 1.6}, {floorA_ / 1.6, highA * 1.6}, true);
    fitLabels();
    setAccessibleDescription(tr("%1 points, %2 against %3").arg(pairs_.size()).arg(nameA, nameB));
    replot(rpQueuedReplot);
}

void AgreementPlot::resizeEvent(QResizeEvent* event) {
    fitLabels();
    Plot::resizeEvent(event);
}

/// Names end where the plot does; the unit goes first.
void AgreementPlot::fitLabels() {
    constexpr int kOther = 56; // px of the other axis' figures and label
    const auto fitted = [&](const QString& name, int room) {
        const QFontMetrics metrics(yAxis->labelFont());
        return metrics.horizontalAdvance(name) <= room ? name : metrics.elidedText(name.section(QLatin1Char(','), 0, 0), Qt::ElideRight, room);
    };
    xAxis->setLabel(fitted(nameB_, width() - kOther));
    yAxis->setLabel(fitted(nameA_, height() - kOther));
}

void AgreementPlot::setSelected(const QString& site) {
    selected_ = site;
    replot(rpQueuedReplot);
}

QPointF AgreementPlot::pixelOf(int i) const {
    const AgreementPair& pair = pairs_[std::size_t(i)];
    return {xAxis->coordToPixel(std::max(pair.b, floorB_)), yAxis->coordToPixel(std::max(pair.a, floorA_))};
}

int AgreementPlot::hitAt(const QPointF& position) const {
    int found = -1;
    double nearest = kReach;
    for (int i = 0; i < int(pairs_.size()); ++i) {
        const QPointF p = pixelOf(i);
        const double distance = std::hypot(p.x() - position.x(), p.y() - position.y());
        if (distance >= nearest) continue;
        nearest = distance;
        found = i;
    }
    return found;
}

void AgreementPlot::mousePressEvent(QMouseEvent* event) {
    const int hit = event->button() == Qt::LeftButton ? hitAt(event->position()) : -1;
    if (hit >= 0) Q_EMIT siteChosen(QString::fromStdString(pairs_[std::size_t(hit)].site));
    else Plot::mousePressEvent(event);
}

void AgreementPlot::mouseMoveEvent(QMouseEvent* event) {
    Plot::mouseMoveEvent(event);
    const int hit = hitAt(event->position());
    setCursor(hit >= 0 ? Qt::PointingHandCursor : Qt::ArrowCursor);
    if (hit == hover_) return;
    hover_ = hit;
    replot(rpQueuedReplot);
}

bool AgreementPlot::event(QEvent* event) {
    if (event->type() != QEvent::ToolTip) return Plot::event(event);
    auto* help = static_cast<QHelpEvent*>(event);
    const int hit = hitAt(help->pos());
    if (hit < 0) {
        QToolTip::hideText();
        return true;
    }
    const AgreementPair& pair = pairs_[std::size_t(hit)];
    QToolTip::showText(help->globalPos(), tr("%1 · %2\n%3: %4\n%5: %6\nclick to select the site")
                           .arg(QString::fromStdString(pair.site), QString::fromStdString(pair.format), nameA_, withError(pair.a, pair.seA), nameB_,
                                withError(pair.b, pair.seB)), this);
    return true;
}

QString AgreementPlot::csv() const {
    QString text = QStringLiteral("site,format,a,a_standard_error,b,b_standard_error\n");
    for (const AgreementPair& pair : pairs_) {
        text += csvField(QString::fromStdString(pair.site)) + QLatin1Char(',') + csvField(QString::fromStdString(pair.format));
        for (const double value : {pair.a, pair.seA, pair.b, pair.seB}) text += QLatin1Char(',') + QString::number(value, 'g', 17);
        text += QLatin1Char('\n');
    }
    return text;
}

} // namespace bw
