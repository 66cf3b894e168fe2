// SPDX-License-Identifier: GPL-3.0-or-later
// Places the names of points in a plot so that none covers another, a point or (where there is room) the curve; a name
// that finds no place beside its point moves off and is tied to it by a line. Geometry only: paints nothing.
#pragma once

#include <QPointF>
#include <QPolygonF>
#include <QRectF>
#include <QSizeF>
#include <QVector>

namespace bw {

struct PlotLabel {
    QPointF anchor;          ///< the point named, px
    qreal reach = 6;         ///< half the size of its mark, px
    QVector<QSizeF> sizes;   ///< of its spellings, best first; the first that fits is taken
};

struct PlacedLabel {
    QRectF rect;             ///< empty: no room for any spelling
    int spelling = -1;
    QPointF lineEnd;         ///< where the line from the anchor ends
    bool line = false;       ///< far enough off to need a line
};

/// Greedy, in the order given: the first label has the first choice.
/// @param area where labels may lie. @param curve a polyline to keep off, as far as there is room beside it.
/// Cost: O(labels · places · (labels + points of the curve)), about 300 places each.
QVector<PlacedLabel> placeLabels(const QVector<PlotLabel>& labels, const QRectF& area, const QPolygonF& curve);

} // namespace bw
