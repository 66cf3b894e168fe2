// SPDX-License-Identifier: GPL-3.0-or-later
// Salvage: every table is read from its start to the first damage, from its end back to it, and run by run between.
#include "core/experiment/salvage.h"

#include "core/base/atomic_file.h"
#include "core/experiment/database.h"
#include "core/experiment/log_impl.h"
#include "core/experiment/schema.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sqlite3.h>

namespace bw {
namespace {

namespace fs = std::filesystem;

/// A working file and what SQLite puts beside it, gone at the end.
class Scratch {
public:
    explicit Scratch(std::string path) : path_(std::move(path)) { remove(); }
    ~Scratch() { remove(); }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    const std::string& path() const { return path_; }
    void remove() const {
        for (const char* part : {"", "-wal", "-shm", "-journal"}) {
            std::error_code ignored;
            fs::remove(path_ + part, ignored);
        }
    }

private:
    std::string path_;
};

void copyFile(const std::string& from, const std::string& to) {
    std::error_code failure;
    if (!fs::copy_file(from, to, fs::copy_options::overwrite_existing, failure))
        throw Error(failure == std::errc::no_space_on_device ? ErrorCode::diskFull : ErrorCode::writeFailed,
                    "'" + from + "' can't be copied to '" + to + "': " + failure.message(), "make room beside the log; nothing was changed");
}

void copyLog(const std::string& from, const std::string& to) {
    copyFile(from, to);
    if (fs::exists(from + "-wal"))
        copyFile(from + "-wal", to + "-wal");
}

std::string freeName(const std::string& path) {
    std::string name = path + ".damaged";
    for (int n = 2; fs::exists(name); ++n)
        name = path + ".damaged-" + std::to_string(n);
    return name;
}

/// Parents before children.
constexpr std::array kTables{"checkpoints", "stacks", "datasets", "runs", "run_datasets", "metrics", "site_statistics", "clip_ranges", "histograms",
                             "sensitivities", "fisher_probes", "assignments", "outputs", "token_scores", "artifacts", "notes", "tags",
                             "results", "site_rounding", "transforms", "warnings", "range_errors", "channel_statistics", "expert_coverage", "output_pairs"};

using DatabasePtr = std::unique_ptr<SQLite::Database>;

/// Ours, and the schema can be read.
bool isReadableLog(SQLite::Database& database) {
    try {
        return database.execAndGet("PRAGMA application_id").getInt() == kLogApplicationId &&
               database.execAndGet("SELECT count(*) FROM sqlite_schema WHERE name = 'runs'").getInt() == 1;
    } catch (const SQLite::Exception&) {
        return false;
    }
}

DatabasePtr tryOpen(const std::string& path) {
    try {
        auto database = std::make_unique<SQLite::Database>(path, SQLite::OPEN_READWRITE);
        if (isReadableLog(*database))
            return database;
    } catch (const SQLite::Exception&) {
    }
    return nullptr;
}

bool isHealthy(const std::string& path) {
    try {
        SQLite::Database database(path, SQLite::OPEN_READONLY, kBusyMilliseconds);
        return isReadableLog(database) && database.execAndGet("PRAGMA integrity_check").getString() == "ok";
    } catch (const SQLite::Exception& e) {
        if ((e.getErrorCode() & 0xff) == SQLITE_BUSY)
            throwLogError(e, path);
        return false;
    }
}

/// The first page holds the header and where every table begins. Logs are all laid out alike, so a lost one can be taken
/// from a new log of the same version; the page count is the file's.
DatabasePtr withNewFirstPage(const Scratch& copy) {
    constexpr std::size_t kPage = 4096; // SQLite's default since 3.12, which logs have
    const std::uint64_t bytes = fs::file_size(copy.path());
    if (bytes < 2 * kPage)
        return nullptr;
    for (std::size_t steps = logMigrations().size(); steps > 0; --steps) {
        const Scratch fresh(copy.path() + "-fresh");
        {
            const DatabasePtr database = openLogForWriting(fresh.path());
            migrateLog(*database, fresh.path(), logMigrations().first(steps));
            database->execAndGet("PRAGMA journal_mode = DELETE");
        }
        std::string page(kPage, '\0');
        if (!std::ifstream(fresh.path(), std::ios::binary).read(page.data(), kPage))
            return nullptr;
        const auto pages = static_cast<std::uint32_t>(bytes / kPage);
        for (std::size_t i = 0; i < 4; ++i) { // big-endian: pages at 28, no free list at 32 and 36
            page[28 + i] = static_cast<char>(pages >> (24 - 8 * i) & 255);
            page[32 + i] = page[36 + i] = 0;
        }
        std::error_code ignored;
        fs::remove(copy.path() + "-wal", ignored); // its frames belong to the lost header
        std::fstream(copy.path(), std::ios::binary | std::ios::in | std::ios::out).write(page.data(), kPage);
        if (DatabasePtr database = tryOpen(copy.path())) {
            try {
                database->execAndGet("SELECT count(*) FROM runs JOIN checkpoints ON checkpoints.id = runs.checkpoint");
                return database;
            } catch (const SQLite::Exception&) { // laid out by another version
            }
        }
    }
    return nullptr;
}

class Salvage {
public:
    Salvage(SQLite::Database& from, SQLite::Database& to, SalvageReport& report, JobContext& job) : from_(from), to_(to), report_(report), job_(job) {}

