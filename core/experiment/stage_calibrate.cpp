// SPDX-License-Identifier: GPL-3.0-or-later
// The calibrate stage: one walk with observers at every site's input.
#include "core/base/hash.h"
#include "core/calibrate/expert_coverage.h"
#include "core/experiment/importance.h"
#include "core/experiment/workbench.h"
#include "core/sensitivity/experts.h"

#include <cmath>

namespace bw {
namespace {

Json numbers(const std::map<std::string, double>& values) {
    Json out = Json::object();
    for (const auto& [name, value] : values)
        out[name] = value;
    return out;
}

Json siteJson(const InputStatistics& input, const Site& site) {
    double absMax = 0;
    for (const float value : input.channelMax)
        absMax = std::max(absMax, static_cast<double>(value));
    Json ranges = Json::object();
    for (const auto& [name, range] : input.ranges)
        ranges[name] = {range.low, range.high};
    return {{"site", site.name},
            {"input", input.group},
            {"tokens", input.tokens},
            {"absmax", absMax},
            {"outlier_share", input.outlierShare},
            {"outlier_channels", input.outlierChannels},
            {"kurtosis", input.kurtosis},
            {"ranges", ranges},
            {"heldout_error", numbers(input.heldOutError)},
            {"heldout_channel_error", numbers(input.heldOutChannelError)},
            {"heldout_token_error", input.heldOutTokenError}};
}

/// Geometric mean over the inputs of each calibrator's held-out error as a share of min-max's per tensor.
Json calibratorMeans(const CalibrationResult& result) {
    std::map<std::string, double> logs;
    std::map<std::string, std::int64_t> counts;
    for (const InputStatistics& input : result.inputs) {
        const auto reference = input.heldOutError.find("minmax");
        if (reference == input.heldOutError.end() || !(reference->second > 0))
            continue;
        const auto add = [&](const std::string& name, double error) {
            if (error > 0) {
                logs[name] += std::log(error / reference->second);
                ++counts[name];
            }
        };
        for (const auto& [name, error] : input.heldOutError)
            add("tensor:" + name, error);
        for (const auto& [name, error] : input.heldOutChannelError)
            add("channel:" + name, error);
        add("token:dynamic", input.heldOutTokenError);
    }
    Json out = Json::object();
    for (const auto& [name, sum] : logs)
        out[name] = std::exp(sum / static_cast<double>(counts.at(name)));
    return out;
}

/// The importance matrix as a file of llama.cpp's, with the texts' names and the window length as chunk.
void writeImportance(const Stage& stage, const Calibrated& calibrated) {
    std::vector<std::string> names;
    for (const TextData& text : calibrated.set.texts)
        names.push_back(text.name);
    const Windows& windows = calibrated.set.windows;
    const std::string& path = stage.recipe.exporting.path;
    const ImportanceMatrix matrix = importanceMatrix(stage.model, calibrated.result, windows.count, windows.length, std::move(names), stage.recipe.chunks.outputMatrix);
    matrix.write(path, stage.recipe.exporting.replace ? AtomicFile::Replace::yes : AtomicFile::Replace::no);
    const MappedFile written(path);
    Sha256 hash;
    hash.update(written.bytes());
    stage.log().addArtifact(stage.run, {"imatrix", path, hash.hex(), written.size(), "complete"});
}

/// Logs how many tokens each expert saw; null for models without experts.
Json coverExperts(const Stage& stage, const CalibrationResult& result, std::vector<DataWarning>& warnings) {
    const std::vector<ExpertTokens> coverage = expertCoverage(stage.model, result);
    if (coverage.empty())
        return nullptr;
    std::vector<ExpertCoverageRow> rows;
    Json list = Json::array();
    const std::int64_t floor = stage.recipe.calibrationSet.expertFloor > 0 ? stage.recipe.calibrationSet.expertFloor : kMinExpertTokens;
    std::int64_t below = 0;
    for (const ExpertTokens& expert : coverage) {
        rows.push_back({expert.block, expert.expert, expert.tokens});
        list.push_back({{"block", expert.block}, {"expert", expert.expert}, {"tokens", expert.tokens}});
        below += expert.tokens < floor ? 1 : 0;
    }
    stage.log().addExpertCoverage(stage.run, rows);
    for (DataWarning& warning : starvedExpertsWarning(coverage, floor)) {
        stage.bench.warn(stage.job, warning.text());
        warnings.push_back(std::move(warning));
    }
    return {{"floor", floor}, {"below_floor", below}, {"tokens", list}};
}

} // namespace

Json runCalibrate(const Stage& stage) {
    // The texts are checked before the walk: whoever is told that they are too few may not want to wait for it.
    std::optional<TextSet> evaluation;
    if (!stage.recipe.evaluation.files.empty())
        evaluation = stage.bench.evaluationTexts(stage.model, stage.recipe, stage.job);
    const TextSet texts = stage.bench.calibrationTexts(stage.model, stage.recipe, stage.job);
    for (const TextData& text : texts.texts)
        stage.log().addDataset(stage.run, text, "calibration");
    std::vector<DataWarning> warnings = checkTexts(stage, texts, evaluation ? &*evaluation : nullptr);
    const std::shared_ptr<const Calibrated> calibrated = stage.bench.calibrated(stage.model, stage.recipe, stage.job, true);
    const Json experts = coverExperts(stage, calibrated->result, warnings);
    stage.log().setWarnings(stage.run, warnings);
    std::vector<std::string> names;
    for (const Site& site : stage.model.sites())
        names.push_back(site.name);
    stage.log().addSiteStatistics(stage.run, calibrated->result, names);
    stage.log().addMetrics(stage.run, {{"calibration_tokens", static_cast<double>(calibrated->result.tokens), std::nullopt, "tokens"},
                                       {"calibration_windows", static_cast<double>(calibrated->set.windows.count), std::nullopt, "windows"}});
    if (!stage.recipe.exporting.path.empty())
        writeImportance(stage, *calibrated);
    Json sites = Json::array(), lines = Json::array();
    for (const InputStatistics& input : calibrated->result.inputs)
        for (const SiteId site : input.sites)
            sites.push_back(siteJson(input, stage.model.site(site)));
    for (const DataWarning& warning : warnings)
        lines.push_back(warning.text());
    Json out{{"tokens", calibrated->result.tokens},
             {"windows", calibrated->set.windows.count},
             {"sites", sites},
             {"calibrators", calibratorMeans(calibrated->result)},
             {"warnings", lines},
             {"data_warnings", warningsJson(warnings)}};
    if (!calibrated->storeId.empty())
        out["statistics"] = {{"id", calibrated->storeId}, {"taken", calibrated->fromStore}};
    if (const Json report = stage.bench.inputStoreReport(stage.job); !report.is_null())
        out["gram_matrices"] = report;
    if (!experts.is_null())
        out["experts"] = experts;
    return out;
}

} // namespace bw
