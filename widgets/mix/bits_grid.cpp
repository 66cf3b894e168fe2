// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/mix/bits_grid.h"

#include "widgets/plots/color_maps.h"
#include "widgets/plots/number_text.h"
#include "widgets/plots/plot_export.h"
#include "widgets/plots/plot_style.h"
#include "widgets/theme/theme.h"

#include <QHelpEvent>
#include <QKeyEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QScrollBar>
#include <QToolTip>
#include <algorithm>
#include <cmath>

namespace bw {
namespace {

constexpr qreal kHeader = 22, kLabelGap = 10, kLegend = 38, kHeadGap = 8;
constexpr qreal kLeastRow = 13.5, kMostRow = 56; ///< px; below, labels would touch
constexpr qreal kLeastText = 34;               ///< px; narrower cells have room for no format's name
constexpr qreal kLeastRounded = 6;             ///< px; narrower cells are plain
constexpr qreal kLeastTick = 66;               ///< px; in narrower cells a tick would lie on the format's name
constexpr qreal kTwoLines = 36;                ///< rows from this height on show the damage under the format
constexpr double kDecades = 3;                 ///< of damage shown: what is 1,000 times smaller than the worst is nothing

/// The default spelling of affine grids goes without its last part.
QString shortFormat(const QString& format) {
    QString text = format;
    return text.remove(QStringLiteral(":asym"));
}

/// The figure with as many digits as there is room for; a figure cut in half would be another figure.
QString damageText(double damage, bool known, const QFontMetricsF& metrics, qreal room) {
    const QStringList spellings = known ? QStringList{figureText(damage, 2), figureText(damage, 1)}
                                        : QStringList{BitsGrid::tr("not in map"), QStringLiteral("?")};
    for (const QString& text : spellings)
        if (metrics.horizontalAdvance(text) <= room) return text;
    return {};
}

} // namespace

BitsGrid::BitsGrid(Session* session, MixState* model, QWidget* parent)
    : QAbstractScrollArea(parent), session_(session), model_(model), lastBrush_(model->formatForBits(4)) {
    setFrameShape(QFrame::NoFrame);
    setFocusPolicy(Qt::StrongFocus);
    setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    viewport()->setMouseTracking(true);
    viewport()->setAutoFillBackground(false);
    setAccessibleName(tr("Bits per site"));
    addExportMenu(viewport(), QStringLiteral("mix"), [this] { return csv(); });
    connect(model_, &MixState::mapChanged, this, &BitsGrid::reload);
    connect(model_, &MixState::mixChanged, this, [this] {
        describe();
        viewport()->update();
    });
    connect(session_, &Session::siteSelected, this, [this] {
        describe();
        viewport()->update();
    });
    connect(&Theme::instance(), &Theme::changed, viewport(), qOverload<>(&QWidget::update));
    reload();
}

void BitsGrid::reload() {
    scale_ = ValueScale::fit(model_->map().damages(), true);
    if (scale_.known) scale_.low = std::max(scale_.low, scale_.high * std::pow(10.0, -kDecades));
    const DamageMap& map = model_->map();
    const qsizetype measured = map.cells(CellSource::measured);
    marksMeasured_ = measured > 0 && measured < map.cells();
    anyDoubt_ = std::any_of(map.sites.begin(), map.sites.end(), [](const auto& options) {
        return std::any_of(options.begin(), options.end(), [](const DamageOption& o) { return !o.doubt.isEmpty(); });
    });
    const bool heads = !model_->headSites().isEmpty();
    setMaximumHeight(int(kHeader + kLegend + (heads ? kHeadGap + kMostRow : 0) + std::max(1, model_->blocks()) * kMostRow));
    updateScrollBar();
    describe();
    viewport()->update();
}

void BitsGrid::setBrush(const QString& format) {
    brush_ = format;
    if (!format.isEmpty()) lastBrush_ = format;
    viewport()->setCursor(format.isEmpty() ? Qt::ArrowCursor : Qt::CrossCursor);
}

BitsGrid::Layout BitsGrid::layout() const {
    Layout l;
    const QFontMetricsF metrics(smallFigures());
    l.left = metrics.horizontalAdvance(QStringLiteral("blk.%1").arg(std::max(10, model_->blocks()))) + kLabelGap;
    l.top = kHeader;
    l.heads = !model_->headSites().isEmpty();
    const qreal fixed = kHeader + kLegend + (l.heads ? kHeadGap : 0);
    const int rows = std::max(1, model_->blocks() + (l.heads ? 1 : 0));
    l.rowHeight = std::clamp((viewport()->height() - fixed) / rows, kLeastRow, kMostRow);
    l.columnWidth = (viewport()->width() - l.left) / std::max<qreal>(1, double(model_->kinds().size()));
    // Where the rows of blocks end: at their own height or where the head row must begin.
    const qreal room = viewport()->height() - kLegend - (l.heads ? kHeadGap + l.rowHeight : 0);
    l.bottom = std::min(l.top + model_->blocks() * l.rowHeight, std::max(l.top, room));
    return l;
}

void BitsGrid::updateScrollBar() {
    const Layout l = layout();
    const qreal content = model_->blocks() * l.rowHeight, page = l.bottom - l.top;
    verticalScrollBar()->setRange(0, std::max(0, int(std::ceil(content - page))));
    verticalScrollBar()->setPageStep(int(page));
    verticalScrollBar()->setSingleStep(int(l.rowHeight));
}

QRectF BitsGrid::rectOf(const Layout& l, int index) const {
    const MixSite& site = model_->sites()[index];
    QRectF rect;
    if (site.block < 0) {
        const auto count = double(model_->headSites().size());
        const qreal width = (viewport()->width() - l.left) / count;
        rect = QRectF(l.left + double(model_->headSites().indexOf(index)) * width, l.bottom + kHeadGap, width, l.rowHeight);
    } else {
        rect = QRectF(l.left + double(model_->kinds().indexOf(site.kind)) * l.columnWidth,
                      l.top + site.block * l.rowHeight - verticalScrollBar()->value(), l.columnWidth, l.rowHeight);
    }
    return rect.adjusted(1, 1, -1, -1);
}

QRectF BitsGrid::cellRect(const QString& site) const {
    const int i = model_->indexOf(site);
    if (i < 0) return {};
    const Layout l = layout();
    const QRectF rect = rectOf(l, i);
    return model_->sites()[i].block >= 0 && (rect.top() < l.top || rect.bottom() > l.bottom + 1) ? QRectF() : rect;
}

BitsGrid::Hit BitsGrid::hitAt(const QPointF& p) const {
    Hit hit;
    const Layout l = layout();
    if (model_->sites().isEmpty()) return hit;
    const int column = p.x() < l.left ? -1 : int((p.x() - l.left) / l.columnWidth);
    if (p.y() < l.top) {
        if (column >= 0 && column < model_->kinds().size()) hit.column = column;
        return hit;
    }
    if (p.y() < l.bottom) {
        const int row = int((p.y() - l.top + verticalScrollBar()->value()) / l.rowHeight);
        if (row >= model_->blocks()) return hit;
        if (column < 0) hit.row = row;
        else hit.site = model_->siteAt(row, column);
        return hit;
    }
    for (const int i : model_->headSites()) {
        if (rectOf(l, i).contains(p)) hit.site = i;
    }
    return hit;
}

QString BitsGrid::strokeFormat(const MixSite& site) const { return stroke_.contains(site.name) ? strokeWith_ : site.format; }

void BitsGrid::paintEvent(QPaintEvent*) {
    QPainter painter(viewport());
    painter.setRenderHint(QPainter::Antialiasing);
    const Tokens& t = Theme::instance().tokens();
    const QFont small = smallFigures();
    painter.setFont(small);
    if (model_->sites().isEmpty()) {
        painter.setPen(t.muted);
        painter.drawText(viewport()->rect(), Qt::AlignCenter, tr("no checkpoint open"));
        return;
    }
    const Layout l = layout();
    const QFontMetricsF metrics(small);
    painter.setPen(t.muted);
    paintHeader(painter, l, metrics);
    painter.save();
    painter.setClipRect(QRectF(0, l.top, viewport()->width(), l.bottom - l.top));
    for (int b = 0; b < model_->blocks(); ++b) {
        const QRectF label(0, l.top + b * l.rowHeight - verticalScrollBar()->value(), l.left - kLabelGap, l.rowHeight);
        if (label.bottom() < l.top || label.top() > l.bottom) continue;
        painter.setPen(t.muted);
        painter.setFont(small);
        painter.drawText(label, static_cast<int>(Qt::AlignRight) | static_cast<int>(Qt::AlignVCenter), QStringLiteral("blk.%1").arg(b));
        for (int c = 0; c < model_->kinds().size(); ++c) {
            const int i = model_->siteAt(b, c);
            if (i >= 0) paintCell(painter, rectOf(l, i), model_->sites()[i], strokeFormat(model_->sites()[i]));
        }
    }
    painter.restore();
    for (const int i : model_->headSites()) paintCell(painter, rectOf(l, i), model_->sites()[i], strokeFormat(model_->sites()[i]));
    if (l.heads) {
        painter.setPen(t.muted);
        painter.setFont(small);
        painter.drawText(QRectF(0, l.bottom + kHeadGap, l.left - kLabelGap, l.rowHeight),
                         static_cast<int>(Qt::AlignRight) | static_cast<int>(Qt::AlignVCenter), tr("head"));
    }
    const int selected = model_->indexOf(session_->selectedSite());
    if (selected >= 0 && !cellRect(session_->selectedSite()).isEmpty()) {
        painter.setBrush(Qt::NoBrush);
        painter.setPen(QPen(hasFocus() ? t.text : t.muted, 2));
        painter.drawRoundedRect(rectOf(l, selected), 3, 3);
    }
    paintLegend(painter, l);
}

void BitsGrid::paintHeader(QPainter& painter, const Layout& l, const QFontMetricsF& metrics) const {
    struct Head { QString name; qreal left, width; };
    QVector<Head> heads;
    const QStringList& kinds = model_->kinds();
    for (int c = 0, end; c < kinds.size(); c = end) { // the experts of a role share one name
        const QString role = MixState::roleOf(kinds[c]);
        for (end = c + 1; end < kinds.size() && MixState::roleOf(kinds[end]) == role; ++end) {}
        const QString name = end - c > 1 ? QStringLiteral("%1 ×%2").arg(role).arg(end - c) : role;
        heads << Head{name, l.left + c * l.columnWidth + 1, (end - c) * l.columnWidth - 2};
    }
    // Where one name would be cut all go without "attn_" and "ffn_": still different, and alike among themselves.
    const bool narrow = std::any_of(heads.begin(), heads.end(), [&](const Head& head) { return metrics.horizontalAdvance(head.name) > head.width; });
    for (const Head& head : heads) {
        const QString name = narrow && head.name.contains(QLatin1Char('_')) ? head.name.section(QLatin1Char('_'), 1) : head.name;
        painter.drawText(QRectF(head.left, 0, head.width, kHeader - 2), Qt::AlignCenter, metrics.elidedText(name, Qt::ElideMiddle, head.width));
    }
}

void BitsGrid::paintCell(QPainter& painter, const QRectF& rect, const MixSite& site, const QString& format) const {
    const Tokens& t = Theme::instance().tokens();
    double damage = site.damage;
    int bits = site.codeBits;
    if (format != site.format) { // under a stroke: shown at once, written when the button is released
        const DamageOption* option = model_->map().find(site.name, format);
        damage = option ? option->damage : std::numeric_limits<double>::quiet_NaN();
        for (const int b : {2, 3, 4, 5, 6, 8, 16}) {
            if (model_->formatsForBits(b).contains(format)) bits = b;
        }
    }
    const bool known = scale_.known && !std::isnan(damage);
    const QColor fill = known ? colorAt(ColorMap::viridis, scale_.position(damage), t.dark) : t.raised;
    if (rect.width() < kLeastRounded) { // thousands of experts: no room for corners, gaps and strips, nor time to draw them
        painter.fillRect(rect.adjusted(-1, 0, 1, 0), fill);
        return;
    }
    painter.setPen(Qt::NoPen);
    painter.setBrush(fill);
    painter.drawRoundedRect(rect, 2, 2);
    if (!known) {
        painter.setBrush(QBrush(t.line, Qt::BDiagPattern));
        painter.drawRoundedRect(rect, 2, 2);
    }
    const QRectF strip(rect.left() + 2, rect.top() + 2, 3, rect.height() - 4);
    painter.setPen(QPen(fill, 1));
    painter.setBrush(Theme::instance().formatColor(bits));
    painter.drawRoundedRect(strip.adjusted(-0.5, -0.5, 0.5, 0.5), 1, 1);
    if (rect.width() < kLeastText) return; // many experts: colours alone, the rest is in the tip and the inspector
    QFont font = smallFigures();
    font.setBold(true);
    if (rect.height() < 15) font.setPixelSize(10);
    painter.setFont(font);
    const QColor ink = known ? Theme::textOn(fill) : t.text;
    painter.setPen(ink);
    const bool head = site.block < 0;
    const QString text = head ? site.name + QStringLiteral("  ") + shortFormat(format) : shortFormat(format);
    const QRectF place = rect.adjusted(8, 0, site.pinned ? -14 : -3, 0);
    const QString shown = QFontMetricsF(font).elidedText(text, Qt::ElideRight, place.width());
    if (rect.height() >= kTwoLines && scale_.known) {
        const qreal middle = rect.center().y();
        painter.drawText(QRectF(place.left(), middle - 17, place.width(), 17), Qt::AlignCenter, shown);
        painter.setFont(smallFigures());
        const QRectF below(rect.left() + 6, middle - 1, rect.width() - 7, 16);
        painter.drawText(below, Qt::AlignCenter, damageText(damage, known, QFontMetricsF(smallFigures()), below.width()));
    } else {
        painter.drawText(place, Qt::AlignCenter, shown);
    }
    if (site.pinned) {
        painter.setPen(Qt::NoPen);
        painter.setBrush(ink);
        painter.drawEllipse(QPointF(rect.right() - 8, rect.center().y()), 3, 3);
    }
    const bool asShown = site.inMap && format == site.format;
    if (marksMeasured_ && asShown && site.source == CellSource::measured) {
        if (rect.width() >= kLeastTick) paintTick(painter, rect.bottomRight() + QPointF(-9, -6), ink);
        else painter.fillRect(QRectF(rect.right() - 2.5, rect.top() + 3, 1.5, rect.height() - 6), ink);
    }
    if (asShown && !site.doubt.isEmpty()) paintDoubt(painter, rect.topRight(), fill);
}

/// Six pixels wide: this very cell was measured.
void BitsGrid::paintTick(QPainter& painter, const QPointF& at, const QColor& ink) const {
    painter.setPen(QPen(ink, 1.4, Qt::SolidLine, Qt::RoundCap, Qt::RoundJoin));
    painter.setBrush(Qt::NoBrush);
    painter.drawPolyline(QPolygonF({at + QPointF(0, 1), at + QPointF(2, 3), at + QPointF(6, -2)}));
}

/// A red corner with an edge in the cell's colour: its figure contradicts its neighbours.
void BitsGrid::paintDoubt(QPainter& painter, const QPointF& corner, const QColor& around) const {
    painter.setPen(QPen(around, 1));
    painter.setBrush(Theme::instance().tokens().red);
    painter.drawPolygon(QPolygonF({corner, corner + QPointF(-8, 0), corner + QPointF(0, 8)}));
}

void BitsGrid::paintLegend(QPainter& painter, const Layout& l) const {
    const Tokens& t = Theme::instance().tokens();
    const qreal top = (l.heads ? l.bottom + kHeadGap + l.rowHeight : l.bottom) + 8;
    painter.setFont(smallFigures());
    painter.setPen(t.muted);
    if (!scale_.known) {
        painter.drawText(QRectF(l.left, top, viewport()->width() - l.left, 22), static_cast<int>(Qt::AlignLeft) | static_cast<int>(Qt::AlignVCenter),
                         tr("damage unknown: no map yet"));
        return;
    }
    const QString unit = tr("%1, log").arg(model_->unit());
    const qreal room = viewport()->width() - l.left;
    constexpr qreal kMark = 24; ///< px of a key's mark and the room around it
    const QFontMetricsF metrics(smallFigures());
    const qreal keys = (marksMeasured_ ? kMark + metrics.horizontalAdvance(tr("measured")) : 0) + (anyDoubt_ ? kMark + metrics.horizontalAdvance(tr("doubtful")) : 0);
    const qreal besideWidth = std::max(metrics.horizontalAdvance(unit), keys);
    const QRectF bar(l.left, top, std::clamp<qreal>(room - besideWidth - 16, room * 0.3, 320), 8);
    QLinearGradient gradient(bar.topLeft(), bar.topRight());
    for (int i = 0; i <= 16; ++i) gradient.setColorAt(i / 16.0, colorAt(ColorMap::viridis, i / 16.0, t.dark));
    painter.setPen(Qt::NoPen);
    painter.setBrush(gradient);
    painter.drawRoundedRect(bar, 2, 2);
    painter.setPen(t.muted);
    const QRectF text(bar.left(), bar.bottom() + 2, bar.width(), 16);
    painter.drawText(text, static_cast<int>(Qt::AlignLeft) | static_cast<int>(Qt::AlignVCenter), tr("≤ %1").arg(figureText(scale_.low, 2)));
    painter.drawText(text, Qt::AlignCenter, figureText(scale_.value(0.5), 2));
    painter.drawText(text, static_cast<int>(Qt::AlignRight) | static_cast<int>(Qt::AlignVCenter), figureText(scale_.high, 2));
    const QRectF beside(bar.right() + 12, bar.top() - 5, viewport()->width() - bar.right() - 12, 18);
    painter.drawText(beside, static_cast<int>(Qt::AlignLeft) | static_cast<int>(Qt::AlignVCenter), unit);
    qreal x = beside.left();
    const auto key = [&](const QString& name, auto mark) {
        mark(QPointF(x, text.center().y()));
        painter.setPen(t.muted);
        painter.drawText(QRectF(x + 12, text.top(), 120, text.height()), static_cast<int>(Qt::AlignLeft) | static_cast<int>(Qt::AlignVCenter), name);
        x += kMark + painter.fontMetrics().horizontalAdvance(name);
    };
    if (marksMeasured_) key(tr("measured"), [&](const QPointF& at) { paintTick(painter, at, t.text); });
    if (anyDoubt_) key(tr("doubtful"), [&](const QPointF& at) { paintDoubt(painter, at + QPointF(8, -4), t.ground); });
}

void BitsGrid::resizeEvent(QResizeEvent* event) {
    QAbstractScrollArea::resizeEvent(event);
    updateScrollBar();
}

void BitsGrid::focusInEvent(QFocusEvent* event) {
    if (session_->selectedSite().isEmpty() && !model_->sites().isEmpty()) select(std::max(0, model_->siteAt(0, 0)));
    QAbstractScrollArea::focusInEvent(event);
    viewport()->update();
}

void BitsGrid::focusOutEvent(QFocusEvent* event) {
    QAbstractScrollArea::focusOutEvent(event);
    viewport()->update();
}

void BitsGrid::select(int site) {
    if (site < 0) return;
    const MixSite& s = model_->sites()[site];
    session_->selectSite(s.name);
    if (s.block < 0) return;
    const Layout l = layout();
    const qreal top = s.block * l.rowHeight, page = l.bottom - l.top;
    if (top < verticalScrollBar()->value()) verticalScrollBar()->setValue(int(top));
    else if (top + l.rowHeight > verticalScrollBar()->value() + page) verticalScrollBar()->setValue(int(std::ceil(top + l.rowHeight - page)));
}

void BitsGrid::addToStroke(int site) {
    if (site < 0 || stroke_.contains(model_->sites()[site].name)) return;
    stroke_ << model_->sites()[site].name;
    viewport()->update();
}

void BitsGrid::paintSites(const QStringList& sites, const QString& format) {
    const QString text = sites.size() == 1 ? tr("%1 to %2").arg(sites.first(), format)
                                           : tr("Paint %1 on %n sites", nullptr, int(sites.size())).arg(format);
    model_->setFormats(sites, format, text);
}

void BitsGrid::mousePressEvent(QMouseEvent* event) {
    if (event->button() != Qt::LeftButton) return;
    setFocus(Qt::MouseFocusReason);
    const Hit hit = hitAt(event->position());
    const bool paint = !brush_.isEmpty() || event->modifiers().testFlag(Qt::ShiftModifier);
    const QString with = brush_.isEmpty() ? lastBrush_ : brush_;
    if (hit.site >= 0) {
        select(hit.site);
        if (!paint) return;
        strokeWith_ = with;
        addToStroke(hit.site);
    } else if (paint && (hit.row >= 0 || hit.column >= 0)) {
        QStringList line;
        for (const MixSite& site : model_->sites()) {
            if (site.block >= 0 && (site.block == hit.row || MixState::roleOf(site.kind) == MixState::roleOf(model_->kinds().value(hit.column)))) line << site.name;
        }
        paintSites(line, with);
    }
}

void BitsGrid::mouseMoveEvent(QMouseEvent* event) {
    if (!stroke_.isEmpty() && event->buttons().testFlag(Qt::LeftButton)) addToStroke(hitAt(event->position()).site);
}

void BitsGrid::mouseReleaseEvent(QMouseEvent* event) {
    if (event->button() != Qt::LeftButton || stroke_.isEmpty()) return;
    const QStringList sites = std::exchange(stroke_, {});
    paintSites(sites, strokeWith_);
    viewport()->update();
}

int BitsGrid::neighbour(int index, int key) const {
    if (index < 0) return model_->siteAt(0, 0);
    const MixSite& site = model_->sites()[index];
    const int last = model_->blocks() - 1, kinds = int(model_->kinds().size());
    if (site.block < 0) {
        const int at = int(model_->headSites().indexOf(index)), heads = int(model_->headSites().size());
        switch (key) {
        case Qt::Key_Left: return model_->headSites()[std::max(0, at - 1)];
        case Qt::Key_Right: return model_->headSites()[std::min(heads - 1, at + 1)];
        case Qt::Key_Up: return last < 0 ? index : model_->siteAt(last, at * kinds / heads);
        default: return index;
        }
    }
    const int kind = int(model_->kinds().indexOf(site.kind));
    switch (key) {
    case Qt::Key_Left: return model_->siteAt(site.block, std::max(0, kind - 1));
    case Qt::Key_Right: return model_->siteAt(site.block, std::min(kinds - 1, kind + 1));
    case Qt::Key_Up: return model_->siteAt(std::max(0, site.block - 1), kind);
    case Qt::Key_PageUp: return model_->siteAt(std::max(0, site.block - 8), kind);
    case Qt::Key_PageDown: return model_->siteAt(std::min(last, site.block + 8), kind);
    case Qt::Key_Home: return model_->siteAt(site.block, 0);
    case Qt::Key_End: return model_->siteAt(site.block, kinds - 1);
    default: break;
    }
    if (site.block < last) return model_->siteAt(site.block + 1, kind);
    const auto heads = model_->headSites();
    return heads.isEmpty() ? index : heads[std::min(int(heads.size()) - 1, kind * int(heads.size()) / kinds)];
}

void BitsGrid::keyPressEvent(QKeyEvent* event) {
    const int current = model_->indexOf(session_->selectedSite());
    switch (event->key()) {
    case Qt::Key_Left: case Qt::Key_Right: case Qt::Key_Up: case Qt::Key_Down:
    case Qt::Key_PageUp: case Qt::Key_PageDown: case Qt::Key_Home: case Qt::Key_End: {
        const int next = neighbour(current, event->key());
        if (next < 0) return;
        // Shift carries the format along.
        if (event->modifiers().testFlag(Qt::ShiftModifier) && current >= 0 && next != current)
            paintSites({model_->sites()[next].name}, QString(model_->sites()[current].format));
        select(next);
        return;
    }
    case Qt::Key_2: case Qt::Key_3: case Qt::Key_4: case Qt::Key_5: case Qt::Key_6: case Qt::Key_8:
        if (current >= 0) paintSites({model_->sites()[current].name}, model_->formatForBits(event->key() - Qt::Key_0));
        return;
    case Qt::Key_F:
        if (current >= 0 && event->modifiers() == Qt::NoModifier) paintSites({model_->sites()[current].name}, model_->formatForBits(16));
        return;
    case Qt::Key_Space:
        if (current >= 0) model_->togglePin(model_->sites()[current].name);
        return;
    case Qt::Key_Escape:
        stroke_.clear();
        viewport()->update();
        Q_EMIT brushDropped();
        return;
    default: QAbstractScrollArea::keyPressEvent(event);
    }
}

QString BitsGrid::tipFor(int index) const {
    const MixSite& site = model_->sites()[index];
    QString text = tr("%1 · %2 × %3\n%4 · %5").arg(site.name).arg(site.rows).arg(site.cols).arg(site.format, bytesText(double(site.bytes)));
    text += std::isnan(site.damage) ? tr("\ndamage at this format is not in the map")
                                    : tr("\ndamage %1 %2").arg(withError(site.damage, site.standardError), model_->unit());
    if (site.inMap) text += tr(" (%1)").arg(sourceText(site.source));
    if (!site.doubt.isEmpty()) text += tr("\ndoubtful: %1").arg(site.doubt);
    if (site.pinned) text += tr("\npinned: the solver leaves it as it is");
    for (const DamageOption& option : model_->map().sites.value(site.name)) {
        text += QStringLiteral("\n%1 %2  %3  %4").arg(option.format == site.format ? QStringLiteral("▸") : QStringLiteral("  "), option.format,
                                                   bytesText(double(option.bytes)), figureText(option.damage));
    }
    return text;
}

void BitsGrid::describe() {
    const MixSite* site = model_->selected();
    setAccessibleDescription(site ? tipFor(model_->indexOf(site->name)) : tr("Arrows move, 2 3 4 5 6 8 F set a format, space pins"));
}

bool BitsGrid::viewportEvent(QEvent* event) {
    if (event->type() == QEvent::ToolTip) {
        auto* help = static_cast<QHelpEvent*>(event);
        const int site = hitAt(help->pos()).site;
        if (site >= 0) QToolTip::showText(help->globalPos(), tipFor(site), viewport());
        else QToolTip::hideText();
        return true;
    }
    return QAbstractScrollArea::viewportEvent(event);
}

QString BitsGrid::csv() const {
    QString text = QStringLiteral("site,format,bytes,damage,standard_error,pinned\n");
    for (const MixSite& site : model_->sites()) {
        text += csvField(site.name) + QLatin1Char(',') + csvField(site.format) + QLatin1Char(',') + QString::number(site.bytes) + QLatin1Char(',') +
                QString::number(site.damage, 'g', 17) + QLatin1Char(',') + QString::number(site.standardError, 'g', 17) + QLatin1Char(',') +
                QString::number(site.pinned ? 1 : 0) + QLatin1Char('\n');
    }
    return text;
}

} // namespace bw
