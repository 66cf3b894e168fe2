// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/mix/measured_mixes.h"

#include <algorithm>

namespace bw {
namespace {

MixKind kindOf(const RunDetail& run) {
    const Json assignment = run.recipe.value("assignment", Json::object());
    if (assignment.value("format", std::string()).starts_with("mix:") || !assignment.value("tensor_types", Json::array()).empty()) return MixKind::ruleList;
    const auto other = [&](const AssignmentRow& row) { return row.asked != run.assignments.front().asked; };
    return std::any_of(run.assignments.begin(), run.assignments.end(), other) ? MixKind::own : MixKind::uniform;
}

} // namespace

bool MeasuredMixes::update(const LogReader& log, const std::vector<RunSummary>& runs, const QString& logPath,
                           const std::string& checkpointPath) {
    bool changed = false;
    if (logPath != logPath_ || checkpointPath != checkpointPath_) {
        changed = !mixes_.isEmpty();
        mixes_.clear();
        seen_.clear();
        logPath_ = logPath;
        checkpointPath_ = checkpointPath;
    }
    for (const RunSummary& summary : runs) {
        if (summary.status != runStatusName(RunStatus::done) || seen_.contains(summary.id.value())) continue;
        seen_.insert(summary.id.value());
        const auto kl = std::find_if(summary.metrics.begin(), summary.metrics.end(),
                                     [](const MetricRow& m) { return m.name == "kl_mean"; });
        if (kl == summary.metrics.end()) continue;
        const RunDetail detail = log.run(summary.id);
        if (detail.checkpoint.path != checkpointPath || detail.assignments.empty()) continue;
        MeasuredMix mix;
        mix.run = summary.id;
        mix.name = QString::fromStdString(summary.name);
        mix.damage = kl->value;
        mix.standardError = kl->standardError.value_or(0);
        mix.kind = kindOf(detail);
        mix.rounder = QString::fromStdString(detail.recipe.value("rounder", std::string()));
        for (const MetricRow& metric : summary.metrics) {
            if (metric.name == "bytes") mix.fileBytes = quint64(metric.value);
        }
        for (const AssignmentRow& row : detail.assignments) {
            const QString site = QString::fromStdString(row.site);
            mix.asked.insert(site, QString::fromStdString(row.asked));
            mix.used.insert(site, QString::fromStdString(row.used));
            mix.siteBytes += row.bytes;
        }
        mixes_.push_back(std::move(mix));
        changed = true;
    }
    std::sort(mixes_.begin(), mixes_.end(), [](const MeasuredMix& a, const MeasuredMix& b) { return a.run > b.run; });
    return changed;
}

} // namespace bw
