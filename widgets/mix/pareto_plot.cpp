// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/mix/pareto_plot.h"

#include "widgets/plots/label_layout.h"
#include "widgets/plots/number_text.h"
#include "widgets/plots/plot_export.h"
#include "widgets/theme/theme.h"

#include <algorithm>
#include <cmath>

namespace bw {
namespace {

constexpr double kMiB = 1024.0 * 1024.0;
constexpr double kReach = 14; ///< px around a point or run where a click takes it
constexpr double kPerName = 26; ///< px of the plot's height for each name: more of them hide the curve; the rest has tool tips

/// Mixes that were solved and verified stand out; what they have to beat steps back.
QColor colorOf(MixKind kind) {
    const Tokens& t = Theme::instance().tokens();
    return kind == MixKind::own ? t.green : t.amber;
}

/// What a run is called beside its mark: that it only measured says its mark already.
QString shortName(const MeasuredMix& run) {
    static const QString measuring = QStringLiteral("measure: ");
    return run.name.startsWith(measuring) ? run.name.mid(measuring.size()) : run.name;
}

/// Circle: a mix of this program; diamond: one format everywhere; square: a rule list.
void drawMark(QPainter* painter, MixKind kind, const QPointF& p, qreal r) {
    switch (kind) {
    case MixKind::own: painter->drawEllipse(p, r, r); break;
    case MixKind::ruleList: painter->drawRect(QRectF(p.x() - 0.85 * r, p.y() - 0.85 * r, 1.7 * r, 1.7 * r)); break;
    default: painter->drawPolygon(QPolygonF({p + QPointF(0, -r), p + QPointF(r, 0), p + QPointF(0, r), p + QPointF(-r, 0)}));
    }
}

} // namespace

/// Measured runs, this mix and their names. Runs of one name at one place (the same mix made again) share a label.
class ParetoPlot::Overlay final : public QCPLayerable {
public:
    explicit Overlay(ParetoPlot* plot) : QCPLayerable(plot, QStringLiteral("overlay")), plot_(plot) {}

    /// Names as drawn last, with their rectangles: for tests.
    const QVector<QPair<QString, QRectF>>& names() const { return names_; }

protected:
    void applyDefaultAntialiasingHint(QCPPainter* painter) const override { painter->setAntialiasing(true); }

    void draw(QCPPainter* painter) override {
        const MixState& model = *plot_->model_;
        names_.clear();
        if (model.front().empty()) return;
        const Tokens& t = Theme::instance().tokens();
        painter->setAntialiasing(true);
        painter->setClipRect(plot_->axisRect()->rect().adjusted(-10, -10, 10, 10));
        const QPointF now = plot_->place(model.totals().bytes, model.totals().damage);
        // A mix of formats that the map does not know has no place along the damage axis.
        const bool known = model.totals().unknown == 0 || model.totals().damage > 0;
        if (known) drawBand(painter, model.totals().bytes, model.totals().damage, model.totals().standardError, t.accent, 2);
        marks_ = {{now, {-1}, known ? QStringList{tr("this mix")} : QStringList()}};
        if (model.comparable()) collectRuns();
        drawLabels(painter, placed());
        for (qsizetype i = 1; i < marks_.size(); ++i) drawRun(painter, marks_[i]);
        if (plot_->hover_.front >= 0) {
            painter->setPen(QPen(t.accent, 1.5));
            painter->setBrush(t.panel);
            painter->drawEllipse(plot_->pixelOf(plot_->hover_.front), 4, 4);
        }
        if (!known) return;
        painter->setPen(QPen(t.dark ? QColor(Qt::white) : t.panel, 2));
        painter->setBrush(t.accent);
        painter->drawEllipse(now, 7, 7);
    }

private:
    struct Mark {
        QPointF at;
        QVector<int> runs;   ///< indices into measured(), newest first; −1: this mix
        QStringList texts;   ///< spellings, longest first
    };

    static QString tr(const char* text) { return ParetoPlot::tr(text); }

