// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/mix/measured_mixes.h"

#include "core/base/error.h"

#include <algorithm>
#include <cmath>

namespace bw {
namespace {

MixKind kindOf(const RunDetail& run) {
    const Json assignment = run.recipe.value("assignment", Json::object());
    if (assignment.value("format", std::string()).starts_with("mix:") || !assignment.value("tensor_types", Json::array()).empty()) return MixKind::ruleList;
    const auto other = [&](const AssignmentRow& row) { return row.asked != run.assignments.front().asked; };
    return std::any_of(run.assignments.begin(), run.assignments.end(), other) ? MixKind::own : MixKind::uniform;
}

/// What the run's metrics say of the table's columns.
void readMetrics(const std::vector<MetricRow>& metrics, MeasuredMix& mix) {
    mix.perplexity = mix.perplexityError = mix.sameTop1 = mix.roundingSeconds = std::nan("");
    for (const MetricRow& metric : metrics) {
        if (metric.name == "bytes") mix.fileBytes = quint64(metric.value);
        if (metric.name == "bits_per_weight") mix.bitsPerWeight = metric.value;
        if (metric.name == "same_top1") mix.sameTop1 = metric.value;
        if (metric.name == "rounding_seconds") mix.roundingSeconds = metric.value;
        if (metric.name != "perplexity") continue;
        mix.perplexity = metric.value;
        mix.perplexityError = metric.standardError.value_or(0);
    }
}

} // namespace

bool sameMethod(const Recipe& a, const Recipe& b) {
    Recipe copy = b;
    copyMethod(a, copy);
    return copy == b;
}

bool asksAlike(const Recipe& a, const Recipe& b) {
    const auto formats = [](const Recipe& recipe) {
        Recipe only;
        only.assignment.format = recipe.assignment.format;
        only.assignment.head = recipe.assignment.head;
        only.assignment.output = recipe.assignment.output;
        only.assignment.embedding = recipe.assignment.embedding;
        only.assignment.tensorTypes = recipe.assignment.tensorTypes;
        only.assignment.rules = recipe.assignment.rules;
        only.assignment.pins = recipe.assignment.pins;
        return only;
    };
    return formats(a) == formats(b);
}

void copyMethod(const Recipe& from, Recipe& to) {
    to.transform = from.transform;
    to.rounder = from.rounder;
    to.gptq = from.gptq;
    to.clipSearch = from.clipSearch;
    to.search = from.search;
    to.activations = from.activations;
    to.kvCache = from.kvCache;
}

bool MeasuredMixes::update(const LogReader& log, const RunList& runs, const QString& logPath,
                           const std::string& checkpointPath) {
    bool changed = false;
    if (logPath != logPath_ || checkpointPath != checkpointPath_) {
        changed = !mixes_.isEmpty();
        mixes_.clear();
        seen_.clear();
        logPath_ = logPath;
        checkpointPath_ = checkpointPath;
    }
    constexpr int kPerUpdate = 24; // about a millisecond each with 200 sites
    int read = 0;
    more_ = false;
    for (const RunSummary& summary : runs) {
        if (summary.status != runStatusName(RunStatus::done) || summary.checkpointPath != checkpointPath || seen_.contains(summary.id.value())) continue;
        if (mixes_.size() >= kMostMixes && summary.id < mixes_.last().run) break;
        if (read == kPerUpdate) {
            more_ = true;
            break;
        }
        seen_.insert(summary.id.value());
        const auto kl = std::find_if(summary.metrics.begin(), summary.metrics.end(),
                                     [](const MetricRow& m) { return m.name == "kl_mean"; });
        if (kl == summary.metrics.end()) continue;
        const RunDetail detail = log.run(summary.id);
        ++read;
        if (detail.assignments.empty()) continue;
        MeasuredMix mix;
        mix.run = summary.id;
        mix.name = QString::fromStdString(summary.name);
        mix.damage = kl->value;
        mix.standardError = kl->standardError.value_or(0);
        mix.kind = kindOf(detail);
        try {
            mix.recipe = Recipe::fromJson(detail.recipe);
            mix.method = QString::fromStdString(methodName(mix.recipe));
        } catch (const Error&) {
            mix.method = QString::fromStdString(detail.recipe.value("rounder", std::string())); // of a newer program's log
        }
        mix.rounder = QString::fromStdString(detail.recipe.value("rounder", std::string()));
        readMetrics(summary.metrics, mix);
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
    if (mixes_.size() > kMostMixes) mixes_.resize(kMostMixes);
    return changed;
}

} // namespace bw
