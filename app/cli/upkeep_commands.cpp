// SPDX-License-Identifier: GPL-3.0-or-later
// The log's upkeep: runs tag, prune, vacuum; revalidate.
#include "app/cli/cache_command.h"
#include "app/cli/output.h"
#include "app/cli/run.h"
#include "app/cli/signals.h"
#include "core/base/text.h"
#include "core/experiment/prune.h"
#include "core/experiment/revalidate.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace bw::cli {
namespace {

struct UpkeepArguments {
    std::vector<std::int64_t> runs;
    std::vector<std::string> kinds, statuses;
    std::string tag;
    std::int64_t id = 0, olderThanDays = 0, keep = 0;
    bool remove = false, all = false, history = false;
};

std::vector<RunId> ids(const std::vector<std::int64_t>& numbers) {
    std::vector<RunId> out;
    for (const std::int64_t number : numbers)
        out.push_back(RunId(number));
    return out;
}

int runTag(Context& context, const UpkeepArguments& given) {
    LogReader(context.logPath()).run(RunId(given.id)); // an unknown run is told before a log is made
    if (given.remove)
        context.log().removeTag(RunId(given.id), given.tag);
    else
        context.log().addTag(RunId(given.id), given.tag);
    const std::vector<std::string> tags = LogReader(context.logPath()).run(RunId(given.id)).summary.tags;
    if (context.common.json)
        printJson({{"run", given.id}, {"tags", tags}});
    else
        printLine(fmt::format("run {}: {}", given.id, tags.empty() ? "no tags" : escapeForDisplay(fmt::format("{}", fmt::join(tags, ", ")))));
    return kExitOk;
}

int runPrune(Context& context, const UpkeepArguments& given) {
    const PruneReport report = pruneLog(context.logPath(), {ids(given.runs), splitList(given.kinds), splitList(given.statuses), given.olderThanDays, given.keep}, context.common.dryRun);
    if (context.common.json) {
        Json removed = Json::array(), kept = Json::array();
        for (const RunId run : report.removed)
            removed.push_back(run.value());
        for (const PruneReport::Kept& row : report.kept)
            kept.push_back({{"run", row.run.value()}, {"why", row.why}});
        printJson({{"removed", removed}, {"kept", kept}, {"bytes_before", report.bytesBefore}, {"bytes_after", report.bytesAfter}, {"dry_run", context.common.dryRun}});
        return kExitOk;
    }
    for (const PruneReport::Kept& row : report.kept)
        printLine(fmt::format("run {} stays: {}{}", row.run.value(), row.why.starts_with("run ") ? "" : "it ", row.why));
    if (context.common.dryRun)
        printLine(fmt::format("{} runs would go; nothing was written", report.removed.size()));
    else
        printLine(fmt::format("{} runs removed; the log had {} and has {}", report.removed.size(), formatBytes(report.bytesBefore), formatBytes(report.bytesAfter)));
    return kExitOk;
}

int runVacuum(Context& context, const UpkeepArguments&) {
    const auto [before, after] = vacuumLog(context.logPath());
    if (context.common.json)
        printJson({{"bytes_before", before}, {"bytes_after", after}});
    else
        printLine(fmt::format("the log had {} and has {}", formatBytes(before), formatBytes(after)));
    return kExitOk;
}

/// How figures of the same runs went with time and versions.
int tellHistory(Context& context, const UpkeepArguments& given) {
    const Json r = decayHistory(LogReader(context.logPath()), {ids(given.runs), given.tag, given.all});
    const bool holds = r.at("drifted") == 0;
    if (context.common.json) {
        printJson(r);
        return holds ? kExitOk : kExitThreshold;
    }
    for (const Json& run : r.at("runs")) {
        printLine(fmt::format("run {}: {} {}", run.at("run").get<std::int64_t>(), run.at("kind").get<std::string>(), escapeForDisplay(run.at("name").get<std::string>(), 60)));
        Table table({{"run"}, {"started (UTC)", false}, {"program", false}, {"perplexity"}, {"KL"}, {"drift"}, {"", false}});
        for (const Json& time : run.at("times")) {
            std::string perplexity, kl;
            double drift = 0;
            for (const Json& figure : time.at("figures")) {
                if (figure.at("name") == "perplexity") perplexity = number(figure.at("value"), 7);
                if (figure.at("name") == "kl_mean") kl = number(figure.at("value"), 5);
                if (figure.at("drift").is_number()) drift = std::max(drift, figure.at("drift").get<double>());
            }
            std::string what = time.at("verdict");
            for (const Json& change : time.at("stack_changes"))
                what += "; " + change.get<std::string>();
            table.add({std::to_string(time.at("run").get<std::int64_t>()), time.at("started_at"), time.at("program"), perplexity, kl, fmt::format("{:.2g} σ", drift), escapeForDisplay(what, 300)});
        }
        printLine(table.text());
    }
    printLine(fmt::format("drift: the largest difference to the first time, in its standard errors; {} of {} runs have drifted", r.at("drifted").get<int>(), r.at("runs").size()));
    return holds ? kExitOk : kExitThreshold;
}

int runRevalidate(Context& context, const UpkeepArguments& given) {
    if (given.history)
        return tellHistory(context, given);
    useCache({});
    const std::string path = context.log().path();
    Runner runner = context.runner();
    const LogReader log(path);
    const Json r = withProgress(context, [&] { return revalidate(runner, log, {ids(given.runs), given.tag, given.all}, context.job, context.commandLine); });
    const bool holds = r.at("drifted") == 0 && r.at("failed") == 0;
    if (context.common.json) {
        printJson(r);
        return holds ? kExitOk : kExitThreshold;
    }
    Table table({{"run"}, {"again"}, {"kind", false}, {"name", false}, {"verdict", false}, {"", false}});
    for (const Json& row : r.at("runs")) {
        std::string what = row.at("why");
        for (const Json& figure : row.at("drifted"))
            if (row.at("verdict") == "drifted" && (!figure.at("error").is_null() || figure.at("is").is_null()))
                what += fmt::format("{}{} {} → {}", what.empty() ? "" : ", ", figure.at("name").get<std::string>(), number(figure.at("was"), 5), number(figure.at("is"), 5));
        table.add({std::to_string(row.at("run").get<std::int64_t>()), row.at("again").is_null() ? "–" : std::to_string(row.at("again").get<std::int64_t>()), row.at("kind"),
                   escapeForDisplay(row.at("name").get<std::string>(), 40), row.at("verdict"), escapeForDisplay(what, 200)});
    }
    printLine(table.text());
    printLine(fmt::format("{} the same, {} within their errors, {} drifted, {} failed", r.at("same").get<int>(), r.at("within_error").get<int>(), r.at("drifted").get<int>(), r.at("failed").get<int>()));
    return holds ? kExitOk : kExitThreshold;
}

} // namespace

