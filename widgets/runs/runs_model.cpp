// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/runs/runs_model.h"

#include "core/base/text.h"
#include "widgets/plots/number_text.h"
#include "widgets/theme/theme.h"

#include <QDateTime>
#include <QIcon>
#include <QLocale>
#include <algorithm>

namespace bw {
namespace {

QString shown(const std::string& text, std::size_t limit = 200) {
    return QString::fromStdString(escapeForDisplay(text, limit));
}

/// "today 14:03", "3 Nov 14:03", in the person's own time zone.
QString whenText(const std::string& utc) {
    QDateTime at = QDateTime::fromString(QString::fromStdString(utc), Qt::ISODate);
    if (!at.isValid()) return shown(utc);
    at.setTimeSpec(Qt::UTC);
    at = at.toLocalTime();
    const bool today = at.date() == QDate::currentDate();
    return today ? RunsModel::tr("today %1").arg(at.toString(QStringLiteral("HH:mm:ss")))
                 : QLocale().toString(at, QStringLiteral("d MMM yyyy HH:mm"));
}

QColor statusColor(const std::string& status) {
    const Tokens& t = Theme::instance().tokens();
    if (status == runStatusName(RunStatus::done)) return t.green;
    if (status == runStatusName(RunStatus::failed)) return t.red;
    if (status == runStatusName(RunStatus::running)) return t.accent;
    return t.amber;
}

QString tagsText(const RunSummary& run) {
    QStringList tags;
    for (const std::string& tag : run.tags) tags << shown(tag, 40);
    return tags.join(QStringLiteral(", "));
}

const MetricRow* metricOf(const RunSummary& run, const QString& name) {
    for (const MetricRow& metric : run.metrics)
        if (metric.name == name.toStdString()) return &metric;
    return nullptr;
}

QString metricText(const MetricRow& metric) {
    if (metric.unit == "bytes") return bytesText(metric.value);
    return metric.standardError ? withError(metric.value, *metric.standardError) : figureText(metric.value, 4);
}

/// The metrics a person compares first come first; the rest by name.
QStringList sortedMetrics(const std::vector<RunSummary>& runs) {
    static const QStringList first{QStringLiteral("bits_per_weight"), QStringLiteral("bytes"), QStringLiteral("kl_mean"),
                                   QStringLiteral("same_top1"), QStringLiteral("perplexity")};
    QStringList rest;
    for (const RunSummary& run : runs)
        for (const MetricRow& metric : run.metrics) {
            const QString name = QString::fromStdString(metric.name);
            if (!first.contains(name) && !rest.contains(name)) rest << name;
        }
    rest.sort();
    return first + rest;
}

} // namespace

RunsModel::RunsModel(QObject* parent) : QAbstractItemModel(parent) { setRuns({}); }

void RunsModel::setRuns(std::vector<RunSummary> runs) {
    beginResetModel();
    runs_ = std::move(runs);
    const QStringList metrics = sortedMetrics(runs_);
    const bool changed = metrics != metrics_;
    metrics_ = metrics;
    regroup();
    endResetModel();
    if (changed) Q_EMIT metricsChanged();
}

void RunsModel::setGrouped(bool grouped) {
    if (grouped == grouped_) return;
    beginResetModel();
    grouped_ = grouped;
    regroup();
    endResetModel();
}

void RunsModel::regroup() {
    groups_.clear();
    for (int i = 0; i < static_cast<int>(runs_.size()); ++i) {
        const QString name = grouped_ ? shown(runs_[static_cast<std::size_t>(i)].checkpoint) : QString();
        auto group = std::find_if(groups_.begin(), groups_.end(), [&](const Group& g) { return g.name == name; });
        if (group == groups_.end()) {
            groups_.append({name, {}});
            group = groups_.end() - 1;
        }
        group->rows.append(i);
    }
    if (groups_.isEmpty()) groups_.append(Group{});
}

const RunSummary* RunsModel::runAt(const QModelIndex& index) const {
    if (!index.isValid()) return nullptr;
    if (!grouped_) return &runs_[static_cast<std::size_t>(groups_[0].rows[index.row()])];
    if (index.internalId() == 0) return nullptr;
    const Group& group = groups_[static_cast<int>(index.internalId()) - 1];
    return &runs_[static_cast<std::size_t>(group.rows[index.row()])];
}

QModelIndex RunsModel::indexOf(RunId run) const {
    for (int g = 0; g < groups_.size(); ++g)
        for (int r = 0; r < groups_[g].rows.size(); ++r)
            if (runs_[static_cast<std::size_t>(groups_[g].rows[r])].id == run)
                return grouped_ ? index(r, kId, index(g, 0)) : index(r, kId);
    return {};
}

QString RunsModel::columnKey(int column) const {
    static const QStringList fixed{QStringLiteral("star"), QStringLiteral("id"), QStringLiteral("kind"), QStringLiteral("name"),
                                   QStringLiteral("status"), QStringLiteral("checkpoint"), QStringLiteral("started"),
                                   QStringLiteral("seconds"), QStringLiteral("tags"), QStringLiteral("note")};
    return column < kFirstMetric ? fixed.value(column) : metrics_.value(column - kFirstMetric);
}

// Grouped: a child's internal id is its group's number + 1, a group's is 0. Flat: always 0.
QModelIndex RunsModel::index(int row, int column, const QModelIndex& parent) const {
    if (row < 0 || column < 0 || column >= columnCount() || row >= rowCount(parent)) return {};
    return createIndex(row, column, grouped_ && parent.isValid() ? static_cast<quintptr>(parent.row()) + 1 : quintptr{0});
}

QModelIndex RunsModel::parent(const QModelIndex& index) const {
    if (!grouped_ || !index.isValid() || index.internalId() == 0) return {};
    return createIndex(static_cast<int>(index.internalId()) - 1, 0, quintptr{0});
}

int RunsModel::rowCount(const QModelIndex& parent) const {
    if (!grouped_) return parent.isValid() ? 0 : static_cast<int>(groups_[0].rows.size());
    if (!parent.isValid()) return runs_.empty() ? 0 : static_cast<int>(groups_.size());
    return parent.internalId() == 0 && parent.column() == 0 ? static_cast<int>(groups_[parent.row()].rows.size()) : 0;
}

int RunsModel::columnCount(const QModelIndex&) const { return kFirstMetric + static_cast<int>(metrics_.size()); }

QVariant RunsModel::data(const QModelIndex& index, int role) const {
    if (!index.isValid()) return {};
    const RunSummary* run = runAt(index);
    if (run) return runData(*run, index.column(), role);
    const Group& group = groups_[index.row()];
    if (index.column() == kId && role == Qt::DisplayRole) return static_cast<int>(group.rows.size());
    if (index.column() == kName && role == Qt::DisplayRole) return group.name;
    if (role == kSortRole) return group.name;
    if (role == Qt::FontRole) {
        QFont font;
        font.setWeight(QFont::DemiBold);
        return font;
    }
    return {};
}

QVariant RunsModel::runData(const RunSummary& run, int column, int role) const {
    if (role == kRunRole) return QVariant::fromValue<qlonglong>(run.id.value());
    if (role == kFilterRole)
        return QStringList{QString::number(run.id.value()), shown(run.kind), shown(run.name), shown(run.status), shown(run.checkpoint),
                           tagsText(run), shown(run.note), run.starred ? QStringLiteral("star") : QString()}
            .join(QLatin1Char(' '));
    if (column >= kFirstMetric) return metricData(run, column, role);
    const bool figures = column == kId || column == kSeconds;
    if (role == Qt::TextAlignmentRole && figures) return QVariant::fromValue(Qt::AlignRight | Qt::AlignVCenter);
    if (role == Qt::FontRole && (figures || column == kStarted)) return Theme::instance().figures();
    if (role == Qt::ForegroundRole && column == kStatus) return statusColor(run.status);
    if (role == Qt::ForegroundRole && (column == kStarted || column == kCheckpoint || column == kNote))
        return Theme::instance().tokens().muted;
    if (role == Qt::DecorationRole && column == kStar)
        return Theme::instance().icon(run.starred ? QStringLiteral("star-on") : QStringLiteral("star"));
    if (role == Qt::AccessibleTextRole && column == kStar) return run.starred ? tr("starred") : tr("not starred");
    if (role == Qt::ToolTipRole) {
        if (column == kStatus && !run.error.empty()) return shown(run.error, 1000).toHtmlEscaped();
        if (column == kNote) return shown(run.note, 1000).toHtmlEscaped();
        return {};
    }
    const bool sort = role == kSortRole;
    if (!sort && role != Qt::DisplayRole) return {};
    switch (column) {
    case kStar: return sort ? QVariant(run.starred) : QVariant();
    case kId: return QVariant::fromValue<qlonglong>(run.id.value());
    case kKind: return shown(run.kind);
    case kName: return shown(run.name);
    case kStatus: return shown(run.status);
    case kCheckpoint: return shown(run.checkpoint);
    case kStarted: return sort ? QVariant(QString::fromStdString(run.startedAt)) : QVariant(whenText(run.startedAt));
    case kSeconds: return sort ? QVariant(run.seconds) : QVariant(QString::fromStdString(formatSeconds(run.seconds)));
    case kTags: return tagsText(run);
    case kNote: return shown(run.note);
    default: return {};
    }
}

QVariant RunsModel::metricData(const RunSummary& run, int column, int role) const {
    if (role == Qt::TextAlignmentRole) return QVariant::fromValue(Qt::AlignRight | Qt::AlignVCenter);
    if (role == Qt::FontRole) return Theme::instance().figures();
    const MetricRow* metric = metricOf(run, metrics_[column - kFirstMetric]);
    if (!metric) return {};
    if (role == kSortRole) return metric->value;
    if (role == Qt::DisplayRole) return metricText(*metric);
    if (role == Qt::ToolTipRole) return QStringLiteral("%1 %2").arg(metric->value, 0, 'g', 12).arg(shown(metric->unit)).toHtmlEscaped();
    return {};
}

QVariant RunsModel::headerData(int section, Qt::Orientation orientation, int role) const {
    if (orientation != Qt::Horizontal) return {};
    const bool right = section == kId || section == kSeconds || section >= kFirstMetric;
    if (role == Qt::TextAlignmentRole)
        return right ? QVariant::fromValue(Qt::AlignRight | Qt::AlignVCenter) : QVariant::fromValue(Qt::AlignLeft | Qt::AlignVCenter);
    if (role != Qt::DisplayRole) return {};
    if (section >= kFirstMetric) {
        static const QHash<QString, QString> names{{QStringLiteral("bits_per_weight"), tr("bits/weight")},
                                                   {QStringLiteral("bytes"), tr("size")},
                                                   {QStringLiteral("kl_mean"), tr("KL, nats")},
                                                   {QStringLiteral("same_top1"), tr("same top token")},
                                                   {QStringLiteral("perplexity"), tr("perplexity")}};
        const QString key = metrics_.value(section - kFirstMetric);
        return names.value(key, key);
    }
    static const char* const titles[] = {"", QT_TR_NOOP("run"), QT_TR_NOOP("kind"), QT_TR_NOOP("name"), QT_TR_NOOP("status"),
                                         QT_TR_NOOP("checkpoint"), QT_TR_NOOP("started"), QT_TR_NOOP("time"), QT_TR_NOOP("tags"),
                                         QT_TR_NOOP("note")};
    return section == kStar ? QString() : tr(titles[section]);
}

} // namespace bw
