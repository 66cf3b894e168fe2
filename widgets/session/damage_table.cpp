// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/session/damage_table.h"

#include "core/quantize/assignment.h"
#include "core/sensitivity/fisher.h"
#include "core/sensitivity/sketch_check.h"

#include <QRegularExpression>
#include <algorithm>
#include <cmath>

namespace bw {
namespace {

/// Older measurements stay in the log; only so many sweeps are looked at.
constexpr std::size_t kMostSweeps = 64;
/// Projections are read on the window's thread: up to 32 MB, which takes some ten milliseconds. Beyond, mixes are predicted by
/// plain sums.
constexpr qsizetype kMostProjections = qsizetype{1} << 23;

/// Cells of inputs and caches are no sites: "blk.3.ffn_in", "blk.3.ffn_in.e5", "blk.3.k_cache".
bool isSite(const QString& name) {
    static const QRegularExpression input(QStringLiteral("_(in|cache)(\\.e\\d+)?$"));
    return !input.match(name).hasMatch();
}

CellSource sourceOf(const QString& metric) {
    return metric == QLatin1String("kl") ? CellSource::measured : metric == QLatin1String("fisher") ? CellSource::fisher : CellSource::output;
}

} // namespace

void DamageTable::clear() { *this = DamageTable(); }

bool DamageTable::setBy(DamageBy by) { return std::exchange(by_, by) != by; }

bool DamageTable::finished(RunId run) const {
    const auto at = sweeps_.find(run);
    return at != sweeps_.end() && at->second.done;
}

const DamageMap& DamageTable::column(DamageBy by) const {
    switch (by) {
    case DamageBy::fisher: return fisherMap_;
    case DamageBy::measured: return measured_;
    case DamageBy::output: return output_;
    default: return best_;
    }
}

/// Rows of an unfinished sweep are read again when there are more. @return whether there is news.
bool DamageTable::readSweep(const LogReader& log, RunId run, Sweep& sweep) {
    const std::vector<SensitivityRow> rows = log.sensitivities(run);
    if (rows.size() == sweep.rows) return false;
    sweep.rows = rows.size();
    sweep.cells.clear();
    for (const SensitivityRow& row : rows) {
        const QString site = QString::fromStdString(row.site);
        if (!isSite(site)) continue;
        sweep.metric = QString::fromStdString(row.metric);
        sweep.cells[site].append({QString::fromStdString(row.format), row.bytes, std::max(0.0, row.value), row.standardError, sourceOf(sweep.metric), {}});
    }
    return true;
}

bool DamageTable::update(const LogReader& log, const RunList& runs, const std::string& checkpointPath) {
    bool changed = false;
    if (checkpointPath != checkpoint_) {
        const DamageBy by = by_; // what a person prefers to look at does not hang on the checkpoint
        changed = !best_.empty();
        clear();
        by_ = by;
        checkpoint_ = checkpointPath;
    }
    std::size_t looked = 0;
    for (const RunSummary& summary : runs) { // newest first
        if (summary.kind != "sweep" || summary.checkpointPath != checkpointPath) continue;
        if (++looked > kMostSweeps) break;
        auto at = sweeps_.find(summary.id);
        if (at == sweeps_.end()) {
            const RunDetail detail = log.run(summary.id);
            at = sweeps_.emplace(summary.id, Sweep()).first;
            at->second.rounder = QString::fromStdString(detail.recipe.value("rounder", std::string()));
            const Json asked = detail.recipe.value("sweep", Json::object());
            at->second.alone = asked.value("context", std::string("alone")) != "rest";
        }
        Sweep& sweep = at->second;
        if (sweep.done) continue;
        const bool done = summary.status == runStatusName(RunStatus::done);
        changed = readSweep(log, summary.id, sweep) || changed || done;
        sweep.done = done;
        if (!done || sweep.cells.isEmpty() || summary.id < newestDone_) continue;
        newestDone_ = summary.id;
        if (preferred_ < newestDone_) preferred_ = RunId();
    }
    if (changed) build(log);
    return changed;
}

void DamageTable::prefer(const LogReader& log, RunId run) {
    const auto at = sweeps_.find(run);
    if (at == sweeps_.end() || at->second.cells.isEmpty()) return;
    preferred_ = run;
    by_ = at->second.metric == QLatin1String("kl") ? DamageBy::measured : at->second.metric == QLatin1String("fisher") ? DamageBy::fisher : DamageBy::output;
    build(log);
}

/// The sweep that leads a metric's column: the preferred one, else the newest finished, else the newest with cells.
const DamageTable::Sweep* DamageTable::choose(const char* metric, RunId& run) const {
    const Sweep* found = nullptr;
    for (auto at = sweeps_.rbegin(); at != sweeps_.rend(); ++at) {
        const Sweep& sweep = at->second;
        if (sweep.cells.isEmpty() || sweep.metric != QLatin1String(metric) || !sweep.alone) continue;
        if (found && at->first != preferred_ && (found->done || !sweep.done)) continue;
        found = &sweep;
        run = at->first;
        if (run == preferred_) break;
    }
    return found;
}

DamageMap DamageTable::mapOf(RunId run, const Sweep& sweep) const {
    DamageMap map;
    map.run = run;
    map.metric = sweep.metric;
    map.rounder = sweep.rounder;
    map.sites = sweep.cells;
    return map;
}

/// Cells of the best column that were measured show, format by format, by how much the estimate is off; the other estimates of
/// that format, however rounded, are as far off. As `assign` and `mix` do it.
void DamageTable::correctEstimates() {
    std::map<std::string, std::vector<CheckedCell>> checked;
    const auto formatOf = [](const DamageOption& option) { return choiceFormat(option.format.toStdString()); };
    for (auto site = best_.sites.cbegin(); site != best_.sites.cend(); ++site)
        for (const DamageOption& option : site.value()) {
            const DamageOption* estimate = option.source == CellSource::measured ? fisherMap_.find(site.key(), option.format) : nullptr;
            if (estimate) checked[formatOf(option)].push_back({estimate->damage, option.damage, option.standardError});
        }
    std::map<std::string, SketchBias> biases;
    for (const auto& [format, cells] : checked) biases[format] = sketchBias(cells);
    for (auto site = best_.sites.begin(); site != best_.sites.end(); ++site)
        for (DamageOption& option : site.value()) {
            const auto bias = biases.find(formatOf(option));
            if (option.source != CellSource::fisher || bias == biases.end()) continue;
            const double factor = bias->second.factor;
            option.standardError = std::hypot(factor * option.standardError, factor * option.damage * bias->second.error);
            option.damage *= factor;
            best_.corrections.insert(option.format, factor);
        }
}

void DamageTable::build(const LogReader& log) {
    best_ = fisherMap_ = measured_ = output_ = {};
    RunId run;
    if (const Sweep* sweep = choose("output", run)) output_ = mapOf(run, *sweep);
    if (const Sweep* sweep = choose("fisher", run)) fisherMap_ = mapOf(run, *sweep);
    if (const Sweep* lead = choose("kl", run)) {
        measured_ = mapOf(run, *lead);
        // Sweeps of single sites, shards and stopped ones fill each other up; what leads holds.
        DamageMap all;
        for (const auto& [id, sweep] : sweeps_) {
            if (id == run || sweep.cells.isEmpty() || sweep.metric != QLatin1String("kl") || !sweep.alone || sweep.rounder != lead->rounder) continue;
            all.measuredRuns << id;
            for (auto site = sweep.cells.cbegin(); site != sweep.cells.cend(); ++site)
                for (const DamageOption& option : site.value()) all.put(site.key(), option);
        }
        for (auto site = lead->cells.cbegin(); site != lead->cells.cend(); ++site)
            for (const DamageOption& option : site.value()) all.put(site.key(), option);
        measured_.sites = all.sites;
        measured_.measuredRuns = all.measuredRuns;
    }
    if (!fisherMap_.empty()) {
        best_ = fisherMap_;
        if (measured_.rounder == best_.rounder && !measured_.empty()) {
            for (auto site = measured_.sites.cbegin(); site != measured_.sites.cend(); ++site)
                for (const DamageOption& option : site.value()) best_.put(site.key(), option);
            best_.measuredRuns = measured_.measuredRuns;
            best_.measuredRuns << measured_.run;
            correctEstimates();
            if (best_.cells(CellSource::fisher) == 0) best_.metric = QStringLiteral("kl");
        }
    }
    if (!measured_.empty() && !output_.empty()) {
        measured_.fillFrom(output_);
        if (measured_.cells(CellSource::scaled) > 0) measured_.scaleRun = output_.run;
    }
    if (best_.empty()) best_ = measured_.empty() ? output_ : measured_;
    for (DamageMap* map : {&fisherMap_, &measured_, &output_, &best_}) map->finish();
    readFisher(log, fisherMap_.run);
}

void DamageTable::readFisher(const LogReader& log, RunId run) {
    if (run == fisherRead_ && fisherFinal_) return;
    fisher_ = {};
    fisherRead_ = run;
    const auto sweep = sweeps_.find(run);
    fisherFinal_ = sweep != sweeps_.end() && sweep->second.done;
    if (run == RunId(0)) return;
    if (const auto facts = log.fisherFacts(run)) {
        fisher_.draws = std::max(1, facts->draws);
        fisher_.saturation = facts->saturation;
        // A probe is a window with labels drawn once; its projections are one for each segment of its positions.
        const Json recipe = log.run(run).recipe;
        const qint64 asked = recipe.contains("sweep") ? recipe.at("sweep").value("probes", qint64{0}) : 0, windows = std::max<qint64>(1, facts->windows);
        const qint64 labels = std::clamp<qint64>((asked + windows - 1) / windows, 1, fisher_.draws);
        fisher_.segments = fisher_.draws % labels == 0 ? int(fisher_.draws / labels) : 1;
        fisher_.probes = windows * fisher_.draws / fisher_.segments;
    }
    if (fisherMap_.cells() * std::max<qsizetype>(1, fisher_.probes * fisher_.segments) <= kMostProjections) fisher_.projections = log.fisherProjections(run);
}

} // namespace bw
