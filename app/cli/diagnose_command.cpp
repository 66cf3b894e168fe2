// SPDX-License-Identifier: GPL-3.0-or-later
// diagnose: one page on why a logged run lost what it lost.
#include "app/cli/cache_command.h"
#include "app/cli/method_options.h"
#include "app/cli/output.h"
#include "app/cli/run.h"
#include "core/base/error.h"
#include "core/base/text.h"

#include <cmath>
#include <fmt/format.h>

namespace bw::cli {
namespace {

struct DiagnoseArguments {
    std::int64_t run = 0;
    std::vector<std::string> texts, recalibrate;
    std::optional<std::int64_t> tokens, probes, worst;
    std::optional<double> share;
    std::optional<std::string> runtime;
    CacheArguments cache;
};

/// A paragraph of at most kReportColumns, its lines behind `indent`.
void printWrapped(const std::string& text, const std::string& indent) {
    std::string line;
    const auto flush = [&] {
        if (!line.empty())
            printLine(indent + line);
        line.clear();
    };
    std::size_t at = 0;
    while (at < text.size()) {
        const std::size_t space = std::min(text.find(' ', at), text.size());
        const std::string word = text.substr(at, space - at);
        if (!line.empty() && displayColumns(indent) + displayColumns(line) + 1 + displayColumns(word) > kReportColumns)
            flush();
        line += (line.empty() ? "" : " ") + word;
        at = space + 1;
    }
    flush();
}

void printTrace(const Json& trace) {
    Table table({{"block"}, {"error so far"}, {"of the block alone"}, {"cosine"}, {"", false}});
    double largest = 0;
    for (const Json& block : trace)
        largest = std::max(largest, block.at("own").get<double>());
    for (const Json& block : trace) {
        std::string bar;
        const int length = largest > 0 ? static_cast<int>(std::lround(24 * block.at("own").get<double>() / largest)) : 0;
        for (int i = 0; i < length; ++i)
            bar += "█";
        table.add({std::to_string(block.at("block").get<int>()), number(block.at("relative"), 3), number(block.at("own"), 3), number(block.at("cosine"), 6), bar});
    }
    printLine(table.text());
}

void printDiagnosis(const Json& r) {
    printLine(fmt::format("run {}: KL {} nats per token on {} tokens, {} models measured\n", r.at("of").get<std::int64_t>(),
                          withError(r.at("kl"), r.at("kl_se"), 4), groupDigits(r.at("tokens").get<double>()), r.at("evaluations").get<int>()));
    int n = 0;
    for (const Json& finding : r.at("findings")) {
        printLine(fmt::format("{}. {}", ++n, finding.at("title").get<std::string>()));
        printWrapped(finding.at("evidence"), "   ");
        printWrapped("→ " + finding.at("advice").get<std::string>(), "   ");
        printLine();
    }
    if (n == 0)
        printLine("Nothing to report.\n");
    if (!r.at("culprits").empty() && r.at("culprits").size() <= 12) {
        Table table({{"culprit", false}, {"share won back"}, {"predicted KL"}, {"weights changed by"}});
        for (const Json& c : r.at("culprits"))
            table.add({c.at("site"), c.at("share").is_null() ? "–" : fmt::format("{:.1f} %", 100 * c.at("share").get<double>()), number(c.at("predicted"), 3),
                       fmt::format("{:.1f} %", 100 * c.at("relative_error").get<double>())});
        printLine(table.text());
    }
    printTrace(r.at("trace"));
    for (const Json& token : r.value("worst_tokens", Json::array())) {
        std::string sites;
        for (const Json& site : token.at("sites"))
            sites += fmt::format("{}{} {}", sites.empty() ? "" : ", ", site.at("site").get<std::string>(), number(site.at("won_back"), 2));
        printLine(fmt::format("\nKL {} at …{} [{}]", number(token.at("kl"), 3), escapeForDisplay(token.at("before").get<std::string>(), 90), escapeForDisplay(token.at("token").get<std::string>(), 40)));
        printWrapped("won back by the original weights of: " + sites, "   ");
    }
}

int runDiagnoseCommand(Context& context, const DiagnoseArguments& given) {
    useCache(given.cache);
    const RunDetail was = LogReader(context.logPath()).run(RunId(given.run));
    Recipe recipe = Recipe::fromJson(was.recipe);
    recipe.kind = "diagnose";
    recipe.exporting = {};
    Recipe::Diagnosis& asked = recipe.diagnosis;
    asked.run = given.run;
    asked.tokens = given.tokens.value_or(asked.tokens);
    asked.probes = given.probes.value_or(asked.probes);
    asked.share = given.share.value_or(asked.share);
    asked.worst = given.worst.value_or(asked.worst);
    asked.recalibrate = given.recalibrate;
    recipe.evaluation.runtime = given.runtime.value_or(recipe.evaluation.runtime);
    if (!given.texts.empty())
        recipe.evaluation.files = given.texts;
    recipe = Recipe::fromJson(recipe.toJson()); // values of options are checked like those of a file
    return planOrRun(context, recipe, printDiagnosis);
}

} // namespace

void addDiagnoseCommand(CLI::App& app, Context& context) {
    auto given = std::make_shared<DiagnoseArguments>();
    CLI::App* command = app.add_subcommand("diagnose", "Why a logged run lost what it lost: culprit sites, blocks, texts, stack, calibration");
    command->add_option("RUN", given->run, "a finished quantize or eval run (eval: with --base)")->required();
    command->add_option("--text", given->texts, "measure on this text instead of the run's own")->type_name("FILE");
    command->add_option("--tokens", given->tokens, "tokens of it, spread evenly (default 2048)")->check(CLI::PositiveNumber)->type_name("N");
    command->add_option("--probes", given->probes, "of the sketch that says where to look first (default 256)")->check(CLI::PositiveNumber)->type_name("N");
    command->add_option("--share", given->share, "of the loss that the culprits must explain (default 0.8)")->type_name("S");
    command->add_option("--worst", given->worst, "trace so many of the worst tokens to the sites behind them")->check(CLI::PositiveNumber)->type_name("N");
    command->add_option("--recalibrate", given->recalibrate, "is it the calibration? round again with this text among the calibration texts and measure")->type_name("FILE");
    addRuntimeProfile(*command, given->runtime);
    addStoreOption(*command, given->cache);
    addCommon(*command, context.common);
    command->footer("Nothing is written but the log. Examples:\n  bitwright-cli diagnose 7\n  bitwright-cli diagnose 7 --tokens 8192 --recalibrate code.txt --json");
    command->callback([&context, given] { context.action = [&context, given] { return runDiagnoseCommand(context, *given); }; });
}

} // namespace bw::cli