void addUpkeepCommands(CLI::App& app, Context& context) {
    auto given = std::make_shared<UpkeepArguments>();
    const auto act = [&context, given](CLI::App* command, int (*run)(Context&, const UpkeepArguments&)) {
        addCommon(*command, context.common);
        command->callback([&context, given, run] { context.action = [&context, given, run] { return run(context, *given); }; });
    };
    CLI::App* runs = app.get_subcommand("runs");
    CLI::App* tag = runs->add_subcommand("tag", "Give a run a tag: tagged runs are never pruned, and revalidate repeats them");
    tag->add_option("ID", given->id, "run")->required();
    tag->add_option("TAG", given->tag, "one word")->required();
    tag->add_flag("--remove", given->remove, "take the tag away");
    tag->footer("Examples:\n  bitwright-cli runs tag 7 release");
    act(tag, runTag);
    CLI::App* prune = runs->add_subcommand("prune", "Take runs out of the log; never starred, tagged or noted ones, nor what others use");
    prune->add_option("ID", given->runs, "only these runs");
    prune->add_option("--kind", given->kinds, "only of these kinds")->type_name("K,…");
    prune->add_option("--status", given->statuses, "only with these: failed, cancelled, interrupted, done")->type_name("S,…");
    prune->add_option("--older-than", given->olderThanDays, "only begun so many days ago or earlier")->check(CLI::PositiveNumber)->type_name("DAYS");
    prune->add_option("--keep", given->keep, "the newest so many of them stay")->check(CLI::PositiveNumber)->type_name("N");
    prune->footer("Models that runs wrote are not touched. With --dry-run it only says what would go. Examples:\n  bitwright-cli runs prune --status failed,cancelled --dry-run\n"
                  "  bitwright-cli runs prune --kind sweep --older-than 90");
    act(prune, runPrune);
    CLI::App* vacuum = runs->add_subcommand("vacuum", "Check the log and give its free space back");
    vacuum->footer("Examples:\n  bitwright-cli runs vacuum");
    act(vacuum, runVacuum);
    CLI::App* again = app.add_subcommand("revalidate", "Repeat tagged runs, after an upgrade say, and flag figures that drifted (exit code 3)");
    again->add_option("ID", given->runs, "these runs (default: all with a tag)");
    again->add_option("--tag", given->tag, "runs with this tag");
    again->add_flag("--all", given->all, "every finished quantize and eval run");
    again->add_flag("--history", given->history, "run nothing: how the figures of their repetitions went with time and versions");
    again->footer("Figures are held to the standard errors of the first time. Examples:\n  bitwright-cli revalidate\n  bitwright-cli revalidate --tag release --json\n  bitwright-cli revalidate --history");
    act(again, runRevalidate);
}

} // namespace bw::cli
