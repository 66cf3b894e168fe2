// SPDX-License-Identifier: GPL-3.0-or-later
// Logs that are newer, damaged, or may only be read, as a person at the command line meets them.
#include "tests/cli/command.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace bw::test {
namespace {

using Json = nlohmann::json;

class LogFaults : public testing::Test {
protected:
    void SetUp() override {
        const CommandResult made = shell.run("bitwright-cli eval {demo} --text {texts}/eval_prose.txt --tokens 256 --log {tmp}/log.db");
        ASSERT_EQ(made.exitCode, 0) << made.err;
    }
    void tamper(const std::string& sql) const { SQLite::Database(shell.file("log.db"), SQLite::OPEN_READWRITE).exec(sql); }
    Json json(const std::string& command, int exitCode = 0) const {
        const CommandResult result = shell.run(command + " --json --log {tmp}/log.db");
        EXPECT_EQ(result.exitCode, exitCode) << result.err << result.out;
        return Json::parse(result.out, nullptr, false);
    }
    Shell shell;
};

TEST_F(LogFaults, ANewerLogIsReadAndNotWritten) {
    tamper("ALTER TABLE runs ADD COLUMN mood TEXT; PRAGMA user_version = 77");
    const std::string before = readWhole(shell.file("log.db"));
    for (const char* command : {"runs list", "runs show 1", "runs export"}) {
        const CommandResult read = shell.run(std::string("bitwright-cli ") + command + " --json --log {tmp}/log.db");
        EXPECT_EQ(read.exitCode, 0) << command << read.err;
        EXPECT_NE(read.err.find("newer version of this program (77"), std::string::npos) << command << read.err;
        EXPECT_FALSE(Json::parse(read.out, nullptr, false).is_discarded()) << command;
    }
    EXPECT_EQ(json("bitwright-cli eval {demo} --text {texts}/eval_prose.txt --tokens 256", 1).at("error").at("code"), "logTooNew");
    EXPECT_EQ(readWhole(shell.file("log.db")), before);
}

TEST_F(LogFaults, ADamagedLogIsSalvaged) {
    tamper("PRAGMA journal_mode = DELETE");
    {
        std::fstream file(shell.file("log.db"), std::ios::in | std::ios::out | std::ios::binary);
        file.write(std::string(4096, '\x11').data(), 4096);
    }
    const std::string damaged = readWhole(shell.file("log.db"));
    const Json refused = json("bitwright-cli runs list", 1).at("error");
    EXPECT_EQ(refused.at("code"), "logCorrupt");
    EXPECT_NE(refused.at("hint").get<std::string>().find("runs salvage"), std::string::npos);
    const Json saved = json("bitwright-cli runs salvage");
    EXPECT_EQ(saved.at("rows").at("runs"), 1);
    EXPECT_EQ(readWhole(saved.at("kept_aside").get<std::string>()), damaged);
    EXPECT_EQ(json("bitwright-cli runs list").at("runs").size(), 1u);
    const CommandResult again = shell.run("bitwright-cli runs salvage --log {tmp}/log.db");
    EXPECT_NE(again.out.find("nothing is wrong"), std::string::npos) << again.out;
}

} // namespace
} // namespace bw::test
