// SPDX-License-Identifier: GPL-3.0-or-later
// Two histograms of one input on the same axes, as it is and after a change, each over its own grid: the axis is the share of the
// largest magnitude, so that what matters shows, how much of the grid's range the values use.
#pragma once

#include "core/base/histogram.h"
#include "widgets/plots/plot_style.h"

namespace bw {

class WhatIfPlot final : public Plot {
    Q_OBJECT
public:
    explicit WhatIfPlot(QWidget* parent = nullptr);
    /// One distribution over bins of −range … range. @param clip largest magnitude that the grid holds.
    struct Curve { Histogram histogram; double range = 0, clip = 0; };
    /// @param after null: nothing is changed, only the first is drawn.
    void setCurves(const Curve& before, const Curve* after);
    void setMessage(const QString& text); ///< instead of curves; empty shows them again
    QString csv() const;
    QSize sizeHint() const override { return {320, 120}; }
    QSize minimumSizeHint() const override { return {140, 60}; }

Q_SIGNALS:
    /// While a clip line is dragged, or moved by the arrow keys; share of the largest magnitude, in (0, 1].
    void clipMoved(double share);

protected:
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void mouseReleaseEvent(QMouseEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;

private:
    bool onClipLine(const QPointF& position) const;
    void recolor();
    QCPGraph *before_, *after_;
    QCPItemStraightLine *low_, *high_; ///< clip of what is changed
    PlotMessage* message_;
    double clip_ = 1; ///< where the lines stand
    bool dragging_ = false;
};

} // namespace bw
