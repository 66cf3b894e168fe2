// SPDX-License-Identifier: GPL-3.0-or-later
// The table of runs as text: CSV in full precision, or Markdown as it is seen.
#pragma once

#include <QString>
#include <QVector>

class QAbstractItemModel;

namespace bw {

/// @param columns those to write, in order. Groups' children follow their group; group rows themselves are left out.
QString runsAsCsv(const QAbstractItemModel& model, const QVector<int>& columns, const QVector<QString>& keys);
QString runsAsMarkdown(const QAbstractItemModel& model, const QVector<int>& columns);

} // namespace bw
