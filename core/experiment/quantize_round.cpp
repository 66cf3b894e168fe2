// SPDX-License-Identifier: GPL-3.0-or-later
// Rounding a model as a recipe says: plainly, under importance or by GPTQ.
#include "core/experiment/quantize_job.h"

#include "core/compute/cpu_device.h"
#include "core/experiment/stack.h"
#include "core/quantize/clip.h"
#include "core/quantize/outlier_split.h"
#include "core/quantize/tensor_cache.h"

#include <algorithm>

namespace bw {
namespace {

/// Null when it is off, where damaged weights count as zero (a cached tensor does not say what became of them), and for weights
/// that a transform changed or keeps beside the grid: the key names the files they come from.
std::unique_ptr<TensorCache> cacheFor(const Stage& stage, const WorkedModel& worked, const ExportPlan& plan) {
    TensorCacheOptions options = tensorCache();
    const bool split = !outlierSplit(parseTransform(stage.recipe.transform)).empty();
    if (options.folder.empty() || worked.transform || split || stage.model.nonFinite() == NonFinite::zero)
        return nullptr;
    options.keepFree = stage.recipe.exporting.path.empty() ? 0 : plan.fileBytes;
    return std::make_unique<TensorCache>(options, stage.bench.checkpointSha256(worked.model, stage.job), buildIdentity() + ", " + cpuDescription());
}

bool clipsOutputs(const Recipe& recipe) { return parseTransform(recipe.transform).find("clip") != nullptr; }

bool asksFor(const SiteFormat& format, const Recipe& recipe, std::string_view rounder) {
    return format.used && (format.rounder.empty() ? recipe.rounder : format.rounder) == rounder;
}

} // namespace

GptqOptions gptqOptions(const Recipe& recipe) {
    const Recipe::Gptq& g = recipe.gptq;
    return {g.damping, g.activationOrder, g.sequential, clipsOutputs(recipe), g.refitScales, static_cast<int>(g.sweeps), g.minimumTokens, g.correction};
}

RounderOptions rounderOf(const Recipe& recipe) {
    RounderOptions options;
    options.weighted = recipe.rounder == "weighted" || recipe.rounder == "gptq";
    options.clipSearch = recipe.clipSearch;
    options.search = blockSearch(recipe);
    options.stochastic = recipe.rounder == "stochastic";
    options.seed = recipe.seed;
    return options;
}

RoundedModel roundModel(const Stage& stage, const WorkedModel& worked, const ExportPlan& plan, const QuantizeTexts& texts, const RuntimeSchemes& schemes,
                        std::vector<SiteFormat> formats) {
    const Recipe& recipe = stage.recipe;
    RoundedModel out;
    const auto any = [&](std::string_view rounder) {
        return std::any_of(formats.begin(), formats.end(), [&](const SiteFormat& f) { return asksFor(f, recipe, rounder); });
    };
    const bool byGptq = any("gptq");
    const OutlierSplit split = outlierSplit(parseTransform(recipe.transform));
    std::shared_ptr<const Calibrated> calibrated;
    ImportanceLookup importance = [](const Site&) { return std::span<const float>(); };
    // GPTQ takes the importance of its sites from their Hessians: a walk for it is worth its time for others only.
    const bool looksUp = std::any_of(formats.begin(), formats.end(), [&](const SiteFormat& f) {
        const bool embedding = worked.model.site(f.site).kind == SiteKind::tokenEmbedding;
        return asksFor(f, recipe, "weighted") || (asksFor(f, recipe, "gptq") && embedding);
    });
    if (looksUp || (byGptq && split.weights > 0)) {
        calibrated = stage.bench.calibrated(worked.model, recipe, stage.job);
        importance = roundingImportance(worked.model, recipe, *calibrated);
    }
    KeptLookup kept;
    if (!split.empty())
        kept = [&](const Site& site, MatrixView<const float> weight) {
            const bool hasColumns = site.inputGroup >= 0 && !schemes.outlierColumns.empty();
            return keptWeights(weight, hasColumns ? schemes.outlierColumns[static_cast<std::size_t>(site.inputGroup)] : std::vector<std::int32_t>(), split.weights, importance(site));
        };
    const StageClock::time_point begun = StageClock::now();
    if (byGptq) {
        for (SiteFormat& format : formats)
            if (format.rounder.empty())
                format.rounder = recipe.rounder;
        out.model = gptqModel(worked.model, formats, texts.calibration->windows, importance, rounderOf(recipe), gptqOptions(recipe), &out.report, stage.job, kept);
    } else if (clipsOutputs(recipe)) {
        out.model = clippedModel(worked.model, formats, texts.calibration->windows, importance, rounderOf(recipe), stage.job, kept, stage.bench.inputStore(worked.model, stage.job));
    } else {
        const std::unique_ptr<TensorCache> cache = cacheFor(stage, worked, plan);
        out.model = split.empty() ? QuantizedModel::build(worked.model, formats, importance, rounderOf(recipe), stage.job, cache.get())
                                  : buildAround(worked.model, formats, importance, rounderOf(recipe), kept, stage.job);
        if (cache && !cache->problem().empty())
            stage.bench.warn(stage.job, cache->problem());
        if (cache)
            out.cache = {{"taken", cache->counts().taken}, {"rounded", cache->counts().missed}, {"damaged", cache->counts().damaged}};
    }
    out.seconds = secondsSince(begun);
    return out;
}

} // namespace bw
