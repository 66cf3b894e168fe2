// SPDX-License-Identifier: GPL-3.0-or-later
// Merging logs: which runs are new, which are shards of one sweep, and the one transaction that puts them in.
#include "core/experiment/merge.h"

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/experiment/database.h"
#include "core/experiment/log_impl.h"
#include "core/experiment/merge_rows.h"
#include "core/experiment/schema.h"

#include <SQLiteCpp/Backup.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fmt/format.h>

namespace bw {
namespace {

namespace fs = std::filesystem;
using detail::RowCopier;
using detail::RunCard;

/// Two logs may hold one cell from different instruction sets: sums in another order. Beyond this it was another measurement.
constexpr double kSameValue = 1e-6;

/// Marks a run that shards were put together in; kept when a person resumes it.
constexpr const char* kMergedTag = "merged";

struct Source {
    std::string path;
    std::unique_ptr<SQLite::Database> database;
    std::unique_ptr<SQLite::Transaction> snapshot; ///< so that all reads see one state
    std::vector<RunCard> cards;
    std::map<std::int64_t, std::int64_t> renumbered; ///< run there → run here
};

Source openSource(const std::string& path, const std::string& target) {
    std::error_code ignored;
    if (fs::equivalent(path, target, ignored))
        throw Error(ErrorCode::usage, "the log '" + path + "' can't be merged into itself", "name the logs to take runs from, and the one to put them into with --log");
    Source source;
    source.path = path;
    source.database = openLogForReading(path);
    guarded(path, [&] {
        if (source.database->execAndGet("PRAGMA application_id").getInt() != kLogApplicationId)
            throw Error(ErrorCode::logCorrupt, "'" + path + "' is an SQLite database, but not a Bitwright log", "name another file");
        if (const int version = logVersion(*source.database); version > currentLogVersion())
            throw Error(ErrorCode::logTooNew, fmt::format("the log '{}' has version {}, this program knows {}", path, version, currentLogVersion()), "merge with the newer program");
        source.snapshot = std::make_unique<SQLite::Transaction>(*source.database);
        source.cards = detail::readCards(*source.database, path);
    });
    return source;
}

/// One request in shards: what is there of it.
struct Sweep {
    std::vector<const RunCard*> here;                                ///< in the target
    std::vector<std::pair<const RunCard*, Source*>> coming;
    const RunCard& any() const { return here.empty() ? *coming.front().first : *here.front(); }
    std::set<int> complete() const {
        std::set<int> parts;
        const auto add = [&](const RunCard& card) {
            parts.insert(card.complete.begin(), card.complete.end());
            if (card.status == "done" && card.complete.empty())
                parts.insert(card.shard.part);
        };
        for (const RunCard* card : here)
            add(*card);
        for (const auto& [card, source] : coming)
            add(*card);
        return parts;
    }
};

bool sameCheckpoint(const RunCard& a, const RunCard& b) {
    return a.fingerprint == b.fingerprint || (!a.sha256.empty() && a.sha256 == b.sha256);
}

class Merge {
public:
    Merge(SQLite::Database& target, std::string path, std::vector<Source>& sources, JobContext& job)
        : to_(target), path_(std::move(path)), sources_(sources), job_(job), cards_(detail::readCards(target, path_)) {}

    MergeReport run() {
        for (const RunCard& card : cards_) {
            known_[card.identity] = {card.id, card.status};
            for (const std::string& part : card.absorbed)
                absorbed_[part] = card.id;
        }
        std::vector<Sweep> sweeps;
        for (Source& source : sources_)
            for (const RunCard& card : source.cards) {
                job_.checkpoint();
                if (card.sweepKey.empty())
                    takeRun(card, source);
                else
                    sweepOf(sweeps, card).coming.emplace_back(&card, &source);
            }
        for (const RunCard& card : cards_)
            for (Sweep& sweep : sweeps)
                if (belongs(sweep, card))
                    sweep.here.push_back(&card);
        refuseStrangers(sweeps);
        for (Sweep& sweep : sweeps)
            takeSweep(sweep);
        renumber();
        return std::move(report_);
    }

private:
    struct Known { std::int64_t id; std::string status; };

