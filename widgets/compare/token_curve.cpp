// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/compare/token_curve.h"

#include "widgets/plots/number_text.h"
#include "widgets/plots/plot_export.h"
#include "widgets/theme/theme.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace bw {

TokenCurve::TokenCurve(QWidget* parent) : Plot(parent) {
    b_ = addGraph(); // amber behind, so that blue stays on top where both are alike
    a_ = addGraph();
    cursor_ = new QCPItemStraightLine(this);
    cursor_->setVisible(false);
    message_ = new PlotMessage(this);
    setNavigation(Qt::Horizontal);
    setAccessibleName(tr("KL per token"));
    xAxis->grid()->setVisible(false);
    xAxis->setNumberFormat(QStringLiteral("f"));
    xAxis->setNumberPrecision(0);
    auto ticker = QSharedPointer<QCPAxisTicker>::create();
    ticker->setTickCount(3);
    xAxis->setTicker(ticker);
    addExportMenu(this, QStringLiteral("kl-per-token"), [this] { return csv(); });
    connect(xAxis, qOverload<const QCPRange&>(&QCPAxis::rangeChanged), this, &TokenCurve::sample);
    connect(&Theme::instance(), &Theme::changed, this, &TokenCurve::recolor);
    recolor();
}

void TokenCurve::recolor() {
    const Tokens& t = Theme::instance().tokens();
    a_->setPen(QPen(t.accent, 1.2));
    b_->setPen(QPen(t.amber, 1.2));
    cursor_->setPen(QPen(t.text, 1, Qt::DashLine));
    replot(rpQueuedReplot);
}

void TokenCurve::setScores(const std::vector<float>& a, const std::vector<float>& b, bool overlaid, const QString& emptyText) {
    klA_ = a;
    klB_ = overlaid ? b : std::vector<float>();
    const bool none = klA_.empty() && klB_.empty();
    message_->setText(none ? emptyText : QString());
    for (QCPAxis* axis : {xAxis, yAxis}) axis->setVisible(!none);
    setCurrent(-1);
    setAccessibleDescription(none ? emptyText : tr("%n tokens", nullptr, int(std::max(klA_.size(), klB_.size()))));
    showAll();
}

/// What is in view, at most some points for each pixel: of many tokens in one column the smallest and the largest, in the order in
/// which they come, which draw the same line.
void TokenCurve::sample() {
    constexpr std::size_t kColumns = 1000;
    for (auto [graph, values] : {std::pair(a_, &klA_), std::pair(b_, &klB_)}) {
        const auto count = double(values->size());
        const auto from = std::size_t(std::clamp(std::floor(xAxis->range().lower) - 1, 0.0, count));
        const auto to = std::size_t(std::clamp(std::ceil(xAxis->range().upper) + 2, double(from), count));
        QVector<QCPGraphData> points;
        const auto add = [&](std::size_t i) { points << QCPGraphData(double(i), double((*values)[i])); };
        const std::size_t step = (to - from) / kColumns + 1;
        points.reserve(qsizetype(std::min(to - from, 2 * kColumns + 2)));
        for (std::size_t i = from; i < to; i += step) {
            const float* all = values->data();
            std::size_t low = i, high = i;
            float least = std::numeric_limits<float>::infinity(), most = -least;
            for (std::size_t place = i, end = std::min(i + step, to); place < end; ++place) { // what is not a number is neither
                const float value = all[place];
                if (value < least) {
                    least = value;
                    low = place;
                }
                if (value > most) {
                    most = value;
                    high = place;
                }
            }
            add(std::min(low, high));
            if (low != high) add(std::max(low, high));
        }
        graph->data()->set(points, true);
    }
}

void TokenCurve::showAll() {
    double most = 0;
    for (const auto* values : {&klA_, &klB_}) {
        for (const float v : *values) {
            if (std::isfinite(v)) most = std::max(most, double(v));
        }
    }
    const double last = double(std::max(klA_.size(), klB_.size()));
    setHome({-0.5, std::max(1.0, last - 0.5)}, {0, most > 0 ? most * 1.05 : 1}, false);
    sample();
}

