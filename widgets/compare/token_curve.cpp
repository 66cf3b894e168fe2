// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/compare/token_curve.h"

#include "widgets/plots/number_text.h"
#include "widgets/plots/plot_export.h"
#include "widgets/theme/theme.h"

#include <algorithm>
#include <cmath>

namespace bw {

TokenCurve::TokenCurve(QWidget* parent) : Plot(parent) {
    b_ = addGraph(); // amber behind, so that blue stays on top where both are alike
    a_ = addGraph();
    cursor_ = new QCPItemStraightLine(this);
    cursor_->setVisible(false);
    message_ = new PlotMessage(this);
    setFocusPolicy(Qt::StrongFocus);
    setAccessibleName(tr("KL per token"));
    setInteractions(QCP::iRangeDrag | QCP::iRangeZoom);
    axisRect()->setRangeDrag(Qt::Horizontal);
    axisRect()->setRangeZoom(Qt::Horizontal);
    xAxis->grid()->setVisible(false);
    xAxis->setNumberFormat(QStringLiteral("f"));
    xAxis->setNumberPrecision(0);
    auto ticker = QSharedPointer<QCPAxisTicker>::create();
    ticker->setTickCount(3);
    xAxis->setTicker(ticker);
    addExportMenu(this, QStringLiteral("kl-per-token"), [this] { return csv(); });
    connect(&Theme::instance(), &Theme::changed, this, &TokenCurve::recolor);
    connect(xAxis, qOverload<const QCPRange&>(&QCPAxis::rangeChanged), this, [this](const QCPRange& range) {
        // Never beyond the text.
        const double last = double(std::max(klA_.size(), klB_.size()));
        if (last <= 0) return;
        QCPRange kept(std::max(range.lower, -0.5), std::min(range.upper, last - 0.5));
        if (kept.size() < 4 && last > 4) kept = {range.center() - 2, range.center() + 2};
        if (kept != range) xAxis->setRange(kept);
    });
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
    for (auto [graph, values] : {std::pair(a_, &klA_), std::pair(b_, &klB_)}) {
        QVector<double> x, y;
        for (std::size_t i = 0; i < values->size(); ++i) {
            x << double(i);
            y << double((*values)[i]);
        }
        graph->setData(x, y, true);
    }
    setCurrent(-1);
    setAccessibleDescription(none ? emptyText : tr("%n tokens", nullptr, int(std::max(klA_.size(), klB_.size()))));
    showAll();
}

void TokenCurve::showAll() {
    double most = 0;
    for (const auto* values : {&klA_, &klB_}) {
        for (const float v : *values) {
            if (std::isfinite(v)) most = std::max(most, double(v));
        }
    }
    const double last = double(std::max(klA_.size(), klB_.size()));
    yAxis->setRange(0, most > 0 ? most * 1.05 : 1);
    xAxis->setRange(-0.5, std::max(1.0, last - 0.5));
    replot(rpQueuedReplot);
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

void TokenCurve::mouseDoubleClickEvent(QMouseEvent*) { showAll(); }

void TokenCurve::keyPressEvent(QKeyEvent* event) {
    const auto count = qsizetype(std::max(klA_.size(), klB_.size()));
    if (count == 0) return Plot::keyPressEvent(event);
    switch (event->key()) {
    case Qt::Key_Left: setCurrent(std::max<qsizetype>(0, current_ - 1)); break;
    case Qt::Key_Right: setCurrent(std::min(count - 1, current_ + 1)); break;
    case Qt::Key_Plus: xAxis->scaleRange(0.7); replot(); return;
    case Qt::Key_Minus: xAxis->scaleRange(1.4); replot(); return;
    case Qt::Key_0: showAll(); return;
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
