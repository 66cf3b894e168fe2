// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/model/site_tree_model.h"

#include "core/base/text.h"
#include "widgets/plots/number_text.h"
#include "widgets/session/counted.h"
#include "widgets/session/session.h"
#include "widgets/theme/theme.h"

#include <algorithm>

namespace bw {
namespace {

QString shown(const std::string& text) { return QString::fromStdString(escapeForDisplay(text, 120)); }

QString shapeText(const std::vector<std::int64_t>& shape) {
    QStringList parts;
    for (const std::int64_t d : shape) parts << QString::number(d);
    return parts.isEmpty() ? QStringLiteral("scalar") : parts.join(QStringLiteral(" × "));
}

} // namespace

SiteTreeModel::SiteTreeModel(Session* session, QObject* parent) : QAbstractItemModel(parent), session_(session) {
    connect(session_, &Session::siteFactsChanged, this, &SiteTreeModel::factsChanged);
    rebuild();
}

void SiteTreeModel::rebuild() {
    beginResetModel();
    groups_.clear();
    places_.clear();
    if (session_->model())
        addSites();
    else if (session_->checkpoint())
        addTensors();
    for (int g = 0; g < groups_.size(); ++g) {
        for (int r = 0; r < groups_[g].rows.size(); ++r) {
            groups_[g].bytes += groups_[g].rows[r].bytes;
            if (!groups_[g].rows[r].site.isEmpty()) places_.insert(groups_[g].rows[r].site, {g, r});
        }
    }
    endResetModel();
}

void SiteTreeModel::addSites() {
    const Model& model = *session_->model();
    Group ends{tr("Embed, head"), {}, 0};
    for (const Site& site : model.sites()) {
        Row row;
        row.site = QString::fromStdString(site.name);
        row.shape = shapeText({site.rows, site.cols});
        row.elements = site.rows * site.cols;
        if (const TensorInfo* tensor = model.checkpoint().find(site.tensor)) {
            row.type = shown(tensor->packed ? tensor->packed->name() : tensor->typeName);
            // A site may be one expert's share of a stack.
            row.bytes = quint64(double(tensor->bytes) * double(row.elements) / double(std::max<std::int64_t>(1, tensor->elements())));
        }
        if (site.block.value() < 0) {
            row.name = row.site;
            ends.rows << row;
            continue;
        }
        row.name = row.site.section(QLatin1Char('.'), 2); // "attn_q", "ffn_up.e5"
        const QString block = QStringLiteral("blk.%1").arg(site.block.value());
        if (groups_.isEmpty() || groups_.last().name != block) groups_ << Group{block, {}, 0};
        groups_.last().rows << row;
    }
    if (ends.rows.size() == 1) ends.name = tr("Embedding"); // the head is the same matrix
    if (!ends.rows.isEmpty()) groups_.prepend(ends);
}

void SiteTreeModel::addTensors() {
    Group all{tr("Tensors"), {}, 0};
    for (const TensorInfo& tensor : session_->checkpoint()->tensors())
        all.rows << Row{shown(tensor.name), {}, shapeText(tensor.shape), shown(tensor.typeName), tensor.bytes, tensor.elements()};
    groups_ << all;
}

QModelIndex SiteTreeModel::indexOf(const QString& site) const {
    const auto place = places_.constFind(site);
    if (place == places_.constEnd()) return {};
    return index(place->second, kName, index(place->first, kName));
}

void SiteTreeModel::factsChanged(const QString& site) {
    const QModelIndex at = indexOf(site);
    if (!at.isValid()) return;
    Q_EMIT dataChanged(at.siblingAtColumn(kKurtosis), at.siblingAtColumn(kWeights));
    Q_EMIT dataChanged(at.parent().siblingAtColumn(kKurtosis), at.parent().siblingAtColumn(kWeights));
}

// A child's internal id is its group's number + 1; a group's is 0.
QModelIndex SiteTreeModel::index(int row, int column, const QModelIndex& parent) const {
    if (row < 0 || column < 0 || column >= kColumns || row >= rowCount(parent)) return {};
    return createIndex(row, column, parent.isValid() ? static_cast<quintptr>(parent.row()) + 1 : quintptr{0});
}

QModelIndex SiteTreeModel::parent(const QModelIndex& index) const {
    if (!index.isValid() || index.internalId() == 0) return {};
    return createIndex(static_cast<int>(index.internalId()) - 1, kName, quintptr{0});
}

int SiteTreeModel::rowCount(const QModelIndex& parent) const {
    if (!parent.isValid()) return static_cast<int>(groups_.size());
    return parent.internalId() == 0 && parent.column() == kName ? static_cast<int>(groups_[parent.row()].rows.size()) : 0;
}

int SiteTreeModel::columnCount(const QModelIndex&) const { return kColumns; }

QVariant SiteTreeModel::data(const QModelIndex& index, int role) const {
    if (!index.isValid()) return {};
    const int column = index.column();
    if (role == Qt::TextAlignmentRole && column >= kShape && column <= kOutliers && column != kType)
        return QVariant::fromValue(Qt::AlignRight | Qt::AlignVCenter);
    if (role == Qt::FontRole && column >= kShape) return Theme::instance().figures();
    if (index.internalId() == 0) return groupData(groups_[index.row()], index.row(), column, role);
    return rowData(groups_[static_cast<int>(index.internalId()) - 1].rows[index.row()], index.row(), column, role);
}

QVariant SiteTreeModel::groupData(const Group& group, int index, int column, int role) const {
    if (role == Qt::ForegroundRole && column != kName) return Theme::instance().tokens().muted;
    if (role != Qt::DisplayRole && role != kSortRole) return {};
    if (column == kName) return role == kSortRole ? QVariant(index) : QVariant(group.name);
    if (column == kShape && role == Qt::DisplayRole) return counted(group.rows.size(), tr("1 site"), tr("%1 sites"));
    if (column == kBytes) return role == kSortRole ? QVariant(group.bytes) : QVariant(bytesText(static_cast<double>(group.bytes)));
    if (column != kKurtosis && column != kOutliers) return {};
    // The worst of the block, so that a folded block still tells.
    double worst = -1e300;
    for (const Row& row : group.rows) {
        const SiteFacts facts = session_->siteFacts(row.site);
        if (facts.known) worst = std::max(worst, column == kKurtosis ? facts.kurtosis : facts.outlierShare);
    }
    if (worst == -1e300) return {};
    if (role == kSortRole) return worst;
    return column == kKurtosis ? QString::number(worst, 'f', 1) : QString::number(worst * 100, 'f', 3);
}

QVariant SiteTreeModel::rowData(const Row& row, int index, int column, int role) const {
    if (role == kSiteRole) return row.site;
    if (role == Qt::ToolTipRole) return row.site.isEmpty() ? row.name : row.site;
    const SiteFacts facts = session_->siteFacts(row.site);
    if (role == kSparklineRole) return QVariant::fromValue(QVector<float>(facts.sparkline.begin(), facts.sparkline.end()));
    const bool sort = role == kSortRole;
    if (role == Qt::ForegroundRole && column == kType) return Theme::instance().tokens().muted;
    if (!sort && role != Qt::DisplayRole) return {};
    switch (column) {
    case kName: return sort ? QVariant(index) : QVariant(row.name);
    case kShape: return sort ? QVariant(row.elements) : QVariant(row.shape);
    case kType: return row.type;
    case kBytes: return sort ? QVariant(row.bytes) : QVariant(bytesText(static_cast<double>(row.bytes)));
    case kKurtosis:
        if (!facts.known) return {};
        return sort ? QVariant(facts.kurtosis) : QVariant(QString::number(facts.kurtosis, 'f', 1));
    case kOutliers:
        if (!facts.known) return {};
        return sort ? QVariant(facts.outlierShare) : QVariant(QString::number(facts.outlierShare * 100, 'f', 3));
    case kWeights: return sort ? QVariant(facts.maximum) : QVariant();
    default: return {};
    }
}

QVariant SiteTreeModel::headerData(int section, Qt::Orientation orientation, int role) const {
    if (orientation != Qt::Horizontal) return {};
    if (role == Qt::TextAlignmentRole)
        return section >= kShape && section <= kOutliers && section != kType
                   ? QVariant::fromValue(Qt::AlignRight | Qt::AlignVCenter)
                   : QVariant::fromValue(Qt::AlignLeft | Qt::AlignVCenter);
    if (role == Qt::ToolTipRole && section == kKurtosis) return tr("Excess kurtosis of the weights; 0 = Gaussian, large = heavy tails");
    if (role == Qt::ToolTipRole && section == kOutliers) return tr("Share of weights beyond six standard deviations");
    if (role == Qt::ToolTipRole && section == kWeights) return tr("Largest |w| along the output channels");
    if (role != Qt::DisplayRole) return {};
    switch (section) {
    case kName: return tr("site");
    case kShape: return tr("shape");
    case kType: return tr("type");
    case kBytes: return tr("size");
    case kKurtosis: return tr("kurt.");
    case kOutliers: return tr("6σ %");
    case kWeights: return tr("max");
    default: return {};
    }
}

} // namespace bw
