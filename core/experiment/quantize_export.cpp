// SPDX-License-Identifier: GPL-3.0-or-later
// Writing and judging a quantized model: the audited file, and perplexity and KL of the simulation.
#include "core/experiment/evaluation_rows.h"
#include "core/experiment/quantize_job.h"
#include "core/experiment/runtime_schemes.h"

namespace bw {
namespace {

/// The audit's short evaluation: enough to notice a wrong layout, short beside the export itself.
constexpr std::int64_t kAuditWindows = 2, kAuditLength = 128;

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

Json auditJson(const AuditReport& audit) {
    return {{"ok", audit.ok},
            {"tensors_checked", audit.tensorsChecked},
            {"rows_decoded", audit.rowsDecoded},
            {"mismatches", audit.mismatches},
            {"simulated_nll", audit.simulatedNll},
            {"reopened_nll", audit.reopenedNll},
            {"kl_from_simulation", audit.klFromSimulation},
            {"evaluated_tokens", audit.evaluatedTokens}};
}

/// All that the figures depend on: the recipe but for its name, where the result goes and how its formats were found.
std::string evaluationKey(const Stage& stage, const QuantizedModel& quantized, const std::string& runtime) {
    Json key = stage.recipe.toJson();
    key["evaluation"]["runtime"] = runtime;
    for (const char* other : {"name", "export", "assignment"})
        key.erase(other);
    Json formats = Json::array();
    for (const SiteFormat& format : quantized.formats())
        formats.push_back((format.used ? format.used->name() : "keep") + "@" + format.rounder);
    key["formats"] = formats;
    return key.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Evaluation evaluateAnew(const Stage& stage, const Model& worked, const WeightSource& quantized, const TextSet& texts) {
    const Recipe& recipe = stage.recipe;
    EvaluateOptions options;
    options.protocol = parseProtocol(recipe.evaluation.protocol);
    options.keepTokens = true;
    const bool ownBase = recipe.base.empty();
    const std::shared_ptr<const Model> other = ownBase ? nullptr : stage.bench.model(recipe.base, recipe.device, stage.model.nonFinite());
    const Model& base = ownBase ? stage.model : *other;
    options.baseStates = [&](const Windows& windows, JobContext& job) { return stage.bench.baseStates(base, windows, job); };
    return evaluateAgainstBase(worked, &quantized, base, nullptr, texts.windows, options, stage.job);
}

const Evaluation& evaluated(const Stage& stage, const Model& worked, const QuantizedModel& quantized, const std::string& runtime, std::shared_ptr<const RuntimeRounding> rounding, const TextSet& texts) {
    const std::string key = evaluationKey(stage, quantized, runtime);
    auto known = stage.bench.evaluations().find(key);
    if (known == stage.bench.evaluations().end())
        known = stage.bench.evaluations().emplace(key, evaluateAnew(stage, worked, RunWith(&quantized, std::move(rounding)), texts)).first;
    return known->second;
}

/// What calibration fitted, as files state it.
RuntimeScales scalesOf(const Model& model, const RuntimeSchemes& schemes) {
    RuntimeScales scales;
    if (schemes.activations && schemes.activations->scheme().scope == ActivationScheme::Scope::tensor)
        for (std::size_t g = 0; g < model.inputGroups().size(); ++g) {
            const std::vector<float>& fitted = schemes.activations->of(static_cast<int>(g)).scales;
            scales.inputs.push_back(fitted.empty() ? 0.0f : fitted.front());
        }
    constexpr float kLargest = 448; // E4M3
    if (schemes.cache && schemes.cache->scheme().isStatic()) {
        for (const float largest : schemes.cache->ranges().keys) scales.keys.push_back(largest / kLargest);
        for (const float largest : schemes.cache->ranges().values) scales.values.push_back(largest / kLargest);
    }
    return scales;
}

} // namespace

Json writeAndAudit(const Stage& stage, const Model& worked, const QuantizedModel& quantized, const ExportPlan& plan, bool replace, const QuantizeTexts& texts, const RuntimeSchemes& schemes) {
    const std::string kind = plan.kind == ExportKind::gguf ? "gguf" : "safetensors";
    stage.log().addArtifact(stage.run, {kind, plan.path, "", plan.fileBytes, "writing"});
    Windows audit;
    if (texts.evaluation)
        audit = firstWindows(texts.evaluation->windows);
    else if (texts.calibration)
        audit = firstWindows(texts.calibration->windows);
    AuditReport report;
    try {
        report = exportModel(worked, quantized, plan, replace, audit, stage.job, scalesOf(worked, schemes));
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

Json evaluateQuantized(const Stage& stage, const Model& worked, const QuantizedModel& quantized, const TextSet& texts, const RuntimeSchemes& schemes, TokenScoreRow& scores) {
    const std::string& runtime = stage.recipe.evaluation.runtime;
    const Evaluation& evaluation = evaluated(stage, worked, quantized, runtime, evaluationRounding(stage, worked, schemes, &quantized), texts);
    stage.log().addMetrics(stage.run, evaluationMetrics(evaluation));
    scores = tokenScoreRow(evaluation, texts.windows, stage.bench.scoredParts(worked, stage.recipe, texts));
    stage.log().addTokenScores(stage.run, scores);
    Json out = evaluationJson(evaluation);
    addParts(out, scores, evaluation.windows);
    if (runtime != "ideal")
        addRuntime(stage, evaluated(stage, worked, quantized, "ideal", schemes.rounding, texts), out);
    if (!stage.recipe.base.empty())
        out["base_sha256"] = stage.bench.checkpointSha256(*stage.bench.model(stage.recipe.base, stage.recipe.device, stage.model.nonFinite()), stage.job);
    addSchemes(stage, worked, evaluation, texts.windows, out);
    return out;
}

} // namespace bw
