// SPDX-License-Identifier: GPL-3.0-or-later
// The calibrate stage: one walk with observers at every site's input.
#include "core/base/hash.h"
#include "core/experiment/importance.h"
#include "core/experiment/workbench.h"

namespace bw {
namespace {

Json siteJson(const InputStatistics& input, const std::string& site) {
    double absMax = 0;
    for (const float value : input.channelMax)
        absMax = std::max(absMax, static_cast<double>(value));
    Json ranges = Json::object(), errors = Json::object();
    for (const auto& [name, range] : input.ranges)
        ranges[name] = {range.low, range.high};
    for (const auto& [name, error] : input.heldOutError)
        errors[name] = error;
    return {{"site", site},     {"input", input.group}, {"absmax", absMax}, {"outlier_share", input.outlierShare}, {"outlier_channels", input.outlierChannels},
            {"kurtosis", input.kurtosis}, {"ranges", ranges},     {"heldout_error", errors}};
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

} // namespace

Json runCalibrate(const Stage& stage) {
    const std::shared_ptr<const Calibrated> calibrated = stage.bench.calibrated(stage.model, stage.recipe, stage.job);
    for (const TextData& text : calibrated->set.texts)
        stage.log().addDataset(stage.run, text, "calibration");
    std::vector<std::string> warnings;
    if (stage.recipe.evaluation.files.empty()) {
        warnings = checkTexts(stage, calibrated->set, nullptr);
    } else {
        const TextSet evaluation = stage.bench.evaluationTexts(stage.model, stage.recipe, stage.job);
        warnings = checkTexts(stage, calibrated->set, &evaluation);
    }
    for (const std::string& warning : calibrated->result.warnings) {
        stage.bench.warn(stage.job, warning);
        warnings.push_back(warning);
    }
    std::vector<std::string> names;
    for (const Site& site : stage.model.sites())
        names.push_back(site.name);
    stage.log().addSiteStatistics(stage.run, calibrated->result, names);
    stage.log().addMetrics(stage.run, {{"calibration_tokens", static_cast<double>(calibrated->result.tokens), std::nullopt, "tokens"},
                                       {"calibration_windows", static_cast<double>(calibrated->set.windows.count), std::nullopt, "windows"}});
    if (!stage.recipe.exporting.path.empty())
        writeImportance(stage, *calibrated);
    Json sites = Json::array();
    for (const InputStatistics& input : calibrated->result.inputs)
        for (const SiteId site : input.sites)
            sites.push_back(siteJson(input, stage.model.site(site).name));
    return {{"tokens", calibrated->result.tokens}, {"windows", calibrated->set.windows.count}, {"sites", sites}, {"warnings", warnings}};
}

} // namespace bw
