// SPDX-License-Identifier: GPL-3.0-or-later
// Signals, full disks, small facts of every command. Sudden ends are in kill_test.cpp.
#include "tests/cli/command.h"

#include <chrono>
#include <csignal>
#include <gtest/gtest.h>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>
#include <unistd.h>

namespace bw::test {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// A KL sweep of a second or two: 43 sites × 2 formats, 256 tokens.
constexpr const char* kSweep = "bitwright-cli sweep {demo} --text {texts}/calib_prose.txt --samples 4 --length 64 --formats q4_0,q5_0 --metric kl --json --log {tmp}/log.db";
constexpr int kCells = 86;

std::map<std::string, std::pair<double, double>> cellsOf(const Json& result) {
    std::map<std::string, std::pair<double, double>> cells;
    for (const Json& cell : result.at("cells"))
        cells[cell.at("site").get<std::string>() + " " + cell.at("format").get<std::string>()] = {cell.at("value"), cell.at("se")};
    return cells;
}

Json parsed(const CommandResult& result) {
    const Json json = Json::parse(result.out, nullptr, false);
    EXPECT_TRUE(json.is_object()) << result.out << result.err;
    return json;
}

/// Cells of a sweep that nobody disturbed.
const std::map<std::string, std::pair<double, double>>& undisturbed() {
    static const std::map<std::string, std::pair<double, double>> cells = [] {
        const Shell shell;
        return cellsOf(parsed(shell.run(kSweep)));
    }();
    return cells;
}

std::string statusOf(const Shell& shell, int run) {
    const CommandResult shown = shell.run("bitwright-cli runs show " + std::to_string(run) + " --json --log {tmp}/log.db");
    return shown.exitCode == 0 ? parsed(shown).at("status").get<std::string>() : shown.err;
}

long cellsInLog(const Shell& shell) {
    const CommandResult exported = shell.run("bitwright-cli runs export --json --log {tmp}/log.db");
    if (exported.exitCode != 0)
        return 0;
    const Json runs = parsed(exported).at("runs");
    return runs.empty() ? 0 : static_cast<long>(runs.at(0).at("sensitivities").size());
}

/// Waits until the sweep has committed some cells; false when it ended first.
bool waitForCells(const Shell& shell, long count, pid_t process) {
    for (int i = 0; i < 600; ++i) {
        if (cellsInLog(shell) >= count)
            return true;
        if (kill(process, 0) != 0)
            return false;
        std::this_thread::sleep_for(milliseconds(20));
    }
    return false;
}

TEST(Faults, ACliLinksNoQt) {
    const Shell shell;
    const CommandResult linked = shell.run("ldd " BW_CLI);
    ASSERT_EQ(linked.exitCode, 0);
    EXPECT_NE(linked.out.find("libc.so"), std::string::npos);
    // Debian's cairo, which paints the plots, is linked with libX11; nothing here asks for a display.
    for (const char* library : {"libQt", "qcustomplot", "libGL", "libwayland", "libvulkan"})
        EXPECT_EQ(linked.out.find(library), std::string::npos) << library;
}

TEST(Faults, ErrorsStandInTheDiaryAndAMissingHomeChangesNothing) {
    const Shell shell;
    EXPECT_EQ(shell.run("env -u XDG_STATE_HOME bitwright-cli info nowhere.gguf").exitCode, 1);
    const std::string diary = readWhole(shell.file(".local/state/bitwright/bitwright-cli.log"));
    EXPECT_NE(diary.find("bitwright-cli info nowhere.gguf"), std::string::npos) << diary;
    EXPECT_NE(diary.find("error: fileNotFound"), std::string::npos) << diary;
    for (const char* home : {"-u HOME", "HOME=/proc/nothing"})
        EXPECT_EQ(shell.run(std::string("env -u XDG_STATE_HOME ") + home + " bitwright-cli formats").exitCode, 0) << home;
}

TEST(Faults, InterruptStopsWithinTwoSecondsAndResumes) {
    const std::map<std::string, std::pair<double, double>>& expected = undisturbed();
    ASSERT_EQ(expected.size(), static_cast<std::size_t>(kCells));
    for (const int signal : {SIGINT, SIGTERM}) {
        const Shell shell;
        const pid_t sweep = shell.start(kSweep, "sweep");
        ASSERT_TRUE(waitForCells(shell, 3, sweep));
        const Clock::time_point sent = Clock::now();
        kill(sweep, signal);
        const CommandResult stopped = shell.wait(sweep, "sweep");
        EXPECT_LT(Clock::now() - sent, std::chrono::seconds(2));
        EXPECT_EQ(stopped.exitCode, 130) << stopped.err;
        EXPECT_EQ(parsed(stopped).at("error").at("code"), "cancelled");
        EXPECT_EQ(statusOf(shell, 1), "cancelled");
        const CommandResult resumed = shell.run("bitwright-cli sweep --resume 1 --json --log {tmp}/log.db");
        ASSERT_EQ(resumed.exitCode, 0) << resumed.err;
        EXPECT_EQ(cellsOf(parsed(resumed)), expected);
        EXPECT_EQ(statusOf(shell, 1), "done");
    }
}

TEST(Faults, ASecondInterruptEndsAtOnce) {
    const Shell shell;
    const pid_t sweep = shell.start(kSweep, "sweep");
    ASSERT_TRUE(waitForCells(shell, 1, sweep));
    kill(sweep, SIGINT);
    kill(sweep, SIGINT);
    EXPECT_EQ(shell.wait(sweep, "sweep").exitCode, 130);
    EXPECT_NE(statusOf(shell, 1), "done");
}

TEST(Faults, AFullDiskFailsTheExportAndKeepsTheLog) {
    const Shell shell;
    // ulimit counts KiB; the log needs a few hundred, the file 3 MB.
    const CommandResult full = shell.run("ulimit -f 1500; bitwright-cli quantize {demo} --format q4_0 --out {tmp}/out.gguf --json --log {tmp}/log.db");
    EXPECT_EQ(full.exitCode, 1) << full.err;
    const std::string code = parsed(full).at("error").at("code");
    EXPECT_TRUE(code == "diskFull" || code == "writeFailed") << code;
    EXPECT_FALSE(std::filesystem::exists(shell.file("out.gguf")));
    for (const auto& entry : std::filesystem::directory_iterator(shell.folder().path()))
        EXPECT_EQ(entry.path().filename().string().find("out.gguf"), std::string::npos) << entry.path();
    EXPECT_EQ(statusOf(shell, 1), "failed");
    EXPECT_EQ(shell.run("bitwright-cli quantize {demo} --format q4_0 --out {tmp}/out.gguf --log {tmp}/log.db").exitCode, 0);
}

TEST(Faults, AResultThatCannotBeWrittenIsAFailure) {
    const Shell shell;
    const CommandResult full = shell.run("bitwright-cli formats > /dev/full");
    EXPECT_EQ(full.exitCode, 1);
    EXPECT_NE(full.err.find("standard output"), std::string::npos);
}

TEST(Faults, TheDryRunTellsTheExactBytes) {
    for (const char* format : {"q4_0", "q4_1", "q5_0", "q8_0", "int4:g64", "int8:channel:sym"}) {
        const Shell shell;
        const bool folder = std::string(format).starts_with("int");
        const std::string command = std::string("bitwright-cli quantize {demo} --format ") + format + " --set 'blk.*.attn_v=q8_0' --out {tmp}/out" + (folder ? "" : ".gguf") + " --json";
        const std::string ruled = folder ? std::string("bitwright-cli quantize {demo} --format ") + format + " --out {tmp}/out --json" : command;
        const Json plan = parsed(shell.run(ruled + " --dry-run"));
        EXPECT_FALSE(std::filesystem::exists(shell.file("out"))) << format;
        EXPECT_FALSE(std::filesystem::exists(shell.file("out.gguf"))) << format;
        EXPECT_FALSE(std::filesystem::exists(shell.file("data"))) << "a dry run made a log";
        const CommandResult made = shell.run(ruled);
        ASSERT_EQ(made.exitCode, 0) << made.err << made.out;
        std::uint64_t bytes = 0;
        if (folder) {
            for (const auto& entry : std::filesystem::directory_iterator(shell.file("out")))
                if (entry.path().extension() == ".safetensors")
                    bytes += entry.file_size();
        } else {
            bytes = std::filesystem::file_size(shell.file("out.gguf"));
        }
        EXPECT_EQ(plan.at("file_bytes").get<std::uint64_t>(), bytes) << format;
        EXPECT_EQ(parsed(made).at("bytes").get<std::uint64_t>(), bytes) << format;
    }
}

TEST(Faults, ResultsDoNotDependOnThreads) {
    const Shell one, two;
    const std::string command = "bitwright-cli eval {demo} --text {texts}/eval_prose.txt --tokens 1024 --json --threads ";
    Json a = parsed(one.run(command + "1")), b = parsed(two.run(command + "2"));
    for (const char* key : {"nll", "perplexity", "ece", "brier"})
        EXPECT_EQ(a.at(key), b.at(key)) << key;
}

TEST(Faults, EveryHelpHasExamples) {
    const Shell shell;
    for (const char* command : {"info", "tokenize", "detokenize", "logits", "generate", "eval", "calibrate", "sweep", "assign", "mix", "quantize", "demo", "runs",
                                "runs list", "runs show", "runs export", "runs salvage", "rerun", "compare", "formats", "devices", "version"}) {
        const CommandResult help = shell.run(std::string("bitwright-cli ") + command + " --help");
        EXPECT_EQ(help.exitCode, 0) << command;
        EXPECT_NE(help.out.find("Examples:\n  bitwright-cli "), std::string::npos) << command << help.out;
    }
}

} // namespace
} // namespace bw::test
