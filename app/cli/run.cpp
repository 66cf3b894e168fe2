// SPDX-License-Identifier: GPL-3.0-or-later
// Recipes and plans with progress.
#include "app/cli/run.h"

#include "app/cli/output.h"
#include "app/cli/signals.h"
#include "core/base/text.h"

#include <fmt/format.h>

namespace bw::cli {
namespace {

void printTensors(const Json& plan) {
    Table table({{"tensor", false}, {"asked", false}, {"used", false}, {"bytes"}, {"why", false}});
    for (const Json& t : plan.at("tensors"))
        table.add({t.at("name"), t.at("asked"), t.at("used"), groupDigits(t.at("bytes").get<double>()), t.at("why")});
    printLine(table.text());
}

void printSizes(const Json& plan) {
    printLine(fmt::format("file      {} bytes ({}), {} of them tensors, {:.4f} bits/weight with everything in them",
                          plan.at("file_bytes").get<std::uint64_t>(), formatBytes(plan.at("file_bytes").get<std::uint64_t>()),
                          plan.at("tensor_bytes").get<std::uint64_t>(), plan.at("bits_per_weight").get<double>()));
    printLine(fmt::format("memory    {}    disk free  {}", formatBytes(plan.at("memory_bytes").get<std::uint64_t>()),
                          formatBytes(plan.at("disk_free").get<std::uint64_t>())));
    for (const Json& warning : plan.at("warnings"))
        printLine("warning: " + warning.get<std::string>());
}

} // namespace

RunOutcome runRecipe(Context& context, const Recipe& recipe, RunId resume) {
    Runner runner = context.runner();
    return withProgress(context, [&] { return runner.run(recipe, context.job, context.commandLine, resume, context.common.strict); });
}

int printPlan(Context& context, const Recipe& recipe) {
    Runner runner = context.dryRunner();
    const Json plan = withProgress(context, [&] { return runner.plan(recipe, context.job); });
    const bool refused = context.common.strict && plan.value("differs_from_asked", false);
    if (context.common.json) {
        printJson(plan);
        return refused ? kExitFailed : kExitOk;
    }
    printLine(fmt::format("plan: {} {}", recipe.kind, recipe.checkpoint));
    for (const char* role : {"calibration", "evaluation", "prompts", "sweep"})
        if (plan.contains(role))
            printLine(fmt::format("{:<12}{}", role, plan.at(role).dump()));
    if (plan.contains("tensors")) {
        printTensors(plan);
        printSizes(plan);
    }
    if (plan.contains("gram_matrices")) {
        const Json& grams = plan.at("gram_matrices");
        const auto bytes = grams.at("bytes").get<std::uint64_t>(), limit = grams.at("limit").get<std::uint64_t>();
        printLine(fmt::format("keeps     Gram matrices of inputs, {}{}", formatBytes(bytes), bytes <= limit ? "" : limit > 0 ? fmt::format(": not kept, past the store's limit of {}", formatBytes(limit)) : ": not kept, the cache is off"));
    }
    printLine(fmt::format("time      about {}", formatSeconds(plan.at("seconds_estimate").get<double>())));
    if (refused)
        printLine("refused: --strict, and the plan differs from what was asked");
    return refused ? kExitFailed : kExitOk;
}

int planOrRun(Context& context, const Recipe& recipe, void (*print)(const Json&)) {
    if (context.common.dryRun)
        return printPlan(context, recipe);
    const RunOutcome outcome = runRecipe(context, recipe);
    if (context.common.json) {
        printJson(outcome.result);
        return kExitOk;
    }
    print(outcome.result);
    printWhere(context, outcome.run);
    return kExitOk;
}

void printWhere(Context& context, RunId run) {
    printLine(fmt::format("run {} in {}", run.value(), context.logPath()));
}

} // namespace bw::cli
