// SPDX-License-Identifier: GPL-3.0-or-later
// mix (the main job), demo (the main job on the embedded checkpoint).
#include "app/cli/cache_command.h"
#include "app/cli/method_options.h"
#include "app/cli/mix_report.h"
#include "app/cli/mix_words.h"
#include "app/cli/output.h"
#include "app/cli/plot_command.h"
#include "app/cli/run.h"
#include "app/common/resources.h"
#include "core/base/atomic_file.h"
#include "core/base/error.h"

#include <filesystem>
#include <fmt/format.h>

namespace bw::cli {
namespace {

namespace fs = std::filesystem;

/// GGUF types that are written here, smallest first.
const std::vector<std::string> kBlockFormats{"q2_k", "q3_k", "iq4_xs", "q4_k", "q5_k", "q6_k", "q8_0"};

struct MixArguments {
    CacheArguments cache;
    std::optional<std::string> runtime;
    std::string plot;
    std::string path, out, budget, tie = "none", rounder = "weighted", metric = "fisher", protocol = "windows:256";
    std::vector<std::string> texts, evalTexts, formats, pins, forbid, uniforms;
    double correction = 0.5;
    std::int64_t samples = 128, length = 512, probes = 1024, sketchTokens = 0, sweepTokens = 2048, tokens = 0, uncertain = 0, check = 8;
    bool replace = false, noClipSearch = false, fresh = false;
};

Runner::MixOptions mixOptions(const Context& context, const MixArguments& given) {
    Runner::MixOptions options;
    options.checkpoint = given.path;
    options.budget = given.budget.empty() ? "4.5bpw" : given.budget;
    options.metric = given.metric == "kl-all" ? "kl" : given.metric;
    options.probes = given.probes;
    options.checkCells = given.check;
    options.sketchTokens = given.sketchTokens;
    options.forbid = splitList(given.forbid);
    options.uncertainCells = given.uncertain;
    options.measureEveryCell = given.metric == "kl-all";
    options.formats = given.formats.empty() ? kBlockFormats : splitList(given.formats);
    options.calibrationFiles = given.texts;
    options.evaluationFiles = given.evalTexts;
    options.samples = given.samples;
    options.length = given.length;
    options.sweepTokens = given.sweepTokens;
    options.evaluationTokens = given.tokens;
    options.protocol = given.protocol;
    options.tie = given.tie;
    options.rounder = given.rounder;
    options.correction = given.correction;
    options.clipSearch = !given.noClipSearch;
    options.pins = parsePins(given.pins);
    options.uniformFormats = splitList(given.uniforms);
    options.replace = given.replace;
    options.fresh = given.fresh;
    options.runtime = given.runtime.value_or(options.runtime);
    options.device = context.common.device.value_or("cpu");
    options.seed = context.common.seed.value_or(options.seed);
    if (!given.out.ends_with(".json"))
        options.outPath = given.out;
    parseBudget(options.budget);
    if (!isTie(options.tie))
        throw Error(ErrorCode::usage, "'" + options.tie + "' is no tie", "use none, or fused, stacks, experts with + between them");
    parseProtocol(options.protocol);
    for (const std::string& format : options.formats)
        parseChoice(format);
    return options;
}

/// Plans of the stages that take time, one after another.
int planMix(Context& context, const Runner::MixOptions& options) {
    Recipe recipe;
    recipe.checkpoint = options.checkpoint;
    recipe.device = options.device;
    recipe.rounder = options.rounder == "gptq" ? "weighted" : options.rounder; // of the map and of all that is held against the mix
    recipe.transform = options.transform;
    recipe.calibration = {options.calibrationFiles, options.samples, options.length};
    Json plans = Json::array();
    Runner runner = context.dryRunner();
    const auto add = [&](const std::string& what, const Recipe& stage) {
        Json plan = withProgress(context, [&] { return runner.plan(stage, context.job); });
        plan["stage"] = what;
        plans.push_back(std::move(plan));
    };
    Recipe sweep = recipe;
    sweep.kind = "sweep";
    if (options.metric == "fisher") {
        sweep.sweep = {options.formats, "fisher", options.sketchTokens};
        sweep.sweep.probes = options.probes;
        add("sketch of all sites and formats", sweep);
    } else {
        sweep.sweep = {options.formats, "output", 0};
        add("sweep by output error", sweep);
    }
    if (options.metric == "kl") {
        sweep.sweep = {options.measureEveryCell ? options.formats : std::vector{options.formats.front()}, "kl", options.sweepTokens};
        add("sweep by measured KL", sweep);
    }
    for (const std::string& format : options.formats) {
        Recipe uniform = recipe;
        uniform.kind = "quantize";
        uniform.assignment.format = format;
        uniform.exporting = {options.outPath, options.replace};
        uniform.evaluation = {options.evaluationFiles, options.protocol, options.evaluationTokens};
        add("uniform " + format, uniform);
    }
    if (context.common.json) {
        printJson({{"stages", plans}});
        return 0;
    }
    Table table({{"stage", false}, {"about", false}, {"bytes"}, {"bits/weight"}});
    for (const Json& plan : plans)
        table.add({plan.at("stage"), fmt::format("{:.1f} s", plan.at("seconds_estimate").get<double>()),
                   plan.contains("bytes") ? groupDigits(plan.at("bytes").get<double>()) : "",
                   plan.contains("site_bits_per_weight") ? number(plan.at("site_bits_per_weight"), 4) : ""});
    printLine(table.text());
    printLine("the mix lies between the smallest and the largest uniform format");
    return 0;
}

int runMixJob(Context& context, const Runner::MixOptions& options, const std::string& recipePath, bool replaceRecipe, const std::string& title, const std::string& next, const std::string& plot = {}) {
    Runner runner = context.runner();
    const RunOutcome outcome = withProgress(context, [&] { return runner.mix(options, context.job, context.commandLine); });
    plotRuns(context, PlotKind::pareto, {RunId(outcome.result.at("runs").at("assign").get<std::int64_t>())}, {plot, false, 1, replaceRecipe});
    if (!recipePath.empty())
        writeRecipe(recipePath, outcome.result.at("recipe"), replaceRecipe);
    if (context.common.json) {
        printJson(outcome.result);
        return 0;
    }
    printLine(mixReport(outcome.result, title, context.log().path()));
    if (!next.empty())
        printLine(next);
    return 0;
}

int runMixCommand(Context& context, MixArguments given) {
    if (given.texts.empty())
        throw Error(ErrorCode::usage, "a mix needs calibration text", "add --text FILE (.txt or .jsonl)");
    if (given.evalTexts.empty()) {
        given.evalTexts = {(fs::path(resourcesFolder()) / "texts" / "eval_prose.txt").string()};
        context.job.note("warning: no --eval-text: damage is measured on the embedded English prose");
    }
    const Runner::MixOptions options = mixOptions(context, given);
    if (context.common.dryRun)
        return planMix(context, options);
    requirePlot(given.plot, given.replace);
    useCache(given.cache);
    const std::string recipePath = given.out.ends_with(".json") ? given.out : "";
    return runMixJob(context, options, recipePath, given.replace, given.path, "next: bitwright-cli runs list", given.plot);
}

/// Sensible on two cores in a quarter of a minute: 43 sites × 7 formats, windows of the length the demo model was trained
/// on, one sampled gradient of each window that the sketch reads.
MixArguments demoArguments(const Context& context, const std::string& out) {
    const fs::path resources = resourcesFolder();
    const fs::path folder = out.empty() ? fs::absolute(context.logPath()).parent_path() / "demo" : fs::path(out);
    std::error_code failure;
    fs::create_directories(folder, failure);
    if (failure)
        throw Error(ErrorCode::permissionDenied, "the folder '" + folder.string() + "' can't be made: " + failure.message(), "name another with --out DIR");
    MixArguments given;
    given.path = (resources / "demo").string();
    given.texts = {(resources / "texts" / "calib_prose.txt").string(), (resources / "texts" / "calib_code.txt").string()};
    given.evalTexts = {(resources / "texts" / "eval_prose.txt").string(), (resources / "texts" / "eval_code.txt").string()};
    given.out = (folder / "demo-mix.gguf").string();
    given.budget = "4.5bpw";
    given.samples = 64;
    given.length = 256;
    given.probes = 256;
    given.sketchTokens = 32 * 256;
    given.uniforms = {"q4_0"};
    given.replace = true; // its own file
    return given;
}

int runDemo(Context& context, const std::string& out, bool fresh) {
    MixArguments given = demoArguments(context, out);
    given.fresh = fresh;
    const Runner::MixOptions options = mixOptions(context, given);
    if (context.common.dryRun)
        return planMix(context, options);
    useCache({});
    const std::string log = context.common.log.empty() ? "" : " --log " + context.logPath();
    const std::string next = fmt::format("try next\n  bitwright-cli runs list{0}\n  bitwright-cli generate {1} --prompt 'The sea'{0}\n"
                                         "  bitwright-cli mix {2} --text {3} --budget 4.8bpw --out my-mix.gguf{0}\n"
                                         "  bitwright{0}          (the window on this log)",
                                         log, given.out, given.path, given.texts.front());
    return runMixJob(context, options, "", false, "the demo model (6 blocks, 5.2 M weights)", next);
}

void addMix(CLI::App& app, Context& context) {
    auto given = std::make_shared<MixArguments>();
    CLI::App* command = app.add_subcommand("mix", "Calibrate, map, solve, quantize, measure beside uniform formats and rule lists, write, audit: all in one");
    command->add_option("PATH", given->path, "checkpoint")->required();
    command->add_option("--text", given->texts, "calibration text, several are fine")->type_name("FILE");
    command->add_option("--eval-text", given->evalTexts, "text to measure the damage on (default: embedded prose)")->type_name("FILE");
    command->add_option("--budget", given->budget, "4.5bpw (of the sites; the default), 1.2GiB, 123456B (of the file) or kl=0.05");
    command->add_option("--formats", given->formats, "to choose from (default: the GGUF types of 2 to 8 bits); q4_k@nearest names the rounder too")->type_name("A,B,C");
    command->add_option("--out", given->out, "new .gguf, folder, or .json (recipe only)")->type_name("OUT");
    command->add_option("--rounder", given->rounder, "weighted or nearest; gptq: map and mix weighted, then the mix is rounded by GPTQ")->check(CLI::IsMember({"nearest", "weighted", "gptq"}));
    command->add_option("--correction", given->correction, "--rounder gptq: share of the damage done before a site that it makes up for (default 0.5)")->check(CLI::Range(0.0, 1.0))->type_name("S");
    command->add_flag("--no-clip-search", given->noClipSearch, "affine grids: keep the full range of every group");
    command->add_option("--metric", given->metric, "fisher (KL from gradients; the default), kl (measured at the smallest format, scaled), kl-all, output")
        ->check(CLI::IsMember({"fisher", "kl", "kl-all", "output"}));
    command->add_option("--probes", given->probes, "of the sketch: stretches of text that a gradient is sampled for")->check(CLI::PositiveNumber)->capture_default_str()->type_name("N");
    command->add_option("--check", given->check, "sites of each format that the sketch is held against by measured KL; 0 = none")->check(CLI::NonNegativeNumber)->capture_default_str()->type_name("N");
    command->add_option("--sketch-tokens", given->sketchTokens, "calibration tokens that the sketch reads (default: all)")->check(CLI::PositiveNumber)->type_name("N");
    command->add_option("--measure-uncertain", given->uncertain, "measure the KL of at most N cells that could change the mix")->check(CLI::PositiveNumber)->type_name("N");
    command->add_option("--samples", given->samples, "calibration windows")->check(CLI::PositiveNumber)->capture_default_str()->type_name("N");
    command->add_option("--length", given->length, "tokens in a window")->check(CLI::PositiveNumber)->capture_default_str()->type_name("T");
    command->add_option("--sweep-tokens", given->sweepTokens, "tokens of a measured-KL sweep and of uncertain cells")->check(CLI::PositiveNumber)->capture_default_str()->type_name("N");
    command->add_option("--tokens", given->tokens, "at most this many evaluation tokens")->check(CLI::PositiveNumber)->type_name("N");
    command->add_option("--protocol", given->protocol, "windows:N or llama.cpp:N")->capture_default_str();
    command->add_option("--tie", given->tie, "what gets one format: fused (q/k/v, gate/up), stacks, experts, with + between")->type_name("TIE");
    command->add_option("--pin", given->pins, "hold sites at a format")->type_name("SITE=FORMAT");
    command->add_option("--forbid", given->forbid, "formats that no site may take, or SITE=FORMAT")->type_name("A,B");
    command->add_option("--uniform", given->uniforms, "uniform formats to evaluate beside the nearest ones")->type_name("A,B");
    addRuntimeProfile(*command, given->runtime);
    addPlotOption(*command, given->plot);
    command->add_flag("--replace", given->replace, "replace an existing output and picture");
    addCacheOptions(*command, given->cache);
    command->add_flag("--fresh", given->fresh, "measure everything anew, also what the log holds of an earlier, stopped call");
    addCommon(*command, context.common);
    command->footer("The same command after Ctrl-C or a crash goes on behind the last finished stage.\n"
                    "Examples:\n  bitwright-cli mix model.gguf --text calib.txt --eval-text test.txt --budget 4.8bpw --out mix.gguf\n"
                    "  bitwright-cli mix ./hf-folder --text calib.txt --budget 90MiB --formats q4_0,q5_0,q8_0 --out mix.gguf --json\n"
                    "  bitwright-cli mix ./hf-folder --text calib.txt --budget 4bpw --formats int3:g64,int4:g64,int8:channel --out ./small");
    command->callback([&context, given] { context.action = [&context, given] { return runMixCommand(context, *given); }; });
}

} // namespace

std::map<std::string, std::string> parsePins(const std::vector<std::string>& given) {
    std::map<std::string, std::string> pins;
    for (const std::string& text : given) {
        const FormatRule rule = parseRule(text);
        pins[rule.pattern] = rule.format;
    }
    return pins;
}

void writeRecipe(const std::string& path, const Json& recipe, bool replace) {
    writeFileAtomically(path, recipe.dump(2, ' ', false, Json::error_handler_t::replace) + "\n", replace ? AtomicFile::Replace::yes : AtomicFile::Replace::no);
}

void addMixCommands(CLI::App& app, Context& context) {
    addMix(app, context);
    auto out = std::make_shared<std::string>();
    auto fresh = std::make_shared<bool>(false);
    CLI::App* demo = app.add_subcommand("demo", "The main job on the embedded demo model");
    demo->add_option("--out", *out, "folder of the result (default: beside the log)")->type_name("DIR");
    demo->add_flag("--fresh", *fresh, "measure everything anew, also what the log holds already");
    addCommon(*demo, context.common);
    demo->footer("Examples:\n  bitwright-cli demo\n  bitwright-cli demo --out /tmp/demo --log /tmp/demo/log.db --json");
    demo->callback([&context, out, fresh] { context.action = [&context, out, fresh] { return runDemo(context, *out, *fresh); }; });
}

} // namespace bw::cli
