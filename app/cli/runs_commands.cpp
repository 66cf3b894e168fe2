// SPDX-License-Identifier: GPL-3.0-or-later
// The log: runs list, show, export, import, merge, salvage; rerun.
#include "app/cli/cache_command.h"
#include "app/cli/output.h"
#include "app/cli/parts_report.h"
#include "app/cli/run.h"
#include "app/cli/signals.h"
#include "core/base/atomic_file.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/experiment/merge.h"
#include "core/experiment/replicates.h"
#include "core/experiment/salvage.h"
#include "core/experiment/workbench.h"

#include <algorithm>
#include <fmt/format.h>

namespace bw::cli {
namespace {

struct RunsOptions {
    std::int64_t id = 0, other = 0, limit = 50;
    std::vector<std::int64_t> ids;
    std::vector<std::string> logs;
    std::string kind, out, to;
    bool replace = false;
};

/// On stderr, so that JSON on stdout stays alone.
void tellNotice(const LogReader& log) {
    if (!log.notice().empty())
        std::fprintf(stderr, "note: %s\n", escapeForDisplay(log.notice(), 1000).c_str());
}

Json metricsJson(const std::vector<MetricRow>& metrics) {
    Json out = Json::object();
    for (const MetricRow& metric : metrics) {
        out[metric.name] = {{"value", metric.value}, {"unit", metric.unit}};
        if (metric.standardError)
            out[metric.name]["se"] = *metric.standardError;
    }
    return out;
}

Json summaryJson(const RunSummary& run) {
    return {{"id", run.id.value()},   {"kind", run.kind},       {"name", run.name},   {"status", run.status}, {"checkpoint", run.checkpoint}, {"started_at", run.startedAt},
            {"seconds", run.seconds}, {"error", run.error},     {"tags", run.tags},   {"starred", run.starred}, {"note", run.note},          {"metrics", metricsJson(run.metrics)}};
}

Json detailJson(const RunDetail& run) {
    Json out = summaryJson(run.summary);
    out["recipe"] = run.recipe;
    out["command_line"] = run.commandLine;
    out["checkpoint_path"] = run.checkpoint.path;
    out["stack"] = {{"program", run.stack.program}, {"compiler", run.stack.compiler}, {"libraries", run.stack.libraries},
                    {"cpu", run.stack.cpu},         {"device", run.stack.device},     {"threads", run.stack.threads}};
    out["datasets"] = out["assignments"] = out["artifacts"] = out["outputs"] = Json::array();
    for (const DatasetRow& data : run.datasets)
        out["datasets"].push_back({{"path", data.path}, {"sha256", data.sha256}, {"role", data.role}, {"bytes", data.bytes}, {"tokens", data.tokens}});
    for (const AssignmentRow& row : run.assignments)
        out["assignments"].push_back({{"site", row.site}, {"asked", row.asked}, {"used", row.used}, {"why", row.why}, {"bytes", row.bytes},
                                      {"cost", row.cost}, {"relative_error", row.relativeError}});
    for (const ArtifactRow& file : run.artifacts)
        out["artifacts"].push_back({{"kind", file.kind}, {"path", file.path}, {"sha256", file.sha256}, {"bytes", file.bytes}, {"state", file.state}});
    for (const OutputRow& text : run.outputs)
        out["outputs"].push_back({{"prompt", text.prompt}, {"text", text.text}, {"ids", text.ids}});
    return out;
}

Json roundingJson(const std::vector<SiteRoundingRow>& rows) {
    Json out = Json::array();
    for (const SiteRoundingRow& row : rows)
        out.push_back({{"site", row.site}, {"rounder", row.rounder}, {"error_nearest", row.errorNearest}, {"error", row.error},
                       {"damping", row.damping}, {"fallback", row.fallback}, {"tokens", row.tokens}});
    return out;
}

/// Everything the log knows of a run, for other programs.
Json exportJson(const LogReader& log, RunId id) {
    Json out = detailJson(log.run(id));
    out["site_rounding"] = roundingJson(log.siteRounding(id));
    out["transform"] = log.transform(id);
    out["data_warnings"] = warningsJson(log.warnings(id));
    out["sensitivities"] = out["site_statistics"] = Json::array();
    for (const SensitivityRow& cell : log.sensitivities(id))
        out["sensitivities"].push_back({{"site", cell.site}, {"format", cell.format}, {"used", cell.used}, {"metric", cell.metric},
                                        {"bytes", cell.bytes}, {"value", cell.value}, {"se", cell.standardError}});
    for (const SiteStatisticsRow& row : log.siteStatistics(id)) {
        Json ranges = Json::object();
        for (const auto& [name, range] : row.ranges)
            ranges[name] = {range.low, range.high};
        out["site_statistics"].push_back({{"input", row.group}, {"sites", row.sites}, {"tokens", row.tokens}, {"absmax", row.absMax}, {"outlier_share", row.outlierShare},
                                          {"outlier_channels", row.outlierChannels}, {"kurtosis", row.kurtosis}, {"ranges", ranges},
                                          {"heldout_error", row.heldOutError}, {"channel_max", row.channelMax}});
    }
    return out;
}

const MetricRow* metricOf(const RunSummary& run, const std::string& name) {
    for (const MetricRow& metric : run.metrics)
        if (metric.name == name)
            return &metric;
    return nullptr;
}

std::string shortMetric(const RunSummary& run, const std::string& name, int digits) {
    const MetricRow* metric = metricOf(run, name);
    return metric ? number(metric->value, digits) : "";
}

/// "2026-11-23T01:08:00Z" → "11-23 01:08"
std::string shortTime(const std::string& time) { return time.size() >= 16 ? time.substr(5, 5) + " " + time.substr(11, 5) : time; }

int runList(Context& context, const RunsOptions& options) {
    const LogReader log(context.logPath());
    tellNotice(log);
    std::vector<RunSummary> runs = log.runs(options.kind.empty() ? options.limit : INT64_MAX);
    if (!options.kind.empty()) {
        std::erase_if(runs, [&](const RunSummary& run) { return run.kind != options.kind; });
        runs.resize(std::min(runs.size(), static_cast<std::size_t>(options.limit)));
    }
    if (context.common.json) {
        Json list = Json::array();
        for (const RunSummary& run : runs) {
            Json entry = summaryJson(run);
            entry["recipe"] = log.run(run.id).recipe;
            list.push_back(std::move(entry));
        }
        printJson({{"log", context.logPath()}, {"runs", list}});
        return 0;
    }
    Table table({{"run"}, {"kind", false}, {"name", false}, {"status", false}, {"checkpoint", false}, {"started (UTC)", false}, {"time"}, {"bits"}, {"ppl"}, {"KL"}});
    for (const RunSummary& run : runs)
        table.add({std::to_string(run.id.value()), run.kind, escapeForDisplay(run.name, 60), run.status, escapeForDisplay(run.checkpoint, 40), shortTime(run.startedAt),
                   fmt::format("{:.1f} s", run.seconds), shortMetric(run, "bits_per_weight", 4), shortMetric(run, "perplexity", 5), shortMetric(run, "kl_mean", 3)});
    printLine(table.text());
    return 0;
}

/// What GPTQ made of each site: relative output errors of nearest rounding and of what was kept.
void printRounding(const std::vector<SiteRoundingRow>& rows) {
    if (rows.empty())
        return;
    Table table({{"site", false}, {"rounder", false}, {"nearest"}, {"kept"}, {"damping"}, {"tokens"}, {"why", false}});
    for (const SiteRoundingRow& row : rows)
        table.add({row.site, row.rounder, number(row.errorNearest, 3), number(row.error, 3), number(row.damping, 2), groupDigits(static_cast<double>(row.tokens)), row.fallback});
    printLine(table.text());
}

void printDetail(const RunDetail& run, const std::vector<SiteRoundingRow>& rounding) {
    const auto line = [](const char* name, const std::string& value) { printLine(fmt::format("{:<12}{}", name, value)); };
    printLine(fmt::format("run {}: {}{}, {}", run.summary.id.value(), run.summary.kind,
                          run.summary.name.empty() ? "" : " \"" + escapeForDisplay(run.summary.name) + "\"", run.summary.status));
    line("started", run.summary.startedAt + " UTC, " + formatSeconds(run.summary.seconds));
    line("checkpoint", escapeForDisplay(run.checkpoint.path, 400));
    line("command", escapeForDisplay(run.commandLine, 1000));
    line("stack", fmt::format("{}; {}; {} threads", run.stack.program, run.stack.device, run.stack.threads));
    for (const DatasetRow& data : run.datasets)
        line("text", fmt::format("{} ({}, {} tokens, sha256 {}…)", escapeForDisplay(data.path, 200), data.role, data.tokens, data.sha256.substr(0, 12)));
    for (const ArtifactRow& file : run.artifacts)
        line("file", fmt::format("{} ({}, {} bytes, {})", escapeForDisplay(file.path, 200), file.kind, file.bytes, file.state));
    if (!run.summary.error.empty())
        line("error", escapeForDisplay(run.summary.error, 1000));
    if (!run.summary.metrics.empty()) {
        Table table({{"figure", false}, {"value"}, {"± error"}, {"unit", false}});
        for (const MetricRow& metric : run.summary.metrics)
            table.add({metric.name, number(metric.value, 7), metric.standardError ? number(*metric.standardError, 2) : "", metric.unit});
        printLine("\n" + table.text());
    }
    if (!run.assignments.empty()) {
        Table table({{"site", false}, {"asked", false}, {"used", false}, {"bytes"}, {"error"}, {"cost"}, {"why", false}});
        for (const AssignmentRow& row : run.assignments)
            table.add({row.site, row.asked, row.used, groupDigits(static_cast<double>(row.bytes)), number(row.relativeError, 3), number(row.cost, 3), row.why});
        printLine(table.text());
    }
    printRounding(rounding);
    for (const OutputRow& text : run.outputs)
        line("output", escapeForDisplay(text.prompt + text.text, 2000));
}

/// What a transform chose at each of its points; scales stay in the JSON.
void printTransform(const Json& fitted) {
    if (fitted.is_null())
        return;
    printLine("\ntransform   " + escapeForDisplay(fitted.value("transform", ""), 200));
    Table table({{"point", false}, {"method", false}, {"choice"}, {"error before"}, {"error after"}});
    for (const Json& row : fitted.value("points", Json::array())) {
        const auto cell = [&](const char* key) { return row.contains(key) ? number(row.at(key), 3) : std::string(); };
        table.add({row.value("point", ""), row.value("method", ""), row.contains("alpha") ? "α " + cell("alpha") : "r " + cell("ratio"), cell("error_before"), cell("error_after")});
    }
    if (fitted.contains("points"))
        printLine(table.text());
    for (const Json& line : fitted.value("notes", Json::array()))
        printLine(fmt::format("{:<12}{}", "note", escapeForDisplay(line.get<std::string>(), 1000)));
}

/// What a careful engineer would say of the run's data and result.
void printWarnings(const std::vector<DataWarning>& warnings) {
    for (const DataWarning& warning : warnings) {
        printLine(fmt::format("{:<12}{}", "warning", escapeForDisplay(warning.text(), 1000)));
        if (!warning.remedy.empty())
            printLine(fmt::format("{:<12}{}", "", escapeForDisplay(warning.remedy, 1000)));
    }
}

/// The evaluation in a run's result, wherever its kind keeps it.
Json evaluationOf(const Json& result) {
    if (!result.is_object())
        return Json::object();
    return result.contains("evaluation") ? result.at("evaluation") : result;
}

void printNoise(const NoiseBand& band) {
    if (band.runs.size() < 2)
        return;
    std::string runs;
    for (const RunId run : band.runs)
        runs += (runs.empty() ? "" : ", ") + std::to_string(run.value());
    printLine(fmt::format("seeds       runs {} differ in nothing but the seed", runs));
    Table table({{"figure", false}, {"mean"}, {"deviation"}, {"noise of a difference"}});
    for (const char* name : {"perplexity", "kl_mean", "same_top1"})
        if (const auto found = band.figures.find(name); found != band.figures.end())
            table.add({name, number(found->second.mean, 6), number(found->second.deviation, 3), "± " + number(noiseHalfWidth(band, {}, name).value_or(0), 3)});
    if (!table.empty())
        printLine(table.text());
}

int runShow(Context& context, const RunsOptions& options) {
    const LogReader log(context.logPath());
    tellNotice(log);
    const RunDetail run = log.run(RunId(options.id));
    const std::vector<SiteRoundingRow> rounding = log.siteRounding(run.summary.id);
    const Json fitted = log.transform(run.summary.id);
    const std::vector<DataWarning> warnings = log.warnings(run.summary.id);
    if (context.common.json) {
        Json out = detailJson(run);
        out["site_rounding"] = roundingJson(rounding);
        out["transform"] = fitted;
        out["data_warnings"] = warningsJson(warnings);
        const Json evaluation = evaluationOf(log.result(run.summary.id));
        out["by_text"] = evaluation.value("by_text", Json::array());
        out["positions"] = evaluation.value("positions", Json::array());
        out["noise"] = noiseJson(noiseBand(log, run.summary.id));
        printJson(out);
        return 0;
    }
    printDetail(run, rounding);
    printParts(evaluationOf(log.result(run.summary.id)));
    printNoise(noiseBand(log, run.summary.id));
    printTransform(fitted);
    printWarnings(warnings);
    return 0;
}

int copyBetween(Context& context, const RunsOptions& options, const std::string& target, const std::string& source);

int runExport(Context& context, const RunsOptions& options) {
    if (!options.to.empty() && !options.out.empty())
        throw Error(ErrorCode::usage, "--to writes a log, --out a JSON file", "name one of them");
    if (!options.to.empty())
        return copyBetween(context, options, options.to, context.logPath());
    const LogReader log(context.logPath());
    tellNotice(log);
    std::vector<RunId> ids;
    for (const std::int64_t id : options.ids)
        ids.emplace_back(id);
    if (ids.empty())
        for (const RunSummary& run : log.runs(INT64_MAX))
            ids.push_back(run.id);
    Json runs = Json::array();
    for (const RunId id : ids) {
        context.job.checkpoint();
        runs.push_back(exportJson(log, id));
    }
    const Json all{{"log", context.logPath()}, {"runs", runs}};
    if (options.out.empty()) {
        printJson(all);
        return 0;
    }
    writeFileAtomically(options.out, all.dump(2, ' ', false, Json::error_handler_t::replace) + "\n", options.replace ? AtomicFile::Replace::yes : AtomicFile::Replace::no);
    if (context.common.json)
        printJson({{"path", options.out}, {"runs", ids.size()}});
    else
        printLine(fmt::format("{} runs written to {}", ids.size(), options.out));
    return 0;
}

int runMerge(Context& context, const RunsOptions& options) {
    const std::string path = context.logPath();
    const MergeReport report = withProgress(context, [&] { return mergeLogs(path, options.logs, context.job, context.common.dryRun); });
    if (context.common.json) {
        Json sweeps = Json::array();
        for (const MergedSweep& sweep : report.sweeps)
            sweeps.push_back({{"run", sweep.run.value()}, {"shards", sweep.shards}, {"missing", sweep.missing}, {"cells", sweep.cells}});
        printJson({{"log", path}, {"added", report.added}, {"known", report.known}, {"completed", report.completed}, {"sweeps", sweeps}});
        return 0;
    }
    if (context.common.dryRun)
        printLine("nothing is written; this is what would be done:");
    printLine(fmt::format("{} {} new in {}, {} known{}", report.added, report.added == 1 ? "run is" : "runs are", escapeForDisplay(path, 400), report.known,
                          report.completed > 0 ? fmt::format(" ({} of them with more than before)", report.completed) : ""));
    for (const MergedSweep& sweep : report.sweeps) {
        std::string missing;
        for (const std::string& part : sweep.missing)
            missing += (missing.empty() ? "" : ", ") + part;
        if (missing.empty())
            printLine(fmt::format("run {}: a sweep from {} shards, {} cells", sweep.run.value(), sweep.shards, sweep.cells));
        else
            printLine(fmt::format("run {}: a sweep in {} shards, {} cells so far; missing or unfinished: {}. Merge their logs, or measure what they lack with "
                                  "'bitwright-cli sweep --resume {}'",
                                  sweep.run.value(), sweep.shards, sweep.cells, missing, sweep.run.value()));
    }
    return 0;
}

int runSalvage(Context& context, const RunsOptions&) {
    const std::string path = context.logPath();
    const SalvageReport report = withProgress(context, [&] { return salvageLog(path, context.job); });
    Json rows = Json::object();
    for (const auto& [table, count] : report.rows)
        rows[table] = count;
    if (context.common.json) {
        printJson({{"log", path}, {"healthy", report.healthy}, {"kept_aside", report.keptAside}, {"rows", rows}, {"orphans", report.orphans},
                   {"damaged", report.damaged}, {"rebuilt_header", report.rebuiltHeader}});
        return 0;
    }
    if (report.healthy) {
        printLine("nothing is wrong with " + escapeForDisplay(path, 400) + ": nothing was changed");
        return 0;
    }
    Table table({{"table", false}, {"rows saved"}, {"", false}});
    for (const auto& [name, count] : report.rows) {
        const bool damaged = std::find(report.damaged.begin(), report.damaged.end(), name) != report.damaged.end();
        table.add({name, std::to_string(count), damaged ? "some could not be read" : ""});
    }
    printLine(table.text());
    if (report.rebuiltHeader)
        printLine("the log's first page was lost and was rebuilt");
    if (report.orphans > 0)
        printLine(fmt::format("{} rows belonged to runs or texts that are lost and were left out", report.orphans));
    printLine("the damaged log is kept as " + escapeForDisplay(report.keptAside, 400));
    printLine("what could be read is in " + escapeForDisplay(path, 400));
    return 0;
}

int runRerun(Context& context, const RunsOptions& options) {
    Runner runner = context.runner();
    useCache({});
    const RunOutcome outcome = withProgress(context, [&] { return runner.rerun(RunId(options.id), context.job, context.commandLine); });
    const Json& r = outcome.result;
    const bool agrees = r.at("agrees").get<bool>();
    if (context.common.json) {
        printJson(r);
        return agrees ? kExitOk : kExitThreshold;
    }
    Table table({{"figure", false}, {"was"}, {"is"}, {"relative"}, {"", false}});
    for (const Json& metric : r.at("metrics"))
        table.add({metric.at("name"), number(metric.at("was"), 8), number(metric.at("is"), 8), number(metric.at("relative"), 2), metric.at("agrees").get<bool>() ? "same" : "DIFFERS"});
    printLine(table.text());
    if (r.at("cells_compared").get<std::int64_t>() > 0)
        printLine(fmt::format("cells     {} compared, worst relative difference {}", r.at("cells_compared").get<std::int64_t>(), number(r.at("cells_worst"), 2)));
    for (const Json& file : r.at("artifacts"))
        printLine(fmt::format("file      {}: {}", file.at("path").get<std::string>(), file.at("equal").get<bool>() ? "same bytes" : "OTHER BYTES"));
    for (const Json& change : r.at("stack_changes"))
        printLine("changed   " + change.get<std::string>());
    printLine(fmt::format("run {} {} run {} (tolerance {} relative)", outcome.run.value(), agrees ? "agrees with" : "DIFFERS from", options.id, number(r.at("tolerance"), 1)));
    return agrees ? kExitOk : kExitThreshold;
}

/// Runs between this log and a file of their own.
int copyBetween(Context& context, const RunsOptions& options, const std::string& target, const std::string& source) {
    std::vector<RunId> ids;
    for (const std::int64_t id : options.ids)
        ids.emplace_back(id);
    const MergeReport report = withProgress(context, [&] { return copyRuns(target, source, ids, context.job, context.common.dryRun); });
    if (context.common.json) {
        printJson({{"from", source}, {"to", target}, {"added", report.added}, {"known", report.known}, {"named", report.named}, {"dry_run", context.common.dryRun}});
        return kExitOk;
    }
    printLine(fmt::format("{}{} {} new in {}, {} known", context.common.dryRun ? "nothing is written; " : "", report.added, report.added == 1 ? "run is" : "runs are", escapeForDisplay(target, 400), report.known));
    if (report.named > 0)
        printLine(fmt::format("{} of them {} not asked for: recipes of the others name them", report.named, report.named == 1 ? "was" : "were"));
    return kExitOk;
}

int runImport(Context& context, const RunsOptions& options) { return copyBetween(context, options, context.logPath(), options.logs.front()); }

} // namespace

void addRunsCommands(CLI::App& app, Context& context) {
    CLI::App* runs = app.add_subcommand("runs", "Look into the log: list, show, outputs, tag; export, import, merge; prune, vacuum; salvage a damaged one");
    runs->require_subcommand(1);
    runs->footer("Examples:\n  bitwright-cli runs list\n  bitwright-cli runs show 7\n  bitwright-cli runs export --out runs.json");
    auto options = std::make_shared<RunsOptions>();
    const auto act = [&context, options](CLI::App* command, int (*run)(Context&, const RunsOptions&)) {
        addCommon(*command, context.common);
        command->callback([&context, options, run] { context.action = [&context, options, run] { return run(context, *options); }; });
    };
    CLI::App* list = runs->add_subcommand("list", "The newest runs first");
    list->add_option("--limit", options->limit, "at most this many")->check(CLI::PositiveNumber)->capture_default_str();
    list->add_option("--kind", options->kind, "only runs of this kind");
    list->footer("Examples:\n  bitwright-cli runs list --kind sweep\n  bitwright-cli runs list --json | jq '.runs[].metrics'");
    act(list, runList);
    CLI::App* show = runs->add_subcommand("show", "All figures of one run");
    show->add_option("ID", options->id, "run")->required();
    show->footer("Examples:\n  bitwright-cli runs show 7 --json");
    act(show, runShow);
    CLI::App* exported = runs->add_subcommand("export", "Runs with everything the log knows, as JSON or into another log");
    exported->add_option("ID", options->ids, "runs (default: all)");
    exported->add_option("--out", options->out, "write here instead of stdout")->type_name("FILE");
    exported->add_flag("--replace", options->replace, "replace an existing file");
    exported->add_option("--to", options->to, "put them into this log instead, made when missing: recipes, stacks, scores, warnings, outputs and all")->type_name("FILE.db");
    exported->footer("Runs that a recipe names (the map that a mix was solved on) go along. Examples:\n  bitwright-cli runs export 3 7 --out two.json\n  bitwright-cli runs export 3 7 --to for-a-friend.db");
    act(exported, runExport);
    CLI::App* merge = runs->add_subcommand("merge", "Take the runs of other logs into this one; shards of a sweep become one run");
    merge->add_option("LOG", options->logs, "logs to take runs from; they are only read")->required()->type_name("FILE");
    merge->footer("Examples:\n  bitwright-cli runs merge shard1.db shard2.db --log sweep.db\n\n"
                  "A run that is there already is not taken again. When shards of a sweep are missing, its run stays unfinished:\n"
                  "merge them later, or measure what they lack with 'bitwright-cli sweep --resume ID'.");
    act(merge, runMerge);
    CLI::App* imported = runs->add_subcommand("import", "Take chosen runs of another log into this one");
    imported->add_option("LOG", options->logs, "log to take them from; it is only read")->required()->expected(1)->type_name("FILE");
    imported->add_option("--run", options->ids, "runs (default: all)")->type_name("ID");
    imported->footer("A run that is there already is not taken again. Examples:\n  bitwright-cli runs import from-a-friend.db\n  bitwright-cli runs import other.db --run 3 --run 7 --dry-run");
    act(imported, runImport);
    addAgreementCommand(*runs, context);
    CLI::App* salvage = runs->add_subcommand("salvage", "Save what can be read of a damaged log; a copy of it is kept");
    salvage->footer("Examples:\n  bitwright-cli runs salvage --log broken.db");
    act(salvage, runSalvage);
    CLI::App* rerun = app.add_subcommand("rerun", "Repeat a logged run and compare its figures (exit code 3 when they differ)");
    rerun->add_option("ID", options->id, "run")->required();
    rerun->footer("Examples:\n  bitwright-cli rerun 7");
    act(rerun, runRerun);
    addCompareCommands(app, context);
}

} // namespace bw::cli
