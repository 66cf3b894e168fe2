// SPDX-License-Identifier: GPL-3.0-or-later
// Sensitivity maps from the log as costs.
#include "core/experiment/assign_map.h"

#include "core/sensitivity/fisher.h"
#include "core/sensitivity/sketch_check.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace bw {
namespace {

using Cells = std::map<std::string, std::map<std::string, MapCell>>;

std::vector<std::string> withoutDuplicates(const std::vector<std::string>& words) {
    std::vector<std::string> out;
    for (const std::string& word : words)
        if (std::find(out.begin(), out.end(), word) == out.end())
            out.push_back(word);
    return out;
}

struct SweepRows { std::string metric; std::vector<std::string> formats; Cells cells; };

/// A map of other weights says nothing of these.
void requireSameWeights(const LogReader& log, std::int64_t run, const std::string& sha256, const Model& model) {
    const std::string swept = log.checkpointSha256(RunId(run));
    if (swept.empty() || swept == sha256)
        return;
    throw Error(ErrorCode::usage,
                fmt::format("sweep {} measured another checkpoint ('{}', {}…) than '{}' ({}…)", run,
                            log.run(RunId(run)).checkpoint.path, swept.substr(0, 12), model.checkpoint().path(),
                            sha256.substr(0, 12)),
                "sweep this checkpoint, or solve for the one that was swept");
}

SweepRows readSweep(const LogReader& log, std::int64_t run, const std::string& sha256, const Model& model) {
    const RunDetail detail = log.run(RunId(run));
    if (detail.summary.kind != "sweep")
        throw Error(ErrorCode::usage, fmt::format("run {} is of kind '{}', not a sweep", run, detail.summary.kind),
                    "name a sweep: 'bitwright-cli runs list'");
    requireSameWeights(log, run, sha256, model);
    if (detail.summary.status != "done")
        throw Error(ErrorCode::usage, fmt::format("sweep {} is {}, not done", run, detail.summary.status),
                    fmt::format("finish it first: sweep --resume {}", run));
    const Recipe recipe = Recipe::fromJson(detail.recipe);
    SweepRows out{recipe.sweep.metric, withoutDuplicates(recipe.sweep.formats), {}};
    for (const SensitivityRow& row : log.sensitivities(RunId(run)))
        if (row.metric == recipe.sweep.metric)
            out.cells[row.site][row.format] = {row.value, row.standardError, row.value, row.tokens, false, {}};
    return out;
}

/// Formats that were not measured get cost(f₀)·error(f)/error(f₀): damage of one site grows in proportion to its
/// squared output error while it is small, and f₀, the most damaging format measured there, has the least relative
/// noise.
void addScaled(Cells& measured, const Cells& errors) {
    for (const auto& [site, cells] : errors) {
        const auto known = measured.find(site);
        if (known == measured.end() || known->second.empty())
            continue;
        const auto anchor =
            std::max_element(known->second.begin(), known->second.end(),
                             [](const auto& a, const auto& b) { return a.second.value < b.second.value; });
        const auto anchorError = cells.find(anchor->first);
        if (anchorError == cells.end())
            continue;
        const MapCell from = anchor->second;
        for (const auto& [format, error] : cells) {
            if (known->second.contains(format))
                continue;
            const double ratio = anchorError->second.value > 0 ? error.value / anchorError->second.value : 1.0;
            known->second[format] = {
                from.value * ratio, from.standardError * ratio, from.value * ratio, from.tokens, false, {}};
        }
    }
}

/// Measured cells show by how much the sketch is off in their format; its other cells of that format, however rounded,
/// are as far off.
class SketchCheck {
public:
    void add(const std::string& format, const MapCell& sketch, const MapCell& measured) {
        if (!sketch.measured && !sketch.projections.empty())
            cells_[choiceFormat(format)].push_back({sketch.value, measured.value, measured.standardError});
    }
    void correct(AssignMap& map) const {
        for (const auto& [format, checked] : cells_) {
            const SketchBias bias = sketchBias(checked);
            for (auto& [site, cells] : map.cells)
                for (auto& [name, cell] : cells)
                    if (!cell.measured && !cell.projections.empty() && choiceFormat(name) == format)
                        scale(cell, bias);
        }
    }

private:
    static void scale(MapCell& cell, const SketchBias& bias) {
        cell.standardError = std::hypot(bias.factor * cell.standardError, bias.factor * cell.value * bias.error);
        cell.value *= bias.factor;
        for (float& projection : cell.projections.edit())
            projection *= static_cast<float>(std::sqrt(bias.factor));
    }

