// SPDX-License-Identifier: GPL-3.0-or-later
// Options of methods, and what they change in a recipe.
#include "app/cli/method_options.h"

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/quantize/export.h"
#include "core/quantize/runtime_profile.h"
#include "core/quantize/transform.h"

#include <charconv>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace bw::cli {
namespace {

/// "threshold=6,sparse=0.5%" as a part of a transform: "outliers:threshold=6:weights=0.005".
std::string outlierPart(const std::string& given) {
    std::string part = "outliers";
    for (const std::string& word : splitList({given})) {
        constexpr std::string_view kSparse = "sparse=";
        if (!word.starts_with(kSparse)) {
            part += ":" + word;
            continue;
        }
        std::string_view number = std::string_view(word).substr(kSparse.size());
        const bool percent = number.ends_with('%');
        if (percent)
            number.remove_suffix(1);
        double share = 0;
        const auto [end, fault] = std::from_chars(number.data(), number.data() + number.size(), share);
        if (fault != std::errc() || end != number.data() + number.size())
            throw Error(ErrorCode::usage, "--outliers " + escapeForDisplay(given) + ": no share of the weights", "write sparse=0.5% or sparse=0.005");
        part += fmt::format(":weights={}", percent ? share / 100 : share);
    }
    return part;
}

/// The transform with its outlier part, which comes last, replaced.
std::string withOutliers(const std::string& transform, const std::string& part) {
    TransformSpec spec = parseTransform(transform);
    std::erase_if(spec.parts, [](const TransformSpec::Part& p) { return p.name == "outliers"; });
    return spec.parts.empty() ? part : spec.text() + "+" + part;
}

} // namespace

void addRoundingOptions(CLI::App& command, MethodArguments& given) {
    const std::string group = "Method";
    command.add_option("--transform", given.transform, "before rounding: rotate, smooth:alpha=0.5, smooth:search, awq, clip; several with + in this order. All but rotate need --text")
        ->group(group)->type_name("T");
    command.add_option("--outliers", given.outliers,
                       "keep what is large in 16 bits: threshold=6 (input channels that pass it; LLM.int8(), needs --text), sparse=0.5% (the largest weights), or both with a comma")
        ->group(group)->type_name("O");
    command.add_option("--rounder", given.rounder, "nearest (default), reference (ggml's own bytes), weighted, stochastic, gptq; weighted and gptq need --text")
        ->group(group)->check(CLI::IsMember({"nearest", "reference", "weighted", "stochastic", "gptq"}))->type_name("R");
    command.add_option("--damping", given.damping, "GPTQ: share of the Hessian's mean diagonal that is added to it (default 0.01)")->group(group)->check(CLI::PositiveNumber)->type_name("D");
    command.add_flag("--index-order", given.indexOrder, "GPTQ: columns as they stand, not in falling order of their inputs")->group(group);
    command.add_flag("--no-sequential", given.notSequential, "GPTQ: the sites of a block do not see what was rounded before them in it")->group(group);
    command.add_flag("--refit-scales", given.refitScales, "GPTQ: choose a group's scale when it is reached (needs --index-order)")->group(group);
    command.add_option("--sweeps", given.sweeps, "GPTQ: rounds over all columns afterwards, at most, each column to the best for all others (default 8; 0 = as published)")
        ->group(group)->check(CLI::Range(0, 64))->type_name("N");
    command.add_option("--correction", given.correction, "GPTQ: share of the damage done before a site that it makes up for, 0 to 1 (default 0; 0.5 is a good value, and takes twice as long)")
        ->group(group)->check(CLI::Range(0.0, 1.0))->type_name("S");
    command.add_option("--minimum-tokens", given.minimumTokens, "GPTQ: an expert with fewer tokens is rounded weighted (default: a quarter of its width)")
        ->group(group)->check(CLI::NonNegativeNumber)->type_name("N");
}

void addRuntimeOptions(CLI::App& command, MethodArguments& given) {
    const std::string group = "Rounding at run time (simulated)";
    command.add_option("--activations", given.activations, "what enters the linears: a8:token, a8:tensor:percentile, a8:channel, a4:token, fp8:token, q8_0 …; scales per tensor and channel need calibration text")
        ->group(group)->type_name("A");
    command.add_option("--kv-cache", given.kvCache, "keys and values: kv8:token, fp8, q4_0, k4:channel:g32,v4:token:g64,recent=64 …; prints damage against context length")->group(group)->type_name("KV");
}

void addRuntimeProfile(CLI::App& command, std::optional<std::string>& runtime) {
    command.add_option("--runtime", runtime, "judge as this runtime computes: ideal (default), llama.cpp-cpu (inputs rounded to 8 bits by weight type, f16 cache), w8a8 (int8 for each token); prints both")
        ->group("Rounding at run time (simulated)")->check(CLI::IsMember(runtimeProfileNames()))->type_name("R");
}

void addLayoutOptions(CLI::App& command, MethodArguments& given) {
    const std::vector<std::string> layouts = exportLayoutNames(), profiles = exportProfileNames();
    command.add_option("--layout", given.layout, fmt::format("what the output is laid out as: {} (default: by path and formats)", fmt::join(layouts, ", ")))
        ->check(CLI::IsMember(layouts))->type_name("LAYOUT");
    command.add_option("--profile", given.profile, fmt::format("refuse what this runtime does not load: {}", fmt::join(profiles, ", ")))
        ->check(CLI::IsMember(profiles))->type_name("RUNTIME");
}

void applyMethod(const MethodArguments& given, Recipe& recipe) {
    recipe.transform = given.transform.value_or(recipe.transform);
    recipe.rounder = given.rounder.value_or(recipe.rounder);
    if (given.outliers)
        recipe.transform = withOutliers(recipe.transform, outlierPart(*given.outliers));
    recipe.activations = given.activations.value_or(recipe.activations);
    recipe.evaluation.runtime = given.runtime.value_or(recipe.evaluation.runtime);
    recipe.kvCache = given.kvCache.value_or(recipe.kvCache);
    if (recipe.rounder == "reference") { // a way to search scales, not a way to round
        recipe.rounder = "nearest";
        recipe.search = "reference";
    }
    recipe.gptq.damping = given.damping.value_or(recipe.gptq.damping);
    recipe.gptq.sweeps = given.sweeps.value_or(recipe.gptq.sweeps);
    recipe.gptq.minimumTokens = given.minimumTokens.value_or(recipe.gptq.minimumTokens);
    recipe.gptq.correction = given.correction.value_or(recipe.gptq.correction);
    recipe.gptq.activationOrder = recipe.gptq.activationOrder && !given.indexOrder;
    recipe.gptq.sequential = recipe.gptq.sequential && !given.notSequential;
    recipe.gptq.refitScales = recipe.gptq.refitScales || given.refitScales;
    const bool ofGptq = given.damping || given.minimumTokens || given.sweeps || given.correction || given.indexOrder || given.notSequential || given.refitScales;
    if (ofGptq && recipe.rounder != "gptq")
        throw Error(ErrorCode::usage, "--damping, --index-order, --no-sequential, --refit-scales, --sweeps, --correction and --minimum-tokens belong to GPTQ", "add --rounder gptq");
    recipe.exporting.layout = given.layout.value_or(recipe.exporting.layout);
    recipe.exporting.profile = given.profile.value_or(recipe.exporting.profile);
}

} // namespace bw::cli
