// SPDX-License-Identifier: GPL-3.0-or-later
// The quantize stage: plan → transform → round → write and audit (when the recipe names an export) → evaluate (when it names
// texts). Without an export it simulates: the same weights, judged without a file.
#include "core/experiment/quantize_job.h"
#include "core/experiment/result_warnings.h"
#include "core/experiment/reuse.h"
#include "core/experiment/runtime_schemes.h"

#include "core/format/held_scales.h"
#include "core/quantize/outlier_split.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace bw {
namespace {

Json sitesJson(const std::vector<AssignmentRow>& rows) {
    Json sites = Json::array();
    for (const AssignmentRow& row : rows)
        sites.push_back({{"site", row.site},
                         {"format", row.used},
                         {"fallback_from", row.why.empty() ? Json() : Json(row.asked)},
                         {"why", row.why},
                         {"bytes", row.bytes},
                         {"error", row.relativeError}});
    return sites;
}

/// What GPTQ did in sum, and which sites kept nearest rounding and why.
Json gptqReport(const Stage& stage, const Model& model, const std::vector<GptqSite>& report) {
    Json fallbacks = Json::array();
    Json rows = Json::array();
    std::vector<SiteRoundingRow> logged;
    double logRatio = 0, damping = 0;
    std::int64_t counted = 0, dead = 0;
    for (const GptqSite& site : report) {
        rows.push_back({{"site", model.site(site.tensor.site).name}, {"error_nearest", site.nearestError}, {"error", site.error}, {"damping", site.damping}, {"dead_columns", site.deadColumns}, {"tokens", site.tokens}});
        logged.push_back({model.site(site.tensor.site).name, site.fallback.empty() ? "gptq" : "nearest", site.nearestError, site.error, site.damping, site.fallback, site.tokens});
        damping = std::max(damping, site.damping);
        dead += site.deadColumns;
        if (site.nearestError > 0 && site.error > 0) {
            logRatio += std::log(site.error / site.nearestError);
            ++counted;
        }
        if (!site.fallback.empty())
            fallbacks.push_back({{"site", model.site(site.tensor.site).name}, {"why", site.fallback}, {"tokens", site.tokens}});
    }
    stage.log().addSiteRounding(stage.run, logged);
    const double ratio = counted > 0 ? std::exp(logRatio / static_cast<double>(counted)) : 1;
    stage.log().addMetrics(stage.run, {{"gptq_error_ratio", ratio, std::nullopt, "of nearest's output error, geometric mean"},
                                       {"gptq_fallbacks", static_cast<double>(fallbacks.size()), std::nullopt, "sites"},
                                       {"gptq_damping_max", damping, std::nullopt, "of the mean diagonal"}});
    return {{"sites", report.size()}, {"error_ratio", ratio}, {"damping_max", damping}, {"dead_columns", dead}, {"fallbacks", fallbacks}, {"by_site", rows}};
}

Json transformJson(const TransformedModel& made) {
    Json warnings = Json::array();
    for (const DataWarning& warning : made.fitted.warnings)
        warnings.push_back(warning.text());
    return {{"text", made.fitted.text}, {"notes", made.fitted.notes}, {"warnings", warnings}, {"fold_points", made.fitted.scales.size()}, {"seconds", made.seconds}};
}

/// Scales that did not fit an f16 and stand at its largest number: the weights they belong to came out too small.
void warnAboutHeldScales(const Stage& stage, const Model& model, const QuantizedModel& quantized, Json& out, std::vector<DataWarning>& warnings) {
    std::int64_t held = 0, sites = 0;
    std::string names;
    std::vector<std::string> all;
    for (const Site& site : model.sites()) {
        const QuantizedTensor* tensor = quantized.find(site.id);
        const std::int64_t here = tensor ? countHeldScales(*tensor->format, tensor->bytes, site.rows, site.cols) : 0;
        held += here;
        if (here == 0)
            continue;
        all.push_back(fmt::format("{}: {}", site.name, here));
        if (++sites <= 3)
            names += (names.empty() ? "" : ", ") + site.name;
    }
    out["held_scales"] = held;
    stage.log().addMetrics(stage.run, {{"held_scales", static_cast<double>(held), std::nullopt, "scales"}});
    if (held == 0)
        return;
    const DataWarning& warning = warnings.emplace_back(DataWarning{"held-scales", fmt::format("{} scales of {} sites are past the largest f16 and were held at 65504 ({}{})", held, sites, names, sites > 3 ? " …" : ""),
                                                                   "the weights that they belong to come out too small", "look for damaged weights there; keep these sites with --set SITE=keep", std::move(all)});
    stage.bench.warn(stage.job, warning.text());
    out["warnings"].push_back(warning.text());
}

/// Which walks were not needed, or left something for the next run.
void logInputStore(const Stage& stage, Json& out) {
    const Json report = stage.bench.inputStoreReport(stage.job);
    if (report.is_null())
        return;
    out["gram_matrices"] = report;
    stage.log().addMetrics(stage.run, {{"gram_matrices_taken", report.at("taken").get<double>(), std::nullopt, "walks"}});
}

/// The plan of the model that will be written; a transform may have changed what tensors there are.
ExportPlan checkedPlan(const Stage& stage, const Model& model, const std::vector<SiteFormat>& formats, const Recipe& recipe) {
    ExportPlan plan = planFor(model, formats, recipe);
    for (const std::string& warning : plan.warnings)
        stage.bench.warn(stage.job, warning);
    if (stage.strict)
        requireAsAsked(plan);
    return plan;
}

/// What an outlier split keeps beside the grids, in the layout that KeptWeights names.
struct KeptSizes {
    std::uint64_t bytes = 0;
    std::int64_t columns = 0, weights = 0; ///< over all sites; single weights
};

KeptSizes keptSizes(const Model& model, const QuantizedModel& quantized) {
    KeptSizes sum;
    for (const Site& site : model.sites())
        if (const QuantizedTensor* tensor = quantized.find(site.id); tensor && !tensor->kept.empty()) {
            sum.bytes += tensor->kept.bytes(site.rows);
            sum.columns += static_cast<std::int64_t>(tensor->kept.columns.size());
            sum.weights += static_cast<std::int64_t>(tensor->kept.values.size());
        }
    return sum;
}

double bitsPerWeight(const Model& model, const ExportPlan& plan, const KeptSizes& kept) {
    return siteBitsPerWeight(model, plan) + 8.0 * static_cast<double>(kept.bytes) / static_cast<double>(std::max<std::int64_t>(1, siteWeights(model)));
}

Json outliersJson(const Stage& stage, const Model& model, const RuntimeSchemes& schemes, const KeptSizes& kept) {
    Json inputs = Json::array();
    std::int64_t channels = 0;
    for (std::size_t g = 0; g < schemes.outlierColumns.size(); ++g) {
        const std::size_t n = schemes.outlierColumns[g].size();
        channels += static_cast<std::int64_t>(n);
        if (n > 0)
            inputs.push_back({{"input", model.inputGroups()[g].name}, {"channels", n}, {"of", model.site(model.inputGroups()[g].sites.front()).cols}});
    }
    stage.log().addMetrics(stage.run, {{"outlier_channels", static_cast<double>(channels), std::nullopt, "channels"},
                                       {"outlier_weights", static_cast<double>(kept.weights), std::nullopt, "weights"},
                                       {"outlier_bytes", static_cast<double>(kept.bytes), std::nullopt, "bytes"}});
    return {{"channels", channels}, {"weights", kept.weights}, {"bytes", kept.bytes}, {"inputs", inputs}};
}

/// Rows of the log, the errors and sizes of what was made.
std::vector<AssignmentRow> logRounded(const Stage& stage, const Model& model, const ExportPlan& plan, const RoundedModel& rounded, const KeptSizes& kept) {
    std::vector<AssignmentRow> rows = assignmentRows(model, plan, rounded.model->formats());
    for (AssignmentRow& row : rows)
        if (const QuantizedTensor* tensor = rounded.model->find(model.findSite(row.site)->id)) {
            row.relativeError = tensor->relativeError;
            row.bytes += tensor->kept.bytes(model.site(tensor->site).rows);
        }
    stage.log().addAssignments(stage.run, rows);
    stage.log().addMetrics(stage.run, {{"bytes", static_cast<double>(plan.fileBytes + kept.bytes), std::nullopt, "bytes"},
                                       {"bits_per_weight", bitsPerWeight(model, plan, kept), std::nullopt, "bits"},
                                       {"rounding_seconds", rounded.seconds, std::nullopt, "s"}});
    return rows;
}

/// The evaluation, and what can be said of the result only with it.
Json evaluateAndWarn(const Stage& stage, const Model& worked, const QuantizedModel& quantized, const std::vector<SiteFormat>& formats, const RuntimeSchemes& schemes,
                     const std::vector<GptqSite>& report, const TextSet& texts, Json& out) {
    TokenScoreRow scores;
    Json evaluation = evaluateQuantized(stage, worked, quantized, texts, schemes, scores);
    std::vector<DataWarning> warnings;
    for (std::optional<DataWarning> found : {inversionWarning(stage, formats, report, texts, scores), checkBlocks({worked, worked, &quantized}, texts, stage.job),
                                             chanceWarning(stage.model, evaluation.at("nll").get<double>())})
        if (found)
            warnings.push_back(std::move(*found));
    addResultWarnings(stage, warnings, out);
    return evaluation;
}

} // namespace

