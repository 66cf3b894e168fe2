// SPDX-License-Identifier: GPL-3.0-or-later
// Rows of one log copied into another. Private to core/experiment/merge*.cpp.
#pragma once

#include "core/base/json.h"
#include "core/experiment/recipe.h"

#include <SQLiteCpp/SQLiteCpp.h>

#include <map>
#include <set>
#include <string>
#include <vector>

namespace bw::detail {

/// What is asked of a run to tell whether it is the same, or a shard of the same sweep.
struct RunCard {
    std::string log;                  ///< path of the log that it is in
    std::int64_t id = 0;
    std::string kind, status, startedAt, checkpointPath, fingerprint;
    Json recipe;
    std::string identity;             ///< equal for the same run in two logs
    std::string sha256;               ///< of the checkpoint's weights; empty while not known
    std::set<std::string> texts;      ///< "role sha256"
    std::vector<std::string> textPaths;
    Shard shard;                      ///< 1/1: a whole run
    std::string sweepKey;             ///< equal for shards of one request; empty for whole runs that are no merged sweep
    /// Of a run that shards were merged into: their identities, and which shards are complete.
    std::set<std::string> absorbed;
    std::set<int> complete;
};

std::vector<RunCard> readCards(SQLite::Database& database, const std::string& log);
/// Runs that a recipe names; 0 is none.
std::set<std::int64_t> runsNamedBy(const Json& recipe);
/// `recipe` with the runs it names renumbered; what `renumbered` lacks stays. Returns whether anything changed.
bool renumberRecipe(Json& recipe, const std::map<std::int64_t, std::int64_t>& renumbered);

class RowCopier {
public:
    RowCopier(SQLite::Database& from, SQLite::Database& to) : from_(from), to_(to) {}
    SQLite::Database& source() { return from_; }
    /// The run's row, its checkpoint and stack. A run that still "runs" is interrupted here.
    std::int64_t copyRun(std::int64_t run);
    /// Everything that hangs on the run, apart from `except`; rows that are there already stay.
    void copyChildren(std::int64_t run, std::int64_t target, const std::set<std::string>& except = {});

private:
    std::vector<std::string> columnsOf(const std::string& table);
    /// The id that a shared row (checkpoint, stack, text) has in the target.
    std::int64_t shared(const std::string& table, std::int64_t id);
    void insert(const std::string& table, const std::vector<std::string>& columns, SQLite::Statement& row, std::int64_t run);

    SQLite::Database &from_, &to_;
    std::map<std::pair<std::string, std::int64_t>, std::int64_t> shared_;
};

/// Tables whose rows belong to a run.
std::vector<std::string> childTables(SQLite::Database& database);

} // namespace bw::detail
