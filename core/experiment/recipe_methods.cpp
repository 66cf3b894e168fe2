// SPDX-License-Identifier: GPL-3.0-or-later
// The part of a recipe that says how weights, activations and the cache are rounded.
#include "core/experiment/recipe.h"
#include "core/experiment/recipe_section.h"
#include "core/quantize/cache_scheme.h"
#include "core/quantize/outlier_split.h"

namespace bw {
namespace {

constexpr double kLeastDamping = 1e-8, kMostDamping = 10; ///< of the Hessian's mean diagonal

void readGptq(RecipeSection& top, Recipe::Gptq& out) {
    const Json* json = top.find("gptq");
    if (!json)
        return;
    RecipeSection section(*json, "gptq");
    section.real("damping", out.damping, kLeastDamping, kMostDamping);
    section.flag("activation_order", out.activationOrder);
    section.flag("sequential", out.sequential);
    section.flag("refit_scales", out.refitScales);
    section.integer("sweeps", out.sweeps, 0, 64);
    section.integer("minimum_tokens", out.minimumTokens, 0, 1 << 30);
    section.real("correction", out.correction, 0, 1);
    section.close();
    if (out.correction > 0 && !out.sequential)
        refuseRecipe("gptq.correction", "needs sites that see what was rounded before them", "set gptq.sequential to true");
    if (out.refitScales && out.activationOrder)
        refuseRecipe("gptq.refit_scales", "needs columns in index order: their groups are reached one after the other", "set gptq.activation_order to false");
}

} // namespace

void readMethods(RecipeSection& top, Recipe& out) {
    top.text("transform", out.transform);
    checkParses("transform", out.transform, [](const std::string& text) { parseTransform(text); });
    top.choice("rounder", out.rounder, {"nearest", "weighted", "stochastic", "gptq"});
    readGptq(top, out.gptq);
    top.flag("clip_search", out.clipSearch);
    top.choice("search", out.search, {"best", "reference"});
    top.text("activations", out.activations);
    checkParses("activations", out.activations, [](const std::string& text) { parseActivationScheme(text); });
    top.text("kv_cache", out.kvCache);
    checkParses("kv_cache", out.kvCache, [](const std::string& text) { parseCacheScheme(text); });
}

Json gptqJson(const Recipe& recipe) {
    return {{"damping", recipe.gptq.damping},
            {"activation_order", recipe.gptq.activationOrder},
            {"sequential", recipe.gptq.sequential},
            {"refit_scales", recipe.gptq.refitScales},
            {"sweeps", recipe.gptq.sweeps},
            {"minimum_tokens", recipe.gptq.minimumTokens},
            {"correction", recipe.gptq.correction}};
}

namespace {

/// Does the recipe, or a choice string of its assignment or sweep ("q4_k@gptq"), name this rounder?
bool asksFor(const Recipe& recipe, const std::string& rounder) {
    const auto asks = [mark = "@" + rounder](const std::string& choice) { return choice.ends_with(mark); };
    const auto ruleAsks = [&](const FormatRule& rule) { return asks(rule.format); };
    const Recipe::Assignment& a = recipe.assignment;
    return recipe.rounder == rounder || asks(a.format) || asks(a.head) || asks(a.output) || asks(a.embedding) || asks(recipe.sweep.rest) ||
           std::ranges::any_of(a.rules, ruleAsks) || std::ranges::any_of(a.tensorTypes, ruleAsks) ||
           std::ranges::any_of(a.pins, [&](const auto& pin) { return asks(pin.second); }) || std::ranges::any_of(recipe.sweep.formats, asks);
}

} // namespace

bool Recipe::needsText() const {
    const TransformSpec spec = parseTransform(transform);
    return asksFor(*this, "gptq") || spec.readsText() || outlierSplit(spec).threshold > 0 || parseActivationScheme(activations).isStatic() || parseCacheScheme(kvCache).isStatic();
}

bool Recipe::needsCalibration() const { return asksFor(*this, "gptq") || asksFor(*this, "weighted"); }

} // namespace bw
