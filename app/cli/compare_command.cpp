// SPDX-License-Identifier: GPL-3.0-or-later
// compare: two logged runs with intervals. runs outputs: what several wrote, beside each other.
#include "app/cli/output.h"
#include "app/cli/parts_report.h"
#include "app/cli/run.h"
#include "app/cli/signals.h"
#include "core/base/text.h"
#include "core/experiment/outputs_table.h"

#include <algorithm>
#include <fmt/format.h>
#include <iterator>
#include <unistd.h>

namespace bw::cli {
namespace {

struct CompareArguments {
    std::int64_t a = 0, b = 0;
    std::vector<std::int64_t> runs;
    bool different = false;
};

void printNoise(const Json& noise) {
    for (const char* side : {"a", "b"}) {
        const Json& band = noise.at(side);
        if (band.is_null() || (side[0] == 'b' && noise.at("a") == band))
            continue;
        std::string runs, figures;
        for (const Json& run : band.at("runs"))
            runs += (runs.empty() ? "" : ", ") + run.dump();
        for (const Json& figure : band.at("figures"))
            if (figure.at("name") == "perplexity" || figure.at("name") == "kl_mean")
                figures += fmt::format("; {} {} ± {}", figure.at("name").get<std::string>(), number(figure.at("mean"), 5), number(figure.at("half_width"), 2));
        printLine(fmt::format("seeds     runs {} differ in nothing but the seed{}: differences inside are noise", runs, figures));
    }
}

int runCompare(Context& context, const CompareArguments& given) {
    const LogReader log(context.logPath());
    if (!log.notice().empty())
        std::fprintf(stderr, "note: %s\n", escapeForDisplay(log.notice(), 1000).c_str());
    const Json r = Runner::compare(log, RunId(given.a), RunId(given.b));
    if (context.common.json) {
        printJson(r);
        return kExitOk;
    }
    const auto side = [&](const char* key) {
        const Json& s = r.at(key);
        return fmt::format("{}: run {}, {} {} ({})", key, s.at("run").get<std::int64_t>(), s.at("kind").get<std::string>(), escapeForDisplay(s.at("name").get<std::string>(), 100), escapeForDisplay(s.at("checkpoint").get<std::string>(), 100));
    };
    printLine(side("a") + "\n" + side("b") + "\n");
    Table table({{"figure", false}, {"a"}, {"b"}, {"b − a"}, {"95 % interval"}, {"", false}});
    for (const Json& metric : r.at("metrics"))
        table.add({metric.at("name"), number(metric.at("a"), 6), number(metric.at("b"), 6), number(metric.at("difference"), 3),
                   metric.at("ci_low").is_number() ? fmt::format("{} … {}", number(metric.at("ci_low"), 3), number(metric.at("ci_high"), 3)) : "", metric.at("verdict")});
    printLine(table.text());
    printPairedParts(r);
    for (const Json& metric : r.at("metrics"))
        if (metric.at("name") == "nll" && metric.at("ci_low").is_number())
            printLine("intervals " + metric.at("interval").get<std::string>() + (r.at("tokens").at("figures").empty() || r.at("tokens").at("figures").front().at("documents").is_null() ? "" : " (the wider counts)"));
    printNoise(r.at("noise"));
    if (r.at("fair").get<bool>())
        printLine("fair: same texts, protocol, baseline and stack");
    for (const Json& reason : r.at("unfair_because"))
        printLine("not fair: " + reason.get<std::string>());
    return kExitOk;
}

/// A text from where it parts from the baseline's, in a colour of its run's on a terminal, in ⟨⟩ elsewhere.
std::string marked(const std::string& base, const std::string& text, std::size_t run) {
    constexpr int kColours[] = {33, 36, 35, 32, 34, 31, 93, 96};
    const std::size_t same = commonBytes(base, text);
    const std::string rest = escapeForDisplay(text.substr(same), 300), begin = escapeForDisplay(text.substr(0, same), 300);
    if (rest.empty())
        return begin + (base.size() > same ? "⟨⟩" : "");
    return isatty(STDOUT_FILENO) == 1 ? fmt::format("{}\033[{}m{}\033[0m", begin, kColours[run % std::size(kColours)], rest) : begin + "⟨" + rest + "⟩";
}

int runOutputs(Context& context, const CompareArguments& given) {
    std::vector<RunId> runs;
    for (const std::int64_t run : given.runs)
        runs.emplace_back(run);
    const OutputsTable table = outputsTable(LogReader(context.logPath()), runs);
    if (context.common.json) {
        printJson(toJson(table));
        return kExitOk;
    }
    for (const OutputPromptRow& row : table.rows) {
        const bool equal = std::all_of(row.cells.begin(), row.cells.end(), [](const OutputCell& cell) { return cell.divergence < 0; });
        if (equal && given.different)
            continue;
        printLine(fmt::format("{}: {}", escapeForDisplay(row.id, 60), escapeForDisplay(row.prompt, 300)));
        printLine(fmt::format("  {:<10}{}", equal ? "all" : "baseline", escapeForDisplay(row.base, 600)));
        for (std::size_t i = 0; !equal && i < row.cells.size(); ++i) {
            const OutputCell& cell = row.cells[i];
            const std::string name = fmt::format("run {}", table.runs[i].run.value());
            if (cell.divergence < 0)
                printLine(fmt::format("  {:<10}the same", name));
            else
                printLine(fmt::format("  {:<10}{}\n  {:<10}parts at token {}, cosine {}{}{}", name, marked(row.base, cell.text, i), "", cell.divergence, number(cell.cosine, 4),
                                      cell.cosine < 0.95 ? " ALERT" : "", cell.collapsed ? ", COLLAPSED" : ""));
        }
        printLine();
    }
    Table sums({{"run"}, {"name", false}, {"the same"}, {"alerts"}, {"collapsed"}, {"cosine"}});
    for (const OutputColumn& column : table.runs)
        sums.add({std::to_string(column.run.value()), escapeForDisplay(column.name, 40), fmt::format("{} of {}", column.same, table.rows.size()), std::to_string(column.alerts), std::to_string(column.collapsed),
                  number(column.meanCosine, 4)});
    printLine(sums.text());
    if (table.skipped > 0)
        printLine(fmt::format("{} prompts that some run lacks were left out", table.skipped));
    return kExitOk;
}

} // namespace

void addCompareCommands(CLI::App& app, Context& context) {
    auto given = std::make_shared<CompareArguments>();
    CLI::App* compare = app.add_subcommand("compare", "Compare two logged runs, with intervals");
    compare->add_option("A", given->a, "run")->required();
    compare->add_option("B", given->b, "run")->required();
    addCommon(*compare, context.common);
    compare->footer("Figures of the same tokens are compared in pairs; an interval holds for new windows and for new documents.\n"
                    "Runs of one recipe with different seeds (quantize --replicates) show what is noise.\nExamples:\n  bitwright-cli compare 5 6");
    compare->callback([&context, given] { context.action = [&context, given] { return runCompare(context, *given); }; });
    CLI::App* outputs = app.get_subcommand("runs")->add_subcommand("outputs", "What up to 8 runs wrote to the same prompts, against their baseline");
    outputs->add_option("ID", given->runs, "runs of: eval MODEL --base ORIGINAL --prompts FILE.jsonl --outputs")->required();
    outputs->add_flag("--different", given->different, "leave out prompts to which all wrote the same");
    addCommon(*outputs, context.common);
    outputs->footer("Where a text parts from the baseline's it is coloured, or in ⟨⟩. Examples:\n  bitwright-cli runs outputs 4 5 6 --different");
    outputs->callback([&context, given] { context.action = [&context, given] { return runOutputs(context, *given); }; });
}

} // namespace bw::cli
