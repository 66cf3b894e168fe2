// SPDX-License-Identifier: GPL-3.0-or-later
// assign: solve a logged map, optionally measuring first what is uncertain about it.
#include "app/cli/mix_report.h"
#include "app/cli/mix_words.h"
#include "app/cli/output.h"
#include "app/cli/plot_command.h"
#include "app/cli/run.h"
#include "core/base/error.h"

#include <fmt/format.h>

namespace bw::cli {
namespace {

struct AssignArguments {
    std::string path, out, budget, plot;
    std::vector<std::string> pins, forbid, parts;
    std::vector<std::int64_t> measured;
    std::optional<std::string> tie, starved;
    std::int64_t run = 0, scaleRun = 0, uncertain = 0, tokens = 2048;
    bool replace = false, additive = false;
};

void applyChoices(Recipe::Assignment& assignment, const AssignArguments& given) {
    if (given.run != 0)
        assignment.sweepRun = given.run;
    if (given.scaleRun != 0)
        assignment.scaleRun = given.scaleRun;
    if (!given.measured.empty())
        assignment.measuredRuns = given.measured;
    if (assignment.sweepRun == 0)
        throw Error(ErrorCode::usage, "no sweep is named", "add --run ID ('bitwright-cli runs list' shows them)");
    if (!given.budget.empty())
        assignment.budget = given.budget;
    for (const std::string& text : given.parts) {
        const FormatRule part = parseRule(text);
        assignment.budgets.push_back({part.pattern, part.format});
    }
    if (assignment.budget.empty() && assignment.budgets.empty())
        throw Error(ErrorCode::usage, "no budget is named", "add --budget 4.5bpw, 1.2GiB, 123456B or kl=0.05");
    assignment.tie = given.tie.value_or(assignment.tie);
    assignment.starved = given.starved.value_or(assignment.starved);
    assignment.interactions = assignment.interactions && !given.additive;
    for (const auto& [site, format] : parsePins(given.pins))
        assignment.pins[site] = format;
    for (const std::string& format : splitList(given.forbid))
        assignment.forbid.push_back(format);
}

Recipe assignRecipe(Context& context, const AssignArguments& given) {
    Recipe recipe = context.baseRecipe("assign");
    applyChoices(recipe.assignment, given);
    const RunDetail sweep = LogReader(context.logPath()).run(RunId(recipe.assignment.sweepRun));
    const Recipe swept = Recipe::fromJson(sweep.recipe);
    recipe.checkpoint = given.path.empty() ? swept.checkpoint : given.path;
    // The quantization that follows rounds the way the map was measured.
    recipe.rounder = swept.rounder;
    recipe.clipSearch = swept.clipSearch;
    recipe.calibration = swept.calibration;
    return Recipe::fromJson(recipe.toJson());
}

RunOutcome solveRecipe(Context& context, const Recipe& recipe, const AssignArguments& given) {
    if (given.uncertain == 0)
        return runRecipe(context, recipe);
    Runner runner = context.runner();
    Runner::RefineOptions options;
    options.assign = recipe;
    options.cells = given.uncertain;
    options.tokens = given.tokens;
    return withProgress(context, [&] { return runner.measureUncertain(options, context.job, context.commandLine); });
}

void printRounds(const Json& r) {
    if (!r.contains("rounds"))
        return;
    for (const Json& round : r.at("rounds"))
        printLine(fmt::format("measured   {} cells in run {}: {} sites changed", round.at("cells").get<std::int64_t>(), round.at("sweep").get<std::int64_t>(),
                              round.at("changed").get<std::int64_t>()));
    printLine(r.at("stable").get<bool>() ? "           no decision hangs on an estimate any more" : "           some decisions still hang on estimates: measure more cells");
}

void printSolution(const Json& r) {
    Table table({{"site", false}, {"format", false}});
    for (const auto& entry : r.at("formats").items())
        table.add({entry.key(), entry.value()});
    printLine(table.text());
    printLine(explanationsText(r, 12));
    printLine("mix        " + mixSummary(r.at("formats")));
    printLine(fmt::format("size       {} bytes, {:.4f} bits/weight in the sites (reach: {} to {} bytes)", r.at("bytes").get<std::uint64_t>(),
                          r.at("bits_per_weight").get<double>(), r.at("floor").get<std::uint64_t>(), r.at("ceiling").get<std::uint64_t>()));
    if (r.at("predicted_kl").is_number())
        printLine(fmt::format("predicted  {} nats per token", withError(r.at("predicted_kl"), r.at("predicted_se"), 4)));
    printLine(fmt::format("cost       {} {} (bound {}, gap {})", number(r.at("predicted_cost"), 5), r.at("metric") == "output" ? "summed relative error" : "nats, summed over sites",
                          number(r.at("bound"), 5), number(r.at("gap"), 2)));
    printRounds(r);
}

int runAssignCommand(Context& context, const AssignArguments& given) {
    const Recipe recipe = assignRecipe(context, given);
    if (context.common.dryRun)
        return printPlan(context, recipe);
    requirePlot(given.plot, given.replace);
    const RunOutcome outcome = solveRecipe(context, recipe, given);
    plotRuns(context, PlotKind::pareto, {outcome.run}, {given.plot, false, 1, given.replace});
    const Json& r = outcome.result;
    if (!given.out.empty())
        writeRecipe(given.out, r.at("recipe"), given.replace);
    if (context.common.json) {
        printJson(r);
        return 0;
    }
    printSolution(r);
    printWhere(context, outcome.run);
    if (!given.out.empty())
        printLine(fmt::format("recipe     {}\nnext: bitwright-cli quantize --recipe {} --out mix.gguf", given.out, given.out));
    return 0;
}

} // namespace

void addAssignCommand(CLI::App& app, Context& context) {
    auto given = std::make_shared<AssignArguments>();
    CLI::App* command = app.add_subcommand("assign", "Solve which site gets which format under a budget");
    command->add_option("PATH", given->path, "checkpoint (default: the sweep's)");
    command->add_option("--run", given->run, "sweep whose map is solved")->check(CLI::PositiveNumber)->type_name("RUN");
    command->add_option("--scale-run", given->scaleRun, "output-error sweep that fills formats the first has not measured")->check(CLI::PositiveNumber)->type_name("RUN");
    command->add_option("--measured", given->measured, "sweeps by measured KL whose cells take the place of the map's")->check(CLI::PositiveNumber)->type_name("RUN");
    command->add_option("--budget", given->budget, "4.5bpw (of the sites), 1.2GiB, 123456B (of the file) or kl=0.05");
    command->add_option("--part", given->parts, "a budget of some sites' own, like 'blk.0.*,blk.1.*=1.5MiB'; several are fine")->type_name("SITES=BUDGET");
    command->add_option("--tie", given->tie, "what gets one format: fused (q/k/v, gate/up), stacks, experts, with + between")->type_name("TIE");
    command->add_option("--pin", given->pins, "hold sites at a format")->type_name("SITE=FORMAT");
    command->add_option("--forbid", given->forbid, "formats that no site may take, or SITE=FORMAT")->type_name("A,B");
    command->add_option("--starved", given->starved, "of experts that saw too few tokens")->check(CLI::IsMember({"nearest", "keep", "borrow"}));
    command->add_flag("--additive", given->additive, "do not look at sites acting together");
    command->add_option("--measure-uncertain", given->uncertain, "measure the KL of at most N cells that could change the mix")->check(CLI::PositiveNumber)->type_name("N");
    command->add_option("--tokens", given->tokens, "calibration tokens that those cells are measured on")->check(CLI::PositiveNumber)->capture_default_str()->type_name("N");
    command->add_option("--out", given->out, "write the recipe for 'quantize --recipe'")->type_name("R.json");
    addPlotOption(*command, given->plot);
    command->add_flag("--replace", given->replace, "overwrite the recipe and the picture");
    addCommon(*command, context.common);
    command->footer("Examples:\n  bitwright-cli assign --run 3 --budget 4.5bpw --out mix.json\n"
                    "  bitwright-cli assign --run 3 --budget 90MiB --tie fused --pin 'blk.0.*=q8_0'\n"
                    "  bitwright-cli assign --run 3 --budget 4.5bpw --measure-uncertain 40\n"
                    "  bitwright-cli assign --run 3 --part 'blk.0.*,blk.1.*=2MiB' --part 'blk.2.*,blk.3.*=3MiB'");
    command->callback([&context, given] { context.action = [&context, given] { return runAssignCommand(context, *given); }; });
}

} // namespace bw::cli