    void run() {
        to_.exec("PRAGMA foreign_keys = OFF");
        for (const char* table : kTables) {
            SQLite::Transaction transaction(to_);
            copyTable(table);
            transaction.commit();
        }
        SQLite::Transaction transaction(to_);
        mendParents();
        transaction.commit();
        for (const char* table : kTables)
            report_.rows.emplace_back(table, to_.execAndGet("SELECT count(*) FROM " + std::string(table)).getInt64());
    }

private:
    /// Columns that both logs have; empty when the old one has no such table.
    std::vector<std::string> sharedColumns(const std::string& table) {
        std::vector<std::string> names;
        try {
            SQLite::Statement old(from_, "SELECT name FROM pragma_table_info(?)");
            old.bind(1, table);
            while (old.executeStep())
                names.push_back(old.getColumn(0).getString());
        } catch (const SQLite::Exception&) {
        }
        std::erase_if(names, [&](const std::string& name) {
            SQLite::Statement ours(to_, "SELECT count(*) FROM pragma_table_info(?) WHERE name = ?");
            ours.bind(1, table);
            ours.bind(2, name);
            ours.executeStep();
            return ours.getColumn(0).getInt() == 0;
        });
        return names;
    }

    std::string keyOf(const std::string& table) {
        SQLite::Statement keys(to_, "SELECT group_concat(name) FROM (SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk)");
        keys.bind(1, table);
        keys.executeStep();
        return keys.getColumn(0).getString();
    }

    void copyTable(const std::string& table) {
        const std::vector<std::string> columns = sharedColumns(table);
        if (columns.empty())
            return;
        std::string list, marks, backwards;
        for (const std::string& column : columns) {
            list += (list.empty() ? "" : ", ") + column;
            marks += marks.empty() ? "?" : ",?";
        }
        const std::string key = keyOf(table);
        backwards = key + " DESC";
        for (std::size_t at = backwards.find(','); at != std::string::npos; at = backwards.find(',', at + 7))
            backwards.replace(at, 1, " DESC,");
        SQLite::Statement insert(to_, "INSERT OR IGNORE INTO " + table + " (" + list + ") VALUES (" + marks + ")");
        const std::string select = "SELECT " + list + " FROM " + table;
        if (copyRows(select + " ORDER BY " + key, std::nullopt, insert, false))
            return;
        report_.damaged.push_back(table);
        copyRows(select + " ORDER BY " + backwards, std::nullopt, insert, true);
        if (std::find(columns.begin(), columns.end(), "run") == columns.end())
            return;
        SQLite::Statement runs(to_, "SELECT id FROM runs");
        while (runs.executeStep())
            copyRows(select + " WHERE run = ?", runs.getColumn(0).getInt64(), insert, false);
    }

    /// True when the rows ended without damage. @param untilKnown stop at the first row that is there already.
    bool copyRows(const std::string& sql, std::optional<std::int64_t> run, SQLite::Statement& insert, bool untilKnown) {
        try {
            SQLite::Statement rows(from_, sql);
            if (run)
                rows.bind(1, *run);
            while (rows.executeStep()) {
                job_.checkpoint();
                if (!put(rows, insert) && untilKnown)
                    return true;
            }
            return true;
        } catch (const SQLite::Exception& e) {
            if ((e.getErrorCode() & 0xff) == SQLITE_FULL || (e.getErrorCode() & 0xff) == SQLITE_IOERR)
                throw;
            return false;
        }
    }