void TokenCurve::setCurrent(qsizetype token) {
    current_ = token;
    cursor_->setVisible(token >= 0);
    if (token >= 0) {
        cursor_->point1->setCoords(double(token), 0);
        cursor_->point2->setCoords(double(token), 1);
        if (!xAxis->range().contains(double(token))) xAxis->moveRange(double(token) - xAxis->range().center());
    }
    replot(rpQueuedReplot);
}

qsizetype TokenCurve::tokenAt(double x) const {
    const auto count = qsizetype(std::max(klA_.size(), klB_.size()));
    if (count == 0) return -1;
    // The largest spike within 4 px: that is what one aims at.
    const qsizetype first = std::max<qsizetype>(0, qsizetype(std::floor(xAxis->pixelToCoord(x - 4))));
    const qsizetype last = std::min(count - 1, qsizetype(std::ceil(xAxis->pixelToCoord(x + 4))));
    qsizetype best = std::clamp<qsizetype>(std::llround(xAxis->pixelToCoord(x)), 0, count - 1);
    float most = -1;
    for (qsizetype i = first; i <= last; ++i) {
        const auto at = std::size_t(i);
        const float value = std::max(at < klA_.size() ? klA_[at] : 0.0f, at < klB_.size() ? klB_[at] : 0.0f);
        if (value > most) {
            most = value;
            best = i;
        }
    }
    return best;
}

void TokenCurve::mousePressEvent(QMouseEvent* event) {
    pressed_ = event->position();
    Plot::mousePressEvent(event);
}

void TokenCurve::mouseReleaseEvent(QMouseEvent* event) {
    Plot::mouseReleaseEvent(event);
    if (event->button() != Qt::LeftButton || (event->position() - pressed_).manhattanLength() > 3) return;
    const qsizetype token = tokenAt(event->position().x());
    if (token < 0) return;
    setCurrent(token);
    Q_EMIT tokenChosen(token);
}

void TokenCurve::keyPressEvent(QKeyEvent* event) {
    const auto count = qsizetype(std::max(klA_.size(), klB_.size()));
    if (count == 0 || (event->modifiers() & Qt::ShiftModifier)) return Plot::keyPressEvent(event);
    switch (event->key()) {
    case Qt::Key_Left: setCurrent(std::max<qsizetype>(0, current_ - 1)); break;
    case Qt::Key_Right: setCurrent(std::min(count - 1, current_ + 1)); break;
    default: return Plot::keyPressEvent(event);
    }
    Q_EMIT tokenChosen(current_);
}

bool TokenCurve::event(QEvent* event) {
    if (event->type() != QEvent::ToolTip) return Plot::event(event);
    auto* help = static_cast<QHelpEvent*>(event);
    const qsizetype token = tokenAt(help->pos().x());
    if (token < 0) return Plot::event(event);
    const auto at = std::size_t(token);
    QString text = tr("token %1").arg(token);
    if (at < klA_.size()) text += tr("\nA %1 nats").arg(figureText(double(klA_[at])));
    if (at < klB_.size()) text += tr("\nB %1 nats").arg(figureText(double(klB_[at])));
    QToolTip::showText(help->globalPos(), text, this);
    return true;
}

QString TokenCurve::csv() const {
    QString text = QStringLiteral("token,kl_a,kl_b\n");
    for (std::size_t i = 0; i < std::max(klA_.size(), klB_.size()); ++i) {
        text += QString::number(i) + QLatin1Char(',') + (i < klA_.size() ? QString::number(double(klA_[i]), 'g', 9) : QString()) + QLatin1Char(',') +
                (i < klB_.size() ? QString::number(double(klB_[i]), 'g', 9) : QString()) + QLatin1Char('\n');
    }
    return text;
}

} // namespace bw
