// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/compare/fairness_badge.h"

#include "widgets/theme/theme.h"

#include <QPainter>

namespace bw {

FairnessBadge::FairnessBadge(QWidget* parent) : QWidget(parent) {
    setFocusPolicy(Qt::TabFocus); // the reason can be read without a pointer
    connect(&Theme::instance(), &Theme::changed, this, qOverload<>(&QWidget::update));
    setFair(true, {});
}

void FairnessBadge::setFair(bool fair, const QStringList& reasons) {
    fair_ = fair;
    title_ = fair ? tr("✓ fair comparison") : tr("▲ not a fair comparison");
    reason_ = fair ? tr("same text, settings, baseline, stack") : reasons.join(QStringLiteral("; "));
    setToolTip(fair ? reason_ : reasons.join(QLatin1Char('\n')));
    setAccessibleName(title_);
    setAccessibleDescription(reason_);
    update();
}

void FairnessBadge::paintEvent(QPaintEvent*) {
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    const Tokens& t = Theme::instance().tokens();
    const QColor color = fair_ ? t.green : t.amber;
    QColor fill = color, edge = color;
    fill.setAlpha(36);
    edge.setAlpha(hasFocus() ? 255 : 110);
    painter.setPen(QPen(edge, 1));
    painter.setBrush(fill);
    painter.drawRoundedRect(QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5), Theme::kPanelRadius, Theme::kPanelRadius);
    const QRect text = rect().adjusted(14, 6, -12, -6);
    QFont font = this->font();
    font.setPixelSize(13);
    font.setBold(true);
    painter.setFont(font);
    painter.setPen(color);
    painter.drawText(text, static_cast<int>(Qt::AlignLeft) | static_cast<int>(Qt::AlignTop), title_);
    font.setBold(false);
    font.setPixelSize(11);
    painter.setFont(font);
    painter.setPen(fair_ ? t.muted : t.text);
    painter.drawText(text, static_cast<int>(Qt::AlignLeft) | static_cast<int>(Qt::AlignBottom), painter.fontMetrics().elidedText(reason_, Qt::ElideRight, text.width()));
}

} // namespace bw
