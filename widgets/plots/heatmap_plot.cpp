// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/plots/heatmap_plot.h"

#include "widgets/plots/number_text.h"
#include "widgets/plots/plot_export.h"
#include "widgets/plots/plot_navigation.h"
#include "widgets/plots/plot_style.h"
#include "widgets/theme/theme.h"

#include <QHelpEvent>
#include <QKeyEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QToolTip>
#include <QWheelEvent>
#include <algorithm>
#include <cmath>
#include <utility>

namespace bw {
namespace {

constexpr qreal kLabelGap = 8, kLegendHeight = 30, kLegendBar = 8;
constexpr qreal kGapFrom = 7; ///< cells at least this large (px) are drawn apart

/// First and one past the last cell under pixel `i` of `pixels` over `cells`, of which the part from `from` on, `size` long, is seen.
std::pair<int, int> cellsUnder(int i, int pixels, int cells, double from, double size) {
    constexpr double kRounding = 1e-9; // a cell's edge on a pixel's edge belongs to that pixel
    const auto cell = [&](int pixel) { return std::min(static_cast<int>((from + size * pixel / pixels) * cells + kRounding), cells); };
    const int first = std::min(cell(i), cells - 1);
    return {first, std::max(cell(i + 1), first + 1)};
}

std::pair<int, int> cellsOf(double from, double size, int cells) {
    return {std::clamp(static_cast<int>(from * cells), 0, std::max(0, cells - 1)), std::clamp(static_cast<int>(std::ceil((from + size) * cells)), 0, cells)};
}

} // namespace

HeatmapPlot::HeatmapPlot(QWidget* parent) : QWidget(parent), emptyText_(tr("no data")) {
    setMouseTracking(true);
    setFocusPolicy(Qt::StrongFocus);
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Expanding);
    setAccessibleName(tr("Heat map"));
    addExportMenu(this, QStringLiteral("heatmap"), [this] { return csv(); });
    connect(&Theme::instance(), &Theme::changed, this, [this] {
        image_ = {};
        update();
    });
}

void HeatmapPlot::setMatrix(int rows, int cols, const QVector<double>& values) {
    const bool fits = rows > 0 && cols > 0 && values.size() == qsizetype(rows) * cols;
    if (rows != rows_ || cols != cols_) view_ = QRectF(0, 0, 1, 1);
    rows_ = fits ? rows : 0;
    cols_ = fits ? cols : 0;
    values_ = fits ? values : QVector<double>();
    if (currentRow_ >= rows_ || currentCol_ >= cols_) currentRow_ = currentCol_ = -1;
    refit();
}

void HeatmapPlot::refit() {
    scale_ = ValueScale::fit(others_.isEmpty() ? values_ : values_ + others_, log_ && !diverging_, diverging_);
    image_ = {};
    setAccessibleDescription(empty() ? emptyText_
                                     : tr("%1 rows by %2 columns, values from %3 to %4")
                                           .arg(rows_).arg(cols_).arg(figureText(scale_.low), figureText(scale_.high)));
    update();
}

void HeatmapPlot::setRowLabels(const QStringList& labels) { rowLabels_ = labels; image_ = {}; update(); }
void HeatmapPlot::setColumnLabels(const QStringList& labels) { columnLabels_ = labels; image_ = {}; update(); }
void HeatmapPlot::setLogScale(bool log) { log_ = log; refit(); }
void HeatmapPlot::setUnit(const QString& unit) { unit_ = unit; update(); }
void HeatmapPlot::setLegendVisible(bool visible) { legend_ = visible; image_ = {}; update(); }
void HeatmapPlot::setEmptyText(const QString& text) { emptyText_ = text; update(); }

void HeatmapPlot::setDiverging(bool diverging) {
    diverging_ = diverging;
    refit();
}

void HeatmapPlot::setColorMap(ColorMap map) {
    map_ = map;
    image_ = {};
    update();
}

void HeatmapPlot::setCurrentCell(int row, int col) {
    currentRow_ = row >= 0 && row < rows_ ? row : -1;
    currentCol_ = col >= 0 && col < cols_ ? col : -1;
    update();
}

