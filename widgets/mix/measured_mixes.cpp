// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/mix/measured_mixes.h"

#include <algorithm>

namespace bw {

void MeasuredMixes::clear() {
    mixes_.clear();
    seen_.clear();
}

bool MeasuredMixes::update(const LogReader& log, const std::string& checkpointPath) {
    constexpr std::int64_t kRunsLookedAt = 1000;
    bool added = false;
    for (const RunSummary& summary : log.runs(kRunsLookedAt)) {
        if (summary.status != runStatusName(RunStatus::done) || seen_.contains(summary.id.value())) continue;
        seen_.insert(summary.id.value(), true);
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
        added = true;
    }
    std::sort(mixes_.begin(), mixes_.end(), [](const MeasuredMix& a, const MeasuredMix& b) { return a.run > b.run; });
    return added;
}

} // namespace bw