    static bool belongs(const Sweep& sweep, const RunCard& card) {
        const RunCard& other = sweep.any();
        return !card.sweepKey.empty() && card.sweepKey == other.sweepKey && card.shard.of == other.shard.of && card.texts == other.texts && sameCheckpoint(card, other);
    }

    static Sweep& sweepOf(std::vector<Sweep>& sweeps, const RunCard& card) {
        for (Sweep& sweep : sweeps)
            if (belongs(sweep, card))
                return sweep;
        return sweeps.emplace_back();
    }

    void takeRun(const RunCard& card, Source& source) {
        RowCopier copier(*source.database, to_);
        const auto same = known_.find(card.identity);
        if (same == known_.end()) {
            const std::int64_t made = copier.copyRun(card.id);
            copier.copyChildren(card.id, made);
            source.renumbered[card.id] = made;
            known_[card.identity] = {made, card.status};
            added_.push_back({made, &source});
            ++report_.added;
            return;
        }
        ++report_.known;
        source.renumbered[card.id] = same->second.id;
        if (same->second.status == "done" || (card.status != "done" && card.kind != "sweep"))
            return;
        complete(card, copier, same->second);
        ++report_.completed;
    }

    /// What the run has there and not yet here.
    void complete(const RunCard& card, RowCopier& copier, Known& here) {
        addCells(card, copier, here.id);
        copier.copyChildren(card.id, here.id, {"sensitivities"});
        if (card.status != "done")
            return;
        execute(to_, "UPDATE runs SET status = 'done', error = '' WHERE id = ?", here.id);
        here.status = "done";
    }

    /// Cells that are here already must say the same.
    void addCells(const RunCard& card, RowCopier& copier, std::int64_t run) {
        SQLite::Statement theirs(copier.source(), "SELECT site, format, metric, value, standard_error FROM sensitivities WHERE run = ?");
        theirs.bind(1, card.id);
        SQLite::Statement ours(to_, "SELECT value, standard_error FROM sensitivities WHERE run = ? AND site = ? AND format = ? AND metric = ?");
        while (theirs.executeStep()) {
            const std::string site = theirs.getColumn(0).getString(), format = theirs.getColumn(1).getString();
            ours.reset();
            bindValues(ours, run, site, format, theirs.getColumn(2).getString());
            std::string& from = cellFrom_[{run, site + " " + format}];
            if (!ours.executeStep()) {
                from = card.log;
                continue;
            }
            const double a = ours.getColumn(0).getDouble(), b = theirs.getColumn(3).getDouble();
            if (std::abs(a - b) > kSameValue * std::max(std::abs(a), std::abs(b)))
                throw Error(ErrorCode::usage,
                            fmt::format("'{}' at '{}' was measured twice with different results: {:.9g} in {} and {:.9g} in {}", format, site, a,
                                        from.empty() ? path_ : from, b, card.log),
                            "shards of one sweep must not overlap; leave one of these logs out, and see which program, texts and checkpoint each was made with");
        }
        copier.copyChildren(card.id, run, childrenWithout("sensitivities"));
    }

    std::set<std::string> childrenWithout(const std::string& wanted) {
        std::set<std::string> others;
        for (const std::string& table : detail::childTables(to_))
            if (table != wanted)
                others.insert(table);
        return others;
    }

    /// Shards that would complete each other but were measured on something else.
    void refuseStrangers(const std::vector<Sweep>& sweeps) const {
        std::vector<Sweep> all = sweeps;
        for (const RunCard& card : cards_)
            if (!card.sweepKey.empty() && std::none_of(sweeps.begin(), sweeps.end(), [&](const Sweep& s) { return belongs(s, card); }))
                all.push_back({{&card}, {}});
        for (const Sweep& a : sweeps)
            for (const Sweep& b : all) {
                const RunCard &x = a.any(), &y = b.any();
                if (&x == &y || x.sweepKey != y.sweepKey || x.shard.of != y.shard.of)
                    continue;
                const std::set<int> p = a.complete(), q = b.complete();
                const auto whole = [&](const std::set<int>& parts) { return static_cast<int>(parts.size()) == x.shard.of; };
                const bool overlap = std::any_of(p.begin(), p.end(), [&](int part) { return q.contains(part); });
                if (overlap || whole(p) || whole(q))
                    continue;
                const auto texts = [](const RunCard& card) {
                    std::string list;
                    for (const std::string& text : card.texts)
                        list += (list.empty() ? "" : ", ") + text.substr(0, text.find(' ') + 13) + "…";
                    return list;
                };
                if (!sameCheckpoint(x, y))
                    throw Error(ErrorCode::usage,
                                fmt::format("shards of one sweep were measured on different checkpoints: {} ({}…) in {} and {} ({}…) in {}", x.checkpointPath,
                                            x.fingerprint.substr(0, 12), x.log, y.checkpointPath, y.fingerprint.substr(0, 12), y.log),
                                "a copy of a checkpoint must keep its files' times (cp -p, rsync -t); merge the logs of each checkpoint on their own");
                throw Error(ErrorCode::usage, fmt::format("shards of one sweep were measured on different texts: {} in {} and {} in {}", texts(x), x.log, texts(y), y.log),
                            "merge the logs of each text on their own");
            }
    }