Json runQuantize(const Stage& stage) {
    const StageClock::time_point begun = StageClock::now();
    Recipe planned = stage.recipe;
    // A stopped run of this very recipe may have come as far as its file: writing that again replaces nobody's work.
    planned.exporting.replace = planned.exporting.replace || isOwnExport(stage.bench, planned, false, stage.job);
    std::vector<SiteFormat> asked = recipeFormats(stage.model, stage.recipe);
    ExportPlan plan = checkedPlan(stage, stage.model, asked, planned);
    const QuantizeTexts texts = prepareTexts(stage);

    const std::vector<SiteFormat> untransformed = asPlanned(asked, plan);
    const WorkedModel worked = workedModel(stage, untransformed);
    if (worked.transform) {
        asked = recipeFormats(worked.model, stage.recipe);
        plan = checkedPlan(stage, worked.model, asked, planned);
    }
    const RuntimeSchemes schemes = runtimeSchemes(stage, worked.model);
    const RoundedModel rounded = roundModel(stage, worked, plan, texts, schemes, shareGlobalScales(worked.model, asPlanned(asked, plan)));
    rounded.model->setRounding(schemes.rounding); // what the audit holds the file to; evaluation may follow a runtime beside it
    const QuantizedModel& quantized = *rounded.model;
    const KeptSizes kept = keptSizes(worked.model, quantized);
    const std::vector<AssignmentRow> rows = logRounded(stage, worked.model, plan, rounded, kept);

    std::vector<DataWarning> warnings = texts.warnings;
    Json out{{"bytes", plan.fileBytes + kept.bytes},
             {"bits_per_weight", bitsPerWeight(worked.model, plan, kept)},
             {"file_bits_per_weight", plan.bitsPerWeight + 8.0 * static_cast<double>(kept.bytes) / static_cast<double>(std::max<std::int64_t>(1, worked.model.checkpoint().parameters()))},
             {"sites", sitesJson(rows)},
             {"warnings", plan.warnings},
             {"rounding_seconds", rounded.seconds}};
    if (!stage.recipe.importance.empty() && stage.recipe.needsCalibration())
        for (const std::string& warning : stage.bench.calibrated(worked.model, stage.recipe, stage.job)->result.warnings)
            out["warnings"].push_back(warning); // which sites the matrix says nothing of
    if (worked.transform) {
        out["transform"] = transformJson(*worked.transform);
        stage.log().setTransform(stage.run, toJson(worked.transform->fitted));
        for (const DataWarning& warning : worked.transform->fitted.warnings)
            out["warnings"].push_back(warning.text());
        for (const std::string& note : worked.transform->fitted.notes)
            out["warnings"].push_back(note);
        warnings.insert(warnings.end(), worked.transform->fitted.warnings.begin(), worked.transform->fitted.warnings.end());
    }
    if (!outlierSplit(parseTransform(stage.recipe.transform)).empty())
        out["outliers"] = outliersJson(stage, worked.model, schemes, kept);
    if (!rounded.report.empty())
        out["gptq"] = gptqReport(stage, worked.model, rounded.report);
    logInputStore(stage, out);
    if (!rounded.cache.is_null())
        out["tensor_cache"] = rounded.cache;
    warnAboutHeldScales(stage, worked.model, quantized, out, warnings);
    stage.log().setWarnings(stage.run, warnings);
    if (!stage.recipe.exporting.path.empty()) {
        out["path"] = plan.path;
        out["parts"] = std::max<std::size_t>(1, plan.files.size());
        out["audit"] = writeAndAudit(stage, worked.model, quantized, plan, planned.exporting.replace, texts, schemes);
    }
    if (texts.evaluation)
        out["evaluation"] = evaluateAndWarn(stage, worked.model, quantized, untransformed, schemes, rounded.report, *texts.evaluation, out);
    out["seconds"] = secondsSince(begun);
    return out;
}

} // namespace bw
