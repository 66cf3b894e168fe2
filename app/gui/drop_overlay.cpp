// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/drop_overlay.h"

#include "widgets/theme/theme.h"

#include <QPainter>

namespace bw {

DropOverlay::DropOverlay(QWidget* parent) : QWidget(parent) {
    setAttribute(Qt::WA_TransparentForMouseEvents);
    setAccessibleName(tr("Drop area"));
    hide();
}

void DropOverlay::setText(const QString& text) {
    text_ = text;
    update();
}

void DropOverlay::paintEvent(QPaintEvent*) {
    const Tokens& t = Theme::instance().tokens();
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    QColor veil = t.ground;
    veil.setAlpha(215);
    painter.fillRect(rect(), veil);
    const QRectF frame = QRectF(rect()).adjusted(20, 20, -20, -20);
    painter.setPen(QPen(t.accent, 2, Qt::DashLine));
    painter.drawRoundedRect(frame, 12, 12);
    const QPointF middle = frame.center();
    Theme::instance().icon(QStringLiteral("drop")).paint(&painter, QRect(int(middle.x()) - 24, int(middle.y()) - 60, 48, 48),
                                                         Qt::AlignCenter, QIcon::Selected);
    QFont font = this->font();
    font.setPixelSize(18);
    font.setWeight(QFont::DemiBold);
    painter.setFont(font);
    painter.setPen(t.text);
    painter.drawText(frame.adjusted(40, 40, -40, 0), Qt::AlignCenter | Qt::TextWordWrap, text_);
}

} // namespace bw
