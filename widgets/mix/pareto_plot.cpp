// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/mix/pareto_plot.h"

#include "widgets/plots/number_text.h"
#include "widgets/plots/plot_export.h"
#include "widgets/plots/plot_style.h"
#include "widgets/theme/theme.h"

#include <algorithm>
#include <cmath>

namespace bw {
namespace {

constexpr double kMiB = 1024.0 * 1024.0;
constexpr double kReach = 14; ///< px around a point or run where a click takes it

} // namespace

/// Measured runs, this mix and their names; labels that would cover each other are left out.
class ParetoPlot::Overlay final : public QCPLayerable {
public:
    explicit Overlay(ParetoPlot* plot) : QCPLayerable(plot, QStringLiteral("overlay")), plot_(plot) {}

protected:
    void applyDefaultAntialiasingHint(QCPPainter* painter) const override { painter->setAntialiasing(true); }

    void draw(QCPPainter* painter) override {
        const MixModel& model = *plot_->model_;
        if (model.front().empty()) return;
        const Tokens& t = Theme::instance().tokens();
        const QRect area = plot_->axisRect()->rect();
        painter->setAntialiasing(true);
        painter->setClipRect(area.adjusted(-10, -10, 10, 10));
        painter->setFont(smallFigures());
        taken_.clear();
        const QPointF now = plot_->place(model.totals().bytes, model.totals().damage);
        taken_ << QRectF(now.x() - 10, now.y() - 10, 20, 20);
        label(painter, now, tr("this mix"), t.text, true);
        if (model.comparable()) {
            for (int i = 0; i < model.measured().size(); ++i) drawRun(painter, i);
        }
        if (plot_->hover_.front >= 0) {
            painter->setPen(QPen(t.accent, 1.5));
            painter->setBrush(t.panel);
            painter->drawEllipse(plot_->pixelOf(plot_->hover_.front), 4, 4);
        }
        painter->setPen(QPen(t.dark ? QColor(Qt::white) : t.panel, 2));
        painter->setBrush(t.accent);
        painter->drawEllipse(now, 7, 7);
    }

private:
    static QString tr(const char* text) { return ParetoPlot::tr(text); }

    void drawRun(QCPPainter* painter, int index) {
        const Tokens& t = Theme::instance().tokens();
        const MeasuredMix& run = plot_->model_->measured()[index];
        const QPointF p = plot_->place(plot_->model_->totalBytes(run), run.damage);
        const qreal r = plot_->hover_.run == index ? 7 : 5;
        if (run.standardError > 0 && run.standardError < run.damage) {
            painter->setPen(QPen(t.amber, 1));
            painter->drawLine(plot_->place(plot_->model_->totalBytes(run), run.damage - run.standardError),
                              plot_->place(plot_->model_->totalBytes(run), run.damage + run.standardError));
        }
        painter->setPen(QPen(t.panel, 1));
        painter->setBrush(t.amber);
        painter->drawPolygon(QPolygonF({p + QPointF(0, -r), p + QPointF(r, 0), p + QPointF(0, r), p + QPointF(-r, 0)}));
        label(painter, p, run.name, t.muted, false);
    }

    void label(QCPPainter* painter, const QPointF& p, const QString& text, const QColor& color, bool bold) {
        QFont font = smallFigures();
        font.setBold(bold);
        const QFontMetricsF metrics(font);
        const QString shown = metrics.elidedText(text, Qt::ElideRight, 130);
        const qreal width = metrics.horizontalAdvance(shown) + 2, height = metrics.height();
        const QRectF inside = QRectF(plot_->axisRect()->rect()).adjusted(0, -6, 8, 0);
        const QRectF places[] = {{p.x() + 10, p.y() - height / 2, width, height}, {p.x() - 10 - width, p.y() - height / 2, width, height},
                                 {p.x() - width / 2, p.y() - 10 - height, width, height}, {p.x() - width / 2, p.y() + 10, width, height}};
        for (const QRectF& place : places) {
            if (!inside.contains(place)) continue;
            if (std::any_of(taken_.begin(), taken_.end(), [&](const QRectF& r) { return r.intersects(place); })) continue;
            taken_ << place;
            painter->setFont(font);
            painter->setPen(color);
            painter->drawText(place, Qt::AlignCenter, shown);
            return;
        }
    }

