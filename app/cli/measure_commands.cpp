// SPDX-License-Identifier: GPL-3.0-or-later
// Measuring: eval, calibrate.
#include "app/cli/method_options.h"
#include "app/cli/output.h"
#include "app/cli/run.h"
#include "core/base/error.h"
#include "core/base/text.h"

#include <algorithm>
#include <fmt/format.h>
#include <iterator>

namespace bw::cli {
namespace {

struct MeasureOptions {
    MethodArguments method;
    std::string path;
    std::vector<std::string> texts, evalTexts, calibrationTexts;
    std::optional<std::string> base, protocol;
    std::optional<std::int64_t> tokens, samples, length;
};

void applyCalibration(Recipe& recipe, const MeasureOptions& options) {
    if (!options.path.empty())
        recipe.checkpoint = options.path;
    if (!options.texts.empty())
        recipe.calibration.files = options.texts;
    if (!options.evalTexts.empty())
        recipe.evaluation.files = options.evalTexts;
    recipe.calibration.samples = options.samples.value_or(recipe.calibration.samples);
    recipe.calibration.length = options.length.value_or(recipe.calibration.length);
}

void printEvaluation(const Json& r) {
    const auto line = [](const char* name, const std::string& value) { printLine(fmt::format("{:<14}{}", name, value)); };
    line("protocol", fmt::format("{}, {} windows, {} tokens scored", r.at("protocol").get<std::string>(), r.at("windows").get<std::int64_t>(), r.at("tokens").get<std::int64_t>()));
    line("perplexity", number(r.at("perplexity"), 7) + " ± " + number(r.at("perplexity_se"), 2));
    line("nll", number(r.at("nll"), 7) + " ± " + number(r.at("nll_se"), 2) + " nats per token");
    line("ece", number(r.at("ece"), 4) + "   Brier " + number(r.at("brier"), 4));
    if (r.contains("kl_mean")) {
        line("base", number(r.at("base_perplexity"), 6) + " perplexity");
        line("KL", withError(r.at("kl_mean"), r.at("kl_se"), 5) + " nats per token");
        line("KL quantiles", fmt::format("median {}   90 % {}   99 % {}   99.9 % {}   max {}", number(r.at("kl_median"), 4), number(r.at("kl_p90"), 4),
                                         number(r.at("kl_p99"), 4), number(r.at("kl_p999"), 4), number(r.at("kl_max"), 4)));
        line("same top 1", withError(r.at("same_top1"), r.at("same_top1_se"), 4));
    }
    printSchemes(r);
    line("speed", fmt::format("{} tokens/s, {}", groupDigits(r.at("tokens_per_second").get<double>()), formatSeconds(r.at("seconds").get<double>())));
}

int runEval(Context& context, const MeasureOptions& options) {
    Recipe recipe = context.baseRecipe("evaluate");
    if (!options.path.empty())
        recipe.checkpoint = options.path;
    if (!options.texts.empty())
        recipe.evaluation.files = options.texts;
    recipe.base = options.base.value_or(recipe.base);
    recipe.evaluation.protocol = options.protocol.value_or(recipe.evaluation.protocol);
    recipe.evaluation.tokens = options.tokens.value_or(recipe.evaluation.tokens);
    if (!options.calibrationTexts.empty())
        recipe.calibration.files = options.calibrationTexts;
    applyMethod(options.method, recipe);
    recipe = Recipe::fromJson(recipe.toJson()); // schemes are checked like those of a file
    parseProtocol(recipe.evaluation.protocol); // before anything is opened
    return planOrRun(context, recipe, printEvaluation);
}

void printCalibration(const Json& r) {
    printLine(fmt::format("{} windows, {} tokens", r.at("windows").get<std::int64_t>(), r.at("tokens").get<std::int64_t>()));
    Table table({{"input", false}, {"absmax"}, {"outliers"}, {"channels"}, {"kurtosis"}, {"percentile"}, {"kl"}, {"mse"}, {"best held-out", false}});
    std::string last;
    for (const Json& site : r.at("sites")) {
        const std::string input = site.at("input");
        if (input == last)
            continue; // sites that share an input share its statistics
        last = input;
        std::string best;
        double least = 0;
        for (const auto& [name, error] : site.at("heldout_error").items())
            if (error.is_number() && (best.empty() || error.get<double>() < least)) {
                best = name;
                least = error.get<double>();
            }
        const auto high = [&](const char* name) { return site.at("ranges").contains(name) ? number(site.at("ranges").at(name).at(1), 4) : std::string("–"); };
        table.add({input, number(site.at("absmax"), 4), fmt::format("{:.3f} %", 100 * site.at("outlier_share").get<double>()),
                   std::to_string(site.at("outlier_channels").get<int>()), number(site.at("kurtosis"), 3), high("percentile"), high("kl"), high("mse"),
                   best.empty() ? "–" : fmt::format("{} {}", best, number(least, 3))});
    }
    printLine(table.text());
}

int runCalibrateCommand(Context& context, const MeasureOptions& options) {
    Recipe recipe = context.baseRecipe("calibrate");
    applyCalibration(recipe, options);
    return planOrRun(context, recipe, printCalibration);
}

void addCalibrationOptions(CLI::App& command, MeasureOptions& options) {
    command.add_option("PATH", options.path, "checkpoint");
    command.add_option("--text", options.texts, "calibration text (.txt or .jsonl), several are fine")->type_name("FILE");
    command.add_option("--samples", options.samples, "windows of text")->check(CLI::PositiveNumber)->type_name("N");
    command.add_option("--length", options.length, "tokens in a window")->check(CLI::PositiveNumber)->type_name("T");
}

} // namespace

void addMeasureCommands(CLI::App& app, Context& context) {
    auto eval = std::make_shared<MeasureOptions>();
    CLI::App* command = app.add_subcommand("eval", "Perplexity of a checkpoint; with --base also KL to another");
    command->add_option("PATH", eval->path, "checkpoint");
    command->add_option("--text", eval->texts, "evaluation text (.txt or .jsonl), several are fine")->type_name("FILE");
    command->add_option("--base", eval->base, "checkpoint to measure KL against")->type_name("PATH");
    command->add_option("--protocol", eval->protocol, "windows:N or llama.cpp:N (default windows:256)");
    command->add_option("--tokens", eval->tokens, "at most this many tokens of text")->check(CLI::PositiveNumber)->type_name("N");
    addRuntimeOptions(*command, eval->method);
    command->add_option("--calib-text", eval->calibrationTexts, "calibration text, for static scales")->type_name("FILE");
    addNonFinite(*command, context.common);
    addCommon(*command, context.common);
    command->footer("With --activations or --kv-cache and no --base, KL is against the same checkpoint without them.\n"
                    "Examples:\n  bitwright-cli eval model.gguf --text test.txt --kv-cache kv4:token:g64 --protocol windows:512\n"
                    "  bitwright-cli eval model.gguf --text test.txt\n  bitwright-cli eval small.gguf --base model.gguf --text test.txt --tokens 16384 --json");
    command->callback([&context, eval] { context.action = [&context, eval] { return runEval(context, *eval); }; });

    auto calibrate = std::make_shared<MeasureOptions>();
    command = app.add_subcommand("calibrate", "Collect statistics of what enters every site");
    addCalibrationOptions(*command, *calibrate);
    command->add_option("--eval-text", calibrate->evalTexts, "text you will evaluate on: overlap is reported")->type_name("FILE");
    addNonFinite(*command, context.common);
    addCommon(*command, context.common);
    command->footer("Examples:\n  bitwright-cli calibrate model.gguf --text calib.txt\n  bitwright-cli calibrate model.gguf --text a.txt b.jsonl --samples 64 --length 256 --json");
    command->callback([&context, calibrate] { context.action = [&context, calibrate] { return runCalibrateCommand(context, *calibrate); }; });
}

} // namespace bw::cli
