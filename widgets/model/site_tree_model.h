// SPDX-License-Identifier: GPL-3.0-or-later
// Blocks and their sites as a tree; of a checkpoint without a known family, its tensors. Facts appear as they arrive.
#pragma once

#include <QAbstractItemModel>
#include <QHash>
#include <QVector>
#include <vector>

namespace bw {

class Session;

class SiteTreeModel final : public QAbstractItemModel {
    Q_OBJECT
public:
    enum Column { kName, kShape, kType, kBytes, kKurtosis, kOutliers, kWeights, kColumns };
    enum Role { kSiteRole = Qt::UserRole + 1, kSortRole, kSparklineRole };

    explicit SiteTreeModel(Session* session, QObject* parent = nullptr);
    /// Index of a site's name column; invalid when there is no such site.
    QModelIndex indexOf(const QString& site) const;
    void rebuild();

    QModelIndex index(int row, int column, const QModelIndex& parent = {}) const override;
    QModelIndex parent(const QModelIndex& index) const override;
    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

private:
    struct Row { QString name, site, shape, type; quint64 bytes = 0; qint64 elements = 0; };
    struct Group { QString name; QVector<Row> rows; quint64 bytes = 0; };
    void addSites();
    void addTensors();
    QVariant groupData(const Group& group, int index, int column, int role) const;
    QVariant rowData(const Row& row, int index, int column, int role) const;
    void factsChanged(const QString& site);

    Session* session_;
    QVector<Group> groups_;
    QHash<QString, std::pair<int, int>> places_; ///< site → group, row
};

} // namespace bw