    void takeSweep(Sweep& sweep) {
        std::set<std::string> seen;
        std::erase_if(sweep.coming, [&](const auto& item) {
            const auto& [card, source] = item;
            if (!seen.insert(card->identity).second) { // the same log named twice
                ++report_.known;
                return true;
            }
            const auto known = known_.find(card->identity);
            const auto part = absorbed_.find(card->identity);
            // A shard that was unfinished when it was taken may have more to give now.
            const bool same = (known != known_.end() && known->second.status == "done") ||
                              (part != absorbed_.end() && partIsComplete(sweep, card->shard.part));
            if (same) {
                source->renumbered[card->id] = known != known_.end() ? known->second.id : part->second;
                ++report_.known;
            }
            return same;
        });
        if (sweep.coming.empty())
            return;
        const std::int64_t run = rootOf(sweep);
        Json parts = Json::array();
        std::set<std::string> listed;
        std::set<int> complete = sweep.complete();
        const auto list = [&](const std::string& identity, const RunCard& card) {
            if (listed.insert(identity).second)
                parts.push_back({{"run", identity}, {"shard", card.shard.part}, {"of", card.shard.of}, {"done", complete.contains(card.shard.part)}});
        };
        for (const RunCard* card : sweep.here) {
            keepParts(*card, parts, listed);
            if (card->complete.empty())
                list(card->identity, *card);
            if (card->id != run)
                absorb(*card, to_, run);
        }
        for (const auto& [card, source] : sweep.coming) {
            job_.checkpoint();
            const bool known = absorbed_.contains(card->identity) || known_.contains(card->identity);
            report_.added += !known;
            report_.known += known;
            report_.completed += known;
            keepParts(*card, parts, listed);
            if (card->complete.empty())
                list(card->identity, *card);
            if (source->renumbered[card->id] != run || !isRoot(*card, sweep))
                absorb(*card, *source->database, run);
            source->renumbered[card->id] = run;
        }
        finish(sweep.any().shard.of, complete, parts, run);
    }

    static bool isRoot(const RunCard& card, const Sweep& sweep) { return sweep.here.empty() && sweep.coming.front().first == &card; }

    static bool partIsComplete(const Sweep& sweep, int part) {
        return std::any_of(sweep.here.begin(), sweep.here.end(), [&](const RunCard* card) { return card->complete.contains(part); });
    }

    /// What a merged run knows of its own shards.
    void keepParts(const RunCard& card, Json& parts, std::set<std::string>& listed) {
        SQLite::Database* database = &to_;
        for (Source& source : sources_)
            if (source.path == card.log)
                database = source.database.get();
        if (card.absorbed.empty())
            return;
        SQLite::Statement row(*database, "SELECT json FROM results WHERE run = ?");
        row.bind(1, card.id);
        if (!row.executeStep())
            return;
        const Json result = parseJson(row.getColumn(0).getString(), "result of a merged run");
        for (const Json& part : result.at("merged"))
            if (listed.insert(part.at("run").get<std::string>()).second)
                parts.push_back(part);
    }