    void collectRuns() {
        constexpr qreal kSamePlace = 3; // px: marks of 5 px that a person sees as one
        const auto& measured = plot_->model_->measured();
        for (int i = 0; i < measured.size(); ++i) {
            const QPointF at = plot_->place(plot_->model_->totalBytes(measured[i]), measured[i].damage);
            const auto same = std::find_if(marks_.begin() + 1, marks_.end(), [&](const Mark& mark) {
                return shortName(measured[mark.runs.first()]) == shortName(measured[i]) && (mark.at - at).manhattanLength() <= kSamePlace;
            });
            if (same == marks_.end()) marks_ << Mark{at, {i}, {}};
            else same->runs << i;
        }
        // Names are given in this order, as far as there is room: under the pointer, mixes, the rest; the better ones first.
        std::stable_sort(marks_.begin() + 1, marks_.end(), [&](const Mark& a, const Mark& b) {
            const auto rank = [&](const Mark& mark) { return mark.runs.contains(plot_->hover_.run) ? 0 : measured[mark.runs.first()].kind == MixKind::own ? 1 : 2; };
            return rank(a) != rank(b) ? rank(a) < rank(b) : measured[a.runs.first()].damage < measured[b.runs.first()].damage;
        });
        const QFontMetricsF metrics(font(false));
        for (qsizetype i = 1; i < marks_.size(); ++i) {
            const auto& newest = measured[marks_[i].runs.first()];
            const QString times = marks_[i].runs.size() > 1 ? QStringLiteral(" ×%1").arg(marks_[i].runs.size()) : QString();
            if (double(i) * kPerName > plot_->axisRect()->height()) continue;
            const QString name = shortName(newest);
            marks_[i].texts = {metrics.elidedText(name, Qt::ElideRight, 150) + times, metrics.elidedText(name, Qt::ElideMiddle, 70) + times};
        }
    }

    static QFont font(bool bold) {
        QFont font = smallFigures();
        font.setBold(bold);
        return font;
    }

    QVector<PlacedLabel> placed() const {
        QVector<PlotLabel> labels;
        for (qsizetype i = 0; i < marks_.size(); ++i) {
            const QFontMetricsF metrics(font(i == 0));
            PlotLabel label{marks_[i].at, i == 0 ? 8.0 : 6.0, {}};
            for (const QString& text : marks_[i].texts) label.sizes << QSizeF(metrics.horizontalAdvance(text) + 4, metrics.height() - 1);
            labels << label;
        }
        QPolygonF curve; // a point every few pixels is as good as all of them
        for (int i = 0; i < int(plot_->model_->front().size()); ++i) {
            const QPointF p = plot_->pixelOf(i);
            if (curve.isEmpty() || (p - curve.last()).manhattanLength() >= 4) curve << p;
        }
        return placeLabels(labels, QRectF(plot_->axisRect()->rect()).adjusted(2, -10, 8, -2), curve);
    }

    void drawLabels(QCPPainter* painter, const QVector<PlacedLabel>& places) {
        const Tokens& t = Theme::instance().tokens();
        for (qsizetype i = 0; i < marks_.size(); ++i) {
            const PlacedLabel& place = places[i];
            if (place.spelling < 0) continue;
            if (place.line) {
                painter->setPen(QPen(t.muted, 0.8));
                painter->drawLine(marks_[i].at, place.lineEnd);
            }
            QColor ground = t.panel; // the curve may run behind a name, not through it
            ground.setAlpha(205);
            painter->fillRect(place.rect, ground);
            const bool hovered = i > 0 && marks_[i].runs.contains(plot_->hover_.run);
            painter->setFont(font(i == 0));
            painter->setPen(i == 0 || hovered ? t.text : t.muted);
            const QString text = marks_[i].texts[place.spelling];
            painter->drawText(place.rect, static_cast<int>(Qt::AlignCenter) | static_cast<int>(Qt::TextDontClip), text);
            names_ << qMakePair(text, place.rect);
        }
    }

    void drawRun(QCPPainter* painter, const Mark& mark) {
        const Tokens& t = Theme::instance().tokens();
        const MixState& model = *plot_->model_;
        const MeasuredMix& run = model.measured()[mark.runs.first()];
        const QPointF p = mark.at;
        const qreal r = mark.runs.contains(plot_->hover_.run) ? 7 : 5;
        const QColor color = colorOf(run.kind);
        drawBand(painter, model.totalBytes(run), run.damage, run.standardError, color, 1);
        painter->setPen(QPen(t.panel, 1));
        painter->setBrush(color);
        drawMark(painter, run.kind, p, r);
    }

