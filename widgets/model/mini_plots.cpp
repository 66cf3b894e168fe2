// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/model/mini_plots.h"

#include "widgets/theme/theme.h"

#include <QHelpEvent>
#include <QPainter>
#include <QToolTip>
#include <algorithm>
#include <cmath>

namespace bw {
namespace {
constexpr int kLine = 24;
}

BarList::BarList(QWidget* parent) : QWidget(parent) {
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
    connect(&Theme::instance(), &Theme::changed, this, qOverload<>(&QWidget::update));
}

void BarList::setBars(const QList<Bar>& bars) {
    bars_ = bars;
    updateGeometry();
    update();
}

QSize BarList::sizeHint() const { return {200, kLine * std::max(1, static_cast<int>(bars_.size()))}; }

void BarList::paintEvent(QPaintEvent*) {
    const Tokens& t = Theme::instance().tokens();
    QPainter p(this);
    p.setRenderHint(QPainter::Antialiasing);
    p.setFont(Theme::instance().figures());
    const QFontMetrics metrics(p.font());
    int names = 0, values = 0;
    for (const Bar& bar : bars_) {
        names = std::max(names, metrics.horizontalAdvance(bar.name));
        values = std::max(values, metrics.horizontalAdvance(bar.value));
    }
    names = std::min(names + 2, width() / 2); // eliding needs a little more than the bare advance
    const double room = std::max(8, width() - names - values - 16);
    for (int i = 0; i < bars_.size(); ++i) {
        const Bar& bar = bars_[i];
        const QRect line(0, i * kLine, width(), kLine);
        p.setPen(bar.current ? t.text : t.muted);
        p.drawText(line, Qt::AlignLeft | Qt::AlignVCenter, metrics.elidedText(bar.name, Qt::ElideRight, names));
        p.drawText(line, Qt::AlignRight | Qt::AlignVCenter, bar.value);
        const QRectF box(names + 8, line.top() + 6, std::max(3.0, room * std::clamp(bar.length, 0.0, 1.0)), kLine - 12);
        p.setPen(bar.current ? QPen(t.text, 1.5) : QPen(Qt::NoPen));
        p.setBrush(bar.color);
        p.drawRoundedRect(box, 2, 2);
    }
}

bool BarList::event(QEvent* event) {
    if (event->type() != QEvent::ToolTip) return QWidget::event(event);
    const auto* help = static_cast<QHelpEvent*>(event);
    const int line = help->pos().y() / kLine;
    if (line >= 0 && line < bars_.size()) QToolTip::showText(help->globalPos(), bars_[line].toolTip, this);
    return true;
}

ChannelBars::ChannelBars(QWidget* parent) : QWidget(parent) {
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
    connect(&Theme::instance(), &Theme::changed, this, qOverload<>(&QWidget::update));
}

void ChannelBars::setValues(std::vector<float> values, float threshold) {
    values_ = std::move(values);
    threshold_ = threshold;
    update();
}

void ChannelBars::paintEvent(QPaintEvent*) {
    const Tokens& t = Theme::instance().tokens();
    QPainter p(this);
    p.setPen(t.line);
    p.drawLine(0, height() - 1, width(), height() - 1);
    if (values_.empty()) return;
    float top = 0;
    for (const float v : values_)
        if (std::isfinite(v)) top = std::max(top, v);
    if (top <= 0) return;
    // Bars of 3 px with a gap of 1: fewer, wider ones read better than a hedge of hairlines.
    const std::size_t bars = std::min(values_.size(), static_cast<std::size_t>(std::max(1, width() / 4)));
    const double step = static_cast<double>(width()) / static_cast<double>(bars);
    for (std::size_t b = 0; b < bars; ++b) {
        float value = 0;
        for (std::size_t i = b * values_.size() / bars; i < (b + 1) * values_.size() / bars; ++i)
            value = std::max(value, values_[i]);
        const double high = static_cast<double>(value / top) * (height() - 4);
        p.fillRect(QRectF(static_cast<double>(b) * step, height() - 1 - high, std::max(1.0, step - 1), high),
                   value > threshold_ ? t.red : t.green);
    }
}

bool ChannelBars::event(QEvent* event) {
    if (event->type() != QEvent::ToolTip || values_.empty()) return QWidget::event(event);
    const auto* help = static_cast<QHelpEvent*>(event);
    const auto at = static_cast<std::size_t>(std::max(0, help->pos().x())) * values_.size() /
                    static_cast<std::size_t>(std::max(1, width()));
    const std::size_t index = std::min(at, values_.size() - 1);
    QToolTip::showText(help->globalPos(), tr("channel %1: %2").arg(index).arg(static_cast<double>(values_[index])), this);
    return true;
}

} // namespace bw
