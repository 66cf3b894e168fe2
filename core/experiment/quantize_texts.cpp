// SPDX-License-Identifier: GPL-3.0-or-later
// Texts of a quantization: what calibrates it and what judges it.
#include "core/experiment/quantize_job.h"
#include "core/experiment/runtime_schemes.h"

namespace bw {
namespace {

/// What of the recipe looks at text, for a message that says what to change.
std::string readerOf(const Recipe& recipe) {
    if (recipe.rounder == "weighted" || recipe.rounder == "gptq")
        return "--rounder " + recipe.rounder;
    if (recipe.transform != "none")
        return "--transform " + recipe.transform;
    if (parseActivationScheme(recipe.activations).isStatic())
        return "--activations " + recipe.activations;
    if (parseCacheScheme(recipe.kvCache).isStatic())
        return "--kv-cache " + recipe.kvCache;
    return "a rule's rounder";
}

} // namespace

QuantizeTexts prepareTexts(const Stage& stage) {
    QuantizeTexts out;
    const Recipe& recipe = stage.recipe;
    if (!recipe.evaluation.files.empty()) {
        out.evaluation = stage.bench.evaluationTexts(stage.model, recipe, stage.job);
        for (const TextData& text : out.evaluation->texts)
            stage.log().addDataset(stage.run, text, "evaluation");
    }
    if (!recipe.needsText() && (!recipe.needsCalibration() || !recipe.importance.empty()))
        return out;
    if (recipe.calibration.files.empty())
        throw Error(ErrorCode::usage, readerOf(recipe) + " looks at calibration text, and none is named",
                    recipe.rounder == "weighted" ? "add --text FILE or --imatrix FILE, or use --rounder nearest" : "add --text FILE (.txt or .jsonl)");
    out.calibration = stage.bench.calibrationTexts(stage.model, recipe, stage.job);
    out.warnings = checkTexts(stage, *out.calibration, out.evaluation ? &*out.evaluation : nullptr);
    for (const TextData& text : out.calibration->texts)
        stage.log().addDataset(stage.run, text, "calibration");
    return out;
}

} // namespace bw