    std::map<std::string, std::vector<CheckedCell>> cells_; ///< by format
};

void takeMeasured(AssignMap& map, SketchCheck& check, const SweepRows& rows, std::int64_t run) {
    if (rows.metric != "kl")
        throw Error(
            ErrorCode::usage,
            fmt::format("run {} is a sweep by '{}'; only measured KL takes the place of other costs", run, rows.metric),
            "name sweeps with --metric kl");
    if (!map.inNats())
        throw Error(ErrorCode::usage, "a map of output errors can't take measured KL: their units differ",
                    "solve on a sweep with --metric fisher or kl");
    for (const auto& [site, cells] : rows.cells)
        for (const auto& [format, better] : cells) {
            MapCell& cell = map.cells[site][format];
            check.add(format, cell, better);
            cell.value = better.value;
            cell.standardError = better.standardError;
            cell.tokens = std::max(cell.tokens, better.tokens);
            cell.measured = true;
        }
}

void addProjections(AssignMap& map, const LogReader& log, std::int64_t run) {
    for (auto& [site, formats] : log.fisherProjections(RunId(run)))
        for (auto& [format, projections] : formats)
            if (const auto found = map.cells.find(site); found != map.cells.end() && found->second.contains(format))
                found->second[format].projections = std::move(projections);
    if (const std::optional<FisherFacts> facts = log.fisherFacts(RunId(run))) {
        map.draws = std::max(1, facts->draws);
        map.saturation.limit = facts->saturation;
    }
}

/// The model's sites that the map has cells of, in model order.
std::vector<PredictionSite> predictionSites(const AssignMap& map, const Model& model, double MapCell::*value) {
    std::vector<PredictionSite> sites;
    for (const Site& site : model.sites()) {
        const auto cells = map.cells.find(site.name);
        if (cells == map.cells.end())
            continue;
        PredictionSite& made = sites.emplace_back();
        made.name = site.name;
        for (const std::string& format : map.formats)
            if (const auto cell = cells->second.find(format); cell != cells->second.end())
                made.options.push_back(
                    {format, cell->second.*value, cell->second.standardError, cell->second.projections});
    }
    return sites;
}

/// What few tokens say of an expert is luck; costs of its layer's others take part.
void adjustStarved(AssignMap& map, const Model& model, const std::string& policy) {
    std::vector<SensitivityCell> cells;
    for (const Site& site : model.sites())
        if (const auto known = map.cells.find(site.name); known != map.cells.end())
            for (const auto& [format, cell] : known->second) {
                const std::uint64_t bytes =
                    fallbackFormat(parseChoice(format).format, site.rows, site.cols)->bytes(site.rows, site.cols);
                cells.push_back(
                    {site.id, site.name, format, format, bytes, cell.value, cell.standardError, cell.tokens});
            }
    ExpertCosts adjusted = adjustExperts(model.sites(), std::move(cells), parseMetric(map.metric),
                                         {parseStarvedPolicy(policy), kMinExpertTokens});
    for (const SensitivityCell& cell : adjusted.cells) {
        MapCell& mine = map.cells[cell.site_name][cell.format];
        if (mine.measured)
            continue;
        mine.value = cell.value;
        mine.standardError = cell.standardError;
    }
    map.starved = std::move(adjusted.starved);
    map.forbid = std::move(adjusted.forbid);
}

void shrink(AssignMap& map, const Model& model) {
    const MixPredictor predictor(predictionSites(map, model, &MapCell::value), map.draws, map.saturation);
    const std::vector<std::vector<double>> costs = predictor.shrunkCosts();
    for (std::size_t i = 0; i < costs.size(); ++i)
        for (std::size_t j = 0; j < costs[i].size(); ++j) {
            const PredictionSite& site = predictor.sites()[i];
            MapCell& cell = map.cells[site.name][site.options[j].format];
            cell.solving = costs[i][j];
        }
}

} // namespace

AssignMap readAssignMap(Workbench& bench, const Model& model, const Recipe::Assignment& wanted, JobContext& job) {
    const LogReader log(bench.log().path());
    const std::string sha256 = bench.checkpointSha256(model, job);
    SweepRows rows = readSweep(log, wanted.sweepRun, sha256, model);
    AssignMap map{rows.metric, std::move(rows.formats), std::move(rows.cells), 1, {}, {}, {}};
    if (map.metric == "fisher")
        addProjections(map, log, wanted.sweepRun);
    if (wanted.scaleRun != 0) {
        const SweepRows errors = readSweep(log, wanted.scaleRun, sha256, model);
        addScaled(map.cells, errors.cells);
        map.formats = errors.formats;
    }
    SketchCheck check;
    for (const std::int64_t run : wanted.measuredRuns)
        takeMeasured(map, check, readSweep(log, run, sha256, model), run);
    check.correct(map);
    adjustStarved(map, model, wanted.starved);
    for (auto& [site, cells] : map.cells)
        for (auto& [format, cell] : cells)
            cell.solving = cell.value;
    if (wanted.refit)
        map.saturation = {wanted.refit->limit, wanted.refit->scale};
    if (map.inNats())
        shrink(map, model);
    return map;
}

Prediction MixPredictors::predict(const std::vector<int>& choice) const {
    Prediction out = solving.predict(choice);
    const Prediction own = plain.predict(choice);
    out.sumSe = own.sumSe;
    out.klSe = own.klSe;
    return out;
}

MixPredictors mixPredictors(const AssignMap& map, const Model& model) {
    return {MixPredictor(predictionSites(map, model, &MapCell::solving), map.draws, map.saturation),
            MixPredictor(predictionSites(map, model, &MapCell::value), map.draws, map.saturation)};
}

} // namespace bw