QColor HeatmapPlot::cellColor(int row, int col) const {
    return colorAt(diverging_ ? ColorMap::diverging : map_, scale_.position(value(row, col)), Theme::instance().tokens().dark);
}

QRectF HeatmapPlot::area() const {
    const QFontMetricsF metrics(smallFigures());
    qreal left = 0;
    for (const QString& label : rowLabels_) left = std::max(left, metrics.horizontalAdvance(label));
    left = std::min(left, width() * 0.35);
    if (left > 0) left += kLabelGap;
    const qreal top = columnLabels_.isEmpty() ? 0 : metrics.height() + 4;
    const qreal bottom = legend_ ? kLegendHeight : 0;
    return QRectF(left, top, std::max<qreal>(1, width() - left), std::max<qreal>(1, height() - top - bottom));
}

QRectF HeatmapPlot::cellRect(int row, int col) const {
    const QRectF a = area();
    const qreal w = a.width() / cols_ / view_.width(), h = a.height() / rows_ / view_.height();
    QRectF rect(a.left() + (col - view_.left() * cols_) * w, a.top() + (row - view_.top() * rows_) * h, w, h);
    if (w >= kGapFrom && h >= kGapFrom) rect.adjust(1, 1, -1, -1);
    return rect;
}

std::pair<int, int> HeatmapPlot::cellAt(const QPointF& position) const {
    const QRectF a = area();
    if (empty() || !a.contains(position)) return {-1, -1};
    const double x = view_.left() + (position.x() - a.left()) / a.width() * view_.width();
    const double y = view_.top() + (position.y() - a.top()) / a.height() * view_.height();
    return {std::clamp(static_cast<int>(y * rows_), 0, rows_ - 1), std::clamp(static_cast<int>(x * cols_), 0, cols_ - 1)};
}

std::pair<int, int> HeatmapPlot::rowsInView() const { return cellsOf(view_.top(), view_.height(), rows_); }
std::pair<int, int> HeatmapPlot::columnsInView() const { return cellsOf(view_.left(), view_.width(), cols_); }

void HeatmapPlot::setView(const QRectF& view) {
    // A cell as large as the plot is close enough.
    const auto held = [](double low, double size, int cells) { return heldWithin({low, low + std::max(size, 1.0 / std::max(1, cells))}, {}); };
    const ViewSpan x = held(view.left(), view.width(), cols_), y = held(view.top(), view.height(), rows_);
    const QRectF kept(QPointF(x.low, y.low), QPointF(x.high, y.high));
    if (kept == view_) return;
    view_ = kept;
    image_ = {};
    update();
}

void HeatmapPlot::zoom(double factor, const QPointF& around) {
    const QRectF a = area();
    const double x = std::clamp((around.x() - a.left()) / a.width(), 0.0, 1.0), y = std::clamp((around.y() - a.top()) / a.height(), 0.0, 1.0);
    const QSizeF size = (view_.size() * factor).boundedTo({1, 1}).expandedTo({1.0 / std::max(1, cols_), 1.0 / std::max(1, rows_)});
    setView(QRectF(QPointF(view_.left() + x * (view_.width() - size.width()), view_.top() + y * (view_.height() - size.height())), size));
}

void HeatmapPlot::showAll() { setView({0, 0, 1, 1}); }

void HeatmapPlot::bringIntoView(int row, int col) {
    QRectF view = view_;
    const double w = 1.0 / cols_, h = 1.0 / rows_;
    view.moveLeft(std::clamp(view.left(), (col + 1) * w - view.width(), std::max(col * w, (col + 1) * w - view.width())));
    view.moveTop(std::clamp(view.top(), (row + 1) * h - view.height(), std::max(row * h, (row + 1) * h - view.height())));
    setView(view);
}

