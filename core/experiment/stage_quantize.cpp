// SPDX-License-Identifier: GPL-3.0-or-later
// The quantize stage: plan → round → write and audit (when the recipe names an export) → evaluate (when it names texts).
// Without an export it simulates: the same weights, judged without a file.
#include "core/experiment/evaluation_rows.h"
#include "core/experiment/plan_rows.h"
#include "core/experiment/reuse.h"
#include "core/experiment/workbench.h"

#include "core/base/hash.h"
#include "core/compute/cpu_device.h"
#include "core/experiment/stack.h"
#include "core/format/held_scales.h"
#include "core/quantize/tensor_cache.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fmt/format.h>

namespace bw {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point begun) { return std::chrono::duration<double>(Clock::now() - begun).count(); }

/// The audit's short evaluation: enough to notice a wrong layout, short beside the export itself.
constexpr std::int64_t kAuditWindows = 2, kAuditLength = 128;

constexpr std::uint64_t kHashPiece = 1 << 20; ///< a few ms of hashing between two looks at the stop token

void hashFile(Sha256& hash, const fs::path& path, JobContext& job) {
    const MappedFile file(path.string());
    const std::span<const std::byte> bytes = file.bytes();
    for (std::uint64_t at = 0; at < bytes.size(); at += kHashPiece) {
        hash.update(bytes.subspan(at, std::min<std::uint64_t>(kHashPiece, bytes.size() - at)));
        job.checkpoint();
    }
}

} // namespace

std::pair<std::string, std::uint64_t> hashArtifact(const std::string& path, JobContext& job) {
    Sha256 hash;
    if (!fs::is_directory(path)) {
        hashFile(hash, path, job);
        return {hash.hex(), fs::file_size(path)};
    }
    std::vector<fs::path> files;
    for (const fs::directory_entry& entry : fs::directory_iterator(path))
        if (entry.is_regular_file())
            files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    std::uint64_t total = 0;
    for (const fs::path& file : files) {
        const std::string name = file.filename().string();
        hash.update(std::as_bytes(std::span(name.data(), name.size())));
        hashFile(hash, file, job);
        total += fs::file_size(file);
    }
    return {hash.hex(), total};
}

