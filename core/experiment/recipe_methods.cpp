// SPDX-License-Identifier: GPL-3.0-or-later
// The part of a recipe that says how weights, activations and the cache are rounded.
#include "core/experiment/recipe.h"
#include "core/experiment/recipe_section.h"

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
    section.integer("minimum_tokens", out.minimumTokens, 0, 1 << 30);
    section.close();
    if (out.refitScales && out.activationOrder)
        refuseRecipe("gptq.refit_scales", "needs columns in index order: their groups are reached one after the other", "set gptq.activation_order to false");
}

} // namespace

void readMethods(RecipeSection& top, Recipe& out) {
    top.choice("transform", out.transform, {"none"});
    top.choice("rounder", out.rounder, {"nearest", "weighted", "stochastic", "gptq"});
    readGptq(top, out.gptq);
    top.flag("clip_search", out.clipSearch);
    top.choice("search", out.search, {"best", "reference"});
    top.choice("activations", out.activations, {"none"});
    top.choice("kv_cache", out.kvCache, {"none"});
}

Json gptqJson(const Recipe& recipe) {
    return {{"damping", recipe.gptq.damping},
            {"activation_order", recipe.gptq.activationOrder},
            {"sequential", recipe.gptq.sequential},
            {"refit_scales", recipe.gptq.refitScales},
            {"minimum_tokens", recipe.gptq.minimumTokens}};
}

bool Recipe::needsCalibration() const {
    const auto asks = [](const std::string& choice) { return choice.ends_with("@weighted") || choice.ends_with("@gptq"); };
    const auto ruleAsks = [&](const FormatRule& rule) { return asks(rule.format); };
    const auto& a = assignment;
    return rounder == "weighted" || rounder == "gptq" || asks(a.format) || asks(a.head) || asks(a.output) || asks(a.embedding) ||
           std::ranges::any_of(a.rules, ruleAsks) || std::ranges::any_of(a.tensorTypes, ruleAsks) || asks(sweep.rest) ||
           std::ranges::any_of(a.pins, [&](const auto& pin) { return asks(pin.second); }) || std::ranges::any_of(sweep.formats, asks);
}

} // namespace bw
