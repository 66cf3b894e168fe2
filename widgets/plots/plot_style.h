// SPDX-License-Identifier: GPL-3.0-or-later
// The look that all QCustomPlot-based plots share: theme colours, quiet grid, figure face, "no data" in the middle.
#pragma once

#include "widgets/plots/custom_plot.h"

#include <QFont>
#include <QString>

namespace bw {

/// A plot in the theme's colours, redrawn when the theme changes.
class Plot : public QCustomPlot {
    Q_OBJECT
public:
    explicit Plot(QWidget* parent);
    /// As QCustomPlot's, but a queued one waits until the plot is on screen: most plots belong to pages that are not.
    void replot(RefreshPriority priority = rpRefreshHint);

    /// Lets a person look closer, the same way in every plot: the wheel zooms around the pointer, dragging moves, + and − zoom,
    /// Shift with an arrow moves, a double click or 0 shows everything again.
    void setNavigation(Qt::Orientations along);
    /// What "everything" is. @param keep the part that was zoomed to stays in view, as for new figures of the same thing.
    void setHome(const QCPRange& x, const QCPRange& y, bool keep);
    void showHome();
    bool zoomed() const { return zoomed_; }
    /// By less than 1: closer. Around these pixels of the plot.
    void zoom(double factor, const QPointF& around);

protected:
    void showEvent(QShowEvent* event) override;
    void wheelEvent(QWheelEvent* event) override;
    void mouseDoubleClickEvent(QMouseEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    /// A layout may squeeze a plot to nothing; there is no picture of that size to paint on, so the last one is kept.
    void resizeEvent(QResizeEvent* event) override;

private:
    void dress();
    void hold(QCPAxis* axis, const QCPRange& home);
    void move(double x, double y);
    bool stale_ = false; ///< a replot waits
    bool zoomed_ = false, holding_ = false;
    Qt::Orientations along_;
    QCPRange homeX_, homeY_;
};

/// The figure face one step smaller: axis labels, cell labels.
QFont smallFigures();

/// Text in the middle of the plot while it has nothing to show; empty hides it.
class PlotMessage final : public QCPLayerable {
public:
    explicit PlotMessage(QCustomPlot* plot);
    void setText(const QString& text) { text_ = text; }
    const QString& text() const { return text_; }

protected:
    void applyDefaultAntialiasingHint(QCPPainter*) const override {}
    void draw(QCPPainter* painter) override;

private:
    QString text_;
};

} // namespace bw