namespace {

Windows firstWindows(const Windows& from) {
    Windows some;
    some.length = std::min(from.length, kAuditLength);
    some.count = std::min(from.count, kAuditWindows);
    for (std::int64_t w = 0; w < some.count; ++w) {
        const std::span<const TokenId> ids = from.window(w).first(static_cast<std::size_t>(some.length));
        some.ids.insert(some.ids.end(), ids.begin(), ids.end());
    }
    return some;
}

struct Texts {
    std::shared_ptr<const Calibrated> calibrated; ///< null without weighted rounding
    std::optional<TextSet> evaluation;
};

/// Loads what the recipe names before any work, so that a missing file costs seconds, not the whole run.
Texts prepareTexts(const Stage& stage) {
    Texts out;
    const Recipe& recipe = stage.recipe;
    if (!recipe.evaluation.files.empty()) {
        out.evaluation = stage.bench.evaluationTexts(stage.model, recipe, stage.job);
        for (const TextData& text : out.evaluation->texts)
            stage.log().addDataset(stage.run, text, "evaluation");
    }
    if (recipe.needsCalibration()) {
        if (!recipe.importance.empty()) {
            out.calibrated = stage.bench.calibrated(stage.model, recipe, stage.job);
            return out;
        }
        if (recipe.calibration.files.empty())
            throw Error(ErrorCode::usage, "weighted rounding needs calibration text or an importance matrix, and none is named", "add --text FILE or --imatrix FILE, or use --rounder nearest");
        const TextSet calibration = stage.bench.calibrationTexts(stage.model, recipe, stage.job);
        checkTexts(stage, calibration, out.evaluation ? &*out.evaluation : nullptr);
        for (const TextData& text : calibration.texts)
            stage.log().addDataset(stage.run, text, "calibration");
        out.calibrated = stage.bench.calibrated(stage.model, recipe, stage.job);
    }
    return out;
}

Json auditJson(const AuditReport& audit) {
    return {{"ok", audit.ok},
            {"tensors_checked", audit.tensorsChecked},
            {"rows_decoded", audit.rowsDecoded},
            {"mismatches", audit.mismatches},
            {"simulated_nll", audit.simulatedNll},
            {"reopened_nll", audit.reopenedNll},
            {"evaluated_tokens", audit.evaluatedTokens}};
}

Json writeAndAudit(const Stage& stage, const QuantizedModel& quantized, const ExportPlan& plan, bool replace, const Texts& texts) {
    const std::string kind = plan.kind == ExportKind::gguf ? "gguf" : "safetensors";
    stage.log().addArtifact(stage.run, {kind, plan.path, "", plan.fileBytes, "writing"});
    Windows audit;
    if (texts.evaluation)
        audit = firstWindows(texts.evaluation->windows);
    else if (texts.calibrated)
        audit = firstWindows(texts.calibrated->set.windows);
    AuditReport report;
    try {
        report = exportModel(stage.model, quantized, plan, replace, audit, stage.job);
    } catch (const Error& e) {
        if (e.code() == ErrorCode::auditFailed)
            stage.log().addArtifact(stage.run, {kind, plan.path, "", plan.fileBytes, "failed-audit"});
        throw;
    }
    const auto [sha256, bytes] = hashArtifact(plan.path, stage.job);
    stage.log().addArtifact(stage.run, {kind, plan.path, sha256, bytes, "complete"});
    for (std::size_t i = 1; i < plan.files.size(); ++i) { // further parts
        const auto [partSha256, partBytes] = hashArtifact(plan.files[i].path, stage.job);
        stage.log().addArtifact(stage.run, {kind, plan.files[i].path, partSha256, partBytes, "complete"});
    }
    stage.log().addMetrics(stage.run, {{"audit_tensors", static_cast<double>(report.tensorsChecked), std::nullopt, "tensors"},
                                       {"audit_rows", static_cast<double>(report.rowsDecoded), std::nullopt, "rows"}});
    Json out = auditJson(report);
    out["sha256"] = sha256;
    return out;
}

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

/// All that the figures depend on: the recipe but for its name, where the result goes and how its formats were found.
std::string evaluationKey(const Stage& stage, const QuantizedModel& quantized) {
    Json key = stage.recipe.toJson();
    for (const char* other : {"name", "export", "assignment"})
        key.erase(other);
    Json formats = Json::array();
    for (const SiteFormat& format : quantized.formats())
        formats.push_back((format.used ? format.used->name() : "keep") + "@" + format.rounder);
    key["formats"] = formats;
    return key.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Evaluation evaluateAnew(const Stage& stage, const QuantizedModel& quantized, const TextSet& texts) {
    const Recipe& recipe = stage.recipe;
    EvaluateOptions options;
    options.protocol = parseProtocol(recipe.evaluation.protocol);
    options.keepTokens = true;
    const bool ownBase = recipe.base.empty();
    const std::shared_ptr<const Model> other = ownBase ? nullptr : stage.bench.model(recipe.base, recipe.device, stage.model.nonFinite());
    const Model& base = ownBase ? stage.model : *other;
    return evaluateAgainstBase(stage.model, &quantized, base, nullptr, texts.windows, options, stage.job);
}

Evaluation evaluateQuantized(const Stage& stage, const QuantizedModel& quantized, const TextSet& texts) {
    const std::string key = evaluationKey(stage, quantized);
    auto known = stage.bench.evaluations().find(key);
    if (known == stage.bench.evaluations().end())
        known = stage.bench.evaluations().emplace(key, evaluateAnew(stage, quantized, texts)).first;
    const Evaluation& evaluation = known->second;
    stage.log().addMetrics(stage.run, evaluationMetrics(evaluation));
    stage.log().addTokenScores(stage.run, tokenScoreRow(evaluation, texts.windows));
    return evaluation;
}

/// Null when it is off, and where damaged weights count as zero: a cached tensor does not say what became of them.
std::unique_ptr<TensorCache> cacheFor(const Stage& stage, const ExportPlan& plan) {
    TensorCacheOptions options = tensorCache();
    if (options.folder.empty() || stage.model.nonFinite() == NonFinite::zero)
        return nullptr;
    options.keepFree = stage.recipe.exporting.path.empty() ? 0 : plan.fileBytes;
    return std::make_unique<TensorCache>(options, stage.bench.checkpointSha256(stage.model, stage.job), buildIdentity() + ", " + cpuDescription());
}

/// Scales that did not fit an f16 and stand at its largest number: the weights they belong to came out too small.
void warnAboutHeldScales(const Stage& stage, const QuantizedModel& quantized, Json& out) {
    std::int64_t held = 0, sites = 0;
    std::string names;
    for (const Site& site : stage.model.sites()) {
        const QuantizedTensor* tensor = quantized.find(site.id);
        const std::int64_t here = tensor ? countHeldScales(*tensor->format, tensor->bytes, site.rows, site.cols) : 0;
        held += here;
        if (here > 0 && ++sites <= 3)
            names += (names.empty() ? "" : ", ") + site.name;
    }
    out["held_scales"] = held;
    stage.log().addMetrics(stage.run, {{"held_scales", static_cast<double>(held), std::nullopt, "scales"}});
    if (held == 0)
        return;
    const std::string warning = fmt::format("{} scales of {} sites are past the largest f16 and were held at 65504: {}{}", held, sites, names, sites > 3 ? " …" : "");
    stage.bench.warn(stage.job, warning);
    out["warnings"].push_back(warning);
}

} // namespace

Json runQuantize(const Stage& stage) {
    if (stage.recipe.rounder != "nearest" && stage.recipe.rounder != "weighted")
        throw Error(ErrorCode::usage, "this program can't round by '" + stage.recipe.rounder + "'", "use nearest or weighted");
    const Clock::time_point begun = Clock::now();
    const std::vector<SiteFormat> asked = recipeFormats(stage.model, stage.recipe);
    Recipe planned = stage.recipe;
    // A stopped run of this very recipe may have come as far as its file: writing that again replaces nobody's work.
    planned.exporting.replace = planned.exporting.replace || isOwnExport(stage.bench, planned, false, stage.job);
    const ExportPlan plan = planFor(stage.model, asked, planned);
    for (const std::string& warning : plan.warnings)
        stage.bench.warn(stage.job, warning);
    if (stage.strict)
        requireAsAsked(plan);
    const Texts texts = prepareTexts(stage);

    const ImportanceLookup importance = texts.calibrated ? roundingImportance(stage.model, stage.recipe, *texts.calibrated) : [](const Site&) { return std::span<const float>(); };
    const RounderOptions rounder{stage.recipe.rounder == "weighted", stage.recipe.clipSearch, blockSearch(stage.recipe)};
    const std::unique_ptr<TensorCache> cache = cacheFor(stage, plan);
    const Clock::time_point rounding = Clock::now();
    const std::shared_ptr<QuantizedModel> quantized = QuantizedModel::build(stage.model, asPlanned(asked, plan), importance, rounder, stage.job, cache.get());
    const double roundingSeconds = secondsSince(rounding);
    if (cache && !cache->problem().empty())
        stage.bench.warn(stage.job, cache->problem());

    std::vector<AssignmentRow> rows = assignmentRows(stage.model, plan, asked);
    for (AssignmentRow& row : rows)
        if (const QuantizedTensor* tensor = quantized->find(stage.model.findSite(row.site)->id))
            row.relativeError = tensor->relativeError;
    stage.log().addAssignments(stage.run, rows);
    const double bits = siteBitsPerWeight(stage.model, plan);
    stage.log().addMetrics(stage.run, {{"bytes", static_cast<double>(plan.fileBytes), std::nullopt, "bytes"},
                                       {"bits_per_weight", bits, std::nullopt, "bits"},
                                       {"rounding_seconds", roundingSeconds, std::nullopt, "s"}});

    Json out{{"bytes", plan.fileBytes}, {"bits_per_weight", bits}, {"file_bits_per_weight", plan.bitsPerWeight}, {"sites", sitesJson(rows)}, {"warnings", plan.warnings}};
    if (!stage.recipe.importance.empty() && texts.calibrated)
        for (const std::string& warning : texts.calibrated->result.warnings)
            out["warnings"].push_back(warning); // which sites the matrix says nothing of
    if (cache)
        out["tensor_cache"] = {{"taken", cache->counts().taken}, {"rounded", cache->counts().missed}, {"damaged", cache->counts().damaged}};
    warnAboutHeldScales(stage, *quantized, out);
    if (!stage.recipe.exporting.path.empty()) {
        out["path"] = plan.path;
        out["parts"] = std::max<std::size_t>(1, plan.files.size());
        out["audit"] = writeAndAudit(stage, *quantized, plan, planned.exporting.replace, texts);
    }
    if (texts.evaluation)
        out["evaluation"] = evaluationJson(evaluateQuantized(stage, *quantized, *texts.evaluation));
    out["seconds"] = secondsSince(begun);
    return out;
}

} // namespace bw
