// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/mix/interval_bars.h"

#include "widgets/theme/theme.h"

#include <QPainter>
#include <algorithm>

namespace bw {

IntervalBars::IntervalBars(QWidget* parent) : QWidget(parent) {
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
    connect(&Theme::instance(), &Theme::changed, this, qOverload<>(&QWidget::update));
}

void IntervalBars::setValues(double predicted, double predictedError, double measured, double measuredError) {
    value_[0] = predicted;
    error_[0] = predictedError;
    value_[1] = measured;
    error_[1] = measuredError;
    update();
}

void IntervalBars::paintEvent(QPaintEvent*) {
    const Tokens& t = Theme::instance().tokens();
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    double low = std::min(value_[0] - error_[0], value_[1] - error_[1]), high = std::max(value_[0] + error_[0], value_[1] + error_[1]);
    const double margin = std::max({0.3 * (high - low), 0.1 * std::max(value_[0], value_[1]), 1e-12});
    low -= margin;
    high += margin;
    const auto x = [&](double value) { return 4 + (value - low) / (high - low) * (width() - 8); };
    painter.setPen(QPen(t.line, 1));
    painter.drawLine(QPointF(4, height() / 2.0), QPointF(width() - 4, height() / 2.0));
    const QColor colors[] = {t.accent, t.green};
    for (int i = 0; i < 2; ++i) {
        const double y = i == 0 ? height() * 0.28 : height() * 0.72;
        const double left = x(value_[i] - error_[i]), right = x(value_[i] + error_[i]);
        painter.setPen(QPen(colors[i], 2));
        painter.drawLine(QPointF(left, y), QPointF(right, y));
        for (const double end : {left, right}) painter.drawLine(QPointF(end, y - 3), QPointF(end, y + 3));
        painter.setPen(Qt::NoPen);
        painter.setBrush(colors[i]);
        painter.drawEllipse(QPointF(x(value_[i]), y), 4, 4);
    }
}

} // namespace bw
