// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/model/channel_plot.h"

#include "widgets/plots/number_text.h"
#include "widgets/theme/theme.h"

#include <QToolTip>
#include <algorithm>
#include <cmath>

namespace bw {

ChannelPlot::ChannelPlot(QWidget* parent) : Plot(parent), graph_(addGraph()), message_(new PlotMessage(this)) {
    xAxis->setLabel(tr("output channel"));
    yAxis->setLabel(tr("max |w|"));
    setMouseTracking(true);
    setNavigation(Qt::Horizontal);
    connect(&Theme::instance(), &Theme::changed, this, &ChannelPlot::recolor);
    recolor();
    setValues({});
}

void ChannelPlot::recolor() {
    QColor line = Theme::instance().tokens().accent, fill = line;
    fill.setAlpha(50);
    graph_->setPen(QPen(line, 1));
    graph_->setBrush(fill);
    replot(rpQueuedReplot);
}

void ChannelPlot::setValues(const std::vector<float>& values) {
    values_ = values;
    QVector<double> keys, heights;
    double top = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
        const double v = static_cast<double>(values[i]);
        keys << static_cast<double>(i);
        heights << (std::isfinite(v) ? v : 0.0);
        top = std::max(top, heights.last());
    }
    graph_->setData(keys, heights, true);
    setHome({0, std::max<double>(1, static_cast<double>(values.size()) - 1)}, {0, top > 0 ? top * 1.08 : 1}, false);
    message_->setText(values.empty() ? tr("no data") : QString());
    replot(rpQueuedReplot);
}

QString ChannelPlot::csv() const {
    QString out = QStringLiteral("channel,max_abs\n");
    for (std::size_t i = 0; i < values_.size(); ++i)
        out += QStringLiteral("%1,%2\n").arg(i).arg(static_cast<double>(values_[i]), 0, 'g', 9);
    return out;
}

void ChannelPlot::mouseMoveEvent(QMouseEvent* event) {
    Plot::mouseMoveEvent(event);
    const double at = xAxis->pixelToCoord(event->position().x());
    if (values_.empty() || !axisRect()->rect().contains(event->pos())) return;
    const auto index = std::min(values_.size() - 1, static_cast<std::size_t>(std::max(0.0, std::round(at))));
    QToolTip::showText(event->globalPosition().toPoint(),
                       tr("channel %1: %2").arg(index).arg(figureText(static_cast<double>(values_[index]), 5)), this);
}

} // namespace bw
