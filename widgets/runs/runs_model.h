// SPDX-License-Identifier: GPL-3.0-or-later
// The experiment log as rows; flat, or grouped by checkpoint; filtered and sorted here, so that ten thousand of them follow a
// key press. Columns: fixed facts, then every metric that any run has.
#pragma once

#include "widgets/session/run_list.h"

#include <QAbstractItemModel>
#include <QHash>
#include <QStringList>
#include <QVector>

namespace bw {

class RunsModel final : public QAbstractItemModel {
    Q_OBJECT
public:
    enum Column { kStar, kId, kKind, kName, kStatus, kCheckpoint, kStarted, kSeconds, kTags, kNote, kFirstMetric };
    enum Role { kRunRole = Qt::UserRole + 1, kSortRole };

    explicit RunsModel(QObject* parent = nullptr);
    void setRuns(const RunList& runs);
    void setGrouped(bool grouped);
    bool grouped() const { return grouped_; }
    /// Only runs that hold these words, whatever their case; empty: all.
    void setFilter(const QString& words);
    /// Runs without a value come last either way; equal ones newest first. Groups stay by name.
    void sort(int column, Qt::SortOrder order = Qt::AscendingOrder) override;
    int shownRuns() const { return int(place_.size()); } ///< that pass the filter
    const QStringList& metricNames() const { return metrics_; }
    /// Stable name of a column for settings and exports ("kl_mean").
    QString columnKey(int column) const;
    /// Null for a group's row.
    const RunSummary* runAt(const QModelIndex& index) const;
    QModelIndex indexOf(RunId run) const; ///< invalid: not shown

    QModelIndex index(int row, int column, const QModelIndex& parent = {}) const override;
    QModelIndex parent(const QModelIndex& index) const override;
    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

private:
    struct Group { QString name; QVector<int> rows; };
    void arrange();
    QVector<int> passing();
    void sortRows(QVector<int>& rows) const;
    const QString& wordsOf(int row);
    QVariant runData(const RunSummary& run, int column, int role) const;
    QVariant metricData(const RunSummary& run, int column, int role) const;

    RunList runs_;
    std::vector<QString> words_;  ///< of each run, what a filter looks through; empty until it does
    QStringList metrics_;
    std::vector<std::string> metricKeys_; ///< the same, as the log spells them
    QVector<Group> groups_;       ///< one unnamed group when flat
    QHash<qint64, QPair<int, int>> place_; ///< group and row of each run that is shown
    QString filter_;
    int sortColumn_ = -1;         ///< as given
    Qt::SortOrder order_ = Qt::AscendingOrder;
    bool grouped_ = false;
};

} // namespace bw
