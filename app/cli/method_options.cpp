// SPDX-License-Identifier: GPL-3.0-or-later
// Options of methods, and what they change in a recipe.
#include "app/cli/method_options.h"

#include "core/base/error.h"

namespace bw::cli {

void addRoundingOptions(CLI::App& command, MethodArguments& given) {
    const std::string group = "Method";
    command.add_option("--transform", given.transform, "before rounding: smooth:alpha=0.5, smooth:search, awq or rotate; several with +. smooth and awq need --text")
        ->group(group)->type_name("T");
    command.add_option("--rounder", given.rounder, "nearest (default), reference (ggml's own bytes), weighted, stochastic, gptq; weighted and gptq need --text")
        ->group(group)->check(CLI::IsMember({"nearest", "reference", "weighted", "stochastic", "gptq"}))->type_name("R");
    command.add_option("--damping", given.damping, "GPTQ: share of the Hessian's mean diagonal that is added to it (default 0.01)")->group(group)->check(CLI::PositiveNumber)->type_name("D");
    command.add_flag("--index-order", given.indexOrder, "GPTQ: columns as they stand, not in falling order of their inputs")->group(group);
    command.add_flag("--no-sequential", given.notSequential, "GPTQ: the sites of a block do not see what was rounded before them in it")->group(group);
    command.add_flag("--refit-scales", given.refitScales, "GPTQ: choose a group's scale when it is reached (needs --index-order)")->group(group);
    command.add_option("--sweeps", given.sweeps, "GPTQ: rounds over all columns afterwards, at most, each column to the best for all others (default 8; 0 = as published)")
        ->group(group)->check(CLI::Range(0, 64))->type_name("N");
    command.add_option("--minimum-tokens", given.minimumTokens, "GPTQ: an expert with fewer tokens is rounded weighted (default: a quarter of its width)")
        ->group(group)->check(CLI::NonNegativeNumber)->type_name("N");
}

void applyMethod(const MethodArguments& given, Recipe& recipe) {
    recipe.transform = given.transform.value_or(recipe.transform);
    recipe.rounder = given.rounder.value_or(recipe.rounder);
    if (recipe.rounder == "reference") { // a way to search scales, not a way to round
        recipe.rounder = "nearest";
        recipe.search = "reference";
    }
    recipe.gptq.damping = given.damping.value_or(recipe.gptq.damping);
    recipe.gptq.sweeps = given.sweeps.value_or(recipe.gptq.sweeps);
    recipe.gptq.minimumTokens = given.minimumTokens.value_or(recipe.gptq.minimumTokens);
    recipe.gptq.activationOrder = recipe.gptq.activationOrder && !given.indexOrder;
    recipe.gptq.sequential = recipe.gptq.sequential && !given.notSequential;
    recipe.gptq.refitScales = recipe.gptq.refitScales || given.refitScales;
    const bool ofGptq = given.damping || given.minimumTokens || given.sweeps || given.indexOrder || given.notSequential || given.refitScales;
    if (ofGptq && recipe.rounder != "gptq")
        throw Error(ErrorCode::usage, "--damping, --index-order, --no-sequential, --refit-scales, --sweeps and --minimum-tokens belong to GPTQ", "add --rounder gptq");
}

} // namespace bw::cli
