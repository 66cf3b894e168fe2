// SPDX-License-Identifier: GPL-3.0-or-later
// Size against predicted damage: the best that can be had at every size, where this mix lies, with what
// their predictions are sure of, and measured runs. A click on the curve or on a run takes its mix.
#pragma once

#include "widgets/mix/mix_state.h"
#include "widgets/plots/plot_style.h"

namespace bw {

class ParetoPlot final : public Plot {
    Q_OBJECT
public:
    explicit ParetoPlot(MixState* model, QWidget* parent = nullptr);
    ~ParetoPlot() override;
    /// Pixel of a front point, for tests and key handling.
    QPointF pixelOf(int frontPoint) const;
    /// Names of points and where they were drawn last: for tests.
    QVector<QPair<QString, QRectF>> namesDrawn() const;
    QString csv() const;
    QSize sizeHint() const override { return {380, 300}; }
    QSize minimumSizeHint() const override { return {220, 120}; }

Q_SIGNALS:
    void pointTaken(int frontPoint);

protected:
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    bool event(QEvent* event) override;

private:
    class Overlay;
    friend class Overlay;
    struct Hit { int front = -1; int run = -1; };
    Hit hitAt(const QPointF& position) const;
    QPointF place(quint64 bytes, double damage) const;
    void take(Hit hit);
    QString predictionOf(const MeasuredMix& run) const;
    void reload();
    void recolor();

    MixState* model_;
    QCPGraph *low_, *high_, *curve_; ///< one standard error below and above the front, and the front
    Overlay* overlay_;
    PlotMessage* message_;
    double floor_ = 1e-6; ///< damage that stands for nothing on the log axis
    Hit hover_;
};

} // namespace bw