/// One pixel per device pixel; the cell (or the largest magnitude of the cells) under it gives the colour.
void HeatmapPlot::renderImage(const QSize& pixels) {
    image_ = QImage(pixels, QImage::Format_ARGB32_Premultiplied);
    const ColorTable& table = colorTable(diverging_ ? ColorMap::diverging : map_, Theme::instance().tokens().dark);
    std::vector<std::pair<int, int>> columns(static_cast<std::size_t>(pixels.width()));
    for (int x = 0; x < pixels.width(); ++x) columns[static_cast<std::size_t>(x)] = cellsUnder(x, pixels.width(), cols_, view_.left(), view_.width());
    std::pair<int, int> previous{-1, -1};
    for (int y = 0; y < pixels.height(); ++y) {
        const auto rowSpan = cellsUnder(y, pixels.height(), rows_, view_.top(), view_.height());
        auto* line = reinterpret_cast<QRgb*>(image_.scanLine(y));
        if (rowSpan == previous) {
            std::copy_n(reinterpret_cast<const QRgb*>(image_.constScanLine(y - 1)), pixels.width(), line);
            continue;
        }
        previous = rowSpan;
        for (int x = 0; x < pixels.width(); ++x) {
            const auto [c0, c1] = columns[static_cast<std::size_t>(x)];
            double worst = std::numeric_limits<double>::quiet_NaN();
            for (int r = rowSpan.first; r < rowSpan.second; ++r) {
                for (int c = c0; c < c1; ++c) {
                    const double v = value(r, c);
                    if (std::isnan(worst) || std::abs(v) > std::abs(worst)) worst = v;
                }
            }
            const double t = scale_.position(worst);
            line[x] = std::isnan(t) ? 0 : table[static_cast<std::size_t>(std::lround(t * 255))];
        }
    }
}

void HeatmapPlot::paintEvent(QPaintEvent*) {
    QPainter painter(this);
    const Tokens& t = Theme::instance().tokens();
    painter.setFont(smallFigures());
    if (empty()) {
        painter.setPen(t.muted);
        painter.drawText(rect().adjusted(8, 8, -8, -8), static_cast<int>(Qt::AlignCenter) | static_cast<int>(Qt::TextWordWrap), emptyText_);
        return;
    }
    const QRectF a = area();
    painter.save();
    painter.setClipRect(a);
    const QRectF first = cellRect(0, 0);
    if (first.width() >= kGapFrom - 2 && first.height() >= kGapFrom - 2) {
        painter.setRenderHint(QPainter::Antialiasing);
        painter.setPen(Qt::NoPen);
        const auto [r0, r1] = rowsInView();
        const auto [c0, c1] = columnsInView();
        for (int r = r0; r < r1; ++r) {
            for (int c = c0; c < c1; ++c) {
                if (std::isnan(value(r, c))) continue;
                painter.setBrush(cellColor(r, c));
                painter.drawRoundedRect(cellRect(r, c), 2, 2);
            }
        }
    } else {
        const QSize pixels = (a.size() * devicePixelRatioF()).toSize().expandedTo({1, 1});
        if (image_.size() != pixels) renderImage(pixels);
        painter.drawImage(a, image_);
    }
    painter.restore();
    paintLabels(painter, a);
    if (legend_) paintLegend(painter, a);
    if (currentRow_ >= 0 && currentCol_ >= 0) {
        painter.setClipRect(a.adjusted(-2, -2, 2, 2));
        painter.setRenderHint(QPainter::Antialiasing);
        painter.setBrush(Qt::NoBrush);
        painter.setPen(QPen(t.text, 2));
        painter.drawRoundedRect(cellRect(currentRow_, currentCol_).adjusted(-1, -1, 1, 1), 3, 3);
    }
}