    /// The run that the shards become: a merged one that is here, a shard that is here, or a copy of the first that comes.
    std::int64_t rootOf(Sweep& sweep) {
        for (const RunCard* card : sweep.here)
            if (!card->absorbed.empty())
                return card->id;
        if (!sweep.here.empty())
            return sweep.here.front()->id;
        const auto& [card, source] = sweep.coming.front();
        RowCopier copier(*source->database, to_);
        const std::int64_t made = copier.copyRun(card->id);
        addCells(*card, copier, made);
        copier.copyChildren(card->id, made, {"sensitivities"});
        source->renumbered[card->id] = made;
        added_.push_back({made, source});
        return made;
    }

    /// A shard's cells, texts, tags and notes; its own row goes when it is in the target.
    void absorb(const RunCard& card, SQLite::Database& from, std::int64_t run) {
        RowCopier copier(from, to_);
        addCells(card, copier, run);
        copier.copyChildren(card.id, run, {"sensitivities", "results"});
        const bool here = &from == &to_;
        SQLite::Statement row(from, "SELECT seconds FROM runs WHERE id = ?");
        row.bind(1, card.id);
        row.executeStep();
        execute(to_, "UPDATE runs SET seconds = seconds + ? WHERE id = ?", row.getColumn(0).getDouble(), run);
        row.reset();
        if (!here)
            return;
        execute(to_, "DELETE FROM runs WHERE id = ?", card.id);
        moved_[card.id] = run;
    }

    void finish(int of, const std::set<int>& complete, const Json& parts, std::int64_t run) {
        MergedSweep& merged = report_.sweeps.emplace_back();
        merged.run = RunId(run);
        merged.shards = of;
        merged.cells = lookUp(to_, 0, "SELECT count(*) FROM sensitivities WHERE run = ?", run);
        std::string missing;
        for (int part = 1; part <= of; ++part)
            if (!complete.contains(part))
                merged.missing.push_back(fmt::format("{}/{}", part, of));
        for (const std::string& part : merged.missing)
            missing += (missing.empty() ? "" : ", ") + part;
        SQLite::Statement row(to_, "SELECT recipe, coalesce((SELECT json FROM results WHERE run = id), '{}') FROM runs WHERE id = ?");
        row.bind(1, run);
        row.executeStep();
        Json recipe = parseJson(row.getColumn(0).getString(), "recipe of a merged run"), result = parseJson(row.getColumn(1).getString(), "result of a merged run");
        row.reset();
        recipe["sweep"]["shard"] = "1/1";
        result["merged"] = parts;
        const std::string error = missing.empty() ? "" : fmt::format("shards {} are missing: merge their logs, or measure what they lack with --resume {}", missing, run);
        execute(to_, "UPDATE runs SET recipe = ?, status = ?, error = ?, finished_at = coalesce(finished_at, started_at) WHERE id = ?", recipe.dump(),
                std::string(missing.empty() ? "done" : "interrupted"), error, run);
        execute(to_, "INSERT OR REPLACE INTO results (run, json) VALUES (?,?)", run, result.dump());
        execute(to_, "INSERT OR REPLACE INTO metrics (run, name, value, unit) VALUES (?,'cells',?,'cells')", run, static_cast<double>(merged.cells));
        execute(to_, "INSERT OR IGNORE INTO tags (run, tag) VALUES (?,?)", run, std::string(kMergedTag));
    }

    /// Recipes name runs by number: those that came get the numbers that their runs have here.
    void renumber() {
        const auto apply = [&](std::int64_t run, const std::map<std::int64_t, std::int64_t>& renumbered) {
            SQLite::Statement row(to_, "SELECT recipe FROM runs WHERE id = ?");
            row.bind(1, run);
            if (!row.executeStep())
                return;
            Json recipe = parseJson(row.getColumn(0).getString(), "recipe of run " + std::to_string(run));
            row.reset();
            if (detail::renumberRecipe(recipe, renumbered))
                execute(to_, "UPDATE runs SET recipe = ? WHERE id = ?", recipe.dump(), run);
        };
        for (const auto& [run, source] : added_)
            apply(run, source->renumbered);
        if (!moved_.empty())
            for (const RunCard& card : cards_)
                apply(card.id, moved_);
    }

