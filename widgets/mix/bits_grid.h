// SPDX-License-Identifier: GPL-3.0-or-later
// The mix as a heat map: rows = blocks, columns = kinds of site, colour = predicted damage at the format a site has, the
// strip at a cell's left and its label = that format, a dot = pinned. Select, paint and type formats here.
#pragma once

#include "widgets/mix/mix_state.h"
#include "widgets/plots/value_scale.h"

#include <QAbstractScrollArea>

namespace bw {

class BitsGrid final : public QAbstractScrollArea {
    Q_OBJECT
public:
    BitsGrid(Session* session, MixState* model, QWidget* parent = nullptr);

    /// Format that a click paints; empty: a click selects only, Shift+click still paints with the last one.
    void setBrush(const QString& format);
    const QString& brush() const { return brush_; }
    /// Cell of a site in viewport coordinates; empty when it is scrolled away or unknown.
    QRectF cellRect(const QString& site) const;
    QString tipFor(int site) const;
    QString csv() const;
    QSize sizeHint() const override { return {620, 480}; }
    QSize minimumSizeHint() const override { return {340, 160}; }

Q_SIGNALS:
    void brushDropped(); ///< Escape

protected:
    void paintEvent(QPaintEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void mouseReleaseEvent(QMouseEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    bool viewportEvent(QEvent* event) override;
    void focusInEvent(QFocusEvent* event) override;
    void focusOutEvent(QFocusEvent* event) override;

private:
    /// What lies at a place: a site, a column's head, a row's label.
    struct Hit { int site = -1, column = -1, row = -1; };
    struct Layout { qreal left = 0, top = 0, bottom = 0, rowHeight = 0, columnWidth = 0; bool heads = false; };
    Layout layout() const;
    QRectF rectOf(const Layout& l, int site) const;
    Hit hitAt(const QPointF& position) const;
    void reload();
    void updateScrollBar();
    void paintCell(QPainter& painter, const QRectF& rect, const MixSite& site, const QString& format) const;
    void paintTick(QPainter& painter, const QPointF& at, const QColor& ink) const;
    void paintDoubt(QPainter& painter, const QPointF& corner, const QColor& around) const;
    void paintHeader(QPainter& painter, const Layout& l, const QFontMetricsF& metrics) const;
    void paintLegend(QPainter& painter, const Layout& l) const;
    QString strokeFormat(const MixSite& site) const;
    void addToStroke(int site);
    void paintSites(const QStringList& sites, const QString& format);
    int neighbour(int site, int key) const;
    void select(int site);
    void describe();

    Session* session_;
    MixState* model_;
    ValueScale scale_;
    bool marksMeasured_ = false; ///< the map has both kinds of cells
    bool anyDoubt_ = false;
    QString brush_, lastBrush_;
    QStringList stroke_;      ///< sites of the stroke under way
    QString strokeWith_;
};

} // namespace bw
