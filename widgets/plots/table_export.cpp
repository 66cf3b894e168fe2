// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/plots/table_export.h"

#include "widgets/plots/plot_export.h"
#include "widgets/theme/theme.h"

#include <QAction>
#include <QClipboard>
#include <QCoreApplication>
#include <QFileDialog>
#include <QGuiApplication>
#include <QHeaderView>
#include <QMessageBox>
#include <QTableWidget>

namespace bw {
namespace {

constexpr int kRowHeight = 25;

QString joined(const QTableWidget& table, int row, const QString& between, const std::function<QString(QString)>& quoted) {
    QStringList cells;
    for (int c = 0; c < table.columnCount(); ++c) {
        const QTableWidgetItem* item = row < 0 ? table.horizontalHeaderItem(c) : table.item(row, c);
        cells << quoted(item ? item->text() : QString());
    }
    return cells.join(between);
}

} // namespace

void dressTable(QTableWidget* table, const QStringList& heads, int left) {
    table->setColumnCount(int(heads.size()));
    table->setHorizontalHeaderLabels(heads);
    table->verticalHeader()->hide();
    table->verticalHeader()->setDefaultSectionSize(kRowHeight);
    table->verticalHeader()->setMinimumSectionSize(kRowHeight);
    table->setShowGrid(false);
    table->setEditTriggers(QAbstractItemView::NoEditTriggers);
    table->setSelectionBehavior(QAbstractItemView::SelectRows);
    table->setSelectionMode(QAbstractItemView::ExtendedSelection);
    table->setWordWrap(false);
    table->setTextElideMode(Qt::ElideRight);
    table->setFrameShape(QFrame::NoFrame);
    table->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    table->setTabKeyNavigation(false);
    for (int c = 0; c < table->columnCount(); ++c) table->horizontalHeaderItem(c)->setTextAlignment((c < left ? Qt::AlignLeft : Qt::AlignRight) | Qt::AlignVCenter);
    table->horizontalHeader()->setSectionResizeMode(QHeaderView::ResizeToContents);
    table->horizontalHeader()->setSectionResizeMode(0, QHeaderView::Stretch);
}

QTableWidgetItem* tableCell(const QString& text, bool figures, bool right) {
    auto* cell = new QTableWidgetItem(text);
    if (figures) cell->setFont(Theme::instance().figures());
    cell->setTextAlignment((right ? Qt::AlignRight : Qt::AlignLeft) | Qt::AlignVCenter);
    cell->setToolTip(text);
    return cell;
}

void addTableMenu(QTableWidget* table, const QString& fileName, const std::function<QString()>& csv) {
    const auto toClipboard = [](const QString& text) { QGuiApplication::clipboard()->setText(text); };
    auto* markdown = new QAction(QCoreApplication::translate("bw::TableExport", "Copy table as Markdown"), table);
    markdown->setShortcut(QKeySequence::Copy);
    markdown->setShortcutContext(Qt::WidgetShortcut);
    auto* values = new QAction(QCoreApplication::translate("bw::TableExport", "Copy table as CSV"), table);
    auto* save = new QAction(QCoreApplication::translate("bw::TableExport", "Save table as CSV…"), table);
    QObject::connect(markdown, &QAction::triggered, table, [table, toClipboard] { toClipboard(tableMarkdown(*table)); });
    QObject::connect(values, &QAction::triggered, table, [csv, toClipboard] { toClipboard(csv()); });
    QObject::connect(save, &QAction::triggered, table, [table, csv, fileName] {
        const QString path = QFileDialog::getSaveFileName(table->window(), QCoreApplication::translate("bw::TableExport", "Save table"), fileName + QStringLiteral(".csv"), QCoreApplication::translate("bw::TableExport", "CSV table (*.csv)"));
        if (path.isEmpty()) return;
        if (const QString problem = saveText(csv(), path); !problem.isEmpty()) QMessageBox::warning(table->window(), QCoreApplication::translate("bw::TableExport", "Not saved"), problem);
    });
    table->addActions({markdown, values, save});
    table->setContextMenuPolicy(Qt::ActionsContextMenu);
}

QString tableMarkdown(const QTableWidget& table) {
    const auto line = [&](int row) { return QStringLiteral("| ") + joined(table, row, QStringLiteral(" | "), [](QString text) { return text.replace(QLatin1Char('|'), QStringLiteral("\\|")); }) + QStringLiteral(" |\n"); };
    QString text = line(-1) + QLatin1Char('|');
    for (int c = 0; c < table.columnCount(); ++c) text += (table.horizontalHeaderItem(c)->textAlignment() & Qt::AlignRight) ? QStringLiteral("---:|") : QStringLiteral("---|");
    text += QLatin1Char('\n');
    for (int r = 0; r < table.rowCount(); ++r) text += line(r);
    return text;
}

QString tableCsv(const QTableWidget& table) {
    QString text;
    for (int r = -1; r < table.rowCount(); ++r) text += joined(table, r, QStringLiteral(","), [](const QString& cell) { return csvField(cell); }) + QLatin1Char('\n');
    return text;
}

} // namespace bw
