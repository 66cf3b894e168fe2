// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/experiment/merge_rows.h"

#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/experiment/log_impl.h"

#include <algorithm>
#include <sqlite3.h>

namespace bw::detail {
namespace {

/// Places in a recipe that hold numbers of runs.
constexpr const char* kRunNumbers[] = {"/sweep/order_run", "/assignment/sweep_run", "/assignment/scale_run", "/assignment/start_run", "/diagnosis/run"};
constexpr const char* kRunLists[] = {"/assignment/measured_runs"};

Json withoutRunNumbers(Json recipe) {
    for (const char* path : kRunNumbers)
        if (const Json::json_pointer at(path); recipe.contains(at))
            recipe[at] = 0;
    for (const char* path : kRunLists)
        if (const Json::json_pointer at(path); recipe.contains(at))
            recipe[at] = Json::array();
    return recipe;
}

std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

/// What shards of one sweep share: all but names and places of files (those are compared by content) and their share.
std::string sweepKeyOf(Json recipe) {
    recipe = withoutRunNumbers(std::move(recipe));
    for (const char* path : {"/name", "/checkpoint", "/device", "/calibration/files", "/sweep/shard"})
        if (const Json::json_pointer at(path); recipe.contains(at))
            recipe[at] = nullptr;
    return sha256Hex(dump(recipe));
}

std::string joined(const std::vector<std::string>& columns, const std::string& prefix) {
    std::string out;
    for (const std::string& column : columns)
        out += (out.empty() ? "" : ", ") + prefix + column;
    return out;
}

void bindColumn(SQLite::Statement& into, int index, const SQLite::Column& value) {
    switch (value.getType()) {
    case SQLITE_INTEGER: into.bind(index, value.getInt64()); break;
    case SQLITE_FLOAT: into.bind(index, value.getDouble()); break;
    case SQLITE_NULL: into.bind(index); break;
    case SQLITE_BLOB: into.bind(index, value.getBytes() > 0 ? value.getBlob() : "", value.getBytes()); break;
    default: into.bind(index, value.getString()); break;
    }
}

void readTexts(SQLite::Database& database, RunCard& card) {
    for (const DatasetRow& text : datasetRows(database, RunId(card.id))) {
        card.texts.insert(text.role + " " + text.sha256);
        card.textPaths.push_back(text.path);
    }
}

void readResult(const std::string& json, RunCard& card) {
    const Json result = parseJson(json, "result of run " + std::to_string(card.id));
    if (!result.is_object())
        return;
    card.sha256 = result.value("checkpoint_sha256", std::string());
    if (!result.contains("merged"))
        return;
    for (const Json& part : result.at("merged")) {
        card.absorbed.insert(part.at("run").get<std::string>());
        if (part.at("done").get<bool>())
            card.complete.insert(part.at("shard").get<int>());
        card.shard.of = part.at("of").get<int>();
    }
    for (int part = 1; card.status == "done" && part <= card.shard.of; ++part)
        card.complete.insert(part); // resumed to its end, which measured what no shard had
    card.sweepKey = sweepKeyOf(card.recipe);
}

} // namespace

std::vector<RunCard> readCards(SQLite::Database& database, const std::string& log) {
    std::vector<RunCard> cards;
    const bool results = lookUp(database, 0, "SELECT count(*) FROM sqlite_schema WHERE name = 'results'") > 0;
    SQLite::Statement rows(database, std::string("SELECT r.id, r.kind, r.status, r.started_at, r.recipe, r.command_line, c.path, c.fingerprint, ") +
                                         (results ? "coalesce((SELECT json FROM results x WHERE x.run = r.id), 'null')" : "'null'") +
                                         " FROM runs r JOIN checkpoints c ON c.id = r.checkpoint ORDER BY r.id");
    while (rows.executeStep()) {
        RunCard& card = cards.emplace_back();
        card.log = log;
        card.id = rows.getColumn(0).getInt64();
        card.kind = rows.getColumn(1).getString();
        card.status = rows.getColumn(2).getString();
        card.startedAt = rows.getColumn(3).getString();
        card.recipe = parseJson(rows.getColumn(4).getString(), "recipe of run " + std::to_string(card.id));
        card.checkpointPath = rows.getColumn(6).getString();
        card.fingerprint = rows.getColumn(7).getString();
        const char separator = '\0';
        std::string what = card.kind;
        for (const std::string& part : {dump(withoutRunNumbers(card.recipe)), card.startedAt, card.fingerprint, rows.getColumn(5).getString()})
            what += separator + part;
        card.identity = sha256Hex(what);
        readTexts(database, card);
        readResult(rows.getColumn(8).getString(), card);
        if (const Json::json_pointer at("/sweep/shard"); card.kind == "sweep" && card.recipe.contains(at))
            if (const Shard shard = parseShard(card.recipe.at(at).get<std::string>()); shard.of > 1) {
                card.shard = shard;
                card.sweepKey = sweepKeyOf(card.recipe);
            }
    }
    return cards;
}

std::set<std::int64_t> runsNamedBy(const Json& recipe) {
    std::set<std::int64_t> out;
    const auto take = [&](const Json& number) {
        if (number.is_number_integer() && number.get<std::int64_t>() > 0)
            out.insert(number.get<std::int64_t>());
    };
    for (const char* path : kRunNumbers)
        if (const Json::json_pointer at(path); recipe.contains(at))
            take(recipe.at(at));
    for (const char* path : kRunLists)
        if (const Json::json_pointer at(path); recipe.contains(at) && recipe.at(at).is_array())
            for (const Json& number : recipe.at(at))
                take(number);
    return out;
}

bool renumberRecipe(Json& recipe, const std::map<std::int64_t, std::int64_t>& renumbered) {
    bool changed = false;
    const auto renumber = [&](Json& number) {
        if (!number.is_number_integer())
            return;
        const auto found = renumbered.find(number.get<std::int64_t>());
        if (found == renumbered.end() || found->first == found->second)
            return;
        number = found->second;
        changed = true;
    };
    for (const char* path : kRunNumbers)
        if (const Json::json_pointer at(path); recipe.contains(at))
            renumber(recipe[at]);
    for (const char* path : kRunLists)
        if (const Json::json_pointer at(path); recipe.contains(at))
            for (Json& number : recipe[at])
                renumber(number);
    return changed;
}

std::vector<std::string> childTables(SQLite::Database& database) {
    std::vector<std::string> tables;
    SQLite::Statement rows(database, "SELECT t.name FROM pragma_table_list t JOIN pragma_table_info(t.name) c WHERE t.type = 'table' AND c.name = 'run' ORDER BY t.name");
    while (rows.executeStep())
        tables.push_back(rows.getColumn(0).getString());
    return tables;
}

std::vector<std::string> RowCopier::columnsOf(const std::string& table) {
    const auto list = [&](SQLite::Database& database) {
        std::vector<std::string> columns;
        SQLite::Statement rows(database, "SELECT name FROM pragma_table_info(?)");
        rows.bind(1, table);
        while (rows.executeStep())
            columns.push_back(rows.getColumn(0).getString());
        return columns;
    };
    // An older log lacks columns, which then have their defaults; its own numbers of rows mean nothing here.
    std::vector<std::string> columns = list(to_), theirs = list(from_);
    std::erase_if(columns, [&](const std::string& c) { return c == "id" || std::find(theirs.begin(), theirs.end(), c) == theirs.end(); });
    return columns;
}

std::int64_t RowCopier::shared(const std::string& table, std::int64_t id) {
    const auto known = shared_.find({table, id});
    if (known != shared_.end())
        return known->second;
    const std::vector<std::string> columns = columnsOf(table);
    SQLite::Statement row(from_, "SELECT " + joined(columns, "") + " FROM " + table + " WHERE id = ?");
    row.bind(1, id);
    if (!row.executeStep())
        throw Error(ErrorCode::logCorrupt, "a run's row in '" + table + "' is missing", "try 'bitwright-cli runs salvage --log FILE' on that log");
    insert(table, columns, row, 0);
    std::string same;
    for (const std::string& column : columns)
        same += (same.empty() ? "" : " AND ") + column + " IS ?";
    SQLite::Statement found(to_, "SELECT id FROM " + table + " WHERE " + same + " ORDER BY id LIMIT 1");
    for (std::size_t i = 0; i < columns.size(); ++i)
        bindColumn(found, static_cast<int>(i) + 1, row.getColumn(static_cast<int>(i)));
    std::int64_t made = found.executeStep() ? found.getColumn(0).getInt64() : 0;
    if (made == 0) // the same by its key, but described otherwise
        made = lookUp(to_, 0, table == "checkpoints" ? "SELECT t.id FROM checkpoints t WHERE t.path = ? AND t.fingerprint = ?" : "SELECT t.id FROM datasets t WHERE t.path = ? AND t.sha256 = ?",
                      row.getColumn("path").getString(), row.getColumn(table == "checkpoints" ? "fingerprint" : "sha256").getString());
    return shared_[{table, id}] = made;
}

void RowCopier::insert(const std::string& table, const std::vector<std::string>& columns, SQLite::Statement& row, std::int64_t run) {
    std::string marks;
    for (std::size_t i = 0; i < columns.size(); ++i)
        marks += i == 0 ? "?" : ",?";
    SQLite::Statement into(to_, "INSERT OR IGNORE INTO " + table + " (" + joined(columns, "") + ") VALUES (" + marks + ")");
    for (std::size_t i = 0; i < columns.size(); ++i) {
        const int index = static_cast<int>(i) + 1;
        const std::string& column = columns[i];
        const SQLite::Column value = row.getColumn(index - 1);
        if (column == "run")
            into.bind(index, run);
        else if (column == "checkpoint" || column == "stack" || column == "dataset")
            into.bind(index, shared(column + "s", value.getInt64()));
        else
            bindColumn(into, index, value);
    }
    into.exec();
}

std::int64_t RowCopier::copyRun(std::int64_t run) {
    const std::vector<std::string> columns = columnsOf("runs");
    SQLite::Statement row(from_, "SELECT " + joined(columns, "") + " FROM runs WHERE id = ?");
    row.bind(1, run);
    row.executeStep();
    insert("runs", columns, row, 0);
    const std::int64_t made = to_.getLastInsertRowid();
    execute(to_, "UPDATE runs SET status = 'interrupted', error = 'it was still running when its log was merged' WHERE id = ? AND status = 'running'", made);
    return made;
}

void RowCopier::copyChildren(std::int64_t run, std::int64_t target, const std::set<std::string>& except) {
    const std::vector<std::string> theirs = childTables(from_);
    for (const std::string& table : childTables(to_)) {
        if (except.contains(table) || std::find(theirs.begin(), theirs.end(), table) == theirs.end())
            continue;
        const std::vector<std::string> columns = columnsOf(table);
        SQLite::Statement rows(from_, "SELECT " + joined(columns, "") + " FROM " + table + " WHERE run = ?");
        rows.bind(1, run);
        while (rows.executeStep())
            insert(table, columns, rows, target);
    }
}

} // namespace bw::detail
