// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/mix/format_chips.h"

#include "widgets/theme/theme.h"

#include <QHBoxLayout>
#include <QMenu>
#include <QPainter>

namespace bw {

FormatChip::FormatChip(int bits, QWidget* parent) : QAbstractButton(parent), bits_(bits) {
    setCheckable(true);
    setSizePolicy(QSizePolicy::Preferred, QSizePolicy::Fixed); // shrinks in a narrow window
    setFocusPolicy(Qt::StrongFocus);
    setText(QString::number(bits));
    setContextMenuPolicy(Qt::CustomContextMenu);
}

void FormatChip::paintEvent(QPaintEvent*) {
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    const Tokens& t = Theme::instance().tokens();
    QColor fill = Theme::instance().formatColor(bits_);
    if (underMouse()) fill = fill.lighter(112);
    const QRectF body = QRectF(rect()).adjusted(2.5, 2.5, -2.5, -2.5);
    painter.setPen(Qt::NoPen);
    painter.setBrush(fill);
    painter.drawRoundedRect(body, 4, 4);
    if (isChecked() || hasFocus()) {
        painter.setBrush(Qt::NoBrush);
        painter.setPen(QPen(isChecked() ? t.text : t.muted, isChecked() ? 2 : 1));
        painter.drawRoundedRect(QRectF(rect()).adjusted(1, 1, -1, -1), 5, 5);
    }
    QFont font = Theme::instance().figures();
    font.setBold(true);
    painter.setFont(font);
    painter.setPen(Theme::textOn(fill));
    painter.drawText(body, Qt::AlignCenter, text());
}

FormatChips::FormatChips(MixState* model, QWidget* parent) : QWidget(parent), model_(model) {
    auto* row = new QHBoxLayout(this);
    row->setContentsMargins(0, 0, 0, 0);
    row->setSpacing(4);
    for (const int bits : {2, 3, 4, 5, 6, 8, 16}) {
        auto* chip = new FormatChip(bits, this);
        chips_ << chip;
        row->addWidget(chip);
        connect(chip, &QAbstractButton::clicked, this, [this, chip](bool checked) {
            for (FormatChip* other : std::as_const(chips_)) other->setChecked(other == chip && checked);
            Q_EMIT brushChosen(checked ? model_->formatForBits(chip->bits()) : QString());
        });
        connect(chip, &QWidget::customContextMenuRequested, this,
                [this, chip](const QPoint& position) { openMenu(chip, chip->mapToGlobal(position)); });
    }
    connect(model_, &MixState::brushChanged, this, &FormatChips::reload);
    connect(&Theme::instance(), &Theme::changed, this, qOverload<>(&QWidget::update));
    reload();
}

void FormatChips::clearBrush() {
    for (FormatChip* chip : std::as_const(chips_)) chip->setChecked(false);
    Q_EMIT brushChosen({});
}

void FormatChips::reload() {
    for (FormatChip* chip : std::as_const(chips_)) {
        const QString format = model_->formatForBits(chip->bits());
        const bool mapped = model_->map().formats.contains(format);
        chip->setAccessibleName(tr("%1 bits: %2").arg(chip->bits()).arg(format));
        QString tip = tr("%1 bits: %2\nPress, then click or drag over cells to paint. Key %3 sets the selected cell.\nRight click chooses another format of these bits.")
                          .arg(chip->bits()).arg(format, chip->bits() == 16 ? QStringLiteral("F") : QString::number(chip->bits()));
        if (!mapped && chip->bits() < 16) tip += tr("\nThis format is not in the map, so its damage is not known.");
        chip->setToolTip(tip);
        if (chip->isChecked()) Q_EMIT brushChosen(format);
    }
}

void FormatChips::openMenu(FormatChip* chip, const QPoint& position) {
    auto* menu = new QMenu(this);
    menu->setAttribute(Qt::WA_DeleteOnClose);
    for (const QString& format : model_->formatsForBits(chip->bits())) {
        QAction* action = menu->addAction(format, this, [this, chip, format] { model_->setFormatForBits(chip->bits(), format); });
        action->setCheckable(true);
        action->setChecked(format == model_->formatForBits(chip->bits()));
    }
    menu->popup(position);
}

} // namespace bw
