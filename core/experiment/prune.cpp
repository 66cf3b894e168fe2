// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/experiment/prune.h"

#include "core/experiment/log.h"
#include "core/experiment/log_impl.h"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <map>
#include <set>

namespace bw {
namespace {

std::uint64_t sizeOf(const std::string& path) {
    std::error_code failure;
    const auto bytes = std::filesystem::file_size(path, failure);
    return failure ? 0 : bytes;
}

/// Runs that a recipe reads from, with what it takes.
std::map<std::int64_t, std::string> usedBy(const Json& json) {
    std::map<std::int64_t, std::string> out;
    const Recipe recipe = Recipe::fromJson(json);
    const auto use = [&](std::int64_t run, const char* what) {
        if (run > 0)
            out.emplace(run, what);
    };
    use(recipe.assignment.sweepRun, "map");
    use(recipe.assignment.scaleRun, "errors");
    use(recipe.assignment.startRun, "mix");
    for (const std::int64_t run : recipe.assignment.measuredRuns)
        use(run, "cells");
    use(recipe.sweep.orderRun, "order");
    use(recipe.diagnosis.run, "figures");
    return out;
}

/// Why the run stays whatever the rules say; empty when it may go.
std::string marked(const RunSummary& run) {
    if (run.status == runStatusName(RunStatus::running))
        return "is at work";
    if (run.starred)
        return "is starred";
    if (!run.tags.empty())
        return "has the tag '" + run.tags.front() + "'";
    return run.note.empty() ? "" : "has a note";
}

bool contains(const std::vector<std::string>& list, const std::string& word) { return list.empty() || std::find(list.begin(), list.end(), word) != list.end(); }

/// The rules' runs, newest first.
std::vector<RunSummary> matching(const std::string& path, const std::vector<RunSummary>& all, const PruneRules& rules) {
    std::string before;
    if (rules.olderThanDays > 0)
        before = guarded(path, [&] {
            const auto database = openLogForReading(path);
            SQLite::Statement day(*database, "SELECT strftime('%Y-%m-%dT%H:%M:%SZ', 'now', ?)");
            day.bind(1, fmt::format("-{} days", rules.olderThanDays));
            day.executeStep();
            return day.getColumn(0).getString();
        });
    std::vector<RunSummary> out;
    for (const RunSummary& run : all) {
        const bool named = rules.runs.empty() || std::find(rules.runs.begin(), rules.runs.end(), run.id) != rules.runs.end();
        if (named && contains(rules.kinds, run.kind) && contains(rules.statuses, run.status) && (before.empty() || run.startedAt < before))
            out.push_back(run);
    }
    out.erase(out.begin(), out.begin() + std::min<std::ptrdiff_t>(std::ssize(out), rules.keep));
    return out;
}

/// Takes out of `go` what a run that stays rests on, until nothing does.
void keepWhatIsUsed(const std::vector<RunSummary>& all, const LogReader& reader, std::set<std::int64_t>& go, std::vector<PruneReport::Kept>& kept) {
    std::map<std::int64_t, std::map<std::int64_t, std::string>> uses;
    for (const RunSummary& run : all)
        uses[run.id.value()] = usedBy(reader.run(run.id).recipe);
    for (bool changed = true; changed;) {
        changed = false;
        for (const auto& [user, used] : uses)
            for (const auto& [run, what] : used)
                if (!go.contains(user) && go.erase(run) > 0) {
                    kept.push_back({RunId(run), fmt::format("run {} uses its {}", user, what)});
                    changed = true;
                }
    }
}

} // namespace

PruneReport pruneLog(const std::string& path, const PruneRules& rules, bool pretend) {
    if (rules.runs.empty() && rules.kinds.empty() && rules.statuses.empty() && rules.olderThanDays <= 0 && rules.keep <= 0)
        throw Error(ErrorCode::usage, "nothing says which runs are to go", "name runs, or give --kind, --status, --older-than or --keep");
    PruneReport report;
    report.bytesBefore = report.bytesAfter = sizeOf(path);
    std::set<std::int64_t> go;
    {
        const LogReader reader(path);
        const std::vector<RunSummary> all = reader.runs(INT64_MAX);
        for (const RunId run : rules.runs)
            reader.run(run); // an unknown number is an error, not nothing to do
        for (const RunSummary& run : matching(path, all, rules)) {
            if (const std::string why = marked(run); !why.empty())
                report.kept.push_back({run.id, why});
            else
                go.insert(run.id.value());
        }
        keepWhatIsUsed(all, reader, go, report.kept);
    }
    for (const std::int64_t run : go)
        report.removed.push_back(RunId(run));
    if (pretend || go.empty())
        return report;
    const ExperimentLog migrated(path); // refuses what is newer or damaged, brings older ones up to date
    guarded(path, [&] {
        const auto database = openLogForWriting(path);
        SQLite::Transaction transaction(*database, SQLite::TransactionBehavior::IMMEDIATE);
        for (const std::int64_t run : go)
            execute(*database, "DELETE FROM runs WHERE id = ? AND status <> 'running'", run);
        database->exec("DELETE FROM datasets WHERE id NOT IN (SELECT dataset FROM run_datasets)");
        database->exec("DELETE FROM stacks WHERE id NOT IN (SELECT stack FROM runs)");
        database->exec("DELETE FROM checkpoints WHERE id NOT IN (SELECT checkpoint FROM runs)");
        transaction.commit();
    });
    try {
        report.bytesAfter = vacuumLog(path).second;
    } catch (const Error&) { // no room or a reader at work: the pages stay free for later runs
        report.bytesAfter = sizeOf(path);
    }
    return report;
}

std::pair<std::uint64_t, std::uint64_t> vacuumLog(const std::string& path) {
    const std::uint64_t before = sizeOf(path);
    { const LogReader opens(path); } // missing, newer and foreign files are refused with their own words
    guarded(path, [&] {
        const auto database = openLogForWriting(path);
        SQLite::Statement check(*database, "PRAGMA quick_check(1)");
        check.executeStep();
        if (const std::string found = check.getColumn(0).getString(); found != "ok")
            throw Error(ErrorCode::logCorrupt, "'" + path + "' is damaged: " + found, "'bitwright-cli runs salvage' saves what can be read");
        check.reset();
        database->exec("VACUUM");
        database->exec("PRAGMA wal_checkpoint(TRUNCATE)");
        database->exec("PRAGMA optimize");
    });
    return {before, sizeOf(path)};
}

} // namespace bw
