// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/plots/label_layout.h"

#include <QLineF>
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace bw {
namespace {

constexpr qreal kGap = 4;                                ///< px between a mark and its name
constexpr qreal kRings[] = {0, 12, 24, 38, 54, 72, 92};  ///< px added to the nearest place
constexpr int kDirections = 16;
constexpr int kColumnLines = 7;                          ///< lines above and below the mark in a column beside it
constexpr qreal kOnCurve = 30;                           ///< px further off that a name may go to keep off the curve
constexpr qreal kCrossing = 25;                          ///< px further off that a name may go to avoid crossed lines
constexpr qreal kTogether = 8;                           ///< px within which points count as one
constexpr qreal kLineFrom = 8;                           ///< px off the nearest place from which a line helps

bool crosses(const QRectF& rect, const QLineF& line) {
    if (rect.contains(line.p1()) || rect.contains(line.p2())) return true;
    const QPointF corners[] = {rect.topLeft(), rect.topRight(), rect.bottomRight(), rect.bottomLeft()};
    for (int i = 0; i < 4; ++i)
        if (line.intersects(QLineF(corners[i], corners[(i + 1) % 4]), nullptr) == QLineF::BoundedIntersection) return true;
    return false;
}

bool crosses(const QRectF& rect, const QPolygonF& curve) {
    for (qsizetype i = 1; i < curve.size(); ++i) {
        if (std::max(curve[i - 1].x(), curve[i].x()) < rect.left() || std::min(curve[i - 1].x(), curve[i].x()) > rect.right()) continue;
        if (crosses(rect, QLineF(curve[i - 1], curve[i]))) return true;
    }
    return false;
}

/// Right, left, above, below, then what lies between: where the eye looks for a name.
QVector<double> directions() {
    QVector<double> angles{0, std::numbers::pi, -std::numbers::pi / 2, std::numbers::pi / 2};
    for (int i = 0; i < kDirections; ++i) {
        const double angle = 2 * std::numbers::pi * i / kDirections;
        if (i % (kDirections / 4) != 0) angles << angle;
    }
    return angles;
}

/// The label's rectangle in direction `angle`, its near side `distance` px from the anchor.
QRectF rectAt(const QPointF& anchor, double angle, qreal distance, const QSizeF& size) {
    const double x = std::cos(angle), y = std::sin(angle);
    // The centre lies further out by what the rectangle itself needs in that direction.
    const qreal byWidth = std::fabs(x) > 1e-9 ? size.width() / 2 / std::fabs(x) : 1e9;
    const qreal byHeight = std::fabs(y) > 1e-9 ? size.height() / 2 / std::fabs(y) : 1e9;
    const qreal out = distance + std::min(byWidth, byHeight);
    QRectF rect(QPointF(), size);
    rect.moveCenter(anchor + QPointF(x * out, y * out));
    return rect;
}

/// The point of the rectangle nearest to `from`.
QPointF nearest(const QRectF& rect, const QPointF& from) {
    return {std::clamp(from.x(), rect.left(), rect.right()), std::clamp(from.y(), rect.top(), rect.bottom())};
}

/// Where a name may stand: in rings around its mark, or only in two columns beside it, one line below the other. Names
/// close above and below a mark shut in all others of the same place; columns leave their lines free.
enum class Shape { rings, columns };

QVector<QRectF> candidates(const PlotLabel& label, const QSizeF& size, Shape shape) {
    static const QVector<double> angles = directions();
    QVector<QRectF> rects;
    if (shape == Shape::rings)
        for (const qreal ring : kRings)
            for (const double angle : angles) rects << rectAt(label.anchor, angle, label.reach + kGap + ring, size);
    for (const qreal ring : kRings) {
        const qreal out = label.reach + kGap + ring;
        for (int line = 0; line <= kColumnLines; ++line) {
            for (const int side : {1, -1}) {
                const qreal y = label.anchor.y() + side * line * (size.height() + 1) - size.height() / 2;
                rects << QRectF(QPointF(label.anchor.x() + out, y), size) << QRectF(QPointF(label.anchor.x() - out - size.width(), y), size);
            }
        }
    }
    return rects;
}

class Places {
public:
    Places(const QVector<PlotLabel>& labels, const QRectF& area, const QPolygonF& curve, Shape shape) : area_(area), curve_(curve), shape_(shape) {
        for (const PlotLabel& label : labels)
            marks_ << QRectF(label.anchor.x() - label.reach, label.anchor.y() - label.reach, 2 * label.reach, 2 * label.reach);
    }

    PlacedLabel place(const PlotLabel& label, int index) {
        for (int spelling = 0; spelling < label.sizes.size(); ++spelling) {
            const PlacedLabel best = nearestFree(label, spelling, index);
            if (best.spelling < 0) continue;
            taken_ << best.rect;
            if (best.line) lines_ << QLineF(label.anchor, best.lineEnd);
            return best;
        }
        return {};
    }

private:
    /// The cheapest place: distance, and more where the curve would run through the name or lines would cross.
    PlacedLabel nearestFree(const PlotLabel& label, int spelling, int index) const {
        PlacedLabel best;
        qreal least = std::numeric_limits<qreal>::infinity();
        for (const QRectF& rect : candidates(label, label.sizes[spelling], shape_)) {
            const qreal off = QLineF(label.anchor, nearest(rect, label.anchor)).length() - label.reach - kGap;
            if (off >= least || !free(rect, index)) continue;
            const qreal cost = std::max<qreal>(0, off) + (crosses(rect, curve_) ? kOnCurve : 0);
            if (cost >= least) continue;
            if (off < kLineFrom) {
                least = cost;
                best = {rect, spelling, {}, false};
                continue;
            }
            // A line may end at the near side of the name or at the middle of its left or right edge.
            for (const QPointF& end : {nearest(rect, label.anchor), QPointF(rect.left(), rect.center().y()), QPointF(rect.right(), rect.center().y())}) {
                const QLineF line(label.anchor, end);
                const qreal withLine = cost + kCrossing * crossings(line);
                if (withLine >= least || !freeLine(line, rect)) continue;
                least = withLine;
                best = {rect, spelling, end, true};
            }
        }
        return best;
    }

    bool free(const QRectF& rect, int index) const {
        if (!area_.contains(rect)) return false;
        for (const QRectF& other : taken_)
            if (other.intersects(rect)) return false;
        for (int i = 0; i < marks_.size(); ++i)
            if (i != index && marks_[i].intersects(rect)) return false;
        return std::none_of(lines_.begin(), lines_.end(), [&](const QLineF& other) { return crosses(rect, other); });
    }

    /// Through no other name, no other point, and not through its own name either.
    bool freeLine(const QLineF& line, const QRectF& own) const {
        if (crosses(own.adjusted(1, 1, -1, -1), line)) return false;
        for (const QRectF& other : taken_)
            if (crosses(other, line)) return false;
        for (const QRectF& mark : marks_)
            if (!mark.contains(line.p1()) && crosses(mark, line)) return false;
        return true;
    }

    /// Other labels' lines that this one crosses; where points lie together their lines part, which is no crossing.
    int crossings(const QLineF& line) const {
        int count = 0;
        for (const QLineF& other : lines_) {
            QPointF at;
            if (line.intersects(other, &at) == QLineF::BoundedIntersection && QLineF(at, line.p1()).length() > kTogether) ++count;
        }
        return count;
    }

    QRectF area_;
    const QPolygonF& curve_;
    Shape shape_;
    QVector<QRectF> marks_, taken_;
    QVector<QLineF> lines_;
};

} // namespace

QVector<PlacedLabel> placeLabels(const QVector<PlotLabel>& labels, const QRectF& area, const QPolygonF& curve) {
    QVector<PlacedLabel> best;
    qsizetype bestMissing = std::numeric_limits<qsizetype>::max();
    for (const Shape shape : {Shape::rings, Shape::columns}) {
        Places places(labels, area, curve, shape);
        QVector<PlacedLabel> placed;
        for (int i = 0; i < labels.size(); ++i) placed << places.place(labels[i], i);
        const auto missing = std::count_if(placed.begin(), placed.end(), [](const PlacedLabel& label) { return label.spelling != 0; });
        if (missing >= bestMissing) continue;
        bestMissing = missing;
        best = placed;
    }
    return best;
}

} // namespace bw