    /// ± one standard error with caps, where it reaches out of the mark.
    void drawBand(QCPPainter* painter, quint64 bytes, double damage, double error, const QColor& color, qreal width) const {
        if (!(error > 0)) return;
        const QPointF low = plot_->place(bytes, damage - error), high = plot_->place(bytes, damage + error);
        painter->setPen(QPen(color, width));
        painter->drawLine(low, high);
        for (const QPointF& end : {low, high}) painter->drawLine(end - QPointF(4, 0), end + QPointF(4, 0));
    }

    ParetoPlot* plot_;
    QVector<Mark> marks_; ///< the first is this mix
    QVector<QPair<QString, QRectF>> names_;
};

ParetoPlot::ParetoPlot(MixState* model, QWidget* parent) : Plot(parent), model_(model) {
    low_ = addGraph();
    high_ = addGraph();
    high_->setChannelFillGraph(low_);
    for (QCPGraph* edge : {low_, high_}) edge->setPen(Qt::NoPen);
    curve_ = addGraph();
    overlay_ = new Overlay(this);
    message_ = new PlotMessage(this);
    setNavigation(Qt::Horizontal | Qt::Vertical);
    setMouseTracking(true);
    setAccessibleName(tr("Size against damage"));
    yAxis->setScaleType(QCPAxis::stLogarithmic);
    yAxis->setTicker(QSharedPointer<QCPAxisTickerLog>::create());
    yAxis->setNumberFormat(QStringLiteral("gb"));
    yAxis->setNumberPrecision(1);
    xAxis->setNumberFormat(QStringLiteral("gb"));
    xAxis->setLabel(tr("MiB"));
    xAxis->grid()->setVisible(false);
    addExportMenu(this, QStringLiteral("pareto"), [this] { return csv(); });
    connect(model_, &MixState::mapChanged, this, &ParetoPlot::reload);
    connect(model_, &MixState::mixChanged, this, &ParetoPlot::reload);
    connect(&Theme::instance(), &Theme::changed, this, &ParetoPlot::recolor);
    reload();
}

ParetoPlot::~ParetoPlot() = default;

QVector<QPair<QString, QRectF>> ParetoPlot::namesDrawn() const { return overlay_->names(); }

void ParetoPlot::recolor() {
    QColor band = Theme::instance().tokens().accent;
    curve_->setPen(QPen(band, 2));
    band.setAlpha(56);
    high_->setBrush(band);
    replot(rpQueuedReplot);
}

QPointF ParetoPlot::place(quint64 bytes, double damage) const {
    return {xAxis->coordToPixel(double(bytes) / kMiB), yAxis->coordToPixel(std::max(damage, floor_))};
}

QPointF ParetoPlot::pixelOf(int point) const {
    const auto at = std::size_t(point);
    return place(model_->front()[at].bytes, model_->frontPredictions()[at].kl);
}

void ParetoPlot::reload() {
    const auto& front = model_->front();
    message_->setText(!front.empty() ? QString() : model_->problemError().isEmpty() ? tr("no map yet") : model_->problemError());
    for (QCPAxis* axis : {xAxis, yAxis}) axis->setVisible(!front.empty());
    for (QCPGraph* graph : {low_, high_, curve_}) graph->setVisible(!front.empty());
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
    for (std::size_t i = 0; i < front.size(); ++i) see(front[i].bytes, model_->frontPredictions()[i].kl);
    see(model_->totals().bytes, model_->totals().damage);
    if (model_->comparable()) {
        for (const MeasuredMix& run : model_->measured()) see(model_->totalBytes(run), run.damage);
    }
    if (!std::isfinite(least)) least = most = 1e-6;
    // Five decades: below that the curve only says "nothing".
    least = std::max(least, most * 1e-5);
    floor_ = least;
    QVector<double> x, y, below, above;
    for (std::size_t i = 0; i < front.size(); ++i) {
        const Prediction& p = model_->frontPredictions()[i];
        x << double(front[i].bytes) / kMiB;
        y << std::max(p.kl, floor_);
        below << std::max(p.kl - p.klSe, floor_);
        above << std::max(p.kl + p.klSe, floor_);
    }
    curve_->setData(x, y, true);
    low_->setData(x, below, true);
    high_->setData(x, above, true);
    yAxis->setLabel(model_->comparable() ? tr("KL, nats per token") : tr("output error, summed"));
    const double margin = std::max(0.04 * double(high - low), 0.01 * double(high)) / kMiB;
    setHome({double(low) / kMiB - margin, double(high) / kMiB + margin}, {least / 1.6, most * 2.4}, true); // room above for the names of the worst
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
    const Hit hit = event->button() == Qt::LeftButton ? hitAt(event->position()) : Hit();
    if (hit.run >= 0 || hit.front >= 0) take(hit);
    else Plot::mousePressEvent(event);
}

void ParetoPlot::mouseMoveEvent(QMouseEvent* event) {
    Plot::mouseMoveEvent(event);
    const Hit hit = hitAt(event->position());
    setCursor(hit.front >= 0 || hit.run >= 0 ? Qt::PointingHandCursor : Qt::ArrowCursor);
    if (hit.front == hover_.front && hit.run == hover_.run) return;
    hover_ = hit;
    replot(rpQueuedReplot);
}

/// Left and Right walk along the front.
void ParetoPlot::keyPressEvent(QKeyEvent* event) {
    const int at = model_->frontIndex(model_->totals().bytes);
    if (at < 0 || (event->modifiers() & Qt::ShiftModifier) || (event->key() != Qt::Key_Left && event->key() != Qt::Key_Right)) return Plot::keyPressEvent(event);
    take({std::clamp(at + (event->key() == Qt::Key_Left ? -1 : 1), 0, int(model_->front().size()) - 1), -1});
}

bool ParetoPlot::event(QEvent* event) {
    if (event->type() != QEvent::ToolTip) return Plot::event(event);
    auto* help = static_cast<QHelpEvent*>(event);
    const Hit hit = hitAt(help->pos());
    if (hit.run >= 0) {
        const MeasuredMix& run = model_->measured()[hit.run];
        QToolTip::showText(help->globalPos(),
                           tr("run %1 · %2\n%3 (%4)\nmeasured KL %5 nats per token\n%6click to take its mix")
                               .arg(run.run.value()).arg(run.name, bytesText(double(model_->totalBytes(run))),
                                    bitsText(model_->bitsPerWeight(model_->totalBytes(run))), withError(run.damage, run.standardError),
                                    predictionOf(run)), this);
    } else if (hit.front >= 0) {
        const ParetoPoint& p = model_->front()[std::size_t(hit.front)];
        const Prediction& predicted = model_->frontPredictions()[std::size_t(hit.front)];
        QToolTip::showText(help->globalPos(), tr("%1 (%2)\npredicted %3 %4\nclick to take this mix")
                               .arg(bytesText(double(p.bytes)), bitsText(model_->bitsPerWeight(p.bytes)), withError(predicted.kl, predicted.klSe),
                                    model_->unit()), this);
    } else {
        QToolTip::hideText();
    }
    return true;
}

/// What the map says of a measured mix; empty where it does not know all of its formats.
QString ParetoPlot::predictionOf(const MeasuredMix& run) const {
    const std::optional<Prediction> predicted = model_->predict(run.asked);
    return predicted ? tr("predicted %1\n").arg(withError(predicted->kl, predicted->klSe)) : QString();
}

QString ParetoPlot::csv() const {
    QString text = QStringLiteral("kind,name,bytes,damage,standard_error\n");
    for (std::size_t i = 0; i < model_->front().size(); ++i) {
        const Prediction& p = model_->frontPredictions()[i];
        text += QStringLiteral("front,,%1,%2,%3\n").arg(model_->front()[i].bytes).arg(p.kl, 0, 'g', 17).arg(p.klSe, 0, 'g', 17);
    }
    text += QStringLiteral("this mix,,%1,%2,%3\n").arg(model_->totals().bytes).arg(model_->totals().damage, 0, 'g', 17).arg(model_->totals().standardError, 0, 'g', 17);
    for (const MeasuredMix& run : model_->measured()) {
        text += QStringLiteral("measured,%1,%2,%3,%4\n").arg(csvField(run.name)).arg(model_->totalBytes(run)).arg(run.damage, 0, 'g', 17).arg(run.standardError, 0, 'g', 17);
    }
    return text;
}

} // namespace bw
