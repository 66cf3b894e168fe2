// SPDX-License-Identifier: GPL-3.0-or-later
// assign (solve a logged map), mix (the main job), demo (the main job on the embedded checkpoint).
#include "app/cli/mix_report.h"
#include "app/cli/output.h"
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
const std::vector<std::string> kBlockFormats{"q3_k", "q4_0", "iq4_nl", "q4_1", "q5_0", "q5_1", "q8_0"};

struct MixArguments {
    std::string path, out, budget, tie = "none", rounder = "weighted", metric = "kl", protocol = "windows:256";
    std::vector<std::string> texts, evalTexts, formats, pins, uniforms;
    std::int64_t samples = 128, length = 512, sweepTokens = 2048, tokens = 0, run = 0, scaleRun = 0;
    bool replace = false, noClipSearch = false, fresh = false;
};

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

// assign ------------------------------------------------------------------------------------------------------------------

int runAssignCommand(Context& context, const MixArguments& options) {
    Recipe recipe = context.baseRecipe("assign");
    if (options.run != 0)
        recipe.assignment.sweepRun = options.run;
    if (options.scaleRun != 0)
        recipe.assignment.scaleRun = options.scaleRun;
    if (recipe.assignment.sweepRun == 0)
        throw Error(ErrorCode::usage, "no sweep is named", "add --run ID ('bitwright-cli runs list' shows them)");
    if (!options.budget.empty())
        recipe.assignment.budget = options.budget;
    if (recipe.assignment.budget.empty())
        throw Error(ErrorCode::usage, "no budget is named", "add --budget 4.5bpw, 1.2GiB, 123456B or kl=0.05");
    recipe.assignment.tie = options.tie;
    for (const auto& [site, format] : parsePins(options.pins))
        recipe.assignment.pins[site] = format;
    const RunDetail sweep = LogReader(context.logPath()).run(RunId(recipe.assignment.sweepRun));
    const Recipe swept = Recipe::fromJson(sweep.recipe);
    recipe.checkpoint = options.path.empty() ? swept.checkpoint : options.path;
    // The quantization that follows rounds the way the map was measured.
    recipe.rounder = swept.rounder;
    recipe.clipSearch = swept.clipSearch;
    recipe.calibration = swept.calibration;
    recipe = Recipe::fromJson(recipe.toJson());
    if (context.common.dryRun)
        return printPlan(context, recipe);
    const RunOutcome outcome = runRecipe(context, recipe);
    const Json& r = outcome.result;
    if (!options.out.empty())
        writeRecipe(options.out, r.at("recipe"), options.replace);
    if (context.common.json) {
        printJson(r);
        return 0;
    }
    Table table({{"site", false}, {"format", false}});
    for (const auto& entry : r.at("formats").items())
        table.add({entry.key(), entry.value()});
    printLine(table.text());
    printLine("mix        " + mixSummary(r.at("formats")));
    printLine(fmt::format("size       {} bytes, {:.4f} bits/weight in the sites (reach: {} to {} bytes)", r.at("bytes").get<std::uint64_t>(),
                          r.at("bits_per_weight").get<double>(), r.at("floor").get<std::uint64_t>(), r.at("ceiling").get<std::uint64_t>()));
    printLine(fmt::format("predicted  {} {} (bound {}, gap {})", number(r.at("predicted_cost"), 5), r.at("metric") == "kl" ? "nats per token" : "summed relative error",
                          number(r.at("bound"), 5), number(r.at("gap"), 2)));
    printWhere(context, outcome.run);
    if (!options.out.empty())
        printLine(fmt::format("recipe     {}\nnext: bitwright-cli quantize --recipe {} --out mix.gguf", options.out, options.out));
    return 0;
}

// mix and demo ------------------------------------------------------------------------------------------------------------

Runner::MixOptions mixOptions(const Context& context, const MixArguments& given) {
    Runner::MixOptions options;
    options.checkpoint = given.path;
    options.budget = given.budget.empty() ? "4.5bpw" : given.budget;
    options.metric = given.metric == "output" ? "output" : "kl";
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
    options.clipSearch = !given.noClipSearch;
    options.pins = parsePins(given.pins);
    options.uniformFormats = splitList(given.uniforms);
    options.replace = given.replace;
    options.fresh = given.fresh;
    options.device = context.common.device.value_or("cpu");
    options.seed = context.common.seed.value_or(options.seed);
    if (!given.out.ends_with(".json"))
        options.outPath = given.out;
    parseBudget(options.budget);
    parseProtocol(options.protocol);
    for (const std::string& format : options.formats)
        parseFormat(format);
    return options;
}

/// Plans of the stages that take time, one after another.
int planMix(Context& context, const Runner::MixOptions& options) {
    Recipe recipe;
    recipe.checkpoint = options.checkpoint;
    recipe.device = options.device;
    recipe.rounder = options.rounder;
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
    sweep.sweep = {options.formats, "output", 0};
    add("sweep by output error", sweep);
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

int runMixJob(Context& context, const Runner::MixOptions& options, const std::string& recipePath, bool replaceRecipe, const std::string& title, const std::string& next) {
    Runner runner = context.runner();
    const RunOutcome outcome = withProgress(context, [&] { return runner.mix(options, context.job, context.commandLine); });
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
    const std::string recipePath = given.out.ends_with(".json") ? given.out : "";
    return runMixJob(context, options, recipePath, given.replace, given.path, "next: bitwright-cli runs list");
}

/// Sensible on two cores within a minute: 43 sites × 7 formats, windows of the length the demo model was
/// trained on.
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
    given.sweepTokens = 2048;
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
    const std::string log = context.common.log.empty() ? "" : " --log " + context.logPath();
    const std::string next = fmt::format("try next\n  bitwright-cli runs list{0}\n  bitwright-cli generate {1} --prompt 'The sea'{0}\n"
                                         "  bitwright-cli mix {2} --text {3} --budget 4.8bpw --out my-mix.gguf{0}\n"
                                         "  bitwright{0}          (the window on this log)",
                                         log, given.out, given.path, given.texts.front());
    return runMixJob(context, options, "", false, "the demo model (6 blocks, 5.2 M weights)", next);
}

