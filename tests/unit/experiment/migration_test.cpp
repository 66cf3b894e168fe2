// SPDX-License-Identifier: GPL-3.0-or-later
// Older logs become newer ones with a backup, interrupted steps leave the last good version, newer logs are refused.
#include "core/experiment/database.h"
#include "core/experiment/schema.h"
#include "core/sensitivity/fisher.h"
#include "tests/unit/experiment/log_support.h"

#include <filesystem>
#include <gtest/gtest.h>

namespace bw::test {
namespace {

/// A log as version `version` of the program left it, with one run in it.
void makeOldLog(const std::string& path, int version) {
    const std::unique_ptr<SQLite::Database> database = openLogForWriting(path);
    migrateLog(*database, path, logMigrations().first(static_cast<std::size_t>(version)));
    ASSERT_EQ(logVersion(*database), version);
    database->exec("INSERT INTO checkpoints (path, name, kind, family, parameters, bytes, bits_per_weight, fingerprint) VALUES ('/m','m','gguf','llama',1,1,16,'f')");
    database->exec("INSERT INTO stacks (program, compiler, libraries, cpu, device, threads) VALUES ('p','c','l','c','d',1)");
    database->exec("INSERT INTO runs (kind, name, status, checkpoint, stack, recipe, command_line, started_at, pid, process_start, boot_id) "
                   "VALUES ('evaluate','','done',1,1,'{}','','2026-01-01T00:00:00Z',1,1,'b')");
}

TEST(Migration, EveryOldVersionBecomesTheCurrentOneWithABackup) {
    for (int version = 1; version < currentLogVersion(); ++version) {
        const TempFolder folder;
        const std::string path = folder.file("log.db");
        makeOldLog(path, version);
        { ExperimentLog log(path); }
        EXPECT_EQ(query(path, "PRAGMA user_version"), std::to_string(currentLogVersion()));
        EXPECT_EQ(LogReader(path).runs().size(), 1u);
        const std::string backup = path + ".v" + std::to_string(version) + ".backup";
        ASSERT_TRUE(std::filesystem::exists(backup));
        EXPECT_EQ(query(backup, "PRAGMA user_version"), std::to_string(version));
        EXPECT_EQ(query(backup, "SELECT count(*) FROM runs"), "1");
    }
}

TEST(Migration, AMapWithoutProbesIsReadBeforeAndAfter) {
    const TempFolder folder;
    const std::string path = folder.file("log.db");
    makeOldLog(path, 3);
    tamper(path, "INSERT INTO sensitivities (run, site, format, used, metric, bytes, value, standard_error) VALUES (1,'blk.0.attn_q','q4_0','q4_0','kl',9,0.5,0.1)");
    for (const bool migrated : {false, true}) {
        SCOPED_TRACE(migrated);
        if (migrated)
            ExperimentLog log(path);
        const LogReader reader(path);
        ASSERT_EQ(reader.sensitivities(RunId(1)).size(), 1u);
        EXPECT_EQ(reader.sensitivities(RunId(1))[0].value, 0.5);
        EXPECT_EQ(reader.sensitivities(RunId(1))[0].tokens, 0);
        EXPECT_TRUE(reader.fisherProjections(RunId(1)).empty());
        EXPECT_FALSE(reader.fisherFacts(RunId(1)));
        EXPECT_TRUE(reader.siteRounding(RunId(1)).empty());
        EXPECT_TRUE(reader.transform(RunId(1)).is_null());
        EXPECT_TRUE(reader.warnings(RunId(1)).empty());
        EXPECT_TRUE(reader.channelStatistics(RunId(1)).empty());
    }
}

TEST(Migration, AnEmptyFileIsVersionZeroAndNeedsNoBackup) {
    const TempFolder folder;
    const std::string path = folder.write("log.db", "");
    { ExperimentLog log(path); }
    EXPECT_EQ(query(path, "PRAGMA user_version"), std::to_string(currentLogVersion()));
    for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
        EXPECT_EQ(entry.path().string().find("backup"), std::string::npos) << entry.path();
}

TEST(Migration, ABackupNeverReplacesAnother) {
    const TempFolder folder;
    const std::string path = folder.file("log.db");
    makeOldLog(path, 1);
    folder.write("log.db.v1.backup", "precious");
    { ExperimentLog log(path); }
    EXPECT_EQ(std::filesystem::file_size(folder.file("log.db.v1.backup")), 8u);
    EXPECT_TRUE(std::filesystem::exists(folder.file("log.db.v1.backup-2")));
}

TEST(Migration, AStepThatFailsLeavesTheVersionBeforeIt) {
    const TempFolder folder;
    const std::string path = folder.file("log.db");
    makeOldLog(path, currentLogVersion());
    const Migration bad{currentLogVersion() + 1, "fails in the middle", "CREATE TABLE half (x INTEGER) STRICT; SELECT no_such_function();"};
    {
        const std::unique_ptr<SQLite::Database> database = openLogForWriting(path);
        EXPECT_THROW(migrateLog(*database, path, std::span(&bad, 1)), SQLite::Exception);
        EXPECT_EQ(logVersion(*database), currentLogVersion());
    }
    EXPECT_EQ(query(path, "SELECT count(*) FROM sqlite_schema WHERE name = 'half'"), "0");
    ExperimentLog log(path);
    EXPECT_EQ(LogReader(path).runs().size(), 1u);
}

TEST(Migration, AFullDiskInAStepLeavesTheVersionBeforeIt) {
    const TempFolder folder;
    const std::string path = folder.file("log.db");
    makeOldLog(path, currentLogVersion());
    const Migration large{currentLogVersion() + 1, "needs room",
                          "CREATE TABLE big (x BLOB) STRICT; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400) "
                          "INSERT INTO big SELECT randomblob(4000) FROM n;"};
    {
        const std::unique_ptr<SQLite::Database> database = openLogForWriting(path);
        // SQLite's own limit on pages gives the same error as a full disk.
        database->execAndGet("PRAGMA max_page_count = " + std::to_string(database->execAndGet("PRAGMA page_count").getInt() + 20));
        expectError(ErrorCode::diskFull, [&] { guarded(path, [&] { migrateLog(*database, path, std::span(&large, 1)); }); });
    }
    EXPECT_EQ(query(path, "PRAGMA user_version"), std::to_string(currentLogVersion()));
    EXPECT_EQ(query(path, "PRAGMA integrity_check"), "ok");
    EXPECT_EQ(LogReader(path).runs().size(), 1u);
}

TEST(Migration, ANewerLogIsRefusedAndUntouched) {
    const TempFolder folder;
    const std::string path = folder.file("log.db");
    makeOldLog(path, currentLogVersion());
    tamper(path, "PRAGMA user_version = 99");
    const Error e = expectError(ErrorCode::logTooNew, [&] { ExperimentLog log(path); });
    EXPECT_NE(e.message().find("99"), std::string::npos);
    EXPECT_NE(e.hint().find("--log"), std::string::npos);
    EXPECT_EQ(query(path, "PRAGMA user_version"), "99");
    EXPECT_EQ(query(path, "SELECT count(*) FROM runs"), "1");
}

} // namespace
} // namespace bw::test
