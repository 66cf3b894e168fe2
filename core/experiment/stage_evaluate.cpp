// SPDX-License-Identifier: GPL-3.0-or-later
// The evaluate and generate stages.
#include "core/experiment/evaluation_rows.h"
#include "core/experiment/runtime_schemes.h"
#include "core/experiment/workbench.h"

#include "core/model/generate.h"

namespace bw {
namespace {

/// The recipe's schemes; the calibration text of static scales is logged and held against the evaluation text.
std::shared_ptr<const RuntimeRounding> prepareSchemes(const Stage& stage, const TextSet& evaluation) {
    if (schemesReadText(stage.recipe) && !stage.recipe.calibration.files.empty()) {
        const TextSet calibration = stage.bench.calibrationTexts(stage.model, stage.recipe, stage.job);
        checkTexts(stage, calibration, &evaluation);
        for (const TextData& text : calibration.texts)
            stage.log().addDataset(stage.run, text, "calibration");
    }
    return runtimeSchemes(stage, stage.model).rounding;
}

} // namespace

Json runEvaluate(const Stage& stage) {
    if (stage.recipe.transform != "none")
        throw Error(ErrorCode::usage, "the transform '" + stage.recipe.transform + "' is folded in by quantizing only", "quantize with it into a file and use that, or set it to none");
    const Recipe& recipe = stage.recipe;
    const TextSet texts = stage.bench.evaluationTexts(stage.model, recipe, stage.job);
    for (const TextData& text : texts.texts)
        stage.log().addDataset(stage.run, text, "evaluation");
    EvaluateOptions options;
    options.protocol = parseProtocol(recipe.evaluation.protocol);
    options.keepTokens = true;
    const RoundedAtRunTime rounded(prepareSchemes(stage, texts));
    Evaluation evaluation;
    if (recipe.base.empty() && rounded.rounding()) { // what the schemes alone do to this checkpoint
        evaluation = evaluateAgainstBase(stage.model, &rounded, stage.model, nullptr, texts.windows, options, stage.job);
    } else if (recipe.base.empty()) {
        evaluation = evaluatePerplexity(stage.model, nullptr, texts.windows, options, stage.job);
    } else {
        const std::shared_ptr<const Model> base = stage.bench.model(recipe.base, recipe.device, stage.model.nonFinite());
        evaluation = evaluateAgainstBase(stage.model, rounded.rounding() ? &rounded : nullptr, *base, nullptr, texts.windows, options, stage.job);
    }
    stage.log().addMetrics(stage.run, evaluationMetrics(evaluation));
    stage.log().addTokenScores(stage.run, tokenScoreRow(evaluation, texts.windows));
    Json out = evaluationJson(evaluation);
    addSchemes(stage, stage.model, evaluation, texts.windows, out);
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
