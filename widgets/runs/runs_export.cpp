// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/runs/runs_export.h"

#include "widgets/plots/plot_export.h"
#include "widgets/runs/runs_model.h"

#include <QAbstractItemModel>
#include <functional>

namespace bw {
namespace {

/// Calls use(index of column 0) for every run's row.
void eachRun(const QAbstractItemModel& model, const QModelIndex& parent, const std::function<void(const QModelIndex&)>& use) {
    for (int row = 0; row < model.rowCount(parent); ++row) {
        const QModelIndex at = model.index(row, 0, parent);
        if (at.data(RunsModel::kRunRole).isValid()) use(at);
        eachRun(model, at, use);
    }
}

QString cellText(const QModelIndex& cell, bool fullPrecision) {
    const QVariant value = cell.data(fullPrecision ? static_cast<int>(RunsModel::kSortRole) : static_cast<int>(Qt::DisplayRole));
    return value.userType() == QMetaType::Double ? QString::number(value.toDouble(), 'g', 17) : value.toString();
}

} // namespace

QString runsAsCsv(const QAbstractItemModel& model, const QVector<int>& columns, const QVector<QString>& keys) {
    QString out;
    QStringList line;
    for (const QString& key : keys) line << csvField(key);
    out += line.join(QLatin1Char(',')) + QLatin1Char('\n');
    eachRun(model, {}, [&](const QModelIndex& at) {
        line.clear();
        for (const int column : columns) line << csvField(cellText(at.siblingAtColumn(column), true));
        out += line.join(QLatin1Char(',')) + QLatin1Char('\n');
    });
    return out;
}

QString runsAsMarkdown(const QAbstractItemModel& model, const QVector<int>& columns) {
    QString head = QStringLiteral("|"), rule = QStringLiteral("|"), body;
    for (const int column : columns) {
        head += QStringLiteral(" %1 |").arg(model.headerData(column, Qt::Horizontal).toString());
        const auto alignment = model.headerData(column, Qt::Horizontal, Qt::TextAlignmentRole).value<Qt::Alignment>();
        rule += alignment.testFlag(Qt::AlignRight) ? QStringLiteral("---:|") : QStringLiteral("---|");
    }
    eachRun(model, {}, [&](const QModelIndex& at) {
        body += QLatin1Char('|');
        for (const int column : columns) {
            QString text = cellText(at.siblingAtColumn(column), false);
            body += QStringLiteral(" %1 |").arg(text.replace(QLatin1Char('|'), QStringLiteral("\\|")));
        }
        body += QLatin1Char('\n');
    });
    return head + QLatin1Char('\n') + rule + QLatin1Char('\n') + body;
}

} // namespace bw
