// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/runs/runs_model.h"

#include "core/base/text.h"
#include "widgets/plots/number_text.h"
#include "widgets/session/engine_words.h"
#include "widgets/theme/theme.h"

#include <QDateTime>
#include <QIcon>
#include <algorithm>
#include <cmath>
#include <string_view>
#include <unordered_set>

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
                 : dateLocale().toString(at, RunsModel::tr("d MMM yyyy HH:mm"));
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

const MetricRow* metricOf(const RunSummary& run, const std::string& name) {
    for (const MetricRow& metric : run.metrics)
        if (metric.name == name) return &metric;
    return nullptr;
}

QString metricText(const MetricRow& metric) {
    if (metric.unit == "bytes") return bytesText(metric.value);
    return metric.standardError ? withError(metric.value, *metric.standardError) : figureText(metric.value, 4);
}

/// The metrics a person compares first come first; the rest by name.
QStringList sortedMetrics(const RunList& runs) {
    static const QStringList first{QStringLiteral("bits_per_weight"), QStringLiteral("bytes"), QStringLiteral("kl_mean"),
                                   QStringLiteral("same_top1"), QStringLiteral("perplexity")};
    std::unordered_set<std::string_view> names; // hundreds of thousands of rows with a few dozen names
    for (const RunSummary& run : runs)
        for (const MetricRow& metric : run.metrics) names.insert(metric.name);
    QStringList rest;
    for (const std::string_view name : names) {
        const QString text = QString::fromUtf8(name.data(), qsizetype(name.size()));
        if (!first.contains(text)) rest << text;
    }
    rest.sort();
    return first + rest;
}

/// What a column sorts by: a number, or a text where it has none.
struct SortKey {
    bool known = false;
    double number = 0;
    QString text;
    bool operator<(const SortKey& other) const { return number < other.number || (!(other.number < number) && text < other.text); }
};

SortKey keyOf(const QVariant& value) {
    if (!value.isValid()) return {};
    if (value.userType() == QMetaType::QString) return {true, 0, value.toString()};
    const double number = value.toDouble();
    return {!std::isnan(number), number, {}};
}

} // namespace

RunsModel::RunsModel(QObject* parent) : QAbstractItemModel(parent) { setRuns({}); }

void RunsModel::setRuns(const RunList& runs) {
    beginResetModel();
    std::vector<QString> words(runs.size());
    for (std::size_t i = 0, old = 0; i < runs.size() && !words_.empty(); ++i) { // runs that did not change keep their words
        while (old < runs_.size() && runs_[old].id > runs[i].id) ++old;
        if (old < runs_.size() && runs_.pointer(old) == runs.pointer(i)) words[i] = std::move(words_[old]);
    }
    words_ = std::move(words);
    runs_ = runs;
    metrics_ = sortedMetrics(runs_);
    metricKeys_.clear();
    for (const QString& name : std::as_const(metrics_)) metricKeys_.push_back(name.toStdString());
    arrange();
    endResetModel();
}

void RunsModel::setGrouped(bool grouped) {
    if (grouped == grouped_) return;
    beginResetModel();
    grouped_ = grouped;
    arrange();
    endResetModel();
}

void RunsModel::setFilter(const QString& words) {
    if (words == filter_) return;
    beginResetModel();
    filter_ = words;
    arrange();
    endResetModel();
}

void RunsModel::sort(int column, Qt::SortOrder order) {
    if (column == sortColumn_ && order == order_) return;
    beginResetModel();
    sortColumn_ = column;
    order_ = order;
    arrange();
    endResetModel();
}

const QString& RunsModel::wordsOf(int row) {
    QString& words = words_[std::size_t(row)];
    if (!words.isEmpty()) return words;
    const RunSummary& run = runs_[std::size_t(row)];
    words = QStringList{QString::number(run.id.value()), shown(run.kind), engineText(run.kind), shown(run.name), shown(run.status), engineText(run.status),
                        shown(run.checkpoint), tagsText(run), shown(run.note), run.starred ? QStringLiteral("star") : QString()}
                .join(QLatin1Char(' '))
                .toCaseFolded();
    return words;
}

