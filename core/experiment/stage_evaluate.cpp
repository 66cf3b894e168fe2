// SPDX-License-Identifier: GPL-3.0-or-later
// The evaluate and generate stages.
#include "core/experiment/evaluation_rows.h"
#include "core/experiment/result_warnings.h"
#include "core/experiment/runtime_schemes.h"
#include "core/experiment/task_rows.h"
#include "core/experiment/workbench.h"

#include "core/model/generate.h"

#include <algorithm>
#include <optional>

namespace bw {
namespace {

/// The recipe's schemes; the calibration text of static scales is logged and held against the evaluation text.
RuntimeSchemes prepareSchemes(const Stage& stage, const TextSet& evaluation) {
    if (schemesReadText(stage.recipe) && !stage.recipe.calibration.files.empty()) {
        const TextSet calibration = stage.bench.calibrationTexts(stage.model, stage.recipe, stage.job);
        checkTexts(stage, calibration, &evaluation);
        for (const TextData& text : calibration.texts)
            stage.log().addDataset(stage.run, text, "calibration");
    }
    return runtimeSchemes(stage, stage.model);
}

/// The recipe's text under some rounding, against its baseline; without one against the checkpoint as it is, where anything is rounded.
Evaluation evaluateTexts(const Stage& stage, const RuntimeRounding* rounds, const WeightSource& rounded, const Model* base, const TextSet& texts) {
    EvaluateOptions options;
    options.protocol = parseProtocol(stage.recipe.evaluation.protocol);
    options.keepTokens = true;
    const WeightSource* source = rounds ? &rounded : nullptr;
    if (!base && !source)
        return evaluatePerplexity(stage.model, nullptr, texts.windows, options, stage.job);
    const Model& against = base ? *base : stage.model;
    options.baseStates = [&](const Windows& windows, JobContext& job) { return stage.bench.baseStates(against, windows, job); };
    return evaluateAgainstBase(stage.model, source, against, nullptr, texts.windows, options, stage.job);
}

/// What both models will write to, as text.
TextSet promptTexts(const Stage& stage) {
    TextSet out;
    for (const std::string& file : stage.recipe.tasks.prompts) {
        const PromptSet set = loadPrompts(file, stage.job);
        std::string all;
        for (const PromptItem& item : set.items)
            all += item.prompt + "\n";
        out.texts.push_back({set.path, set.name, set.sha256, set.bytes, stage.bench.tokenizer(stage.model)->encode(all, false)});
    }
    return out;
}

/// A KL between different tokens means nothing, nor does one model's probability of the other's tokens. Tasks are still fair.
void requireSameTokens(const Stage& stage, const Model& base, const TextSet& texts) {
    const std::optional<DataWarning> warning = tokenizerWarning(stage, base, texts);
    if (!warning)
        return;
    stage.log().addWarnings(stage.run, {*warning});
    throw Error(ErrorCode::vocabularyMismatch, warning->text(), "copy the baseline's tokenizer beside the model, or leave --base out: perplexity and tasks can still be measured");
}

} // namespace

Json runEvaluate(const Stage& stage) {
    if (stage.recipe.transform != "none")
        throw Error(ErrorCode::usage, "the transform '" + stage.recipe.transform + "' is folded in by quantizing only", "quantize with it into a file and use that, or set it to none");
    const Recipe& recipe = stage.recipe;
    if (recipe.tasks.prompts.empty() && recipe.evaluation.files.empty())
        throw Error(ErrorCode::usage, "this needs evaluation text or prompts, and neither is named", "add --text FILE (.txt or .jsonl), --prompts FILE.jsonl or --suite FILE.json");
    if (recipe.tasks.compare && recipe.base.empty())
        throw Error(ErrorCode::usage, "outputs are compared with a baseline's, and none is named", "add --base CHECKPOINT");
    const std::shared_ptr<const Model> base = recipe.base.empty() ? nullptr : stage.bench.model(recipe.base, recipe.device, stage.model.nonFinite());
    Json out = Json::object();
    std::optional<TextSet> texts;
    if (!recipe.evaluation.files.empty()) {
        texts = stage.bench.evaluationTexts(stage.model, recipe, stage.job);
        for (const TextData& text : texts->texts)
            stage.log().addDataset(stage.run, text, "evaluation");
        if (base)
            requireSameTokens(stage, *base, *texts);
    }
    if (base && recipe.tasks.compare)
        requireSameTokens(stage, *base, promptTexts(stage));
    const RuntimeSchemes schemes = prepareSchemes(stage, texts ? *texts : TextSet{});
    const RoundedAtRunTime rounded(evaluationRounding(stage, stage.model, schemes, nullptr)), ideal(schemes.rounding);
    const WeightSource* source = rounded.rounding() ? &rounded : nullptr;
    if (base)
        out["base_sha256"] = stage.bench.checkpointSha256(*base, stage.job);
    if (texts) {
        const Evaluation evaluation = evaluateTexts(stage, rounded.rounding().get(), rounded, base.get(), *texts);
        stage.log().addMetrics(stage.run, evaluationMetrics(evaluation));
        const TokenScoreRow row = tokenScoreRow(evaluation, texts->windows, stage.bench.scoredParts(stage.model, recipe, *texts));
        stage.log().addTokenScores(stage.run, row);
        out.update(evaluationJson(evaluation));
        addParts(out, row, evaluation.windows);
        if (recipe.evaluation.runtime != "ideal")
            addRuntime(stage, evaluateTexts(stage, ideal.rounding().get(), ideal, base.get(), *texts), out);
        std::vector<DataWarning> warnings;
        if (base)
            if (std::optional<DataWarning> blocks = checkBlocks({*base, stage.model, source}, *texts, stage.job))
                warnings.push_back(std::move(*blocks));
        if (std::optional<DataWarning> chance = chanceWarning(stage.model, evaluation.nll))
            warnings.push_back(std::move(*chance));
        addResultWarnings(stage, warnings, out);
        addSchemes(stage, stage.model, evaluation, texts->windows, out);
    }
    if (!recipe.tasks.prompts.empty())
        runPromptSets(stage, source, base.get(), out);
    if (!recipe.tasks.thresholds.empty()) {
        out["thresholds"] = checkThresholds(stage, LogReader(stage.log().path()).run(stage.run).summary.metrics);
        out["holds"] = std::all_of(out["thresholds"].begin(), out["thresholds"].end(), [](const Json& row) { return row.at("holds").get<bool>(); });
    }
    return out;
}

Json runGenerate(const Stage& stage) {
    const Recipe::Generation& wanted = stage.recipe.generation;
    const std::shared_ptr<const Tokenizer> tokenizer = stage.bench.tokenizer(stage.model);
    const std::vector<TokenId> prompt = tokenizer->encode(wanted.prompt, true);
    const GenerateOptions options{wanted.maxTokens, wanted.temperature, wanted.topP, stage.recipe.seed, true};
    const RoundedAtRunTime rounded(runtimeSchemes(stage, stage.model).rounding);
    const GenerateResult result = generate(stage.model, prompt, options, rounded.rounding() ? &rounded : nullptr, stage.job);
    const std::string text = tokenizer->decode(result.ids, false);
    stage.log().addOutput(stage.run, {wanted.prompt, text, result.ids});
    stage.log().addMetrics(stage.run, {{"generated_tokens", static_cast<double>(result.ids.size()), std::nullopt, "tokens"},
                                       {"tokens_per_second", result.tokensPerSecond, std::nullopt, "tokens/s"}});
    return {{"prompt", wanted.prompt}, {"ids", result.ids}, {"text", text}, {"tokens_per_second", result.tokensPerSecond}, {"stopped_at_eos", result.hitEos}};
}

} // namespace bw
