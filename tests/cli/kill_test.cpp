// SPDX-License-Identifier: GPL-3.0-or-later
// kill -9 at twenty moments of a sweep, of an export, and at some of a whole mix, spread over the length each was measured
// to take: the next start offers to go on, nothing but the current unit is lost, the end is the same as without the kill.
#include "core/base/random.h"
#include "tests/cli/command.h"
#include "tests/support/tiny_model.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <algorithm>
#include <chrono>
#include <csignal>
#include <functional>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <thread>

namespace bw::test {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;
namespace fs = std::filesystem;

constexpr int kKills = 20, kMixKills = 8;

/// Rows of the sweep so far, by site and format; empty while there is no log yet.
std::map<std::string, double> cellsInLog(const Shell& shell) {
    std::map<std::string, double> cells;
    try {
        SQLite::Database log(shell.file("log.db"), SQLite::OPEN_READONLY, 1000);
        SQLite::Statement rows(log, "SELECT site || ' ' || format, value FROM sensitivities WHERE run = 1");
        while (rows.executeStep())
            cells[rows.getColumn(0).getString()] = rows.getColumn(1).getDouble();
    } catch (const SQLite::Exception&) { // not made yet
    }
    return cells;
}

std::string inLog(const Shell& shell, const std::string& sql) {
    SQLite::Database log(shell.file("log.db"), SQLite::OPEN_READONLY, 1000);
    return log.execAndGet(sql).getString();
}

bool hasRun(const Shell& shell) {
    try {
        return inLog(shell, "SELECT count(*) FROM runs") != "0";
    } catch (const SQLite::Exception&) {
        return false;
    }
}

/// Temporaries of exports that stand in the scene's folder.
int partials(const Shell& shell) {
    int n = 0;
    for (const auto& entry : fs::directory_iterator(shell.folder().path()))
        n += entry.path().filename().string().find(".partial-") != std::string::npos;
    return n;
}

/// Quasi-uniform moments of a job: one at a random place in each of n equal parts of its length.
class Moments {
public:
    Moments(int n, Seconds length, std::uint64_t seed) : n_(n), length_(length), random_(seed) {}
    bool more() const { return next_ < n_; }
    Seconds next() { return length_ * ((next_++ + random_.uniform()) / n_); }
    /// The job had ended when it was to be killed: the machine has become faster than it was when the length was taken.
    void tooLate() { length_ *= 0.85; }

private:
    int n_, next_ = 0;
    Seconds length_;
    Random random_;
};

/// Starts, waits, kills; false when it had ended by itself before.
bool killAfter(const Shell& shell, const std::string& command, Seconds wait) {
    const pid_t process = shell.start(command, "killed");
    std::this_thread::sleep_for(wait);
    kill(process, SIGKILL);
    return shell.wait(process, "killed").exitCode == 128 + SIGKILL;
}

/// How long the command takes undisturbed, and what it gives.
CommandResult timed(const std::function<CommandResult()>& job, Seconds& length) {
    CommandResult result;
    length = Seconds(1e9);
    for (int i = 0; i < 2; ++i) { // the second finds everything in memory
        const Clock::time_point begun = Clock::now();
        result = job();
        length = std::min<Seconds>(length, Clock::now() - begun);
    }
    return result;
}

std::map<std::string, double> cellsOf(const CommandResult& result) {
    std::map<std::string, double> cells;
    const Json parsed = Json::parse(result.out);
    for (const Json& cell : parsed.at("cells"))
        cells[cell.at("site").get<std::string>() + " " + cell.at("format").get<std::string>()] = cell.at("value");
    return cells;
}

constexpr const char* kSweep = "bitwright-cli sweep {tmp}/tiny --text {texts}/calib_prose.txt --samples 8 --length 64 --formats q4_0,q4_1,q5_0,q8_0 --metric kl "
                               "--threads 1 --json --log {tmp}/log.db";
constexpr const char* kResume = "bitwright-cli sweep --resume 1 --threads 1 --json --log {tmp}/log.db";

TEST(Kill, ASweepLosesNothingButItsCurrentCell) {
    const Shell reference;
    writeTinyModel(reference.file("tiny"));
    Seconds length{};
    const CommandResult whole = timed([&] { return reference.run(kSweep); }, length);
    ASSERT_EQ(whole.exitCode, 0) << whole.err;
    const std::map<std::string, double> expected = cellsOf(whole);
    ASSERT_EQ(expected.size(), 60u); // 15 sites, 4 formats
    int killed = 0, offered = 0, midway = 0;
    for (Moments moments(kKills, length, 11); moments.more();) {
        const Seconds wait = moments.next();
        SCOPED_TRACE(wait.count());
        const Shell shell;
        writeTinyModel(shell.file("tiny"));
        const pid_t process = shell.start(kSweep, "killed");
        const Clock::time_point until = Clock::now() + std::chrono::duration_cast<Clock::duration>(wait);
        std::this_thread::sleep_until(until - std::chrono::milliseconds(20));
        const std::map<std::string, double> before = cellsInLog(shell); // a moment before the kill
        std::this_thread::sleep_until(until);
        kill(process, SIGKILL);
        const bool inTime = shell.wait(process, "killed").exitCode == 128 + SIGKILL;
        killed += inTime;
        if (!inTime)
            moments.tooLate();
        const std::map<std::string, double> after = cellsInLog(shell);
        EXPECT_TRUE(std::includes(after.begin(), after.end(), before.begin(), before.end()));
        midway += !after.empty() && after.size() < expected.size();
        if (!hasRun(shell)) { // before the run was in the log: a new sweep begins
            EXPECT_EQ(cellsOf(shell.run(kSweep)), expected);
            continue;
        }
        EXPECT_EQ(inLog(shell, "PRAGMA integrity_check"), "ok");
        const bool ended = inLog(shell, "SELECT status FROM runs WHERE id = 1") == "done";
        const CommandResult resumed = shell.run(kResume);
        ASSERT_EQ(resumed.exitCode, 0) << resumed.err;
        EXPECT_EQ(cellsOf(resumed), expected);
        EXPECT_EQ(inLog(shell, "SELECT status FROM runs WHERE id = 1"), "done");
        EXPECT_EQ(inLog(shell, "SELECT count(*) FROM runs"), "1");
        if (!ended) {
            const bool told = resumed.err.find("run 1 (sweep) was interrupted: go on with 'bitwright-cli sweep --resume 1'") != std::string::npos;
            EXPECT_TRUE(told) << resumed.err;
            offered += told;
        }
        // Only what was missing was measured: the note says how much was there.
        if (!ended && !after.empty()) {
            EXPECT_NE(resumed.err.find("resuming: " + std::to_string(after.size()) + " cells are known already"), std::string::npos) << resumed.err;
        }
    }
    EXPECT_GE(killed, kKills / 2);
    EXPECT_GE(offered, kKills / 4);
    EXPECT_GE(midway, 3);
}

TEST(Kill, AnExportIsWholeOrNotThere) {
    constexpr const char* kQuantize = "bitwright-cli quantize {demo} --format q5_1 --text {texts}/calib_prose.txt --rounder weighted --samples 2 --length 32 "
                                      "--eval-text {texts}/eval_prose.txt --tokens 128 --protocol windows:32 --out {tmp}/out.gguf --threads 1 --json --log {tmp}/log.db";
    const Shell reference;
    Seconds length{};
    ASSERT_EQ(timed([&] { return reference.run(std::string(kQuantize) + " --replace"); }, length).exitCode, 0);
    const std::string expected = readWhole(reference.file("out.gguf"));
    ASSERT_GT(expected.size(), 1000000u);
    int killed = 0, half = 0, offered = 0;
    for (Moments moments(kKills, length, 12); moments.more();) {
        const Seconds wait = moments.next();
        SCOPED_TRACE(wait.count());
        const Shell shell;
        const bool inTime = killAfter(shell, kQuantize, wait);
        killed += inTime;
        if (!inTime)
            moments.tooLate();
        const bool there = fs::exists(shell.file("out.gguf"));
        if (there) {
            EXPECT_TRUE(readWhole(shell.file("out.gguf")) == expected) << "half written under its final name";
        }
        half += partials(shell);
        bool ended = false;
        if (hasRun(shell)) {
            EXPECT_EQ(inLog(shell, "PRAGMA integrity_check"), "ok");
            ended = inLog(shell, "SELECT status FROM runs WHERE id = 1") == "done";
        }
        // The same command again: it ends the work, whether or not the first had come as far as its file.
        const CommandResult again = shell.run(kQuantize);
        ASSERT_EQ(again.exitCode, 0) << again.err << again.out;
        EXPECT_TRUE(readWhole(shell.file("out.gguf")) == expected);
        EXPECT_EQ(partials(shell), 0);
        offered += !ended && again.err.find("run 1 (quantize) was interrupted") != std::string::npos;
        EXPECT_EQ(inLog(shell, "SELECT count(*) FROM artifacts WHERE state = 'writing'"), "0");
    }
    EXPECT_GE(killed, kKills / 2);
    EXPECT_GE(offered, kKills / 4);
    RecordProperty("killed_while_writing", half);
}

TEST(Kill, AMixGoesOnBehindItsLastFinishedStage) {
    constexpr const char* kMix = "bitwright-cli mix {tmp}/tiny --text {texts}/calib_prose.txt --eval-text {texts}/eval_prose.txt --samples 4 --length 64 "
                                 "--sweep-tokens 128 --tokens 512 --protocol windows:64 --formats q4_0,q5_1,q8_0 --budget 5.2bpw --out {tmp}/mix.gguf "
                                 "--threads 1 --json --log {tmp}/log.db";
    const Shell reference;
    writeTinyModel(reference.file("tiny"));
    Seconds length{};
    const CommandResult whole = timed([&] { return reference.run(std::string(kMix) + " --fresh --replace"); }, length);
    ASSERT_EQ(whole.exitCode, 0) << whole.err << whole.out;
    const Json expected = Json::parse(whole.out);
    // One job, killed again and again on its way, each time a little later; the next call goes on.
    const Shell shell;
    fs::copy(reference.file("tiny"), shell.file("tiny")); // times of files are part of what a checkpoint is
    int killed = 0;
    for (Moments moments(kMixKills, length * 0.8, 13); moments.more();)
        killed += killAfter(shell, kMix, moments.next());
    const CommandResult last = shell.run(kMix);
    ASSERT_EQ(last.exitCode, 0) << last.err << last.out;
    const Json r = Json::parse(last.out);
    for (const char* key : {"formats", "bytes", "predicted_kl", "measured_kl", "measured_se", "perplexity"})
        EXPECT_EQ(r.at(key), expected.at(key)) << key;
    EXPECT_EQ(r.at("audit").at("sha256"), expected.at("audit").at("sha256"));
    ASSERT_EQ(r.at("uniform").size(), expected.at("uniform").size());
    for (std::size_t i = 0; i < r.at("uniform").size(); ++i)
        EXPECT_EQ(r.at("uniform").at(i).at("kl"), expected.at("uniform").at(i).at("kl"));
    EXPECT_GT(killed, 0);
    EXPECT_TRUE(r.at("stages").at(0).at("taken").get<bool>()) << last.err;
    EXPECT_NE(last.err.find("calibrate: taken from run"), std::string::npos) << last.err;
    EXPECT_EQ(inLog(shell, "PRAGMA integrity_check"), "ok");
    EXPECT_EQ(inLog(shell, "SELECT count(*) FROM runs WHERE status = 'running'"), "0");
    EXPECT_EQ(partials(shell), 0);
    // No finished stage was done a second time.
    EXPECT_EQ(inLog(shell, "SELECT count(*) FROM (SELECT 1 FROM runs WHERE status = 'done' GROUP BY kind, recipe HAVING count(*) > 1)"), "0");
}

} // namespace
} // namespace bw::test