void HeatmapPlot::paintLabels(QPainter& painter, const QRectF& a) const {
    const QFontMetricsF metrics(painter.font());
    painter.setPen(Theme::instance().tokens().muted);
    const auto [firstRow, lastRow] = rowsInView();
    const auto [firstColumn, lastColumn] = columnsInView();
    const qreal rowHeight = a.height() / rows_ / view_.height();
    const int rowStep = std::max(1, static_cast<int>(std::ceil(metrics.height() / rowHeight)));
    for (int r = firstRow / rowStep * rowStep; r < std::min<int>(lastRow, static_cast<int>(rowLabels_.size())); r += rowStep) {
        const QRectF place(0, a.top() + (r + 0.5 - view_.top() * rows_) * rowHeight - metrics.height() / 2, a.left() - kLabelGap, metrics.height());
        if (place.center().y() < a.top() || place.center().y() > a.bottom()) continue;
        painter.drawText(place, static_cast<int>(Qt::AlignRight) | static_cast<int>(Qt::AlignVCenter),
                         metrics.elidedText(rowLabels_[r], Qt::ElideMiddle, place.width()));
    }
    qreal widest = 1;
    for (const QString& label : columnLabels_) widest = std::max(widest, metrics.horizontalAdvance(label));
    const qreal columnWidth = a.width() / cols_ / view_.width();
    const int columnStep = std::max(1, static_cast<int>(std::ceil((widest + 6) / columnWidth)));
    qreal taken = 0; // the last label moves inwards, and must not lie on the one before
    for (int c = firstColumn / columnStep * columnStep; c < std::min<int>(lastColumn, static_cast<int>(columnLabels_.size())); c += columnStep) {
        QRectF place(0, 0, widest + 4, metrics.height());
        place.moveCenter({a.left() + (c + 0.5 - view_.left() * cols_) * columnWidth, metrics.height() / 2});
        if (place.center().x() < a.left() || place.center().x() > a.right()) continue;
        place.moveLeft(std::clamp(place.left(), a.left(), std::max(a.left(), a.right() - place.width())));
        if (place.left() < taken) continue;
        taken = place.right();
        painter.drawText(place, Qt::AlignCenter, columnLabels_[c]);
    }
}

void HeatmapPlot::paintLegend(QPainter& painter, const QRectF& a) const {
    const QRectF bar(a.left(), a.bottom() + 6, std::min<qreal>(a.width(), 260), kLegendBar);
    QLinearGradient gradient(bar.topLeft(), bar.topRight());
    const bool dark = Theme::instance().tokens().dark;
    for (int i = 0; i <= 16; ++i) gradient.setColorAt(i / 16.0, colorAt(diverging_ ? ColorMap::diverging : map_, i / 16.0, dark));
    painter.setPen(Qt::NoPen);
    painter.setBrush(gradient);
    painter.drawRoundedRect(bar, 2, 2);
    painter.setPen(Theme::instance().tokens().muted);
    const QRectF text(bar.left(), bar.bottom() + 1, bar.width(), kLegendHeight - kLegendBar - 6);
    if (bar.width() >= 130) // narrower, the ends would meet
        painter.drawText(text, static_cast<int>(Qt::AlignLeft) | static_cast<int>(Qt::AlignVCenter), figureText(scale_.low));
    painter.drawText(text, static_cast<int>(Qt::AlignRight) | static_cast<int>(Qt::AlignVCenter), figureText(scale_.high));
    if (bar.width() < 200) return; // no room between the ends
    painter.drawText(text, Qt::AlignCenter, log_ && !diverging_ ? tr("%1 log").arg(unit_).trimmed() : unit_);
}

QString HeatmapPlot::cellText(int row, int col) const {
    const QString rowName = rowLabels_.value(row, QString::number(row)), colName = columnLabels_.value(col, QString::number(col));
    const double v = value(row, col);
    const QString number = std::isnan(v) ? tr("no value") : withMinus(QString::number(v, 'g', 6)) + QLatin1Char(' ') + unit_;
    const QString note = notes_.value(qsizetype(row) * cols_ + col);
    return tr("%1 · %2\n%3").arg(rowName, colName, number.trimmed()) + (note.isEmpty() ? QString() : QLatin1Char('\n') + note);
}

QString HeatmapPlot::csv() const {
    QString text = QStringLiteral("row,column,value\n");
    for (int r = 0; r < rows_; ++r) {
        for (int c = 0; c < cols_; ++c) {
            text += csvField(rowLabels_.value(r, QString::number(r))) + QLatin1Char(',') +
                    csvField(columnLabels_.value(c, QString::number(c))) + QLatin1Char(',') +
                    QString::number(value(r, c), 'g', 17) + QLatin1Char('\n');
        }
    }
    return text;
}

void HeatmapPlot::resizeEvent(QResizeEvent* event) {
    image_ = {};
    QWidget::resizeEvent(event);
}

