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
    void leaveEvent(QEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    bool event(QEvent* event) override;

private:
    bool empty() const { return rows_ == 0 || cols_ == 0 || !scale_.known; }
    void refit();
    QRectF area() const;
    std::pair<int, int> cellAt(const QPointF& position) const;
    void renderImage(const QSize& pixels);
    void paintLabels(QPainter& painter, const QRectF& area) const;
    void paintLegend(QPainter& painter, const QRectF& area) const;

    int rows_ = 0, cols_ = 0;
    QVector<double> values_;
    QStringList rowLabels_, columnLabels_, notes_;
    QString unit_, emptyText_;
    ValueScale scale_;
    ColorMap map_ = ColorMap::viridis;
    bool log_ = false, diverging_ = false, legend_ = true;
    int currentRow_ = -1, currentCol_ = -1;
    QImage image_; ///< cells at device pixels, valid until values, size or theme change
};

} // namespace bw