QVector<int> RunsModel::passing() {
    const QString wanted = filter_.toCaseFolded();
    QVector<int> rows;
    rows.reserve(qsizetype(runs_.size()));
    for (int row = 0; row < int(runs_.size()); ++row)
        if (wanted.isEmpty() || wordsOf(row).contains(wanted)) rows << row;
    return rows;
}

void RunsModel::sortRows(QVector<int>& rows) const {
    if (sortColumn_ < 0 || sortColumn_ >= columnCount()) return;
    std::vector<SortKey> keys(runs_.size());
    for (const int row : std::as_const(rows)) {
        const RunSummary& run = runs_[std::size_t(row)];
        keys[std::size_t(row)] = keyOf(sortColumn_ < kFirstMetric ? runData(run, sortColumn_, kSortRole) : metricData(run, sortColumn_, kSortRole));
    }
    const bool down = order_ == Qt::DescendingOrder;
    std::stable_sort(rows.begin(), rows.end(), [&](int a, int b) {
        const SortKey &x = keys[std::size_t(a)], &y = keys[std::size_t(b)];
        if (x.known != y.known) return x.known;
        return down ? y < x : x < y;
    });
}

void RunsModel::arrange() {
    QVector<int> rows = passing();
    sortRows(rows);
    groups_.clear();
    place_.clear();
    place_.reserve(rows.size());
    QHash<QString, int> byName;
    if (grouped_) {
        QStringList names;
        for (const int row : std::as_const(rows)) {
            const QString name = shown(runs_[std::size_t(row)].checkpoint);
            if (byName.contains(name)) continue;
            byName.insert(name, 0);
            names << name;
        }
        names.sort();
        for (const QString& name : std::as_const(names)) {
            byName[name] = int(groups_.size());
            groups_.append({name, {}});
        }
    }
    if (groups_.isEmpty()) groups_.append(Group{});
    for (const int row : std::as_const(rows)) {
        const RunSummary& run = runs_[std::size_t(row)];
        const int group = grouped_ ? byName.value(shown(run.checkpoint)) : 0;
        place_.insert(run.id.value(), {group, int(groups_[group].rows.size())});
        groups_[group].rows.append(row);
    }
}

const RunSummary* RunsModel::runAt(const QModelIndex& index) const {
    if (!index.isValid()) return nullptr;
    if (!grouped_) return &runs_[static_cast<std::size_t>(groups_[0].rows[index.row()])];
    if (index.internalId() == 0) return nullptr;
    const Group& group = groups_[static_cast<int>(index.internalId()) - 1];
    return &runs_[static_cast<std::size_t>(group.rows[index.row()])];
}

QModelIndex RunsModel::indexOf(RunId run) const {
    const auto at = place_.constFind(run.value());
    if (at == place_.cend()) return {};
    return grouped_ ? index(at->second, kId, index(at->first, 0)) : index(at->second, kId);
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
    if (!parent.isValid()) return place_.isEmpty() ? 0 : static_cast<int>(groups_.size());
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
        const auto& whole = column == kNote ? run.note : column == kCheckpoint ? run.checkpoint : column == kStatus ? run.status : run.name;
        const bool text = column == kName || column == kNote || column == kCheckpoint || column == kStatus;
        return text ? QVariant(shown(whole, 1000).toHtmlEscaped()) : column == kTags ? QVariant(tagsText(run).toHtmlEscaped()) : QVariant();
    }
    const bool sort = role == kSortRole;
    if (!sort && role != Qt::DisplayRole) return {};
    switch (column) {
    case kStar: return sort ? QVariant(run.starred) : QVariant();
    case kId: return QVariant::fromValue<qlonglong>(run.id.value());
    case kKind: return engineText(run.kind);
    case kName: return shown(run.name);
    case kStatus: return engineText(run.status);
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
    const MetricRow* metric = metricOf(run, metricKeys_[static_cast<std::size_t>(column - kFirstMetric)]);
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
        const QHash<QString, QString> names{{QStringLiteral("bits_per_weight"), tr("bits/weight")},
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
