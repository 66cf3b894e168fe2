// SPDX-License-Identifier: GPL-3.0-or-later
// The look that all QCustomPlot-based plots share: theme colours, quiet grid, figure face, "no data" in the middle.
#pragma once

#include "widgets/plots/custom_plot.h"

#include <QFont>
#include <QString>

namespace bw {

/// Dresses a plot with the theme's tokens and keeps it so when the theme changes. Call once, in the constructor.
void stylePlot(QCustomPlot* plot);

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
