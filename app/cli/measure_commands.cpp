// SPDX-License-Identifier: GPL-3.0-or-later
// Measuring: eval, calibrate.
#include "app/cli/cache_command.h"
#include "app/cli/calibration_options.h"
#include "app/cli/calibration_report.h"
#include "app/cli/method_options.h"
#include "app/cli/output.h"
#include "app/cli/parts_report.h"
#include "app/cli/run.h"
#include "app/cli/signals.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/evaluate/tasks.h"
#include "core/experiment/what_if_job.h"

#include <algorithm>
#include <fmt/format.h>
#include <unistd.h>
#include <iterator>

namespace bw::cli {
namespace {

struct MeasureOptions {
    MethodArguments method;
    CacheArguments cache;
    std::string path;
    std::vector<std::string> texts, calibrationTexts, prompts;
    std::string suite;
    std::optional<std::int64_t> maxTokens;
    bool outputs = false;
    std::optional<std::string> base, protocol;
    std::optional<std::int64_t> tokens;
};

struct CalibrateCommand {
    CalibrationArguments set;
    CacheArguments cache;
    std::string path;
    std::vector<std::string> evalTexts, whatIf;
    std::int64_t run = 0;
    bool grams = false;
};

/// Both texts up to where they part, then what each wrote, in colour on a terminal.
void printPair(const Json& pair) {
    const bool color = isatty(STDOUT_FILENO) == 1;
    const auto& base = pair.at("base").at("text").get_ref<const std::string&>();
    const auto& model = pair.at("model").at("text").get_ref<const std::string&>();
    const std::size_t same = commonBytes(base, model);
    const auto shown = [&](const std::string& text, const char* code) {
        const std::string rest = escapeForDisplay(text.substr(same), 300);
        return escapeForDisplay(text.substr(0, same), 300) + (color && !rest.empty() ? code + rest + "\033[0m" : "⟨" + rest + "⟩");
    };
    printLine(fmt::format("\n{}: {}", pair.at("id").get<std::string>(), escapeForDisplay(pair.at("prompt").get<std::string>(), 200)));
    if (pair.at("divergence").get<std::int64_t>() < 0) {
        printLine("  both   " + escapeForDisplay(base, 600));
        return;
    }
    printLine("  base   " + shown(base, "\033[34m"));
    printLine("  model  " + shown(model, "\033[33m"));
    printLine(fmt::format("  part at token {}, cosine {} (lowest {}), edit distance {}{}", pair.at("divergence").get<std::int64_t>(), number(pair.at("cosine"), 4), number(pair.at("lowest_cosine"), 4),
                          pair.at("edit_distance").get<std::int64_t>(), pair.at("model").at("collapse").at("collapsed").get<bool>() ? ", COLLAPSED" : ""));
}

void printTasks(const Json& r) {
    for (const Json& task : r.value("tasks", Json::array())) {
        printLine(fmt::format("{} ({} prompts)", task.at("file").get<std::string>(), task.at("items").get<std::int64_t>()));
        for (const Json& figure : task.at("figures"))
            printLine(fmt::format("  {:<28}{:>22}   {} items", figure.at("name").get<std::string>(), withError(figure.at("value"), figure.at("se"), 4), figure.at("items").get<std::int64_t>()));
    }
    if (r.contains("outputs")) {
        const Json& outputs = r.at("outputs");
        for (const Json& pair : outputs.at("pairs"))
            printPair(pair);
        printLine(fmt::format("\noutputs       {} of {} the same; others part after {} tokens; cosine {}; {} alerts, {} collapsed", outputs.at("same").get<std::int64_t>(),
                              outputs.at("prompts").get<std::int64_t>(), number(outputs.at("mean_divergence"), 3), number(outputs.at("mean_cosine"), 4), outputs.at("alerts").get<std::int64_t>(),
                              outputs.at("collapsed").get<std::int64_t>()));
    }
    for (const Json& row : r.value("thresholds", Json::array()))
        printLine(fmt::format("{} {} is {}: {}", row.at("figure").get<std::string>(), row.at("limit").get<std::string>(), number(row.at("value"), 5), row.at("holds").get<bool>() ? "holds" : "BROKEN"));
}

void printEvaluation(const Json& r) {
    if (!r.contains("perplexity"))
        return printTasks(r);
    const auto line = [](const char* name, const std::string& value) { printLine(fmt::format("{:<14}{}", name, value)); };
    line("protocol", fmt::format("{}, {} windows, {} tokens scored", r.at("protocol").get<std::string>(), r.at("windows").get<std::int64_t>(), r.at("tokens").get<std::int64_t>()));
    line("perplexity", number(r.at("perplexity"), 7) + " ± " + number(r.at("perplexity_se"), 2));
    line("nll", number(r.at("nll"), 7) + " ± " + number(r.at("nll_se"), 2) + " nats per token");
    line("top 1", fmt::format("{:.2f} % of the tokens were the likeliest   ECE {}   Brier {}", 100 * r.at("top1").get<double>(), number(r.at("ece"), 4), number(r.at("brier"), 4)));
    if (r.contains("kl_mean")) {
        line("base", number(r.at("base_perplexity"), 6) + " perplexity");
        line("KL", withError(r.at("kl_mean"), r.at("kl_se"), 5) + " nats per token");
        line("KL quantiles", fmt::format("median {}   90 % {}   99 % {}   99.9 % {}   max {}", number(r.at("kl_median"), 4), number(r.at("kl_p90"), 4),
                                         number(r.at("kl_p99"), 4), number(r.at("kl_p999"), 4), number(r.at("kl_max"), 4)));
        line("same top 1", withError(r.at("same_top1"), r.at("same_top1_se"), 4) + "   top 10 shared " + withError(r.at("top10_overlap"), r.at("top10_overlap_se"), 4));
        line("Δp", fmt::format("rms {}   mean {}   1 % {}   5 % {}   median {}   95 % {}   99 % {}", number(r.at("delta_p_rms"), 4), number(r.at("delta_p_mean"), 4),
                               number(r.at("delta_p_p01"), 4), number(r.at("delta_p_p05"), 4), number(r.at("delta_p_median"), 4),
                               number(r.at("delta_p_p95"), 4), number(r.at("delta_p_p99"), 4)));
    }
    printParts(r);
    printSchemes(r);
    line("speed", fmt::format("{} tokens/s, {}", groupDigits(r.at("tokens_per_second").get<double>()), formatSeconds(r.at("seconds").get<double>())));
    printTasks(r);
}

int runEval(Context& context, const MeasureOptions& options) {
    useCache(options.cache);
    Recipe recipe = context.baseRecipe("evaluate");
    if (!options.path.empty())
        recipe.checkpoint = options.path;
    if (!options.texts.empty())
        recipe.evaluation.files = options.texts;
    if (!options.suite.empty()) {
        const Suite suite = loadSuite(options.suite);
        recipe.name = suite.name;
        recipe.tasks = {suite.prompts, suite.maxTokens, recipe.tasks.compare, suite.thresholds};
        recipe.evaluation.files = suite.texts;
        if (suite.thresholds.empty())
            context.job.note("warning: the suite has no thresholds, so that nothing can fail");
    }
    if (!options.prompts.empty())
        recipe.tasks.prompts = options.prompts;
    recipe.tasks.maxTokens = options.maxTokens.value_or(recipe.tasks.maxTokens);
    recipe.tasks.compare = recipe.tasks.compare || options.outputs;
    recipe.base = options.base.value_or(recipe.base);
    recipe.evaluation.protocol = options.protocol.value_or(recipe.evaluation.protocol);
    recipe.evaluation.tokens = options.tokens.value_or(recipe.evaluation.tokens);
    if (!options.calibrationTexts.empty())
        recipe.calibration.files = options.calibrationTexts;
    applyMethod(options.method, recipe);
    recipe = Recipe::fromJson(recipe.toJson()); // schemes are checked like those of a file
    parseProtocol(recipe.evaluation.protocol); // before anything is opened
    if (recipe.tasks.thresholds.empty() || context.common.dryRun)
        return planOrRun(context, recipe, printEvaluation);
    const RunOutcome outcome = runRecipe(context, recipe);
    if (context.common.json) {
        printJson(outcome.result);
    } else {
        printEvaluation(outcome.result);
        printWhere(context, outcome.run);
    }
    return outcome.result.value("holds", true) ? kExitOk : kExitThreshold;
}

/// Answers about a run that is there; nothing is run.
int answerWhatIf(Context& context, const CalibrateCommand& options) {
    const LogReader log(context.logPath());
    const Json table = withProgress(context, [&] { return whatIfTable(log, RunId(options.run), options.whatIf, context.job); });
    if (context.common.json)
        printJson(table);
    else
        printWhatIf(table);
    return kExitOk;
}

int runCalibrateCommand(Context& context, const CalibrateCommand& options) {
    for (const std::string& question : options.whatIf)
        parseWhatIf(question); // before anything is opened
    useCache(options.cache);
    if (options.run != 0) {
        if (options.whatIf.empty() || !options.path.empty())
            throw Error(ErrorCode::usage, "--run takes the statistics of a run that is there, for --what-if", "add --what-if smooth:alpha=0.5 and name no checkpoint");
        return answerWhatIf(context, options);
    }
    if (!options.whatIf.empty() && options.cache.off)
        throw Error(ErrorCode::usage, "--what-if is answered from stored statistics, and --no-cache stores none", "leave --no-cache out");
    Recipe recipe = context.baseRecipe("calibrate");
    if (!options.path.empty())
        recipe.checkpoint = options.path;
    applyCalibration(options.set, recipe);
    if (!options.evalTexts.empty())
        recipe.evaluation.files = options.evalTexts;
    recipe.calibrationSet.grams = recipe.calibrationSet.grams || options.grams;
    if (recipe.calibrationSet.grams && options.cache.off)
        throw Error(ErrorCode::usage, "--grams keeps Gram matrices, and --no-cache keeps nothing", "leave --no-cache out");
    recipe = Recipe::fromJson(recipe.toJson()); // values from options are checked like those of a file
    if (options.whatIf.empty() || context.common.dryRun)
        return planOrRun(context, recipe, printCalibration);
    RunOutcome outcome = runRecipe(context, recipe);
    const Json table = whatIfTable(LogReader(context.logPath()), outcome.run, options.whatIf, context.job);
    if (context.common.json) {
        outcome.result["what_if"] = table;
        printJson(outcome.result);
        return kExitOk;
    }
    printWhatIf(table);
    printWhere(context, outcome.run);
    return kExitOk;
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
    command->add_option("--prompts", eval->prompts, "prompt sets (.jsonl): questions with choices, cloze, answers, references, code")->type_name("FILE");
    command->add_option("--max-tokens", eval->maxTokens, "of a generated answer (default 64)")->check(CLI::PositiveNumber)->type_name("N");
    command->add_flag("--outputs", eval->outputs, "with --base and --prompts: what both models write, side by side");
    command->add_option("--suite", eval->suite, "prompts, texts and thresholds of a regression suite; exit code 3 when one breaks")->type_name("FILE.json");
    addRuntimeOptions(*command, eval->method);
    addRuntimeProfile(*command, eval->method.runtime);
    command->add_option("--calib-text", eval->calibrationTexts, "calibration text, for static scales")->type_name("FILE");
    addStoreOption(*command, eval->cache);
    addNonFinite(*command, context.common);
    addCommon(*command, context.common);
    command->footer("With --activations, --kv-cache or --runtime and no --base, KL is against the same checkpoint without them.\n"
                    "Examples:\n  bitwright-cli eval model.gguf --text test.txt --kv-cache kv4:token:g64 --protocol windows:512\n"
                    "  bitwright-cli eval model.gguf --text test.txt\n  bitwright-cli eval small.gguf --base model.gguf --text test.txt --tokens 16384 --json\n"
                    "  bitwright-cli eval small.gguf --base model.gguf --prompts questions.jsonl --outputs\n  bitwright-cli eval small.gguf --suite nightly.json");
    command->callback([&context, eval] { context.action = [&context, eval] { return runEval(context, *eval); }; });

    auto calibrate = std::make_shared<CalibrateCommand>();
    command = app.add_subcommand("calibrate", "Collect statistics of what enters every site");
    command->add_option("PATH", calibrate->path, "checkpoint");
    addCalibrationOptions(*command, calibrate->set);
    command->add_option("--eval-text", calibrate->evalTexts, "text you will evaluate on: overlap and another domain are reported")->type_name("FILE");
    command->add_option("--what-if", calibrate->whatIf, "what a change would do to inputs and errors, from stored statistics: smooth:alpha=0.7, rotate, outliers:threshold=6, "
                                                        "clip:share=0.8, clip:percentile=99.9, clip:mse; several with +; several questions are fine")->type_name("Q");
    command->add_option("--run", calibrate->run, "with --what-if: ask about this logged calibration; no text is read and nothing is run")->check(CLI::PositiveNumber)->type_name("RUN");
    command->add_flag("--grams", calibrate->grams, "keep the inputs' Gram matrices too, for awq, smooth:search, clip and sweeps with @gptq: those need no walk over these texts then");
    addCacheOptions(*command, calibrate->cache);
    addNonFinite(*command, context.common);
    addCommon(*command, context.common);
    command->footer("Examples:\n  bitwright-cli calibrate model.gguf --text calib.txt\n  bitwright-cli calibrate model.gguf --text a.txt b.jsonl --samples 64 --length 256 --json\n"
                    "  bitwright-cli calibrate model.gguf --text prose.txt --text src=0.3 --include '*.py' --deduplicate --sampling random --seed 7\n"
                    "  bitwright-cli calibrate --run 3 --what-if smooth:alpha=0.7 smooth:alpha=0.5+clip:mse");
    command->callback([&context, calibrate] { context.action = [&context, calibrate] { return runCalibrateCommand(context, *calibrate); }; });
}

} // namespace bw::cli