    SQLite::Database& to_;
    std::string path_;
    std::vector<Source>& sources_;
    JobContext& job_;
    std::vector<RunCard> cards_;                       ///< of the target, before
    std::map<std::string, Known> known_;               ///< by identity
    std::map<std::string, std::int64_t> absorbed_;     ///< identity of a shard → the run it was merged into
    std::map<std::pair<std::int64_t, std::string>, std::string> cellFrom_; ///< log that a new cell came from
    std::vector<std::pair<std::int64_t, Source*>> added_;
    std::map<std::int64_t, std::int64_t> moved_;       ///< shards of the target → the run they became
    MergeReport report_;
};

/// The target to write to; when only pretending, a copy of it (or a new log) in memory.
std::unique_ptr<SQLite::Database> openTarget(const std::string& path, bool pretend) {
    if (!pretend) {
        { const ExperimentLog made(path); } // makes or migrates it, and tells runs whose process is gone
        return openLogForWriting(path);
    }
    auto copy = std::make_unique<SQLite::Database>(ExperimentLog::kInMemory, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    if (fs::exists(path)) {
        const std::unique_ptr<SQLite::Database> original = openLogForReading(path);
        SQLite::Backup(*copy, *original).executeStep();
    }
    if (logVersion(*copy) > currentLogVersion())
        throw Error(ErrorCode::logTooNew, fmt::format("the log '{}' has version {}, this program writes {}", path, logVersion(*copy), currentLogVersion()), "use the newer program");
    for (const Migration& step : logMigrations())
        if (step.version > logVersion(*copy)) {
            copy->exec(std::string(step.sql));
            copy->exec("PRAGMA user_version = " + std::to_string(step.version));
        }
    return copy;
}

} // namespace

namespace {

/// Keeps the cards of chosen runs and of those that their recipes name. Returns how many of the latter.
std::int64_t choose(Source& source, const std::vector<RunId>& runs) {
    std::map<std::int64_t, const RunCard*> byId;
    for (const RunCard& card : source.cards)
        byId[card.id] = &card;
    std::set<std::int64_t> wanted;
    std::vector<std::int64_t> open;
    for (const RunId run : runs) {
        if (!byId.contains(run.value()))
            throw Error(ErrorCode::unknownRun, fmt::format("there is no run {} in {}", run.value(), source.path), "'bitwright-cli runs list' shows all runs");
        if (wanted.insert(run.value()).second)
            open.push_back(run.value());
    }
    const std::size_t asked = wanted.size();
    while (!open.empty()) {
        const std::int64_t id = open.back();
        open.pop_back();
        for (const std::int64_t named : detail::runsNamedBy(byId.at(id)->recipe))
            if (byId.contains(named) && wanted.insert(named).second) // one that was pruned stays a bare number
                open.push_back(named);
    }
    std::erase_if(source.cards, [&](const RunCard& card) { return !wanted.contains(card.id); });
    return static_cast<std::int64_t>(wanted.size() - asked);
}

MergeReport mergeOpened(const std::string& target, std::vector<Source>& opened, JobContext& job, bool pretend) {
    job.beginStage("merge: writing", 0, "runs");
    return guarded(target, [&] {
        const std::unique_ptr<SQLite::Database> database = openTarget(target, pretend);
        SQLite::Transaction transaction(*database, SQLite::TransactionBehavior::IMMEDIATE);
        MergeReport report = Merge(*database, target, opened, job).run();
        job.checkpoint();
        transaction.commit();
        return report;
    });
}

} // namespace

MergeReport mergeLogs(const std::string& target, const std::vector<std::string>& sources, JobContext& job, bool pretend) {
    if (sources.empty())
        throw Error(ErrorCode::usage, "there is no log to merge", "name the logs whose runs are to be taken over");
    std::vector<Source> opened;
    job.beginStage("merge: reading", static_cast<std::int64_t>(sources.size()), "logs");
    for (const std::string& path : sources) {
        job.checkpoint();
        opened.push_back(openSource(path, target));
        job.advance();
    }
    return mergeOpened(target, opened, job, pretend);
}

MergeReport copyRuns(const std::string& target, const std::string& source, const std::vector<RunId>& runs, JobContext& job, bool pretend) {
    std::vector<Source> opened;
    opened.push_back(openSource(source, target));
    const std::int64_t named = runs.empty() ? 0 : choose(opened.front(), runs);
    MergeReport report = mergeOpened(target, opened, job, pretend);
    report.named = named;
    return report;
}

} // namespace bw
