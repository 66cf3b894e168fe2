// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/command_palette.h"

#include "widgets/theme/theme.h"

#include <QKeyEvent>
#include <QLineEdit>
#include <QListWidget>
#include <QPainter>
#include <QStyledItemDelegate>
#include <QVBoxLayout>
#include <algorithm>

namespace bw {
namespace {

constexpr int kDetailRole = Qt::UserRole + 1;

/// The shortcut or kind stands at the right, quieter than the name.
class DetailDelegate final : public QStyledItemDelegate {
public:
    using QStyledItemDelegate::QStyledItemDelegate;
    void paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const override {
        QStyledItemDelegate::paint(painter, option, index);
        painter->setPen(Theme::instance().tokens().muted);
        painter->setFont(option.font);
        painter->drawText(option.rect.adjusted(0, 0, -10, 0), static_cast<int>(Qt::AlignRight) | static_cast<int>(Qt::AlignVCenter),
                          index.data(kDetailRole).toString());
    }
};

} // namespace

int paletteScore(const QString& query, const QString& text) {
    int score = 0;
    qsizetype at = -1;
    for (const QChar letter : query) {
        if (letter.isSpace()) continue;
        const qsizetype found = text.indexOf(letter, at + 1, Qt::CaseInsensitive);
        if (found < 0) return -1;
        // Letters that follow each other or begin a word tell more than letters strewn about.
        if (found == at + 1)
            score += 4;
        else if (!text[found - 1].isLetterOrNumber())
            score += 3;
        else
            score += 1;
        at = found;
    }
    return score;
}

CommandPalette::CommandPalette(QList<PaletteEntry> entries, QWidget* parent)
    : QDialog(parent, Qt::Popup | Qt::FramelessWindowHint), entries_(std::move(entries)), query_(new QLineEdit(this)),
      list_(new QListWidget(this)) {
    setAttribute(Qt::WA_DeleteOnClose);
    setObjectName(QStringLiteral("palette"));
    setProperty("role", QStringLiteral("popup"));
    query_->setPlaceholderText(tr("Type an action, a site or a run"));
    query_->setAccessibleName(tr("Command palette"));
    list_->setAccessibleName(tr("Matches"));
    list_->setUniformItemSizes(true);
    list_->setItemDelegate(new DetailDelegate(list_));
    list_->setFocusPolicy(Qt::NoFocus);
    query_->installEventFilter(this);
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(10, 10, 10, 10);
    column->addWidget(query_);
    column->addWidget(list_);
    resize(560, 420);
    if (parent) {
        const QPoint top = parent->mapToGlobal(QPoint(parent->width() / 2 - width() / 2, 72));
        move(top);
    }
    connect(query_, &QLineEdit::textChanged, this, &CommandPalette::filter);
    connect(list_, &QListWidget::itemClicked, this, &CommandPalette::accept);
    filter();
    query_->setFocus();
}

void CommandPalette::filter() {
    const QString query = query_->text();
    QList<std::pair<int, int>> hits; // score, index
    for (int i = 0; i < entries_.size(); ++i)
        if (const int score = paletteScore(query, entries_[i].text); score >= 0) hits.append({score, i});
    std::stable_sort(hits.begin(), hits.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
    list_->clear();
    constexpr qsizetype kMostShown = 60;
    for (const auto& [score, index] : hits.mid(0, kMostShown)) {
        const PaletteEntry& entry = entries_[index];
        auto* item = new QListWidgetItem(entry.text);
        item->setData(Qt::UserRole, index);
        item->setData(kDetailRole, entry.detail);
        list_->addItem(item);
    }
    list_->setCurrentRow(0);
}

void CommandPalette::accept() {
    const QListWidgetItem* item = list_->currentItem();
    if (!item) return;
    const auto choose = entries_[item->data(Qt::UserRole).toInt()].choose;
    QDialog::accept();
    choose();
}

bool CommandPalette::eventFilter(QObject* watched, QEvent* event) {
    if (watched == query_ && event->type() == QEvent::KeyPress) {
        const auto* key = static_cast<QKeyEvent*>(event);
        const int rows = list_->count();
        if (key->key() == Qt::Key_Down || key->key() == Qt::Key_Up) {
            const int step = key->key() == Qt::Key_Down ? 1 : rows - 1;
            if (rows > 0) list_->setCurrentRow((list_->currentRow() + step) % rows);
            return true;
        }
        if (key->key() == Qt::Key_Return || key->key() == Qt::Key_Enter) {
            accept();
            return true;
        }
    }
    return QDialog::eventFilter(watched, event);
}

} // namespace bw
