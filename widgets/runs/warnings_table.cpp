// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/runs/warnings_table.h"

#include "core/base/text.h"
#include "widgets/session/engine_words.h"
#include "widgets/theme/theme.h"

#include <QClipboard>
#include <QGuiApplication>
#include <QHeaderView>
#include <QMenu>

namespace bw {
namespace {

enum Column { kOf, kSeen, kWhy, kRemedy };

QString shown(const std::string& text) { return QString::fromStdString(escapeForDisplay(text, 600)); }

} // namespace

WarningsTable::WarningsTable(QWidget* parent) : QTableWidget(parent) {
    setColumnCount(4);
    setHorizontalHeaderLabels({QString(), tr("What was seen"), tr("Why it matters"), tr("What to do")});
    setAccessibleName(tr("Warnings"));
    verticalHeader()->hide();
    verticalHeader()->setSectionResizeMode(QHeaderView::ResizeToContents);
    horizontalHeader()->setSectionResizeMode(QHeaderView::Stretch);
    horizontalHeader()->setSectionResizeMode(kOf, QHeaderView::ResizeToContents);
    horizontalHeader()->setDefaultAlignment(Qt::AlignLeft | Qt::AlignVCenter);
    setShowGrid(false);
    setWordWrap(true);
    setEditTriggers(QAbstractItemView::NoEditTriggers);
    setSelectionBehavior(QAbstractItemView::SelectRows);
    setFrameShape(QFrame::NoFrame);
    setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    setVerticalScrollMode(QAbstractItemView::ScrollPerPixel);
    setTabKeyNavigation(false);
    setContextMenuPolicy(Qt::CustomContextMenu);
    connect(this, &QWidget::customContextMenuRequested, this, [this](const QPoint& at) {
        QMenu menu(this);
        menu.addAction(tr("Copy as Markdown"), this, [this] { QGuiApplication::clipboard()->setText(markdown()); });
        menu.exec(viewport()->mapToGlobal(at));
    });
    setWarnings({});
}

void WarningsTable::setWarnings(const std::vector<DataWarning>& warnings, const QStringList& of) {
    setRowCount(int(warnings.size()));
    setColumnHidden(kOf, of.isEmpty());
    for (int r = 0; r < rowCount(); ++r) {
        const DataWarning& warning = warnings[std::size_t(r)];
        QString details;
        for (const std::string& detail : warning.details) details += QStringLiteral("\n· ") + shown(detail);
        const auto cell = [&](Column column, const QString& text) {
            auto* item = new QTableWidgetItem(text);
            item->setTextAlignment(Qt::AlignLeft | Qt::AlignTop);
            item->setToolTip(QString::fromStdString(escapeForDisplay(warning.kind, 60)) + details);
            setItem(r, column, item);
        };
        cell(kOf, of.value(r));
        cell(kSeen, engineText(warning.seen));
        cell(kWhy, engineText(warning.why));
        cell(kRemedy, engineText(warning.remedy));
    }
    resizeRowsToContents();
}

void WarningsTable::resizeEvent(QResizeEvent* event) {
    QTableWidget::resizeEvent(event);
    resizeRowsToContents();
}

QString WarningsTable::markdown() const {
    const auto plain = [this](int row, int column) { return item(row, column)->text().replace(QLatin1Char('|'), QStringLiteral("\\|")).simplified(); };
    QString text = QStringLiteral("| %1 | %2 | %3 |\n|---|---|---|\n").arg(tr("What was seen"), tr("Why it matters"), tr("What to do"));
    for (int r = 0; r < rowCount(); ++r)
        text += QStringLiteral("| %1%2 | %3 | %4 |\n").arg(isColumnHidden(kOf) ? QString() : item(r, kOf)->text() + QStringLiteral(": "), plain(r, kSeen), plain(r, kWhy), plain(r, kRemedy));
    return text;
}

} // namespace bw
