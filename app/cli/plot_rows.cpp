// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/plot_rows.h"

#include "core/base/error.h"
#include "core/experiment/agreement.h"
#include "core/format/format.h"
#include "core/sensitivity/prediction.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <fmt/format.h>
#include <map>
#include <set>

namespace bw::cli {
namespace {

using namespace plot;

// Words -------------------------------------------------------------------------------------------------------------------

std::string metricWords(const std::string& metric) {
    if (metric == "kl") return "measured KL";
    if (metric == "fisher") return "Fisher estimate";
    return metric == "output" ? "output error" : metric;
}
std::string unitOf(const std::string& metric) { return metric == "output" ? "relative output error" : "nats per token"; }

int bitsOf(const std::string& format) {
    try {
        return parseChoice(format).format->codeBits();
    } catch (const Error&) {
        return 0; // of a newer version's log
    }
}

std::string nameOf(const RunDetail& run) { return run.checkpoint.name.empty() ? run.summary.checkpoint : run.checkpoint.name; }
std::string runWords(RunId id) { return fmt::format("run {}", id.value()); }

const MetricRow* metricOf(const RunSummary& run, std::string_view name) {
    const auto found = std::find_if(run.metrics.begin(), run.metrics.end(), [&](const MetricRow& m) { return m.name == name; });
    return found == run.metrics.end() ? nullptr : &*found;
}
double valueOf(const RunSummary& run, std::string_view name) {
    const MetricRow* metric = metricOf(run, name);
    return metric ? metric->value : kUnknown;
}

// Places of sites ---------------------------------------------------------------------------------------------------------

struct Place {
    int block = -1;   ///< −1: outside the blocks
    std::string kind; ///< "attn_q", "ffn_up.e5"
};

Place placeOf(const std::string& site) {
    if (!site.starts_with("blk.")) return {-1, site};
    const char* const begin = site.data() + 4;
    Place place;
    const auto [end, failure] = std::from_chars(begin, site.data() + site.size(), place.block);
    if (failure != std::errc{} || end == site.data() + site.size() || *end != '.' || place.block < 0) return {-1, site};
    place.kind = site.substr(static_cast<std::size_t>(end + 1 - site.data()));
    return place;
}

/// Order of a block's sites; experts of a role stand together, by number. Unknown kinds come last, by name.
std::tuple<std::size_t, std::string, int> columnOrder(const std::string& kind) {
    static constexpr std::array<std::string_view, 12> kKinds{"attn_qkv", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down",
                                                            "ffn_gate_shexp", "ffn_up_shexp", "ffn_down_shexp", ""};
    std::string role = kind;
    int expert = -1;
    if (const auto dot = kind.rfind(".e"); dot != std::string::npos && std::from_chars(kind.data() + dot + 2, kind.data() + kind.size(), expert).ec == std::errc{}) role = kind.substr(0, dot);
    const auto found = std::find(kKinds.begin(), kKinds.end(), role);
    return {static_cast<std::size_t>(found - kKinds.begin()), role, expert};
}

/// Rows and columns for these sites; returns the number of cells of a panel.
std::size_t layOut(HeatmapData& data, const std::set<std::string>& sites) {
    std::set<int> blocks;
    std::set<std::tuple<std::size_t, std::string, int>> seen;
    std::vector<std::string> columns;
    for (const std::string& site : sites) {
        const Place place = placeOf(site);
        if (place.block < 0) {
            data.extraRows.push_back(site);
            continue;
        }
        blocks.insert(place.block);
        if (seen.insert(columnOrder(place.kind)).second) columns.push_back(place.kind);
    }
    std::sort(columns.begin(), columns.end(), [](const std::string& a, const std::string& b) { return columnOrder(a) < columnOrder(b); });
    std::sort(data.extraRows.begin(), data.extraRows.end(), [](const std::string& a, const std::string& b) { return (a == "token_embd") != (b == "token_embd") ? a == "token_embd" : a < b; });
    for (const int block : blocks) data.rows.push_back(std::to_string(block));
    data.columns = std::move(columns);
    return data.rows.size() * data.columns.size();
}

void put(const HeatmapData& data, HeatmapPanel& panel, const std::string& site, const HeatmapCell& cell) {
    const Place place = placeOf(site);
    if (place.block < 0) {
        const auto row = std::find(data.extraRows.begin(), data.extraRows.end(), site);
        if (row != data.extraRows.end()) panel.extra[static_cast<std::size_t>(row - data.extraRows.begin())] = cell;
        return;
    }
    const auto row = std::find(data.rows.begin(), data.rows.end(), std::to_string(place.block));
    const auto column = std::find(data.columns.begin(), data.columns.end(), place.kind);
    if (row != data.rows.end() && column != data.columns.end())
        panel.cells[static_cast<std::size_t>(row - data.rows.begin()) * data.columns.size() + static_cast<std::size_t>(column - data.columns.begin())] = cell;
}

HeatmapPanel& addPanel(HeatmapData& data, std::size_t cells, std::string name, int bits) {
    HeatmapPanel& panel = data.panels.emplace_back();
    panel.name = std::move(name);
    panel.bits = bits;
    panel.cells.resize(cells);
    panel.extra.resize(data.extraRows.size());
    return panel;
}

/// Cells that contradict their neighbours, with the reason.
std::map<std::pair<std::string, std::string>, std::string> doubtsOf(const std::vector<SensitivityRow>& rows) {
    std::vector<SensitivityCell> cells;
    for (const SensitivityRow& row : rows) cells.push_back({SiteId(-1), row.site, row.format, row.used, row.bytes, row.value, row.standardError, row.tokens});
    std::map<std::pair<std::string, std::string>, std::string> doubts;
    for (const CellDoubt& doubt : doubtfulCells(cells)) doubts[{rows[doubt.cell].site, rows[doubt.cell].format}] = doubt.why;
    return doubts;
}

// Heatmaps ----------------------------------------------------------------------------------------------------------------

HeatmapData sweepHeatmap(const LogReader& log, const RunDetail& run, const std::vector<std::string>& formats) {
    const Recipe recipe = Recipe::fromJson(run.recipe);
    HeatmapData data;
    data.heading.title = "Sensitivity of " + nameOf(run);
    data.heading.subtitle = fmt::format("{} · {} · each site alone, rounded {}", runWords(run.summary.id), metricWords(recipe.sweep.metric), recipe.rounder == "nearest" ? "to nearest" : recipe.rounder);
    if (run.summary.status != "done") data.heading.subtitle += " · " + run.summary.status + ", so far";
    data.unit = unitOf(recipe.sweep.metric);
    std::vector<SensitivityRow> rows = log.sensitivities(run.summary.id);
    std::erase_if(rows, [&](const SensitivityRow& row) { return row.metric != recipe.sweep.metric; });
    const std::vector<std::string>& shown = formats.empty() ? recipe.sweep.formats : formats;
    std::set<std::string> sites, found; // of what is shown: activations and caches, in formats of their own, are other places
    for (const SensitivityRow& row : rows)
        if (std::find(shown.begin(), shown.end(), row.format) != shown.end()) {
            sites.insert(row.site);
            found.insert(row.format);
        }
    const std::size_t cells = layOut(data, sites);
    const std::map<std::pair<std::string, std::string>, std::string> doubts = doubtsOf(rows);
    for (const std::string& format : shown) {
        if (!formats.empty() && !found.contains(format))
            throw Error(ErrorCode::usage, fmt::format("run {} has not measured '{}'", run.summary.id.value(), format),
                        fmt::format("'bitwright-cli runs show {}' lists its formats", run.summary.id.value()));
        HeatmapPanel& panel = addPanel(data, cells, format, bitsOf(format));
        for (const std::string& site : sites) put(data, panel, site, {}); // measured or not, the site is there
        for (const SensitivityRow& row : rows) {
            if (row.format != format) continue;
            const auto doubt = doubts.find({row.site, row.format});
            const std::string note = doubt != doubts.end() ? doubt->second : row.used == row.format ? "" : "as " + row.used;
            put(data, panel, row.site, {row.value, row.standardError, doubt != doubts.end(), note});
        }
    }
    return data;
}

/// Cells of an assignment's map: site → format → row, what its measured runs know instead of what the sweep says.
std::map<std::string, std::map<std::string, SensitivityRow>> mapOf(const LogReader& log, const Recipe& recipe, std::string& metric) {
    std::map<std::string, std::map<std::string, SensitivityRow>> cells;
    std::vector<std::int64_t> runs{recipe.assignment.sweepRun};
    runs.insert(runs.end(), recipe.assignment.measuredRuns.begin(), recipe.assignment.measuredRuns.end());
    for (const std::int64_t id : runs) {
        if (id == 0) continue;
        const Recipe sweep = Recipe::fromJson(log.run(RunId(id)).recipe);
        if (metric.empty()) metric = sweep.sweep.metric;
        for (const SensitivityRow& row : log.sensitivities(RunId(id)))
            if (row.metric == sweep.sweep.metric) cells[row.site][row.format] = row;
    }
    return cells;
}

HeatmapData assignmentHeatmap(const LogReader& log, const RunDetail& run) {
    std::string metric;
    const auto map = mapOf(log, Recipe::fromJson(run.recipe), metric);
    HeatmapData data;
    data.heading.title = fmt::format("Mix of {}", nameOf(run));
    data.heading.subtitle = fmt::format("{} · {}", runWords(run.summary.id), metric.empty() ? "relative error of the weights" : metricWords(metric));
    data.unit = metric.empty() ? "relative error of the weights" : unitOf(metric);
    std::set<std::string> sites;
    for (const AssignmentRow& row : run.assignments) sites.insert(row.site);
    const std::size_t cells = layOut(data, sites);
    addPanel(data, cells, "at its format", 0);
    if (!map.empty()) addPanel(data, cells, "one format less would add", 0);
    for (const AssignmentRow& row : run.assignments) {
        if (map.empty()) {
            put(data, data.panels[0], row.site, {row.relativeError, 0, false, row.used});
            continue;
        }
        const auto found = map.find(row.site);
        const SensitivityRow *now = nullptr, *less = nullptr;
        if (found != map.end())
            for (const auto& [format, cell] : found->second)
                if (format == row.asked || cell.used == row.used) now = &cell;
        if (now)
            for (const auto& [format, cell] : found->second)
                if (cell.bytes < now->bytes && (!less || cell.bytes > less->bytes || (cell.bytes == less->bytes && cell.value < less->value))) less = &cell;
        put(data, data.panels[0], row.site, now ? HeatmapCell{now->value, now->standardError, false, row.used} : HeatmapCell{kUnknown, 0, false, row.used});
        if (less) put(data, data.panels[1], row.site, {less->value - now->value, std::hypot(less->standardError, now->standardError), false, row.used + " to " + less->format});
    }
    return data;
}

// Pareto ------------------------------------------------------------------------------------------------------------------

/// Which kind of mix a quantize run made, as the window tells them apart.
plot::ParetoPoint::Kind kindOf(const RunDetail& run) {
    const Json assignment = run.recipe.value("assignment", Json::object());
    if (assignment.value("format", std::string()).starts_with("mix:") || !assignment.value("tensor_types", Json::array()).empty()) return plot::ParetoPoint::Kind::ruleList;
    const bool mixed = std::any_of(run.assignments.begin(), run.assignments.end(), [&](const AssignmentRow& row) { return row.asked != run.assignments.front().asked; });
    return mixed ? plot::ParetoPoint::Kind::other : plot::ParetoPoint::Kind::uniform;
}

std::map<std::string, std::string> formatsOf(const RunDetail& run) {
    std::map<std::string, std::string> formats;
    for (const AssignmentRow& row : run.assignments) formats[row.site] = row.used;
    return formats;
}

/// The assign run that `run` shows: itself, or the newest one with this very mix.
RunDetail assignOf(const LogReader& log, const RunDetail& run) {
    if (run.summary.kind == "assign") return run;
    if (run.summary.kind == "quantize")
        for (const RunSummary& other : log.runs())
            if (other.kind == "assign" && other.status == "done") {
                RunDetail candidate = log.run(other.id);
                if (candidate.checkpoint.path == run.checkpoint.path && formatsOf(candidate) == formatsOf(run)) return candidate;
            }
    throw Error(ErrorCode::usage, fmt::format("run {} ({}) is no assignment and its mix came from none", run.summary.id.value(), run.summary.kind), "name an assign run: runs list --kind assign");
}

/// All measured mixes of a checkpoint that can be compared: the newest decides on which texts.
std::vector<RunDetail> measuredMixes(const LogReader& log, const std::string& checkpoint) {
    std::vector<RunDetail> mixes;
    Json evaluation;
    for (const RunSummary& summary : log.runs()) { // newest first
        if (summary.kind != "quantize" || summary.status != "done" || !metricOf(summary, "kl_mean")) continue;
        RunDetail run = log.run(summary.id);
        if (run.checkpoint.path != checkpoint) continue;
        Json how{{"evaluation", run.recipe.value("evaluation", Json())}, {"base", run.recipe.value("base", Json())}};
        if (evaluation.is_null()) evaluation = how;
        if (how != evaluation) continue;
        const bool known = std::any_of(mixes.begin(), mixes.end(), [&](const RunDetail& m) {
            return formatsOf(m) == formatsOf(run) && m.recipe.value("rounder", "") == run.recipe.value("rounder", "");
        });
        if (!known) mixes.push_back(std::move(run));
    }
    return mixes;
}

/// Σ over sites of what damage adds up to, levelled off as the prediction of whole mixes does.
double levelledOff(double sum, const Json& saturation) {
    if (!saturation.is_object()) return sum;
    return Saturation{saturation.value("limit", 0.0), saturation.value("scale", 1.0)}.apply(sum);
}

void addFront(ParetoData& data, const Json& result) {
    if (!result.is_object() || !result.contains("pareto") || !result.at("pareto").is_array()) return;
    const Json saturation = result.value("saturation", Json());
    for (const Json& step : result.at("pareto"))
        if (step.is_object() && step.contains("bytes") && step.contains("cost") && step.at("bytes").is_number() && step.at("cost").is_number())
            data.front.push_back({step.at("bytes").get<double>(), levelledOff(step.at("cost").get<double>(), saturation), 0});
    std::sort(data.front.begin(), data.front.end(), [](const auto& a, const auto& b) { return a.bytes < b.bytes; });
}

} // namespace

HeatmapData heatmapOf(const LogReader& log, RunId id, const std::vector<std::string>& formats) {
    const RunDetail run = log.run(id);
    if (run.summary.kind == "sweep") return sweepHeatmap(log, run, formats);
    if (!run.assignments.empty()) return assignmentHeatmap(log, run);
    throw Error(ErrorCode::usage, fmt::format("run {} ({}) has no map and no mix", id.value(), run.summary.kind), "name a sweep: runs list --kind sweep");
}

ParetoData paretoOf(const LogReader& log, RunId id) {
    const RunDetail run = assignOf(log, log.run(id));
    const Recipe recipe = Recipe::fromJson(run.recipe);
    const Json result = log.result(run.summary.id);
    std::string metric = result.is_object() ? result.value("metric", std::string()) : std::string();
    if (metric.empty() && recipe.assignment.sweepRun != 0) metric = Recipe::fromJson(log.run(RunId(recipe.assignment.sweepRun)).recipe).sweep.metric;
    const bool nats = metric != "output";
    ParetoData data;
    data.heading.title = "Size and damage of " + nameOf(run);
    data.heading.subtitle = fmt::format("{} · {} · map: run {}, {}", runWords(run.summary.id), recipe.assignment.budget.empty() ? "no budget" : recipe.assignment.budget, recipe.assignment.sweepRun, metricWords(metric));
    data.unit = nats ? "nats per token" : "summed relative output error";
    addFront(data, result);
    if (result.is_object()) data.budgetBytes = result.value("budget_bytes", 0.0);

    plot::ParetoPoint mix;
    mix.kind = plot::ParetoPoint::Kind::mix;
    mix.label = recipe.assignment.budget.empty() ? "mix" : "mix " + recipe.assignment.budget;
    mix.bytes = valueOf(run.summary, "bytes");
    const MetricRow* predicted = metricOf(run.summary, nats ? "predicted_kl" : "predicted_error");
    mix.predicted = predicted ? predicted->value : kUnknown;
    mix.predictedError = predicted ? predicted->standardError.value_or(0) : 0;
    double siteBytes = 0;
    for (const AssignmentRow& row : run.assignments) siteBytes += static_cast<double>(row.bytes);
    if (const double bits = valueOf(run.summary, "bits_per_weight"); bits > 0 && siteBytes > 0) {
        data.weights = 8 * siteBytes / bits;
        data.otherBytes = mix.bytes - siteBytes;
    }
    const auto formats = formatsOf(run);
    const std::vector<RunDetail> measured = nats ? measuredMixes(log, run.checkpoint.path) : std::vector<RunDetail>();
    for (const RunDetail& other : measured) {
        const double damage = valueOf(other.summary, "kl_mean"), error = metricOf(other.summary, "kl_mean")->standardError.value_or(0);
        if (formatsOf(other) == formats && std::isnan(mix.measured)) {
            mix.measured = damage;
            mix.measuredError = error;
            continue;
        }
        data.points.push_back({kindOf(other), other.summary.name.empty() ? runWords(other.summary.id) : other.summary.name, valueOf(other.summary, "bytes"), kUnknown, 0, damage, error});
    }
    if (!nats) data.heading.subtitle += " · measured mixes are in nats and not shown";
    data.points.push_back(std::move(mix));
    return data;
}

AgreementData agreementOf(const LogReader& log, RunId a, RunId b) {
    const Agreement found = agreement(log, a, b);
    AgreementData data;
    data.heading.title = "Agreement of two maps of " + nameOf(log.run(a));
    data.heading.subtitle = fmt::format("{}: {} · {}: {} · {} cells in common", runWords(a), metricWords(found.metricA), runWords(b), metricWords(found.metricB), found.pairs.size());
    data.xTitle = fmt::format("{}: {}, {}", runWords(a), metricWords(found.metricA), unitOf(found.metricA));
    data.yTitle = fmt::format("{}: {}, {}", runWords(b), metricWords(found.metricB), unitOf(found.metricB));
    data.sameUnit = unitOf(found.metricA) == unitOf(found.metricB);
    for (const AgreementScore& score : found.scores) {
        if (score.format.empty()) {
            data.all.spearman = score.spearman;
            data.all.medianRatio = score.medianRatio;
            continue;
        }
        AgreementSeries series{score.format, bitsOf(score.format), {}, score.spearman, score.medianRatio};
        for (const AgreementPair& pair : found.pairs)
            if (pair.format == score.format) series.pairs.push_back({pair.site, pair.a, pair.b, pair.seA, pair.seB});
        data.series.push_back(std::move(series));
    }
    return data;
}

} // namespace bw::cli
