// SPDX-License-Identifier: GPL-3.0-or-later
// The experiment log as rows; flat, or grouped by checkpoint. Columns: fixed facts, then every metric that any run has.
#pragma once

#include "core/experiment/log.h"

#include <QAbstractItemModel>
#include <QStringList>
#include <QVector>
#include <optional>

namespace bw {

class RunsModel final : public QAbstractItemModel {
    Q_OBJECT
public:
    enum Column { kStar, kId, kKind, kName, kStatus, kCheckpoint, kStarted, kSeconds, kTags, kNote, kFirstMetric };
    enum Role { kRunRole = Qt::UserRole + 1, kSortRole, kFilterRole };

    explicit RunsModel(QObject* parent = nullptr);
    void setRuns(std::vector<RunSummary> runs);
    void setGrouped(bool grouped);
    bool grouped() const { return grouped_; }
    const QStringList& metricNames() const { return metrics_; }
    /// Stable name of a column for settings and exports ("kl_mean").
    QString columnKey(int column) const;
    /// Null for a group's row.
    const RunSummary* runAt(const QModelIndex& index) const;
    QModelIndex indexOf(RunId run) const;

    QModelIndex index(int row, int column, const QModelIndex& parent = {}) const override;
    QModelIndex parent(const QModelIndex& index) const override;
    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

Q_SIGNALS:
    void metricsChanged();

private:
    struct Group { QString name; QVector<int> rows; };
    void regroup();
    QVariant runData(const RunSummary& run, int column, int role) const;
    QVariant metricData(const RunSummary& run, int column, int role) const;

    std::vector<RunSummary> runs_;
    QStringList metrics_;
    QVector<Group> groups_; ///< one unnamed group when flat
    bool grouped_ = false;
};

} // namespace bw
