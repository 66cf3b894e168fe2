// SPDX-License-Identifier: GPL-3.0-or-later
// Models with a transform folded in, made once per job.
#include "core/experiment/quantize_job.h"
#include "core/experiment/workbench.h"
#include "core/quantize/activation_scheme.h"

#include <fmt/format.h>

namespace bw {
namespace {

/// All that a fit depends on besides the weights.
std::string fitKey(const Model& model, const Recipe& recipe, const TransformSpec& spec, const std::vector<SiteFormat>& formats) {
    Json key{{"model", fmt::format("{}", static_cast<const void*>(&model))}, {"seed", recipe.seed}, {"clip", recipe.clipSearch}, {"formats", Json::array()}};
    const Json whole = recipe.toJson();
    for (const char* part : {"transform", "calibration", "importance", "search", "rounder", "activations"})
        key[part] = whole.at(part);
    const TransformSpec::Part* smooth = spec.find("smooth");
    const bool searched = spec.find("awq") || (smooth && smooth->options.contains("search"));
    for (const SiteFormat& format : searched ? formats : std::vector<SiteFormat>())
        key["formats"].push_back(format.used ? format.used->name() : "keep");
    return key.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// What a search for α has to count with; scales per channel leave nothing to smooth.
InputNoise inputNoise(const Recipe& recipe) {
    const ActivationScheme scheme = parseActivationScheme(recipe.activations);
    const bool counts = scheme.grid == ActivationScheme::Grid::integer && scheme.scope != ActivationScheme::Scope::channel;
    return counts ? InputNoise{scheme.bits, !scheme.isStatic()} : InputNoise{};
}

} // namespace

const TransformedModel* Workbench::transformed(const Model& model, const Recipe& recipe, const std::vector<SiteFormat>& formats, JobContext& job) {
    const TransformSpec spec = parseTransform(recipe.transform);
    if (!spec.folds())
        return nullptr;
    std::unique_ptr<TransformedModel>& slot = transformed_[fitKey(model, recipe, spec, formats)];
    if (slot)
        return slot.get();
    const StageClock::time_point begun = StageClock::now();
    auto made = std::make_unique<TransformedModel>();
    const Windows windows = spec.readsText() ? calibrationTexts(model, recipe, job).windows : Windows();
    InputStore* const store = spec.readsText() ? inputStore(model, job) : nullptr;
    made->fitted = fitTransform(model, spec, TransformInputs{windows, formats, rounderOf(recipe), recipe.seed, inputNoise(recipe), store}, job);
    const std::shared_ptr<const Checkpoint> derived = applyTransform(model, made->fitted);
    tokenizers_[derived.get()] = tokenizer(model); // of the same vocabulary: texts need not be read again
    made->model = Model::openWeights(derived, devices_(recipe.device), model.nonFinite());
    made->seconds = secondsSince(begun);
    slot = std::move(made);
    return slot.get();
}

WorkedModel workedModel(const Stage& stage, const std::vector<SiteFormat>& formats) {
    const TransformedModel* made = stage.bench.transformed(stage.model, stage.recipe, formats, stage.job);
    if (!made)
        return {stage.model, nullptr};
    for (const DataWarning& warning : made->fitted.warnings)
        stage.bench.warn(stage.job, warning.text());
    return {*made->model, made};
}

} // namespace bw