void addAssign(CLI::App& app, Context& context) {
    auto given = std::make_shared<MixArguments>();
    CLI::App* command = app.add_subcommand("assign", "Solve which site gets which format under a budget");
    command->add_option("PATH", given->path, "checkpoint (default: the sweep's)");
    command->add_option("--run", given->run, "sweep whose map is solved")->check(CLI::PositiveNumber)->type_name("RUN");
    command->add_option("--scale-run", given->scaleRun, "output-error sweep that fills formats the first has not measured")->check(CLI::PositiveNumber)->type_name("RUN");
    command->add_option("--budget", given->budget, "4.5bpw (of the sites), 1.2GiB, 123456B (of the file) or kl=0.05");
    command->add_option("--tie", given->tie, "fused: q/k/v and gate/up get one format")->check(CLI::IsMember({"none", "fused"}));
    command->add_option("--pin", given->pins, "hold sites at a format")->type_name("SITE=FORMAT");
    command->add_option("--out", given->out, "write the recipe for 'quantize --recipe'")->type_name("R.json");
    command->add_flag("--replace", given->replace, "overwrite the recipe");
    addCommon(*command, context.common);
    command->footer("Examples:\n  bitwright-cli assign --run 3 --budget 4.5bpw --out mix.json\n"
                    "  bitwright-cli assign --run 3 --budget 90MiB --tie fused --pin 'blk.0.*=q8_0'");
    command->callback([&context, given] { context.action = [&context, given] { return runAssignCommand(context, *given); }; });
}

void addMix(CLI::App& app, Context& context) {
    auto given = std::make_shared<MixArguments>();
    CLI::App* command = app.add_subcommand("mix", "Calibrate, sweep, solve, quantize, write, audit, evaluate: all in one");
    command->add_option("PATH", given->path, "checkpoint")->required();
    command->add_option("--text", given->texts, "calibration text, several are fine")->type_name("FILE");
    command->add_option("--eval-text", given->evalTexts, "text to measure the damage on (default: embedded prose)")->type_name("FILE");
    command->add_option("--budget", given->budget, "4.5bpw (of the sites; the default), 1.2GiB, 123456B (of the file) or kl=0.05");
    command->add_option("--formats", given->formats, "to choose from (default: the GGUF types of 3 to 8 bits)")->type_name("A,B,C");
    command->add_option("--out", given->out, "new .gguf, folder, or .json (recipe only)")->type_name("OUT");
    command->add_option("--rounder", given->rounder, "weighted or nearest")->check(CLI::IsMember({"nearest", "weighted"}));
    command->add_flag("--no-clip-search", given->noClipSearch, "affine grids: keep the full range of every group");
    command->add_option("--metric", given->metric, "kl (measured at the smallest format, scaled), kl-all, output")->check(CLI::IsMember({"kl", "kl-all", "output"}));
    command->add_option("--samples", given->samples, "calibration windows")->check(CLI::PositiveNumber)->capture_default_str()->type_name("N");
    command->add_option("--length", given->length, "tokens in a window")->check(CLI::PositiveNumber)->capture_default_str()->type_name("T");
    command->add_option("--sweep-tokens", given->sweepTokens, "tokens of the KL sweep")->check(CLI::PositiveNumber)->capture_default_str()->type_name("N");
    command->add_option("--tokens", given->tokens, "at most this many evaluation tokens")->check(CLI::PositiveNumber)->type_name("N");
    command->add_option("--protocol", given->protocol, "windows:N or llama.cpp:N")->capture_default_str();
    command->add_option("--tie", given->tie, "fused: q/k/v and gate/up get one format")->check(CLI::IsMember({"none", "fused"}));
    command->add_option("--pin", given->pins, "hold sites at a format")->type_name("SITE=FORMAT");
    command->add_option("--uniform", given->uniforms, "uniform formats to evaluate beside the nearest ones")->type_name("A,B");
    command->add_flag("--replace", given->replace, "replace an existing output");
    command->add_flag("--fresh", given->fresh, "measure everything anew, also what the log holds of an earlier, stopped call");
    addCommon(*command, context.common);
    command->footer("The same command after Ctrl-C or a crash goes on behind the last finished stage.\n"
                    "Examples:\n  bitwright-cli mix model.gguf --text calib.txt --eval-text test.txt --budget 4.8bpw --out mix.gguf\n"
                    "  bitwright-cli mix ./hf-folder --text calib.txt --budget 90MiB --formats q4_0,q5_0,q8_0 --out mix.gguf --json\n"
                    "  bitwright-cli mix ./hf-folder --text calib.txt --budget 4bpw --formats int3:g64,int4:g64,int8:channel --out ./small");
    command->callback([&context, given] { context.action = [&context, given] { return runMixCommand(context, *given); }; });
}

} // namespace

void addMixCommands(CLI::App& app, Context& context) {
    addAssign(app, context);
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
