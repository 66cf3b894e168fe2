// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/theme/panel.h"

#include "widgets/theme/elided_label.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QVBoxLayout>

namespace bw {
Panel::Panel(const QString& title, QWidget* parent) : QFrame(parent), title_(new QLabel(this)), hint_(new ElidedLabel(this)) {
    setProperty("role", QStringLiteral("panel"));
    title_->setProperty("role", QStringLiteral("title"));
    hint_->setProperty("role", QStringLiteral("muted"));
    title_->setTextFormat(Qt::PlainText);
    hint_->setAlignment(Qt::AlignRight | Qt::AlignVCenter);

    auto* head = new QHBoxLayout;
    head->setSpacing(8);
    head->addWidget(title_);
    head->addWidget(hint_, 1);
    body_ = new QVBoxLayout;
    body_->setSpacing(8);
    auto* all = new QVBoxLayout(this);
    all->setContentsMargins(16, 12, 16, 12);
    all->setSpacing(8);
    all->addLayout(head);
    all->addLayout(body_, 1);
    setTitle(title);
}

void Panel::setTitle(const QString& title) {
    title_->setText(title);
    title_->setVisible(!title.isEmpty());
    hint_->setVisible(!title.isEmpty() || !hint_->text().isEmpty()); // neither: no line is kept for them
    setAccessibleName(title);
}

void Panel::setHint(const QString& hint) {
    hint_->setText(hint);
    hint_->setVisible(!title_->text().isEmpty() || !hint.isEmpty());
}

} // namespace bw
