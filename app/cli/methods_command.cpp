// SPDX-License-Identifier: GPL-3.0-or-later
// methods: try several recipes and rank them.
#include "app/cli/methods_command.h"
#include "app/cli/mix_words.h"
#include "app/cli/output.h"
#include "app/cli/run.h"
#include "app/cli/signals.h"
#include "app/common/devices.h"
#include "core/base/error.h"
#include "core/base/text.h"

#include <fmt/format.h>

namespace bw::cli {
namespace {

std::vector<MethodTrial> trialsOf(const MethodsArguments& given, const Recipe& from) {
    std::vector<MethodTrial> trials;
    for (const std::string& text : splitList(given.recipes)) {
        if (!text.ends_with(".json")) {
            trials.push_back(parseMethod(text, from, given.format.has_value()));
            continue;
        }
        Recipe recipe = Recipe::load(text);
        recipe.checkpoint = from.checkpoint;
        recipe.calibration = recipe.calibration.files.empty() ? from.calibration : recipe.calibration;
        recipe.evaluation = from.evaluation;
        recipe.exporting = {};
        trials.push_back({recipe.name.empty() ? text : recipe.name, "", recipe});
    }
    return trials;
}

void printMethods(const Json& r) {
    Table table({{"method", false}, {"bits/weight"}, {"bytes"}, {"perplexity"}, {"KL"}, {"same top 1"}, {"seconds"}, {"", false}});
    for (const Json& m : r.at("methods")) {
        const Json& beats = m.at("beats_nearest");
        const std::string remark = beats.is_boolean() && !beats.get<bool>() ? "no better than nearest" : m.at("front").get<bool>() ? "*" : "";
        table.add({m.at("name"), number(m.at("bits_per_weight"), 4), groupDigits(m.at("bytes").get<double>()), number(m.at("perplexity"), 5),
                   withError(m.at("kl"), m.at("kl_se"), 4), fmt::format("{:.1f} %", 100 * m.at("same_top1").get<double>()), number(m.at("seconds"), 3), remark});
    }
    printLine(table.text());
    printLine("* none tried is both smaller and better");
    for (const Json& failed : r.at("failed"))
        printLine(fmt::format("not run: {}: {}", failed.at("name").get<std::string>(), failed.at("reason").get<std::string>()));
    for (const Json& m : r.at("methods"))
        if (!m.at("why").get<std::string>().empty())
            printLine(fmt::format("{}: {}", m.at("name").get<std::string>(), m.at("why").get<std::string>()));
}

int planMethods(Context& context, const std::vector<MethodTrial>& trials) {
    Json plans = Json::array();
    for (const MethodTrial& trial : trials) {
        Runner runner = context.dryRunner();
        Json plan = withProgress(context, [&] { return runner.plan(trial.recipe, context.job); });
        plan["name"] = trial.name;
        plans.push_back(std::move(plan));
    }
    if (context.common.json) {
        printJson({{"methods", plans}});
        return kExitOk;
    }
    Table table({{"method", false}, {"about"}, {"bytes"}, {"bits/weight"}});
    for (const Json& plan : plans)
        table.add({plan.at("name"), formatSeconds(plan.at("seconds_estimate").get<double>()), groupDigits(plan.at("bytes").get<double>()), number(plan.at("site_bits_per_weight"), 4)});
    printLine(table.text());
    return kExitOk;
}

std::string methodList() {
    std::string names;
    for (const NamedMethod& method : namedMethods())
        names += (names.empty() ? "" : ", ") + std::string(method.name);
    return names;
}

} // namespace

Recipe sharedRecipe(const Context& context, const MethodsArguments& given) {
    Recipe from;
    from.kind = "quantize";
    from.checkpoint = given.path;
    from.device = context.common.device.value_or("cpu");
    from.seed = context.common.seed.value_or(from.seed);
    from.nonFinite = context.common.nonFinite.value_or(from.nonFinite);
    from.calibration = {given.texts, given.samples, given.length};
    from.evaluation = {given.evalTexts, given.protocol, given.tokens};
    from.assignment.format = given.format.value_or(from.assignment.format);
    from.assignment.head = given.head.value_or("");
    return Recipe::fromJson(from.toJson());
}

int runTrials(Context& context, const MethodsArguments& given, const std::vector<MethodTrial>& trials) {
    if (given.evalTexts.empty())
        throw Error(ErrorCode::usage, "methods are ranked by what they measure, and no evaluation text is named", "add --eval-text FILE");
    if (trials.empty())
        throw Error(ErrorCode::usage, "there is no method to try", "name some with --recipes nearest,weighted,gptq");
    if (context.common.dryRun)
        return planMethods(context, trials);
    useCache(given.cache);
    ExperimentLog& log = context.log();
    const MethodsOptions options{trials, given.fresh};
    const Json result = withProgress(context, [&] { return tryMethods(log, makeDevice, options, context.job, context.commandLine); });
    if (!given.out.empty())
        writeRecipe(given.out, result.at("methods").front().at("recipe"), given.replace);
    if (context.common.json) {
        printJson(result);
        return kExitOk;
    }
    printMethods(result);
    printLine("log: " + context.logPath());
    return kExitOk;
}

void addTrialOptions(CLI::App& command, MethodsArguments& given, Context& context) {
    command.add_option("PATH", given.path, "checkpoint")->required();
    command.add_option("--text", given.texts, "calibration text, several are fine")->type_name("FILE");
    command.add_option("--eval-text", given.evalTexts, "text that the methods are ranked on")->type_name("FILE");
    command.add_option("--samples", given.samples, "calibration windows")->check(CLI::PositiveNumber)->capture_default_str()->type_name("N");
    command.add_option("--length", given.length, "tokens in a window")->check(CLI::PositiveNumber)->capture_default_str()->type_name("T");
    command.add_option("--protocol", given.protocol, "windows:N or llama.cpp:N")->capture_default_str();
    command.add_option("--tokens", given.tokens, "at most this many evaluation tokens")->check(CLI::PositiveNumber)->type_name("N");
    command.add_option("--out", given.out, "write the best one's recipe here")->type_name("RECIPE.json");
    command.add_flag("--replace", given.replace, "replace an existing --out");
    command.add_flag("--fresh", given.fresh, "measure everything anew, also what the log holds");
    addCacheOptions(command, given.cache);
    addNonFinite(command, context.common);
    addCommon(command, context.common);
}

void addMethodsCommand(CLI::App& app, Context& context) {
    auto given = std::make_shared<MethodsArguments>();
    CLI::App* command = app.add_subcommand("methods", "Try several methods on your model and data and rank them by measured KL and size");
    addTrialOptions(*command, *given, context);
    command->add_option("--recipes", given->recipes,
                        "methods: " + methodList() + "; each also with formats (gptq/int3:g64), in parts (TRANSFORM/ROUNDER/FORMAT[/ACTIVATIONS]), or a recipe's .json")
        ->type_name("A,B,C");
    command->add_option("--format", given->format, "format of the methods of weights alone (default int4:g64:asym)")->type_name("FORMAT");
    command->add_option("--head", given->head, "format of token_embd and output; 'keep' leaves them (default: as the others)")->type_name("FORMAT");
    command->footer("The same command after a stop goes on behind the last finished method.\n"
                    "Examples:\n  bitwright-cli methods model.gguf --recipes nearest,weighted,gptq --format q4_k --text calib.txt --eval-text test.txt\n"
                    "  bitwright-cli methods ./hf-folder --recipes awq/nearest/int4:g64,none/gptq/int3:g64 --text calib.txt --eval-text test.txt --json");
    command->callback([&context, given] {
        context.action = [&context, given] {
            const bool judged = !given->evalTexts.empty(); // else say so before anything is read
            return runTrials(context, *given, judged ? trialsOf(*given, sharedRecipe(context, *given)) : std::vector<MethodTrial>());
        };
    });
}

} // namespace bw::cli