    ParetoPlot* plot_;
    QVector<QRectF> taken_;
};

ParetoPlot::ParetoPlot(MixModel* model, QWidget* parent) : QCustomPlot(parent), model_(model) {
    curve_ = addGraph();
    overlay_ = new Overlay(this);
    message_ = new PlotMessage(this);
    setFocusPolicy(Qt::StrongFocus);
    setMouseTracking(true);
    setAccessibleName(tr("Size against damage"));
    yAxis->setScaleType(QCPAxis::stLogarithmic);
    yAxis->setTicker(QSharedPointer<QCPAxisTickerLog>::create());
    yAxis->setNumberFormat(QStringLiteral("gb"));
    yAxis->setNumberPrecision(1);
    xAxis->setNumberFormat(QStringLiteral("gb"));
    xAxis->setLabel(tr("MiB"));
    xAxis->grid()->setVisible(false);
    stylePlot(this);
    addExportMenu(this, QStringLiteral("pareto"), [this] { return csv(); });
    connect(model_, &MixModel::mapChanged, this, &ParetoPlot::reload);
    connect(model_, &MixModel::mixChanged, this, &ParetoPlot::reload);
    connect(&Theme::instance(), &Theme::changed, this, &ParetoPlot::recolor);
    reload();
}

ParetoPlot::~ParetoPlot() = default;

void ParetoPlot::recolor() {
    curve_->setPen(QPen(Theme::instance().tokens().accent, 2));
    replot(rpQueuedReplot);
}

QPointF ParetoPlot::place(quint64 bytes, double damage) const {
    return {xAxis->coordToPixel(double(bytes) / kMiB), yAxis->coordToPixel(std::max(damage, floor_))};
}

QPointF ParetoPlot::pixelOf(int point) const {
    const ParetoPoint& p = model_->front()[std::size_t(point)];
    return place(p.bytes, p.cost);
}

void ParetoPlot::reload() {
    const auto& front = model_->front();
    message_->setText(!front.empty() ? QString() : model_->problemError().isEmpty() ? tr("no map yet") : model_->problemError());
    for (QCPAxis* axis : {xAxis, yAxis}) axis->setVisible(!front.empty());
    curve_->setVisible(!front.empty());
    hover_ = {};
    if (front.empty()) return recolor();
    double least = std::numeric_limits<double>::infinity(), most = 0;
    quint64 low = model_->totals().bytes, high = low;
    const auto see = [&](quint64 bytes, double damage) {
        low = std::min(low, bytes);
        high = std::max(high, bytes);
        if (damage > 0) least = std::min(least, damage);
        most = std::max(most, damage);
    };
    for (const ParetoPoint& p : front) see(p.bytes, p.cost);
    see(model_->totals().bytes, model_->totals().damage);
    if (model_->comparable()) {
        for (const MeasuredMix& run : model_->measured()) see(model_->totalBytes(run), run.damage);
    }
    if (!std::isfinite(least)) least = most = 1e-6;
    // Five decades: below that the curve only says "nothing".
    least = std::max(least, most * 1e-5);
    floor_ = least;
    QVector<double> x, y;
    for (const ParetoPoint& p : front) {
        x << double(p.bytes) / kMiB;
        y << std::max(p.cost, floor_);
    }
    curve_->setData(x, y, true);
    yAxis->setLabel(model_->comparable() ? tr("KL, nats per token") : tr("output error, summed"));
    const double margin = std::max(0.04 * double(high - low), 0.01 * double(high)) / kMiB;
    xAxis->setRange(double(low) / kMiB - margin, double(high) / kMiB + margin);
    yAxis->setRange(least / 1.6, most * 1.6);
    setAccessibleDescription(tr("%1 points from %2 to %3; this mix %4 with predicted damage %5")
                                 .arg(front.size())
                                 .arg(bytesText(double(front.front().bytes)), bytesText(double(front.back().bytes)),
                                      bytesText(double(model_->totals().bytes)), figureText(model_->totals().damage)));
    recolor();
}

ParetoPlot::Hit ParetoPlot::hitAt(const QPointF& position) const {
    Hit hit;
    const auto distance = [&](const QPointF& p) { return std::hypot(p.x() - position.x(), p.y() - position.y()); };
    double nearest = kReach;
    if (model_->comparable()) {
        for (int i = 0; i < model_->measured().size(); ++i) {
            const double d = distance(place(model_->totalBytes(model_->measured()[i]), model_->measured()[i].damage));
            if (d < std::min(nearest, 8.0)) {
                nearest = d;
                hit.run = i;
            }
        }
    }
    if (hit.run >= 0 || model_->front().empty() || !axisRect()->rect().adjusted(-8, -8, 8, 8).contains(position.toPoint())) return hit;
    for (int i = 0; i < int(model_->front().size()); ++i) {
        const double d = distance(pixelOf(i));
        if (d < nearest) {
            nearest = d;
            hit.front = i;
        }
    }
    return hit;
}

void ParetoPlot::take(Hit hit) {
    if (hit.run >= 0) {
        model_->takeRun(model_->measured()[hit.run]);
    } else if (hit.front >= 0) {
        const ParetoPoint point = model_->front()[std::size_t(hit.front)];
        model_->takeChoice(point.choice, point.bytes, tr("Mix of %1").arg(bytesText(double(point.bytes))));
        Q_EMIT pointTaken(hit.front);
    }
}

void ParetoPlot::mousePressEvent(QMouseEvent* event) {
    if (event->button() == Qt::LeftButton) take(hitAt(event->position()));
    else QCustomPlot::mousePressEvent(event);
}

void ParetoPlot::mouseMoveEvent(QMouseEvent* event) {
    const Hit hit = hitAt(event->position());
    setCursor(hit.front >= 0 || hit.run >= 0 ? Qt::PointingHandCursor : Qt::ArrowCursor);
    if (hit.front == hover_.front && hit.run == hover_.run) return;
    hover_ = hit;
    replot(rpQueuedReplot);
}

/// Left and Right walk along the front.
void ParetoPlot::keyPressEvent(QKeyEvent* event) {
    const int at = model_->frontIndex(model_->totals().bytes);
    if (at < 0 || (event->key() != Qt::Key_Left && event->key() != Qt::Key_Right)) return QCustomPlot::keyPressEvent(event);
    take({std::clamp(at + (event->key() == Qt::Key_Left ? -1 : 1), 0, int(model_->front().size()) - 1), -1});
}

bool ParetoPlot::event(QEvent* event) {
    if (event->type() != QEvent::ToolTip) return QCustomPlot::event(event);
    auto* help = static_cast<QHelpEvent*>(event);
    const Hit hit = hitAt(help->pos());
    if (hit.run >= 0) {
        const MeasuredMix& run = model_->measured()[hit.run];
        QToolTip::showText(help->globalPos(),
                           tr("run %1 · %2\n%3 (%4)\nmeasured KL %5 nats per token\nclick to take its mix")
                               .arg(run.run.value()).arg(run.name, bytesText(double(model_->totalBytes(run))),
                                    bitsText(model_->bitsPerWeight(model_->totalBytes(run))), withError(run.damage, run.standardError)), this);
    } else if (hit.front >= 0) {
        const ParetoPoint& p = model_->front()[std::size_t(hit.front)];
        QToolTip::showText(help->globalPos(), tr("%1 (%2)\npredicted %3 %4\nclick to take this mix")
                               .arg(bytesText(double(p.bytes)), bitsText(model_->bitsPerWeight(p.bytes)), figureText(p.cost), model_->unit()), this);
    } else {
        QToolTip::hideText();
    }
    return true;
}

QString ParetoPlot::csv() const {
    QString text = QStringLiteral("kind,name,bytes,damage,standard_error\n");
    for (const ParetoPoint& p : model_->front()) text += QStringLiteral("front,,%1,%2,\n").arg(p.bytes).arg(p.cost, 0, 'g', 17);
    text += QStringLiteral("this mix,,%1,%2,%3\n").arg(model_->totals().bytes).arg(model_->totals().damage, 0, 'g', 17).arg(model_->totals().standardError, 0, 'g', 17);
    for (const MeasuredMix& run : model_->measured()) {
        text += QStringLiteral("measured,%1,%2,%3,%4\n").arg(csvField(run.name)).arg(model_->totalBytes(run)).arg(run.damage, 0, 'g', 17).arg(run.standardError, 0, 'g', 17);
    }
    return text;
}

} // namespace bw