void HeatmapPlot::mouseMoveEvent(QMouseEvent* event) {
    constexpr double kDragFrom = 4; // px; less is a click of an unsteady hand
    const QPointF at = event->position();
    if ((event->buttons() & Qt::LeftButton) && zoomed() && (dragging_ || (at - pressed_).manhattanLength() > kDragFrom)) {
        dragging_ = true;
        const QRectF a = area();
        setView(view_.translated(-(at.x() - dragged_.x()) / a.width() * view_.width(), -(at.y() - dragged_.y()) / a.height() * view_.height()));
    }
    dragged_ = at;
    const auto [row, col] = cellAt(at);
    Q_EMIT cellHovered(row, col);
}

void HeatmapPlot::mousePressEvent(QMouseEvent* event) {
    pressed_ = dragged_ = event->position();
    dragging_ = false;
}

void HeatmapPlot::mouseReleaseEvent(QMouseEvent* event) {
    const auto [row, col] = cellAt(event->position());
    if (std::exchange(dragging_, false) || event->button() != Qt::LeftButton || row < 0) return;
    setCurrentCell(row, col);
    Q_EMIT cellClicked(row, col);
}

void HeatmapPlot::mouseDoubleClickEvent(QMouseEvent* event) {
    if (event->button() == Qt::LeftButton) showAll();
}

void HeatmapPlot::wheelEvent(QWheelEvent* event) {
    const double factor = zoomFactor(*event);
    if (empty() || factor == 1 || (factor > 1 && !zoomed()) || !area().contains(event->position())) return event->ignore(); // the page scrolls then
    zoom(factor, event->position());
    event->accept();
}

void HeatmapPlot::leaveEvent(QEvent*) { Q_EMIT cellHovered(-1, -1); }

void HeatmapPlot::keyPressEvent(QKeyEvent* event) {
    if (empty()) return QWidget::keyPressEvent(event);
    switch (viewKey(*event)) {
    case ViewKey::closer: return zoom(kZoomStep, area().center());
    case ViewKey::farther: return zoom(1 / kZoomStep, area().center());
    case ViewKey::all: return showAll();
    case ViewKey::left: return setView(view_.translated(-kMoveStep * view_.width(), 0));
    case ViewKey::right: return setView(view_.translated(kMoveStep * view_.width(), 0));
    case ViewKey::up: return setView(view_.translated(0, -kMoveStep * view_.height()));
    case ViewKey::down: return setView(view_.translated(0, kMoveStep * view_.height()));
    case ViewKey::none: break;
    }
    int row = std::max(currentRow_, 0), col = std::max(currentCol_, 0);
    switch (event->key()) {
    case Qt::Key_Up: row = std::max(0, row - 1); break;
    case Qt::Key_Down: row = std::min(rows_ - 1, row + 1); break;
    case Qt::Key_Left: col = std::max(0, col - 1); break;
    case Qt::Key_Right: col = std::min(cols_ - 1, col + 1); break;
    case Qt::Key_Return:
    case Qt::Key_Enter:
    case Qt::Key_Space: Q_EMIT cellClicked(row, col); break;
    default: return QWidget::keyPressEvent(event);
    }
    setCurrentCell(row, col);
    bringIntoView(row, col);
    setAccessibleDescription(cellText(row, col));
    Q_EMIT cellHovered(row, col);
}

bool HeatmapPlot::event(QEvent* event) {
    if (event->type() != QEvent::ToolTip) return QWidget::event(event);
    auto* help = static_cast<QHelpEvent*>(event);
    const auto [row, col] = cellAt(help->pos());
    if (row < 0) {
        const QRectF cells = area(); // beside them stand names, which may be cut
        const double at = (view_.top() + (help->pos().y() - cells.top()) / cells.height() * view_.height()) * rows_;
        if (rows_ > 0 && help->pos().x() < cells.left() && at >= 0 && at < std::min<double>(rows_, double(rowLabels_.size()))) QToolTip::showText(help->globalPos(), rowLabels_[int(at)], this);
        else QToolTip::hideText();
    } else {
        QToolTip::showText(help->globalPos(), cellText(row, col), this);
    }
    return true;
}

} // namespace bw
