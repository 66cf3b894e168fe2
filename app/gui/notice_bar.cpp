// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/notice_bar.h"

#include "core/base/text.h"
#include "widgets/theme/theme.h"

#include <QFrame>
#include <QHBoxLayout>
#include <QLabel>
#include <QPushButton>
#include <QToolButton>
#include <QVBoxLayout>

namespace bw {

NoticeBar::NoticeBar(QWidget* parent) : QWidget(parent), lines_(new QVBoxLayout(this)) {
    setAccessibleName(tr("Notices"));
    lines_->setContentsMargins(0, 0, 0, 0);
    lines_->setSpacing(0);
    hide();
}

void NoticeBar::addLine(const QString& id, const QString& text, const QString& actionText, std::function<void()> action, bool tip) {
    remove(id);
    auto* line = new QFrame(this);
    line->setObjectName(id);
    line->setProperty("role", tip ? QStringLiteral("tip") : QStringLiteral("notice"));
    auto* icon = new QLabel(line);
    const auto paint = [icon, tip] { icon->setPixmap(Theme::instance().icon(tip ? QStringLiteral("spark") : QStringLiteral("warning")).pixmap(16, 16)); };
    paint();
    connect(&Theme::instance(), &Theme::changed, icon, paint);
    auto* words = new QLabel(QString::fromStdString(escapeForDisplay(text.toStdString(), 1000)), line);
    words->setObjectName(QStringLiteral("notice.text"));
    words->setTextFormat(Qt::PlainText);
    words->setWordWrap(true);
    words->setTextInteractionFlags(Qt::TextSelectableByMouse);
    auto* row = new QHBoxLayout(line);
    row->setContentsMargins(20, 6, 12, 6);
    row->setSpacing(10);
    row->addWidget(icon, 0, Qt::AlignVCenter);
    row->addWidget(words, 1);
    if (action) {
        auto* button = new QPushButton(actionText, line);
        row->addWidget(button);
        connect(button, &QPushButton::clicked, this, [this, id, run = std::move(action)] {
            remove(id);
            run();
        });
    }
    auto* close = new QToolButton(line);
    close->setIcon(Theme::instance().icon(QStringLiteral("cancel")));
    close->setIconSize({12, 12});
    close->setToolTip(tr("Close"));
    close->setAccessibleName(tr("Close this notice"));
    connect(close, &QToolButton::clicked, this, [this, id] { remove(id); });
    row->addWidget(close, 0, Qt::AlignVCenter);
    lines_->addWidget(line);
    show();
}

void NoticeBar::remove(const QString& id) {
    for (int i = 0; i < lines_->count(); ++i) {
        QWidget* line = lines_->itemAt(i)->widget();
        if (!line || line->objectName() != id) continue;
        lines_->removeWidget(line);
        line->hide();
        line->deleteLater();
        break;
    }
    if (lines_->count() == 0) hide();
}

QStringList NoticeBar::texts() const {
    QStringList all;
    for (int i = 0; i < lines_->count(); ++i)
        if (const auto* words = lines_->itemAt(i)->widget()->findChild<QLabel*>(QStringLiteral("notice.text"))) all << words->text();
    return all;
}

} // namespace bw
