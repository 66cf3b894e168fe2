// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/compare/run_chooser.h"

#include "widgets/compare/comparison.h"
#include "widgets/theme/theme.h"

#include <QFrame>
#include <QLineEdit>
#include <QListWidget>
#include <QPainter>
#include <QVBoxLayout>
#include <algorithm>

namespace bw {
namespace {

constexpr int kPopupHeight = 320, kIdRole = Qt::UserRole;

} // namespace

RunChooser::RunChooser(Side side, QWidget* parent) : QAbstractButton(parent), side_(side) {
    setFocusPolicy(Qt::StrongFocus);
    setCursor(Qt::PointingHandCursor);
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
    connect(this, &QAbstractButton::clicked, this, &RunChooser::open);
    connect(&Theme::instance(), &Theme::changed, this, qOverload<>(&QWidget::update));
    describe();
}

void RunChooser::setRuns(const RunList& runs) {
    runs_ = runs;
    describe();
}

void RunChooser::setCurrent(RunId run) {
    current_ = run;
    describe();
}

const RunSummary* RunChooser::run() const {
    const auto it = std::find_if(runs_.begin(), runs_.end(), [&](const RunSummary& r) { return r.id == current_; });
    return it == runs_.end() ? nullptr : &*it;
}

void RunChooser::describe() {
    const QString letter = side_ == Side::a ? QStringLiteral("A") : QStringLiteral("B");
    const RunSummary* r = run();
    setText(r ? runTitle(*r) : tr("Choose a run"));
    setAccessibleName(tr("Run %1: %2").arg(letter, text()));
    setToolTip(r ? text() + QLatin1Char('\n') + runDetailText(*r) : text());
    update();
}

void RunChooser::paintEvent(QPaintEvent*) {
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    const Tokens& t = Theme::instance().tokens();
    const QColor side = side_ == Side::a ? t.accent : t.amber;
    painter.setPen(QPen(hasFocus() || underMouse() ? t.muted : t.line, 1));
    painter.setBrush(t.panel);
    painter.drawRoundedRect(QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5), Theme::kPanelRadius, Theme::kPanelRadius);
    painter.setPen(Qt::NoPen);
    painter.setBrush(side);
    painter.drawRoundedRect(QRectF(0, 0, 4, height()), 2, 2);
    const QRect area = rect().adjusted(16, 6, -32, -6);
    QFont font = this->font();
    font.setPixelSize(13);
    font.setBold(true);
    painter.setFont(font);
    painter.setPen(side);
    const QString letter = side_ == Side::a ? QStringLiteral("A") : QStringLiteral("B");
    painter.drawText(area, static_cast<int>(Qt::AlignLeft) | static_cast<int>(Qt::AlignTop), letter);
    painter.setPen(t.text);
    painter.drawText(area.adjusted(20, 0, 0, 0), static_cast<int>(Qt::AlignLeft) | static_cast<int>(Qt::AlignTop),
                     painter.fontMetrics().elidedText(text(), Qt::ElideRight, area.width() - 20));
    font.setBold(false);
    font.setPixelSize(12);
    painter.setFont(font);
    painter.setPen(t.muted);
    const RunSummary* r = run();
    painter.drawText(area, static_cast<int>(Qt::AlignLeft) | static_cast<int>(Qt::AlignBottom),
                     painter.fontMetrics().elidedText(r ? runDetailText(*r) : tr("from the experiment log"), Qt::ElideRight, area.width()));
    const QPointF tip(width() - 18, height() / 2.0 + 2);
    painter.setPen(Qt::NoPen);
    painter.setBrush(t.muted);
    painter.drawPolygon(QPolygonF({tip, tip + QPointF(-4, -5), tip + QPointF(4, -5)}));
}

/// The newest ones that hold these words.
void RunChooser::fill(QListWidget* list, const QString& words) const {
    constexpr int kMostListed = 200;
    list->clear();
    int left = 0;
    for (const RunSummary& r : runs_) {
        const QString text = tr("%1  —  %2").arg(runTitle(r), runDetailText(r));
        if (!text.contains(words, Qt::CaseInsensitive)) continue;
        if (list->count() >= kMostListed) {
            ++left;
            continue;
        }
        auto* item = new QListWidgetItem(text, list);
        item->setData(kIdRole, qlonglong(r.id.value()));
        if (r.id == current_) list->setCurrentItem(item);
    }
    if (list->currentRow() < 0 || !words.isEmpty()) list->setCurrentRow(0);
    if (left == 0) return;
    auto* more = new QListWidgetItem(tr("%1 more: type a part of the name to find them").arg(left), list);
    more->setFlags(Qt::NoItemFlags);
}

void RunChooser::open() {
    auto* popup = new QFrame(this, Qt::Popup);
    popup->setAttribute(Qt::WA_DeleteOnClose);
    popup->setProperty("role", QStringLiteral("panel"));
    auto* filter = new QLineEdit(popup);
    filter->setPlaceholderText(tr("Filter runs"));
    filter->setAccessibleName(tr("Filter runs"));
    auto* list = new QListWidget(popup);
    list->setAccessibleName(tr("Runs"));
    list->setUniformItemSizes(true);
    fill(list, {});
    auto* all = new QVBoxLayout(popup);
    all->setContentsMargins(8, 8, 8, 8);
    all->addWidget(filter);
    all->addWidget(list);
    connect(filter, &QLineEdit::textChanged, list, [this, list](const QString& text) { fill(list, text); });
    const auto take = [this, popup, list] {
        const QListWidgetItem* item = list->currentItem();
        if (!item || !item->data(kIdRole).isValid()) return;
        const RunId run(item->data(kIdRole).toLongLong());
        popup->close();
        Q_EMIT chosen(run);
    };
    connect(filter, &QLineEdit::returnPressed, this, take);
    connect(list, &QListWidget::itemActivated, this, take);
    connect(list, &QListWidget::itemClicked, this, take);
    popup->resize(std::max(width(), 420), kPopupHeight);
    popup->move(mapToGlobal(QPoint(0, height() + 4)));
    popup->show();
    filter->setFocus();
}

} // namespace bw
