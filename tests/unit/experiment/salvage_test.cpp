// SPDX-License-Identifier: GPL-3.0-or-later
// Logs that are damaged, newer than the program, or held by somebody else.
#include "core/experiment/database.h"
#include "core/experiment/salvage.h"
#include "core/experiment/schema.h"
#include "core/sensitivity/fisher.h"
#include "tests/unit/experiment/log_support.h"

#include <chrono>
#include <filesystem>
#include <gtest/gtest.h>
#include <thread>

namespace bw::test {
namespace {

namespace fs = std::filesystem;
constexpr std::int64_t kPage = 4096;

/// A log of `runs` runs with 100 cells and one metric each, folded into one file.
void makeLog(const std::string& path, int runs) {
    {
        ExperimentLog log(path);
        for (int i = 0; i < runs; ++i) {
            const RunId id = begin(log);
            for (int c = 0; c < 100; ++c)
                log.addSensitivity(id, {SiteId(c), "blk." + std::to_string(c) + ".attn_q", "q4_0", "q4_0", 1000, 0.5 + c, 0.01}, SensitivityMetric::outputError);
            log.addMetrics(id, {{"cells", 100, std::nullopt, ""}});
            log.setNote(id, "note " + std::to_string(i));
            log.finishRun(id, RunStatus::done);
        }
    }
    tamper(path, "PRAGMA journal_mode = DELETE");
}

void overwrite(const std::string& path, std::int64_t offset, std::int64_t length) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(offset);
    file.write(std::string(static_cast<std::size_t>(length), '\x5a').data(), length);
}

std::int64_t count(const std::string& path, const std::string& table) { return std::stoll(query(path, "SELECT count(*) FROM " + table)); }

TEST(Salvage, AHealthyLogIsLeftAlone) {
    const TempFolder folder;
    makeLog(folder.file("log.db"), 1);
    JobContext job;
    EXPECT_TRUE(salvageLog(folder.file("log.db"), job).healthy);
    EXPECT_EQ(folder.entries(), 1);
    expectError(ErrorCode::fileNotFound, [&] { salvageLog(folder.file("none.db"), job); });
}

TEST(Salvage, WhateverPageIsLostTheRestIsSaved) {
    const TempFolder folder;
    const std::string whole = folder.file("whole.db");
    makeLog(whole, 12);
    const auto pages = static_cast<std::int64_t>(fs::file_size(whole)) / kPage;
    ASSERT_GT(pages, 40);
    int saved = 0, tried = 0;
    for (std::int64_t page = 1; page < pages; page += 3) {
        const std::string path = folder.file("log.db");
        fs::copy_file(whole, path, fs::copy_options::overwrite_existing);
        overwrite(path, page * kPage, kPage);
        JobContext job;
        const SalvageReport report = salvageLog(path, job);
        if (report.healthy) // a free page
            continue;
        ++tried;
        SCOPED_TRACE(page);
        EXPECT_EQ(query(path, "PRAGMA integrity_check"), "ok");
        EXPECT_EQ(query(path, "SELECT count(*) FROM pragma_foreign_key_check"), "0");
        EXPECT_EQ(fs::file_size(report.keptAside), fs::file_size(whole));
        fs::remove(report.keptAside);
        EXPECT_FALSE(fs::exists(path + ".salvaging"));
        EXPECT_FALSE(fs::exists(path + ".salvaged"));
        // One page holds at most some forty cells; losing more tables than one would show here.
        const std::int64_t cells = count(path, "sensitivities"), runs = count(path, "runs"), notes = count(path, "notes");
        saved += cells >= 1200 - 140 && runs == 12 && notes == 12;
        ExperimentLog log(path); // it is a log one can go on with
        log.finishRun(begin(log), RunStatus::done);
    }
    EXPECT_GT(tried, 8);
    // Inner pages and the tables' own first pages cost more; they are few.
    EXPECT_GE(saved, tried * 3 / 5) << "of " << tried;
}

TEST(Salvage, ALostFirstPageIsRebuilt) {
    const TempFolder folder;
    const std::string path = folder.file("log.db");
    makeLog(path, 3);
    const FisherRow sketched{{SiteId(1), "token_embd", "q4_0", "q4_0", 36864, 0.125, 0.01, 4096}, std::vector<float>(3000, 0.5f)};
    ExperimentLog(path).addFisherRow(RunId(2), sketched);
    tamper(path, "PRAGMA journal_mode = DELETE");
    overwrite(path, 0, kPage);
    expectError(ErrorCode::logCorrupt, [&] { LogReader reader(path); });
    JobContext job;
    const SalvageReport report = salvageLog(path, job);
    EXPECT_TRUE(report.rebuiltHeader);
    EXPECT_EQ(LogReader(path).runs().size(), 3u);
    EXPECT_EQ(count(path, "sensitivities"), 301);
    EXPECT_EQ(LogReader(path).fisherProjections(RunId(2)).at("token_embd").at("q4_0"), sketched.projections);
}

TEST(Salvage, WhatIsNoLogIsLeftAsItIs) {
    const TempFolder folder;
    const std::string path = folder.write("log.db", std::string(20000, 'x'));
    JobContext job;
    const Error e = expectError(ErrorCode::logCorrupt, [&] { salvageLog(path, job); });
    EXPECT_NE(e.hint().find("--log"), std::string::npos);
    EXPECT_EQ(fs::file_size(path), 20000u);
    EXPECT_EQ(folder.entries(), 1);
}

TEST(NewerLog, IsReadAsLongAsItsTablesAreThere) {
    const TempFolder folder;
    const std::string path = folder.file("log.db");
    makeLog(path, 1);
    EXPECT_EQ(LogReader(path).notice(), "");
    tamper(path, "ALTER TABLE runs ADD COLUMN colour TEXT; CREATE TABLE planets (name TEXT) STRICT; PRAGMA user_version = 99");
    {
        const LogReader reader(path);
        EXPECT_EQ(reader.runs().size(), 1u);
        EXPECT_EQ(reader.sensitivities(RunId(1)).size(), 100u);
        EXPECT_EQ(reader.run(RunId(1)).summary.note, "note 0");
        EXPECT_NE(reader.notice().find("99"), std::string::npos);
    }
    const Error e = expectError(ErrorCode::logTooNew, [&] { ExperimentLog log(path); });
    EXPECT_NE(e.hint().find("runs list"), std::string::npos);
    EXPECT_EQ(query(path, "PRAGMA user_version"), "99");
    tamper(path, "ALTER TABLE runs RENAME COLUMN seconds TO duration");
    EXPECT_NE(expectError(ErrorCode::logTooNew, [&] { LogReader reader(path); }).message().find("runs.seconds"), std::string::npos);
}

TEST(HeldLog, IsWaitedForAndThenTold) {
    const TempFolder folder;
    const std::string path = folder.file("log.db");
    makeLog(path, 1);
    setLogPatience(3000);
    {
        SQLite::Database holder(path, SQLite::OPEN_READWRITE);
        holder.exec("BEGIN EXCLUSIVE");
        std::jthread release([&] {
            std::this_thread::sleep_for(std::chrono::milliseconds(200));
            holder.exec("COMMIT");
        });
        EXPECT_NO_THROW(ExperimentLog log(path)); // waits, then goes on
    }
    setLogPatience(50);
    {
        SQLite::Database holder(path, SQLite::OPEN_READWRITE);
        holder.exec("BEGIN EXCLUSIVE");
        const Error e = expectError(ErrorCode::logBusy, [&] { ExperimentLog log(path); });
        EXPECT_NE(e.hint().find("another program"), std::string::npos);
    }
    setLogPatience(kBusyMilliseconds);
    EXPECT_NO_THROW(ExperimentLog log(path));
}

} // namespace
} // namespace bw::test
