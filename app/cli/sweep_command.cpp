// SPDX-License-Identifier: GPL-3.0-or-later
// sweep: what each site costs in each format, by one of three measures; runs agreement: how far two such maps agree.
#include "app/cli/calibration_options.h"
#include "app/cli/output.h"
#include "app/cli/plot_command.h"
#include "app/cli/run.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/experiment/agreement.h"
#include "core/experiment/sketch_checks.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fmt/format.h>
#include <iterator>

namespace bw::cli {
namespace {

struct SweepArguments {
    std::string path, plot;
    CalibrationArguments calibration;
    std::vector<std::string> formats, sites, activations, keys, values;
    std::optional<std::string> metric, rounder, context, rest, shard;
    std::optional<std::int64_t> tokens, probes, orderRun;
    std::optional<double> positions;
    std::int64_t resume = 0, check = 0;
    bool noClipSearch = false;
};

/// Sites down, formats across.
void printMap(const Json& r) {
    std::vector<std::string> sites, formats;
    std::map<std::string, std::map<std::string, double>> cells;
    for (const Json& cell : r.at("cells")) {
        const std::string site = cell.at("site"), format = cell.at("format");
        if (!cells.contains(site))
            sites.push_back(site);
        if (std::find(formats.begin(), formats.end(), format) == formats.end())
            formats.push_back(format);
        cells[site][format] = cell.at("value").get<double>();
    }
    std::vector<Table::Column> columns{{"site", false}};
    for (const std::string& format : formats)
        columns.push_back({format});
    Table table(columns);
    for (const std::string& site : sites) {
        std::vector<std::string> row{site};
        for (const std::string& format : formats)
            row.push_back(cells[site].contains(format) ? number(cells[site][format], 3) : "–");
        table.add(std::move(row));
    }
    printLine(table.text());
    const std::string metric = r.at("metric");
    printLine(metric == "output"   ? "relative squared error of each site's output"
              : metric == "fisher" ? "KL to the unquantized model, nats per token, each site alone, estimated from gradients"
                                   : "KL to the unquantized model, nats per token, each site alone");
    for (const Json& doubt : r.at("doubtful"))
        printLine(fmt::format("doubtful: {} in {}: {}", doubt.at("site").get<std::string>(), doubt.at("format").get<std::string>(), doubt.at("why").get<std::string>()));
}

Recipe resumed(Context& context, const SweepArguments& given) {
    const RunDetail begun = LogReader(context.logPath()).run(RunId(given.resume));
    if (!given.path.empty() || !given.calibration.texts.empty() || !given.formats.empty())
        std::fprintf(stderr, "resuming run %lld with the options it was begun with\n", static_cast<long long>(given.resume));
    return Recipe::fromJson(begun.recipe);
}

Recipe sweepRecipe(Context& context, const SweepArguments& given) {
    if (given.resume != 0)
        return resumed(context, given);
    if (given.check != 0)
        return checkSweep(LogReader(context.logPath()), RunId(given.check), kCheckCells, given.tokens.value_or(kCheckTokens));
    Recipe recipe = context.baseRecipe("sweep");
    if (!given.path.empty())
        recipe.checkpoint = given.path;
    applyCalibration(given.calibration, recipe);
    Recipe::Sweep& sweep = recipe.sweep;
    const auto take = [](std::vector<std::string>& list, const std::vector<std::string>& words) {
        if (!words.empty())
            list = splitList(words);
    };
    take(sweep.formats, given.formats);
    take(sweep.sites, given.sites);
    take(sweep.activations, given.activations);
    take(sweep.keys, given.keys);
    take(sweep.values, given.values);
    sweep.metric = given.metric.value_or(sweep.metric);
    sweep.tokens = given.tokens.value_or(sweep.tokens);
    sweep.probes = given.probes.value_or(sweep.probes);
    sweep.rest = given.rest.value_or(sweep.rest);
    sweep.context = given.context.value_or(given.rest ? "rest" : sweep.context);
    sweep.positions = given.positions.value_or(sweep.positions);
    sweep.shard = given.shard.value_or(sweep.shard);
    sweep.orderRun = given.orderRun.value_or(sweep.orderRun);
    recipe.rounder = given.rounder.value_or(recipe.rounder);
    recipe.clipSearch = recipe.clipSearch && !given.noClipSearch;
    parseShard(sweep.shard);
    for (const std::string& format : sweep.formats)
        parseChoice(format); // a misspelt format is told before the checkpoint is opened
    return Recipe::fromJson(recipe.toJson());
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

int runSweepCommand(Context& context, const SweepArguments& given) {
    const Recipe recipe = sweepRecipe(context, given);
    if (context.common.dryRun)
        return printPlan(context, recipe);
    requirePlot(given.plot);
    if (given.resume == 0)
        offerResume(context, recipe);
    const RunOutcome outcome = runRecipe(context, recipe, RunId(given.resume));
    plotRuns(context, PlotKind::heatmap, {outcome.run}, {given.plot});
    if (context.common.json) {
        printJson(outcome.result);
        return 0;
    }
    printMap(outcome.result);
    printWhere(context, outcome.run);
    if (recipe.sweep.shard != "1/1")
        printLine(fmt::format("this is part {}: when all are done, bring them together with 'bitwright-cli runs merge LOG…'", recipe.sweep.shard));
    else
        printLine(fmt::format("next: bitwright-cli assign --run {} --budget 4.5bpw", outcome.run.value()));
    return 0;
}

Json defined(double value) { return std::isnan(value) ? Json() : Json(value); }

struct AgreementArguments {
    std::int64_t a = 0, b = 0;
    std::string plot;
};

int runAgreement(Context& context, const AgreementArguments& given) {
    const Agreement found = agreement(LogReader(context.logPath()), RunId(given.a), RunId(given.b));
    plotRuns(context, PlotKind::agreement, {RunId(given.a), RunId(given.b)}, {given.plot});
    if (context.common.json) {
        Json scores = Json::array(), pairs = Json::array();
        for (const AgreementScore& score : found.scores)
            scores.push_back({{"format", score.format}, {"pairs", score.pairs}, {"spearman", defined(score.spearman)}, {"median_ratio", defined(score.medianRatio)},
                              {"log_correlation", defined(score.logCorrelation)}});
        for (const AgreementPair& pair : found.pairs)
            pairs.push_back({{"site", pair.site}, {"format", pair.format}, {"a", pair.a}, {"b", pair.b}, {"a_se", pair.seA}, {"b_se", pair.seB}});
        printJson({{"a", given.a}, {"b", given.b}, {"metric_a", found.metricA}, {"metric_b", found.metricB}, {"scores", scores}, {"pairs", pairs}});
        return 0;
    }
    printLine(fmt::format("run {} ({}) against run {} ({})", given.a, found.metricA, given.b, found.metricB));
    Table table({{"format", false}, {"cells"}, {"rank correlation"}, {"median ratio"}, {"correlation of logs"}});
    for (const AgreementScore& score : found.scores)
        table.add({score.format.empty() ? "all" : score.format, std::to_string(score.pairs), number(defined(score.spearman), 4), number(defined(score.medianRatio), 4),
                   number(defined(score.logCorrelation), 4)});
    printLine(table.text());
    return 0;
}

void addMeasures(CLI::App& command, SweepArguments& given) {
    const std::string fisher = "Fisher sketch", kl = "Measured KL";
    command.add_option("--probes", given.probes, "stretches of text that a gradient is sampled for (default 1024)")->check(CLI::PositiveNumber)->group(fisher)->type_name("N");
    command.add_option("--activations", given.activations, "formats of what enters the sites, like int8:token")->group(fisher)->type_name("A,B");
    command.add_option("--keys", given.keys, "formats of cached keys")->group(fisher)->type_name("A,B");
    command.add_option("--values", given.values, "formats of cached values")->group(fisher)->type_name("A,B");
    command.add_option("--context", given.context, "what the other sites are: alone (full) or rest (quantized)")->check(CLI::IsMember({"alone", "rest"}))->group(kl);
    command.add_option("--rest", given.rest, "format of the other sites in context rest")->group(kl)->type_name("FORMAT");
    command.add_option("--positions", given.positions, "share of the positions that the head is run for, in (0, 1]")->group(kl)->type_name("SHARE");
    command.add_option("--order-run", given.orderRun, "measure the dearest cells of that sweep first")->check(CLI::PositiveNumber)->group(kl)->type_name("RUN");
    command.add_option("--shard", given.shard, "only this part of the cells, like 1/4; 'runs merge' brings parts together")->group(kl)->type_name("I/N");
}

} // namespace

void addSweepCommand(CLI::App& app, Context& context) {
    auto given = std::make_shared<SweepArguments>();
    CLI::App* command = app.add_subcommand("sweep", "Measure or estimate what each site costs in each format");
    command->add_option("PATH", given->path, "checkpoint");
    addCalibrationOptions(*command, given->calibration);
    command->add_option("--formats", given->formats, "like q4_0,q5_0,q8_0; q4_k@weighted, q4_k@nearest and q4_k@gptq name the rounder too")->type_name("A,B,C");
    command->add_option("--metric", given->metric, "output (relative error, one walk), fisher (KL from gradients, some walks), kl (each site measured alone)")
        ->check(CLI::IsMember({"output", "fisher", "kl"}));
    command->add_option("--sites", given->sites, "only sites of these names, like 'blk.0.*' or one cell, 'output=q4_0'")->type_name("A,B");
    command->add_option("--tokens", given->tokens, "sweep only this many of the calibration tokens")->check(CLI::PositiveNumber)->type_name("N");
    command->add_option("--rounder", given->rounder, "nearest, weighted, stochastic or gptq (each site by itself)")->check(CLI::IsMember({"nearest", "weighted", "stochastic", "gptq"}));
    command->add_flag("--no-clip-search", given->noClipSearch, "affine grids: keep the full range of every group");
    command->add_option("--check", given->check, "measure the cells that show how far this sketch is off")->check(CLI::PositiveNumber)->type_name("RUN");
    command->add_option("--resume", given->resume, "go on with this interrupted run")->check(CLI::PositiveNumber)->type_name("RUN");
    addPlotOption(*command, given->plot);
    addMeasures(*command, *given);
    addNonFinite(*command, context.common);
    addCommon(*command, context.common);
    command->footer("Examples:\n  bitwright-cli sweep model.gguf --text calib.txt --formats q4_0,q5_0,q8_0 --metric fisher\n"
                    "  bitwright-cli sweep model.gguf --text calib.txt --formats q4_0,q8_0 --metric kl --tokens 2048 --order-run 3\n"
                    "  bitwright-cli sweep model.gguf --text calib.txt --formats q4_0,q8_0 --metric kl --shard 2/8 --log part2.db\n"
                    "  bitwright-cli sweep --resume 12");
    command->callback([&context, given] { context.action = [&context, given] { return runSweepCommand(context, *given); }; });
}

void addAgreementCommand(CLI::App& runs, Context& context) {
    auto given = std::make_shared<AgreementArguments>();
    CLI::App* command = runs.add_subcommand("agreement", "How far two sweeps of one checkpoint agree, cell by cell");
    command->add_option("A", given->a, "sweep")->required();
    command->add_option("B", given->b, "sweep")->required();
    addPlotOption(*command, given->plot);
    addCommon(*command, context.common);
    command->footer("Examples:\n  bitwright-cli runs agreement 3 4\n  bitwright-cli runs agreement 3 4 --plot agreement.svg");
    command->callback([&context, given] { context.action = [&context, given] { return runAgreement(context, *given); }; });
}

} // namespace bw::cli