    /// False when the row was there, or breaks the table's own rules (a damaged page that still looks like one).
    bool put(SQLite::Statement& row, SQLite::Statement& insert) {
        insert.reset();
        for (int i = 0; i < row.getColumnCount(); ++i) {
            const SQLite::Column value = row.getColumn(i);
            switch (value.getType()) {
            case SQLITE_INTEGER: insert.bind(i + 1, value.getInt64()); break;
            case SQLITE_FLOAT: insert.bind(i + 1, value.getDouble()); break;
            case SQLITE_NULL: insert.bind(i + 1); break;
            case SQLITE_BLOB: insert.bind(i + 1, value.getBytes() > 0 ? value.getBlob() : "", value.getBytes()); break;
            default: insert.bind(i + 1, value.getString()); break;
            }
        }
        try {
            return insert.exec() > 0;
        } catch (const SQLite::Exception& e) {
            if ((e.getErrorCode() & 0xff) != SQLITE_CONSTRAINT && (e.getErrorCode() & 0xff) != SQLITE_MISMATCH)
                throw;
            return false;
        }
    }

    /// Runs keep a placeholder for what they lost; rows whose run or text is gone go too.
    void mendParents() {
        to_.exec("INSERT INTO checkpoints (id, path, name, kind, family, parameters, bytes, bits_per_weight, fingerprint) "
                 "SELECT DISTINCT checkpoint, '', '(lost)', '', '', 0, 0, 0, 'lost-' || checkpoint FROM runs WHERE checkpoint NOT IN (SELECT id FROM checkpoints)");
        to_.exec("INSERT INTO stacks (id, program, compiler, libraries, cpu, device, threads) "
                 "SELECT DISTINCT stack, '(lost ' || stack || ')', '', '', '', '', 0 FROM runs WHERE stack NOT IN (SELECT id FROM stacks)");
        for (const char* table : kTables) {
            const std::string name = table;
            if (name == "run_datasets")
                report_.orphans += to_.exec("DELETE FROM run_datasets WHERE dataset NOT IN (SELECT id FROM datasets)");
            if (to_.execAndGet("SELECT count(*) FROM pragma_table_info('" + name + "') WHERE name = 'run'").getInt() > 0)
                report_.orphans += to_.exec("DELETE FROM " + name + " WHERE run NOT IN (SELECT id FROM runs)");
        }
    }

    SQLite::Database &from_, &to_;
    SalvageReport& report_;
    JobContext& job_;
};

} // namespace

SalvageReport salvageLog(const std::string& path, JobContext& job) {
    if (!fs::is_regular_file(path))
        throw Error(ErrorCode::fileNotFound, "there is no log '" + path + "'", "name one with --log FILE");
    SalvageReport report;
    if ((report.healthy = isHealthy(path)))
        return report;
    const Scratch copy(path + ".salvaging"), made(path + ".salvaged");
    return guarded(path, [&] {
        copyLog(path, copy.path());
        DatabasePtr from = tryOpen(copy.path());
        if (!from) {
            from = withNewFirstPage(copy);
            report.rebuiltHeader = from != nullptr;
        }
        if (!from)
            throw Error(ErrorCode::logCorrupt, "nothing in '" + path + "' can be read as a log", "it is left as it is; start anew with --log NEW.db");
        if (const int version = logVersion(*from); version > currentLogVersion())
            throw Error(ErrorCode::logTooNew, "the log '" + path + "' has version " + std::to_string(version) + " and would lose what this program does not know",
                        "salvage it with the newer program");
        {
            const DatabasePtr to = openLogForWriting(made.path());
            migrateLog(*to, made.path(), logMigrations());
            Salvage(*from, *to, report, job).run();
            to->execAndGet("PRAGMA journal_mode = DELETE"); // all of it into the one file that is moved
        }
        from.reset();
        report.keptAside = freeName(path);
        copyLog(path, report.keptAside);
        std::error_code failure;
        for (const char* part : {"-wal", "-shm"})
            fs::remove(path + part, failure);
        fs::rename(made.path(), path, failure);
        if (failure)
            throw Error(ErrorCode::writeFailed, "'" + path + "' can't be replaced: " + failure.message(), "the damaged log is also kept as " + report.keptAside);
        return report;
    });
}

} // namespace bw
