// SPDX-License-Identifier: GPL-3.0-or-later
// The log: what is written is read back, other processes' runs are recovered, damage and rights are told clearly.
#include "core/sensitivity/fisher.h"
#include "tests/unit/experiment/log_support.h"

#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace bw::test {
namespace {

TEST(Log, KeepsARunWithEverythingInIt) {
    const TempFolder folder;
    ExperimentLog log(folder.file("log.db"));
    const RunId id = begin(log, "evaluate");
    log.addMetrics(id, {{"perplexity", 49.5, 1.25, ""}, {"nll", std::nan(""), std::nullopt, "nats/token"}});
    log.addTokenScores(id, {{1.5f, 2.5f}, {}, {7, 9}});
    log.addOutput(id, {"The sea", " was", Json{1, 2}});
    log.addArtifact(id, {"gguf", "/tmp/x.gguf", "", 10, "writing"});
    log.addArtifact(id, {"gguf", "/tmp/x.gguf", "abc", 12, "complete"});
    log.addDataset(id, {"/tmp/t.txt", "t.txt", "00ff", 100, {1, 2, 3}}, "evaluation");
    log.setNote(id, "first");
    log.setNote(id, "second");
    log.addTag(id, "good");
    log.addTag(id, "good");
    log.setStar(id, true);
    log.finishRun(id, RunStatus::done);

    const LogReader reader(log.path());
    const RunDetail run = reader.run(id);
    EXPECT_EQ(run.summary.status, "done");
    EXPECT_EQ(run.summary.note, "second");
    EXPECT_EQ(run.summary.tags, std::vector<std::string>{"good"});
    EXPECT_TRUE(run.summary.starred);
    ASSERT_EQ(run.summary.metrics.size(), 2u); // by name: nll, perplexity
    EXPECT_TRUE(std::isnan(run.summary.metrics[0].value));
    EXPECT_EQ(run.summary.metrics[1].value, 49.5);
    EXPECT_EQ(run.summary.metrics[1].standardError, 1.25);
    ASSERT_EQ(run.artifacts.size(), 1u);
    EXPECT_EQ(run.artifacts[0].state, "complete");
    EXPECT_EQ(run.artifacts[0].bytes, 12u);
    ASSERT_EQ(run.datasets.size(), 1u);
    EXPECT_EQ(run.datasets[0].tokens, 3);
    EXPECT_EQ(run.outputs.at(0).ids, Json({1, 2}));
    EXPECT_EQ(run.checkpoint.parameters, demoCheckpoint().parameters());
    EXPECT_FALSE(run.stack.cpu.empty());
    EXPECT_NE(run.stack.libraries.find("SQLite"), std::string::npos);
    const std::optional<TokenScoreRow> scores = reader.tokenScores(id);
    ASSERT_TRUE(scores);
    EXPECT_EQ(scores->nll, (std::vector<float>{1.5f, 2.5f}));
    EXPECT_EQ(scores->ids, (std::vector<TokenId>{7, 9}));
    EXPECT_TRUE(scores->kl.empty());
    EXPECT_EQ(reader.latest("evaluate", demoCheckpoint().path()), id);
    EXPECT_EQ(reader.latest("sweep", demoCheckpoint().path()), RunId(0));
    log.removeTag(id, "good");
    EXPECT_TRUE(reader.run(id).summary.tags.empty());
}

TEST(Log, SensitivityCellsAreCommittedOneByOne) {
    const TempFolder folder;
    ExperimentLog log(folder.file("log.db"));
    const RunId id = begin(log);
    const LogReader reader(log.path());
    const std::int64_t before = reader.dataVersion();
    log.addSensitivity(id, {SiteId(1), "blk.0.attn_q", "q4_0", "q4_0", 36864, 0.125, 0.01}, SensitivityMetric::outputError);
    EXPECT_EQ(reader.sensitivities(id).size(), 1u);
    EXPECT_NE(reader.dataVersion(), before);
    log.addSensitivity(id, {SiteId(1), "blk.0.attn_q", "q4_0", "q4_0", 36864, 0.5, 0.01}, SensitivityMetric::measuredKl);
    const std::vector<SensitivityRow> rows = reader.sensitivities(id);
    ASSERT_EQ(rows.size(), 2u);
    EXPECT_NE(rows[0].metric, rows[1].metric);
}

TEST(Log, AFisherCellAndItsProjectionsAreOneCommit) {
    const TempFolder folder;
    ExperimentLog log(folder.file("log.db"));
    const RunId id = begin(log), other = begin(log);
    const FisherRow row{{SiteId(1), "blk.0.attn_q", "q4_0", "q4_0", 36864, 0.125, 0.01, 4096}, {0.5f, -0.25f, 1e-30f}};
    log.addFisherRow(id, row);
    log.addFisherRow(other, {{SiteId(-1), "blk.0.k_cache", "int8:token", "int8:token", 0, 0.5, 0.1, 64}, {1.0f}});
    log.addFisherFacts(id, {64, 4, 2.75});
    const LogReader reader(log.path());
    ASSERT_EQ(reader.sensitivities(id).size(), 1u);
    EXPECT_EQ(reader.sensitivities(id)[0].metric, "fisher");
    EXPECT_EQ(reader.sensitivities(id)[0].tokens, 4096);
    ASSERT_EQ(reader.fisherProjections(id).size(), 1u);
    EXPECT_EQ(reader.fisherProjections(id).at("blk.0.attn_q").at("q4_0"), row.projections);
    EXPECT_EQ(reader.fisherProjections(other).at("blk.0.k_cache").size(), 1u);
    ASSERT_TRUE(reader.fisherFacts(id));
    EXPECT_EQ(reader.fisherFacts(id)->windows, 64);
    EXPECT_EQ(reader.fisherFacts(id)->draws, 4);
    EXPECT_EQ(reader.fisherFacts(id)->saturation, 2.75);
    EXPECT_FALSE(reader.fisherFacts(other));
    tamper(log.path(), "CREATE TRIGGER no_probes BEFORE INSERT ON fisher_probes BEGIN SELECT RAISE(ABORT, 'no'); END");
    FisherRow second = row;
    second.cell.format = "q8_0";
    EXPECT_ANY_THROW(log.addFisherRow(id, second));
    EXPECT_EQ(reader.sensitivities(id).size(), 1u); // neither without the other
}

TEST(Log, KnownCellsCarryTokensAndNamesThatAreNoSites) {
    const TempFolder folder;
    ExperimentLog log(folder.file("log.db"));
    const RunId id = begin(log);
    const auto model = Model::open(Checkpoint::open(demoPath()), makeCpuDevice());
    for (const char* name : {"blk.0.attn_q", "blk.1.ffn_in", "blk.0.v_cache"})
        log.addFisherRow(id, {{SiteId(-1), name, "q8_0", "q8_0", 0, 0.5, 0.1, 7}, {1.0f}});
    const std::vector<SensitivityCell> known = log.knownCells(id, *model);
    ASSERT_EQ(known.size(), 3u);
    for (const SensitivityCell& cell : known) {
        EXPECT_EQ(cell.tokens, 7);
        EXPECT_EQ(cell.site.value(), cell.site_name == "blk.0.attn_q" ? model->findSite("blk.0.attn_q")->id.value() : -1);
    }
    log.addFisherRow(id, {{SiteId(-1), "blk.99.v_cache", "q8_0", "q8_0", 0, 0.5, 0.1, 7}, {1.0f}});
    const Error e = expectError(ErrorCode::usage, [&] { (void)log.knownCells(id, *model); });
    EXPECT_NE(e.message().find("blk.99.v_cache"), std::string::npos);
}

TEST(Log, UnknownRunsAreNamed) {
    const TempFolder folder;
    ExperimentLog log(folder.file("log.db"));
    const Error e = expectError(ErrorCode::unknownRun, [&] { log.finishRun(RunId(77), RunStatus::done); });
    EXPECT_NE(e.message().find("77"), std::string::npos);
    expectError(ErrorCode::unknownRun, [&] { log.resumeRun(RunId(77)); });
    expectError(ErrorCode::unknownRun, [&] { LogReader(log.path()).run(RunId(77)); });
}

TEST(Log, RunsOfAProcessThatIsGoneBecomeInterrupted) {
    const TempFolder folder;
    const std::string path = folder.file("log.db");
    RunId gone, otherBoot, reused, alive;
    {
        ExperimentLog log(path);
        gone = begin(log);
        otherBoot = begin(log);
        reused = begin(log);
        alive = begin(log);
        log.addArtifact(gone, {"gguf", "/tmp/half.gguf", "", 10, "writing"});
    }
    // 4194304 is the largest pid Linux hands out plus one.
    tamper(path, "UPDATE runs SET pid = 4194304 WHERE id = " + std::to_string(gone.value()));
    tamper(path, "UPDATE runs SET boot_id = 'an earlier one' WHERE id = " + std::to_string(otherBoot.value()));
    tamper(path, "UPDATE runs SET process_start = process_start - 1 WHERE id = " + std::to_string(reused.value()));
    ExperimentLog log(path);
    const LogReader reader(path);
    for (const RunId id : {gone, otherBoot, reused})
        EXPECT_EQ(reader.run(id).summary.status, "interrupted") << id.value();
    EXPECT_EQ(reader.run(alive).summary.status, "running");
    EXPECT_EQ(reader.run(gone).artifacts.at(0).state, "incomplete");

    log.resumeRun(gone);
    EXPECT_EQ(reader.run(gone).summary.status, "running");
    log.finishRun(gone, RunStatus::done);
    EXPECT_EQ(reader.run(gone).summary.status, "done");
    const Error e = expectError(ErrorCode::logBusy, [&] { log.resumeRun(alive); });
    EXPECT_NE(e.message().find(std::to_string(getpid())), std::string::npos);
}

TEST(Log, ADamagedFileIsToldWithAWayOut) {
    const TempFolder folder;
    const std::string text = folder.write("text.db", "this is no database at all, only a text of some length");
    Error e = expectError(ErrorCode::logCorrupt, [&] { ExperimentLog log(text); });
    EXPECT_NE(e.hint().find("--log"), std::string::npos);
    expectError(ErrorCode::logCorrupt, [&] { LogReader reader(text); });

    const std::string path = folder.file("log.db");
    {
        ExperimentLog log(path);
        begin(log);
    }
    // Page 1's b-tree header (byte 100) becomes nonsense: the file still says it is SQLite.
    std::FILE* file = std::fopen(path.c_str(), "r+b");
    ASSERT_NE(file, nullptr);
    const std::array<unsigned char, 64> noise{0xde, 0xad, 0xbe, 0xef};
    std::fseek(file, 100, SEEK_SET);
    std::fwrite(noise.data(), 1, noise.size(), file);
    std::fclose(file);
    e = expectError(ErrorCode::logCorrupt, [&] { ExperimentLog log(path); });
    EXPECT_NE(e.message().find("log.db"), std::string::npos);
}

TEST(Log, AnotherProgramsDatabaseIsLeftAlone) {
    const TempFolder folder;
    const std::string path = folder.file("other.db");
    SQLite::Database(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE).exec("CREATE TABLE songs (title TEXT)");
    expectError(ErrorCode::logCorrupt, [&] { ExperimentLog log(path); });
    EXPECT_EQ(query(path, "SELECT count(*) FROM sqlite_schema"), "1");
}

TEST(Log, FoldersAndPipesAreNoLogs) {
    const TempFolder folder;
    expectError(ErrorCode::notRegularFile, [&] { ExperimentLog log(folder.path().string()); });
    const std::string pipe = folder.file("pipe");
    ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
    expectError(ErrorCode::notRegularFile, [&] { LogReader reader(pipe); });
    expectError(ErrorCode::fileNotFound, [&] { LogReader reader(folder.file("missing.db")); });
}

/// Runs `body` in a child without root's rights; its value is the exit code.
template <class Body>
int asNobody(Body&& body) {
    const pid_t child = fork();
    if (child == 0) {
        constexpr uid_t kNobody = 65534;
        if (getuid() == 0 && (setgid(kNobody) != 0 || setuid(kNobody) != 0))
            _exit(99);
        try {
            _exit(body());
        } catch (const Error& e) {
            std::fprintf(stderr, "%s\n", e.oneLine().c_str());
            _exit(98);
        }
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 97;
}

TEST(Log, AReadOnlyLogCanBeReadAndIsRefusedForWriting) {
    const TempFolder folder;
    const std::string path = folder.file("log.db");
    {
        ExperimentLog log(path);
        log.finishRun(begin(log), RunStatus::done);
    }
    ASSERT_EQ(chmod(path.c_str(), 0444), 0);
    ASSERT_EQ(chmod(folder.path().c_str(), 0555), 0); // no -shm, no -wal can be made
    EXPECT_EQ(asNobody([&] { return static_cast<int>(LogReader(path).runs().size()); }), 1);
    EXPECT_EQ(asNobody([&] {
                  try {
                      ExperimentLog log(path);
                  } catch (const Error& e) {
                      return e.code() == ErrorCode::permissionDenied ? 5 : 6;
                  }
                  return 7;
              }),
              5);
}

TEST(Log, ReadersAreNotHeldUpByAWriter) {
    const TempFolder folder;
    ExperimentLog log(folder.file("log.db"));
    const RunId id = begin(log);
    std::atomic<bool> done{false};
    std::thread writer([&] {
        for (int i = 0; i < 300; ++i)
            log.addMetrics(id, {{"step", static_cast<double>(i), std::nullopt, ""}});
        done = true;
    });
    const LogReader reader(log.path());
    double last = -1;
    int readings = 0;
    while (!done) {
        const std::vector<MetricRow> metrics = reader.run(id).summary.metrics;
        if (!metrics.empty()) {
            EXPECT_GE(metrics[0].value, last);
            last = metrics[0].value;
        }
        ++readings;
    }
    writer.join();
    EXPECT_GT(readings, 0);
    EXPECT_EQ(reader.run(id).summary.metrics.at(0).value, 299);
}

TEST(Log, DefaultPathFollowsXdg) {
    const TempFolder folder;
    setenv("XDG_DATA_HOME", folder.path().c_str(), 1);
    EXPECT_EQ(ExperimentLog::defaultPath(), folder.file("bitwright/experiments.db"));
    setenv("XDG_DATA_HOME", "relative/does/not/count", 1);
    setenv("HOME", folder.path().c_str(), 1);
    EXPECT_EQ(ExperimentLog::defaultPath(), folder.file(".local/share/bitwright/experiments.db"));
    unsetenv("XDG_DATA_HOME");
    unsetenv("HOME");
    expectError(ErrorCode::usage, [] { ExperimentLog::defaultPath(); });
}

TEST(Log, APlainShellReadsIt) {
    const TempFolder folder;
    const std::string path = folder.file("log.db");
    {
        ExperimentLog log(path);
        const RunId id = begin(log, "evaluate");
        log.addMetrics(id, {{"perplexity", 12.5, 0.5, ""}});
        log.finishRun(id, RunStatus::done);
    }
    if (std::system("command -v sqlite3 > /dev/null") != 0)
        GTEST_SKIP() << "no sqlite3 shell here";
    const auto shell = [&](const std::string& sql) {
        std::FILE* pipe = popen(("sqlite3 '" + path + "' \"" + sql + "\" 2>&1").c_str(), "r");
        std::string out;
        char buffer[4096];
        while (const std::size_t n = std::fread(buffer, 1, sizeof buffer, pipe))
            out.append(buffer, n);
        pclose(pipe);
        return out;
    };
    EXPECT_EQ(shell("SELECT kind, status, checkpoint, perplexity FROM run_overview"), "evaluate|done|demo|12.5\n");
    EXPECT_NE(shell(".schema sensitivities").find("-- cost of one site in one format"), std::string::npos);
    EXPECT_EQ(shell("PRAGMA integrity_check"), "ok\n");
    EXPECT_EQ(shell("SELECT count(*) FROM pragma_table_list WHERE type = 'table' AND NOT strict AND name NOT LIKE 'sqlite_%'"), "0\n");
}

TEST(Log, GivesBackWhatMethodsAndDataChecksFound) {
    const TempFolder folder;
    ExperimentLog log(folder.file("log.db"));
    const RunId run = begin(log);
    log.addSiteRounding(run, {{"blk.1.attn_q", "gptq", 0.5, 0.25, 0.01, "", 4096}, {"blk.0.attn_q", "nearest", 0.5, 0.5, 0.1, "GPTQ was worse", 17}});
    log.setTransform(run, {{"text", "rotate"}});
    log.setTransform(run, {{"text", "smooth:alpha=0.5"}});
    log.setWarnings(run, {{"few-samples", "gone", "", "", {}}});
    log.setWarnings(run, {{"overlap", "seen", "why", "remedy", {"a passage", "another"}}, {"domain", "s", "w", "r", {}}});
    log.addExpertCoverage(run, {{1, 3, 0}, {0, 2, 77}});
    CalibrationResult result;
    InputStatistics& input = result.inputs.emplace_back();
    input.group = "blk.0.attn_in";
    input.tokens = 4;
    input.channelMax = input.channelHigh = {1.0f, 2.0f};
    input.channelLow = {-1.0f, 0.5f};
    input.sums = {2.0, 4.0};
    input.sumAbsolute = {3.0, 4.0};
    input.sumSquares = {8.0, 16.0};
    input.heldOutError = {{"minmax", 0.01}};
    input.heldOutChannelError = {{"kl", 0.02}};
    input.heldOutTokenError = 0.03;
    log.addSiteStatistics(run, result);

    const LogReader reader(log.path());
    const std::vector<SiteRoundingRow> rounding = reader.siteRounding(run);
    ASSERT_EQ(rounding.size(), 2u);
    EXPECT_EQ(rounding[0].site, "blk.0.attn_q");
    EXPECT_EQ(rounding[0].fallback, "GPTQ was worse");
    EXPECT_EQ(rounding[1].error, 0.25);
    EXPECT_EQ(rounding[1].tokens, 4096);
    EXPECT_EQ(reader.transform(run).at("text"), "smooth:alpha=0.5");
    const std::vector<DataWarning> warnings = reader.warnings(run);
    ASSERT_EQ(warnings.size(), 2u);
    EXPECT_EQ(warnings[0].details, (std::vector<std::string>{"a passage", "another"}));
    EXPECT_EQ(warnings[1].kind, "domain");
    ASSERT_EQ(reader.expertCoverage(run).size(), 2u);
    EXPECT_EQ(reader.expertCoverage(run)[0].tokens, 77);
    const std::vector<ChannelStatisticsRow> channels = reader.channelStatistics(run);
    ASSERT_EQ(channels.size(), 1u);
    EXPECT_EQ(channels[0].mean, (std::vector<float>{0.5f, 1.0f}));
    EXPECT_EQ(channels[0].meanSquare, (std::vector<float>{2.0f, 4.0f}));
    EXPECT_EQ(channels[0].low, input.channelLow);
    EXPECT_TRUE(channels[0].weightMax.empty());
    const std::vector<RangeErrorRow> errors = reader.rangeErrors(run);
    ASSERT_EQ(errors.size(), 3u);
    EXPECT_EQ(errors[0].scope + errors[0].calibrator, "channelkl");
    EXPECT_EQ(errors[2].error, 0.03);
}

TEST(Log, EveryTableOfTheDesignIsThere) {
    const TempFolder folder;
    ExperimentLog log(folder.file("log.db"));
    for (const char* table : {"checkpoints", "datasets", "stacks", "runs", "metrics", "site_statistics", "histograms", "sensitivities", "fisher_probes",
                              "assignments", "outputs", "artifacts", "notes", "tags", "site_rounding", "transforms", "warnings", "range_errors",
                              "channel_statistics", "expert_coverage", "output_pairs"})
        EXPECT_EQ(query(log.path(), std::string("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = '") + table + "'"), "1") << table;
}

} // namespace
} // namespace bw::test
