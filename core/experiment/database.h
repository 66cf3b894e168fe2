// SPDX-License-Identifier: GPL-3.0-or-later
// Opening the log's connections and turning SQLite's errors into ours. Private to core/experiment and its tests.
#pragma once

#include "core/base/error.h"

#include <SQLiteCpp/SQLiteCpp.h>

#include <memory>
#include <string>
#include <utility>

namespace bw {

/// How long a connection waits for another one's write before it gives up. Our own transactions take milliseconds; the
/// longest are a migration's backup.
inline constexpr int kBusyMilliseconds = 10000;

/// Connections opened from now on wait so long instead; for tests of a log that is held.
void setLogPatience(int milliseconds);

/// Creates the file and its folders when missing; WAL where the file system allows it, foreign keys on.
std::unique_ptr<SQLite::Database> openLogForWriting(const std::string& path);
/// Read-only. A log in a folder that can't be written (no -shm possible) is opened as an immutable snapshot.
std::unique_ptr<SQLite::Database> openLogForReading(const std::string& path);

/// @throws Error logCorrupt, logBusy, diskFull, permissionDenied, writeFailed or internal; the path is named.
[[noreturn]] void throwLogError(const SQLite::Exception& failure, const std::string& path);

/// Runs `body`, translating what SQLite throws.
template <class Body>
decltype(auto) guarded(const std::string& path, Body&& body) {
    try {
        return std::forward<Body>(body)();
    } catch (const SQLite::Exception& failure) {
        throwLogError(failure, path);
    }
}

} // namespace bw
