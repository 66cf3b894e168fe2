// SPDX-License-Identifier: GPL-3.0-or-later
// The log's tables and how an older log becomes a newer one. Private to core/experiment and its tests.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <span>
#include <string>
#include <string_view>

namespace bw {

/// One numbered step: from version−1 to `version`, in one transaction.
struct Migration {
    int version;
    std::string_view title;
    std::string_view sql;
};

/// "BWLG": marks an SQLite file as ours (PRAGMA application_id).
inline constexpr int kLogApplicationId = 0x42574C47;

std::span<const Migration> logMigrations(); ///< in order; the last one's version is the current version
int currentLogVersion();
int logVersion(SQLite::Database& database); ///< PRAGMA user_version; 0 = empty

/// Tables and columns of this program's log that the database lacks ("runs.seconds, notes.text"); empty: it can be read,
/// whatever else a newer version has put into it.
std::string missingFromLog(SQLite::Database& database);

/// Brings the database to the last of `steps`. A log that already holds data is first copied to "PATH.vN.backup"
/// (VACUUM INTO; never over an existing file). The version moves only with the step's own transaction, so that an
/// interruption leaves a log of the last finished step. Returns the backup's path, empty when none was needed.
/// @throws SQLite::Exception; Error(logCorrupt) when the file is some other program's database.
std::string migrateLog(SQLite::Database& database, const std::string& path, std::span<const Migration> steps);

} // namespace bw
