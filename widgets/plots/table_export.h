// SPDX-License-Identifier: GPL-3.0-or-later
// What a table shows as Markdown and as CSV, its context menu, and the look that small tables share.
#pragma once

#include <QString>
#include <functional>

class QTableWidget;
class QTableWidgetItem;

namespace bw {

/// Rows without grid, frame and editing; the first column takes what the others leave. @param left columns of words; the others
/// hold figures, to the right.
void dressTable(QTableWidget* table, const QStringList& heads, int left = 1);
/// A cell of a dressed table. @param figures in the face with tabular digits.
QTableWidgetItem* tableCell(const QString& text, bool figures, bool right);
/// Context menu and Ctrl+C: the table as Markdown, as CSV, into a file. @param fileName proposed, without extension. @param csv in full
/// precision; called when needed.
void addTableMenu(QTableWidget* table, const QString& fileName, const std::function<QString()>& csv);
QString tableMarkdown(const QTableWidget& table);
QString tableCsv(const QTableWidget& table); ///< as it is seen

} // namespace bw
