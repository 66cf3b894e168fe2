// SPDX-License-Identifier: GPL-3.0-or-later
// A matrix as coloured cells with row and column labels, a legend, exact values under the pointer, and a cell cursor
// for the keyboard. NaN cells are gaps. More cells than pixels: the largest magnitude of a pixel's cells is shown, so
// that no outlier disappears.
#pragma once

#include "widgets/plots/color_maps.h"
#include "widgets/plots/value_scale.h"

#include <QImage>
#include <QStringList>
#include <QVector>
#include <QWidget>

namespace bw {

class HeatmapPlot final : public QWidget {
    Q_OBJECT
public:
    explicit HeatmapPlot(QWidget* parent = nullptr);

    /// @param values row-major, rows·cols of them; a wrong count shows nothing.
    void setMatrix(int rows, int cols, const QVector<double>& values);
    /// These share the colour scale, so that two matrices can be held against each other; of the next setMatrix().
    void setScaleWith(const QVector<double>& others) { others_ = others; }
    void setRowLabels(const QStringList& labels);
    void setColumnLabels(const QStringList& labels);
    void setLogScale(bool log);
    /// Differences: the diverging map, symmetric around zero.
    void setDiverging(bool diverging);
    void setColorMap(ColorMap map);
    void setUnit(const QString& unit);           ///< behind values in tooltip and legend
    /// One more line per cell for the tooltip, in the order of the matrix; may be empty.
    void setCellNotes(const QStringList& notes) { notes_ = notes; }
    void setLegendVisible(bool visible);
    void setEmptyText(const QString& text);
    /// Outlines a cell; −1 = none.
    void setCurrentCell(int row, int col);
    /// Looking closer works as in every other plot (plot_navigation.h).
    bool zoomed() const { return view_ != QRectF(0, 0, 1, 1); }
    void zoom(double factor, const QPointF& around);
    void showAll();

    int rows() const { return rows_; }
    int columns() const { return cols_; }
    double value(int row, int col) const { return values_[qsizetype(row) * cols_ + col]; }
    const ValueScale& scale() const { return scale_; }
    QColor cellColor(int row, int col) const;
    QRectF cellRect(int row, int col) const;
    QString cellText(int row, int col) const;    ///< as the tooltip says it
    QString csv() const;
    QSize sizeHint() const override { return {320, 200}; }
    QSize minimumSizeHint() const override { return {110, 80}; }

Q_SIGNALS:
    void cellHovered(int row, int col); ///< −1, −1 when the pointer leaves
    void cellClicked(int row, int col);

protected:
    void paintEvent(QPaintEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseReleaseEvent(QMouseEvent* event) override;
    void mouseDoubleClickEvent(QMouseEvent* event) override;
    void wheelEvent(QWheelEvent* event) override;
    void leaveEvent(QEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    bool event(QEvent* event) override;

private:
    bool empty() const { return rows_ == 0 || cols_ == 0 || !scale_.known; }
    void refit();
    QRectF area() const;
    void setView(const QRectF& view);
    void bringIntoView(int row, int col);
    std::pair<int, int> rowsInView() const;    ///< first and one past the last
    std::pair<int, int> columnsInView() const;
    std::pair<int, int> cellAt(const QPointF& position) const;
    void renderImage(const QSize& pixels);
    void paintLabels(QPainter& painter, const QRectF& area) const;
    void paintLegend(QPainter& painter, const QRectF& area) const;

    int rows_ = 0, cols_ = 0;
    QVector<double> values_, others_;
    QStringList rowLabels_, columnLabels_, notes_;
    QString unit_, emptyText_;
    ValueScale scale_;
    ColorMap map_ = ColorMap::viridis;
    bool log_ = false, diverging_ = false, legend_ = true;
    int currentRow_ = -1, currentCol_ = -1;
    QRectF view_{0, 0, 1, 1}; ///< part of the matrix that is seen, in shares of its columns and rows
    QPointF pressed_, dragged_;
    bool dragging_ = false;
    QImage image_; ///< cells at device pixels, valid until values, size or theme change
};

} // namespace bw
