// SPDX-License-Identifier: GPL-3.0-or-later
// Measuring: eval, calibrate, sweep.
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
    std::string path;
    std::vector<std::string> texts, evalTexts, formats;
    std::optional<std::string> base, protocol, metric, rounder;
    std::optional<std::int64_t> tokens, samples, length;
    std::int64_t resume = 0;
    bool noClipSearch = false;
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

/// Sites down, formats across.
void printMap(const Json& r, const std::vector<std::string>& formats) {
    std::vector<Table::Column> columns{{"site", false}};
    for (const std::string& format : formats)
        columns.push_back({format});
    std::map<std::string, std::map<std::string, double>> cells;
    std::vector<std::string> sites;
    for (const Json& cell : r.at("cells")) {
        const std::string site = cell.at("site");
        if (!cells.contains(site))
            sites.push_back(site);
        cells[site][cell.at("format")] = cell.at("value").get<double>();
    }
    Table table(columns);
    for (const std::string& site : sites) {
        std::vector<std::string> row{site};
        for (const std::string& format : formats)
            row.push_back(cells[site].contains(format) ? number(cells[site][format], 3) : "–");
        table.add(std::move(row));
    }
    printLine(table.text());
    printLine(r.at("metric") == "kl" ? "KL to the unquantized model, nats per token, each site alone" : "relative squared error of each site's output");
}

Recipe sweepRecipe(Context& context, const MeasureOptions& options) {
    if (options.resume != 0) {
        const LogReader reader(context.logPath());
        const RunDetail begun = reader.run(RunId(options.resume));
        Recipe recipe = Recipe::fromJson(begun.recipe);
        if (!options.path.empty() || !options.texts.empty() || !options.formats.empty())
            std::fprintf(stderr, "resuming run %lld with the options it was begun with\n", static_cast<long long>(options.resume));
        return recipe;
    }
    Recipe recipe = context.baseRecipe("sweep");
    applyCalibration(recipe, options);
    if (!options.formats.empty())
        recipe.sweep.formats = splitList(options.formats);
    recipe.sweep.metric = options.metric.value_or(recipe.sweep.metric);
    recipe.sweep.tokens = options.tokens.value_or(recipe.sweep.tokens);
    recipe.rounder = options.rounder.value_or(recipe.rounder);
    recipe.clipSearch = recipe.clipSearch && !options.noClipSearch;
    for (const std::string& format : recipe.sweep.formats)
        parseFormat(format); // a misspelt format is told before the checkpoint is opened
    return recipe;
}

/// A person who starts a stopped sweep again may not know that it can go on.
void offerResume(Context& context, const Recipe& recipe) {
    const std::string status[] = {"cancelled", "interrupted", "failed"};
    const LogReader log(context.log().path());
    const Json wanted = withAbsolutePaths(recipe).toJson();
    for (const RunSummary& run : log.runs(200)) {
        if (run.kind != "sweep" || std::find(std::begin(status), std::end(status), run.status) == std::end(status) || log.run(run.id).recipe != wanted)
            continue;
        if (const std::size_t cells = log.sensitivities(run.id).size(); cells > 0)
            context.job.note(fmt::format("run {} is the same sweep, {}, with {} cells done: 'bitwright-cli sweep --resume {}' goes on with it", run.id.value(), run.status,
                                         cells, run.id.value()));
        return;
    }
}

int runSweepCommand(Context& context, const MeasureOptions& options) {
    const Recipe recipe = sweepRecipe(context, options);
    if (context.common.dryRun)
        return printPlan(context, recipe);
    if (options.resume == 0)
        offerResume(context, recipe);
    const RunOutcome outcome = runRecipe(context, recipe, RunId(options.resume));
    if (context.common.json) {
        printJson(outcome.result);
        return 0;
    }
    printMap(outcome.result, recipe.sweep.formats);
    printWhere(context, outcome.run);
    printLine(fmt::format("next: bitwright-cli assign --run {} --budget 4.5bpw", outcome.run.value()));
    return 0;
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
    addCommon(*command, context.common);
    command->footer("Examples:\n  bitwright-cli eval model.gguf --text test.txt\n  bitwright-cli eval small.gguf --base model.gguf --text test.txt --tokens 16384 --json");
    command->callback([&context, eval] { context.action = [&context, eval] { return runEval(context, *eval); }; });

    auto calibrate = std::make_shared<MeasureOptions>();
    command = app.add_subcommand("calibrate", "Collect statistics of what enters every site");
    addCalibrationOptions(*command, *calibrate);
    command->add_option("--eval-text", calibrate->evalTexts, "text you will evaluate on: overlap is reported")->type_name("FILE");
    addCommon(*command, context.common);
    command->footer("Examples:\n  bitwright-cli calibrate model.gguf --text calib.txt\n  bitwright-cli calibrate model.gguf --text a.txt b.jsonl --samples 64 --length 256 --json");
    command->callback([&context, calibrate] { context.action = [&context, calibrate] { return runCalibrateCommand(context, *calibrate); }; });

    auto sweep = std::make_shared<MeasureOptions>();
    command = app.add_subcommand("sweep", "Measure what each site costs in each format");
    addCalibrationOptions(*command, *sweep);
    command->add_option("--formats", sweep->formats, "like q4_0,q5_0,q8_0")->type_name("A,B,C");
    command->add_option("--metric", sweep->metric, "output (one walk) or kl (each site alone)")->check(CLI::IsMember({"output", "kl"}));
    command->add_option("--tokens", sweep->tokens, "sweep only this many of the calibration tokens")->check(CLI::PositiveNumber)->type_name("N");
    command->add_option("--rounder", sweep->rounder, "nearest or weighted")->check(CLI::IsMember({"nearest", "weighted"}));
    command->add_flag("--no-clip-search", sweep->noClipSearch, "affine grids: keep the full range of every group");
    command->add_option("--resume", sweep->resume, "go on with this interrupted run")->check(CLI::PositiveNumber)->type_name("RUN");
    addCommon(*command, context.common);
    command->footer("Examples:\n  bitwright-cli sweep model.gguf --text calib.txt --formats q4_0,q5_0,q8_0\n"
                    "  bitwright-cli sweep model.gguf --text calib.txt --formats q4_0,q8_0 --metric kl --tokens 2048\n"
                    "  bitwright-cli sweep --resume 12");
    command->callback([&context, sweep] { context.action = [&context, sweep] { return runSweepCommand(context, *sweep); }; });
}

} // namespace bw::cli
