// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/error_dialog.h"

#include "widgets/theme/theme.h"

#include <QClipboard>
#include <QDialogButtonBox>
#include <QGuiApplication>
#include <QLabel>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QVBoxLayout>

namespace bw {

ErrorDialog::ErrorDialog(const QString& title, const JobError& error, QWidget* parent) : QDialog(parent) {
    setWindowTitle(title);
    setAttribute(Qt::WA_DeleteOnClose);
    const auto text = [this](const QString& words, const char* role) {
        auto* made = new QLabel(words, this);
        made->setTextFormat(Qt::PlainText); // names from files are never markup
        made->setWordWrap(true);
        made->setProperty("role", QString::fromLatin1(role));
        made->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
        return made;
    };
    auto* icon = new QLabel(this);
    icon->setPixmap(Theme::instance().icon(QStringLiteral("warning")).pixmap(28, 28, QIcon::Active));
    auto* head = new QHBoxLayout;
    head->setSpacing(12);
    head->addWidget(icon, 0, Qt::AlignTop);
    auto* words = new QVBoxLayout;
    words->setSpacing(8);
    words->addWidget(text(title, "heading"));
    words->addWidget(text(error.message, "body"));
    if (!error.hint.isEmpty()) words->addWidget(text(error.hint, "muted"));
    head->addLayout(words, 1);

    auto* details = new QPlainTextEdit(error.details, this);
    details->setReadOnly(true);
    details->setFont(Theme::instance().figures());
    details->setAccessibleName(tr("Details of the error"));
    details->setMinimumHeight(96);
    details->hide();

    auto* buttons = new QDialogButtonBox(QDialogButtonBox::Close, this);
    auto* copy = buttons->addButton(tr("Copy details"), QDialogButtonBox::ActionRole);
    auto* more = buttons->addButton(tr("Details"), QDialogButtonBox::ActionRole);
    more->setCheckable(true);
    buttons->button(QDialogButtonBox::Close)->setDefault(true);
    buttons->button(QDialogButtonBox::Close)->setFocus();
    connect(more, &QPushButton::toggled, details, &QWidget::setVisible);
    connect(copy, &QPushButton::clicked, this,
            [details = error.details] { QGuiApplication::clipboard()->setText(details); });
    connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::close);

    auto* all = new QVBoxLayout(this);
    all->setContentsMargins(20, 20, 20, 16);
    all->setSpacing(16);
    all->addLayout(head);
    all->addWidget(details);
    all->addWidget(buttons);
    setMinimumWidth(520);
}

} // namespace bw
