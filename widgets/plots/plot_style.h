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

protected:
    void showEvent(QShowEvent* event) override;
    /// A layout may squeeze a plot to nothing; there is no picture of that size to paint on, so the last one is kept.
    void resizeEvent(QResizeEvent* event) override;

private:
    void dress();
    bool stale_ = false; ///< a replot waits
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
