// SPDX-License-Identifier: GPL-3.0-or-later
// A histogram of weights or activations, counts linear or log, with named clip lines that can be dragged and ticks under
// the axis where the levels of a grid lie.
#pragma once

#include "core/base/histogram.h"
#include "widgets/plots/plot_style.h"

#include <QVector>

namespace bw {

class HistogramPlot final : public Plot {
    Q_OBJECT
public:
    /// A pair of vertical lines; what lies outside is shaded. NaN at one end leaves that line out.
    struct Marker {
        QString name;
        double low = 0, high = 0;
        QColor color;
        bool draggable = false;
    };

    explicit HistogramPlot(QWidget* parent = nullptr);
    ~HistogramPlot() override;

    void setHistogram(const Histogram& histogram);
    void clear();
    void setLogCounts(bool log);
    bool logCounts() const { return log_; }
    void setMarkers(const QVector<Marker>& markers);
    const QVector<Marker>& markers() const { return markers_; }
    /// Values of a quantization grid, drawn as ticks under the bars.
    void setTicksBelow(const QVector<double>& values);
    void setBarColor(const QColor& color); ///< invalid: the theme's accent
    void setEmptyText(const QString& text);
    QString csv() const;
    QSize sizeHint() const override { return {320, 180}; }
    QSize minimumSizeHint() const override { return {140, 90}; }

Q_SIGNALS:
    /// While a line is dragged or moved by keyboard; low ≤ high.
    void markerMoved(const QString& name, double low, double high);
    /// Value and count of the bin under the pointer.
    void binHovered(double low, double high, quint64 count);

protected:
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void mouseReleaseEvent(QMouseEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    bool event(QEvent* event) override;

private:
    class Overlay;
    friend class Overlay;
    struct Edge { int marker = -1; bool high = false; };
    bool empty() const;
    double binWidth() const;
    Edge edgeAt(const QPointF& position) const;
    void moveEdge(Edge edge, double value);
    QString outsideText() const;
    void rebuild(bool keepView = false);
    void fillBars();
    void recolor();

    Histogram histogram_;
    QVector<Marker> markers_;
    QVector<double> ticks_;
    QColor barColor_;
    QString emptyText_;
    bool log_ = false;
    QCPBars* bars_;
    Overlay* overlay_;
    PlotMessage* message_;
    Edge dragged_, keyboard_;
};

} // namespace bw
