// SPDX-License-Identifier: GPL-3.0-or-later
// What ExperimentLog holds, and one-line statements. Private to core/experiment.
#pragma once

#include "core/experiment/database.h"
#include "core/experiment/log.h"
#include "core/experiment/process_id.h"

#include <chrono>
#include <map>
#include <mutex>
#include <span>
#include <utility>

namespace bw {

struct ExperimentLog::Impl {
    std::string path;
    std::unique_ptr<SQLite::Database> database;
    std::mutex mutex;
    ProcessIdentity process;
    std::vector<RunId> recovered;
    /// When this process began or resumed a run, by the steady clock: wall clocks jump.
    std::map<std::int64_t, std::chrono::steady_clock::time_point> started;

    /// One transaction under the mutex, SQLite's errors translated; a thrown error rolls it back.
    template <class Body>
    auto transact(Body&& body) {
        const std::lock_guard lock(mutex);
        return guarded(path, [&] {
            SQLite::Transaction transaction(*database, SQLite::TransactionBehavior::IMMEDIATE);
            if constexpr (std::is_void_v<decltype(body(*database))>) {
                std::forward<Body>(body)(*database);
                transaction.commit();
            } else {
                auto result = std::forward<Body>(body)(*database);
                transaction.commit();
                return result;
            }
        });
    }
    /// @throws Error(unknownRun).
    void requireRun(RunId id);
};

inline void bindOne(SQLite::Statement& statement, int index, std::uint64_t value) {
    statement.bind(index, static_cast<std::int64_t>(value));
}
inline void bindOne(SQLite::Statement& statement, int index, RunId id) { statement.bind(index, id.value()); }
inline void bindOne(SQLite::Statement& statement, int index, const std::optional<double>& value) {
    if (value)
        statement.bind(index, *value);
    else
        statement.bind(index);
}
inline void bindOne(SQLite::Statement& statement, int index, std::span<const std::byte> blob) {
    // A null pointer would be bound as NULL; an empty blob is something else.
    statement.bind(index, blob.empty() ? static_cast<const void*>("") : static_cast<const void*>(blob.data()), static_cast<int>(blob.size()));
}
template <class T>
void bindOne(SQLite::Statement& statement, int index, const T& value) {
    statement.bind(index, value);
}

template <class... Values>
void bindValues(SQLite::Statement& statement, const Values&... values) {
    int index = 0;
    (bindOne(statement, ++index, values), ...);
}

/// Executes one statement that returns no rows.
template <class... Values>
void execute(SQLite::Database& database, const char* sql, const Values&... values) {
    SQLite::Statement statement(database, sql);
    bindValues(statement, values...);
    statement.exec();
}

/// First column of the first row as an integer, or `otherwise`.
template <class... Values>
std::int64_t lookUp(SQLite::Database& database, std::int64_t otherwise, const char* sql, const Values&... values) {
    SQLite::Statement statement(database, sql);
    bindValues(statement, values...);
    return statement.executeStep() ? statement.getColumn(0).getInt64() : otherwise;
}

std::vector<DatasetRow> datasetRows(SQLite::Database& database, RunId run);
std::vector<ArtifactRow> artifactRows(SQLite::Database& database, RunId run);

/// "2026-03-01T12:00:00Z"
std::string utcNow();

} // namespace bw
