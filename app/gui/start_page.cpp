// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/start_page.h"

#include "core/base/text.h"
#include "widgets/theme/panel.h"
#include "widgets/theme/elided_label.h"
#include "widgets/theme/theme.h"

#include <QDir>
#include <QFileInfo>
#include <QGridLayout>
#include <QLabel>
#include <QPushButton>
#include <QToolButton>
#include <QVBoxLayout>

namespace bw {
namespace {

QLabel* text(const QString& words, const char* role, QWidget* parent) {
    auto* made = new QLabel(words, parent);
    made->setTextFormat(Qt::PlainText);
    made->setProperty("role", QString::fromLatin1(role));
    made->setWordWrap(true);
    return made;
}

/// "~/models" instead of the home folder's full path; the middle of long paths goes.
QString shortPath(const QString& path) {
    QString shown = QString::fromStdString(escapeForDisplay(path.toStdString(), 400));
    if (shown.startsWith(QDir::homePath() + QLatin1Char('/'))) shown = QLatin1Char('~') + shown.mid(QDir::homePath().size());
    return shown.size() <= 64 ? shown : shown.left(24) + QStringLiteral("…") + shown.right(38);
}

} // namespace

StartPage::StartPage(QWidget* parent) : QWidget(parent) {
    setProperty("role", QStringLiteral("ground"));
    setAttribute(Qt::WA_StyledBackground);
    auto* middle = new QWidget(this);
    middle->setFixedWidth(720);
    auto* column = new QVBoxLayout(middle);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(16);
    column->addWidget(makeDropArea());
    demo_ = makeDemoCard();
    column->addWidget(demo_);
    auto* recent = new Panel(tr("Recent checkpoints"), this);
    recent_ = recent->body();
    recent_->setSpacing(0);
    recentPanel_ = recent;
    column->addWidget(recent);
    auto* all = new QGridLayout(this);
    all->setContentsMargins(24, 24, 24, 24);
    all->addWidget(middle, 1, 1);
    all->setRowStretch(0, 2);
    all->setRowStretch(2, 3);
    all->setColumnStretch(0, 1);
    all->setColumnStretch(2, 1);
    setRecent({});
}

QWidget* StartPage::makeDropArea() {
    auto* area = new QFrame(this);
    area->setProperty("role", QStringLiteral("drop"));
    area->setMinimumHeight(260);
    auto* icon = new QLabel(area);
    icon->setPixmap(Theme::instance().icon(QStringLiteral("drop")).pixmap(44, 44, QIcon::Selected));
    connect(&Theme::instance(), &Theme::changed, icon, [icon] {
        icon->setPixmap(Theme::instance().icon(QStringLiteral("drop")).pixmap(44, 44, QIcon::Selected));
    });
    headline_ = text(QString(), "hero", area);
    headline_->setAlignment(Qt::AlignCenter);
    auto* hint = text(tr("A Hugging Face folder, a .safetensors or a .gguf file. Nothing is copied, nothing is changed."),
                      "muted", area);
    hint->setAlignment(Qt::AlignCenter);
    auto* folder = new QPushButton(tr("Open folder…"), area);
    auto* file = new QPushButton(tr("Open file…"), area);
    auto* row = new QHBoxLayout;
    row->addStretch(1);
    row->addWidget(folder);
    row->addWidget(file);
    row->addStretch(1);
    auto* column = new QVBoxLayout(area);
    column->setSpacing(10);
    column->addStretch(1);
    column->addWidget(icon, 0, Qt::AlignHCenter);
    column->addWidget(headline_);
    column->addWidget(hint);
    column->addSpacing(8);
    column->addLayout(row);
    column->addStretch(1);
    connect(folder, &QPushButton::clicked, this, &StartPage::openFolderRequested);
    connect(file, &QPushButton::clicked, this, &StartPage::openFileRequested);
    setOpening(false);
    return area;
}

QWidget* StartPage::makeDemoCard() {
    auto* card = new QFrame(this);
    card->setProperty("role", QStringLiteral("panel"));
    auto* row = new QHBoxLayout(card);
    row->setContentsMargins(16, 12, 16, 12);
    row->setSpacing(16);
    auto* words = new QVBoxLayout;
    words->setSpacing(2);
    words->addWidget(text(tr("New here?"), "title", card));
    words->addWidget(text(tr("The demo model comes with the program. Trying it calibrates, measures, mixes, quantizes and "
                             "compares for real, and fills every workspace with the results."),
                          "muted", card));
    row->addLayout(words, 1);
    auto* button = new QPushButton(tr("Try the demo model"), card);
    button->setProperty("role", QStringLiteral("accent"));
    button->setObjectName(QStringLiteral("start.demo"));
    row->addWidget(button);
    connect(button, &QPushButton::clicked, this, &StartPage::demoRequested);
    return card;
}

void StartPage::setOpening(bool opening) {
    headline_->setText(opening ? tr("Opening…") : tr("Drop a checkpoint here"));
}

void StartPage::setDemoAvailable(bool available) { demo_->setVisible(available); }

void StartPage::setRecent(const QStringList& paths) {
    while (QLayoutItem* item = recent_->takeAt(0)) {
        delete item->widget();
        delete item;
    }
    recentPanel_->setVisible(!paths.isEmpty());
    for (const QString& path : paths) {
        auto* line = new QWidget(recentPanel_);
        auto* row = new QHBoxLayout(line);
        row->setContentsMargins(0, 2, 0, 2);
        const bool there = QFileInfo::exists(path);
        auto* open = new QPushButton(QFileInfo(path).fileName().replace(QLatin1Char('&'), QStringLiteral("&&")), line);
        open->setProperty("role", QStringLiteral("link"));
        open->setObjectName(QStringLiteral("start.recent"));
        open->setEnabled(there);
        auto* where = new ElidedLabel(line, Qt::ElideMiddle);
        where->setText(there ? shortPath(QFileInfo(path).path()) : tr("missing: %1").arg(shortPath(path)));
        where->setProperty("role", there ? QStringLiteral("muted") : QStringLiteral("warn"));
        auto* forget = new QToolButton(line);
        forget->setIcon(Theme::instance().icon(QStringLiteral("cancel")));
        forget->setIconSize({12, 12});
        forget->setToolTip(tr("Forget"));
        forget->setAccessibleName(tr("Forget %1").arg(QFileInfo(path).fileName()));
        row->addWidget(open);
        row->addWidget(where, 1);
        row->addWidget(forget);
        recent_->addWidget(line);
        connect(open, &QPushButton::clicked, this, [this, path] { Q_EMIT recentRequested(path); });
        connect(forget, &QToolButton::clicked, this, [this, path] { Q_EMIT forgetRequested(path); }, Qt::QueuedConnection);
    }
}

} // namespace bw
