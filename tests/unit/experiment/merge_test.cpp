// SPDX-License-Identifier: GPL-3.0-or-later
// Logs merged: every table comes along, nothing comes twice, shards become one run, and what contradicts itself is refused
// with the target left as it was.
#include "core/experiment/merge.h"

#include "core/experiment/runner.h"
#include "core/sensitivity/fisher.h"
#include "tests/support/tiny_model.h"
#include "tests/unit/experiment/log_support.h"

#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bw::test {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

MergeReport merge(const std::string& target, const std::vector<std::string>& sources) {
    JobContext job;
    return mergeLogs(target, sources, job);
}

/// All rows of all tables, as text, without numbers of rows: equal for logs that say the same.
std::string contents(const std::string& path) {
    SQLite::Database database(path, SQLite::OPEN_READONLY);
    std::string out;
    SQLite::Statement tables(database, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name");
    while (tables.executeStep()) {
        const std::string table = tables.getColumn(0).getString();
        SQLite::Statement rows(database, "SELECT * FROM " + table + " ORDER BY 1, 2");
        while (rows.executeStep()) {
            out += table;
            for (int i = 0; i < rows.getColumnCount(); ++i)
                out += "|" + rows.getColumn(i).getString();
            out += "\n";
        }
    }
    return out;
}

SensitivityCell made(const std::string& site, const std::string& format, double value) {
    SensitivityCell cell;
    cell.site_name = site;
    cell.format = cell.used = format;
    cell.bytes = 100;
    cell.value = value;
    cell.standardError = value / 10;
    cell.tokens = 64;
    return cell;
}

class Merged : public testing::Test {
protected:
    std::string path(const std::string& name) const { return folder.file(name); }

    Recipe sweepRecipe(const std::string& shard) const {
        Recipe recipe;
        recipe.kind = "sweep";
        recipe.checkpoint = demoPath();
        recipe.sweep.metric = "kl";
        recipe.sweep.formats = {"q4_0"};
        recipe.sweep.shard = shard;
        return recipe;
    }
    static TextData text(const std::string& words) {
        TextData data;
        data.path = "/texts/" + words;
        data.sha256 = words + std::string(64 - words.size(), '0');
        data.bytes = words.size();
        return data;
    }
    /// A log with one shard that measured `cells`.
    void shardLog(const std::string& name, const std::string& shard, const std::vector<SensitivityCell>& cells, RunStatus status = RunStatus::done,
                  const std::string& words = "prose", const Checkpoint& checkpoint = demoCheckpoint()) {
        ExperimentLog log(path(name));
        const RunId run = log.beginRun(sweepRecipe(shard), "bitwright-cli sweep " + name, checkpoint, *makeCpuDevice());
        log.addDataset(run, text(words), "calibration");
        for (const SensitivityCell& cell : cells)
            log.addSensitivity(run, cell, SensitivityMetric::measuredKl);
        if (status == RunStatus::done)
            log.setResult(run, {{"metric", "kl"}, {"tokens", 64}});
        if (status != RunStatus::running)
            log.finishRun(run, status);
    }
    std::vector<std::string> cells(const std::string& log, RunId run) const {
        std::vector<std::string> out;
        for (const SensitivityRow& row : LogReader(path(log)).sensitivities(run))
            out.push_back(row.site);
        return out;
    }
    void expectRefused(const std::string& target, const std::vector<std::string>& sources, const std::vector<std::string>& words) const {
        const std::string before = fs::exists(target) ? contents(target) : "";
        const Error e = expectError(ErrorCode::usage, [&] { merge(target, sources); });
        for (const std::string& word : words)
            EXPECT_THAT(std::string(e.what()), HasSubstr(word));
        if (!before.empty()) {
            EXPECT_EQ(contents(target), before);
        }
    }

    TempFolder folder;
};

TEST_F(Merged, BringsRunsWithEverythingTheyHave) {
    {
        ExperimentLog target(path("target.db"));
        target.finishRun(begin(target, "evaluate"), RunStatus::done); // so that numbers of runs differ
    }
    RunId sketch, assign;
    {
        ExperimentLog log(path("other.db"));
        sketch = begin(log);
        FisherRow row{made("blk.0.attn_q", "q4_0", 0.5), {0.5F, -1.25F}};
        log.addFisherRow(sketch, row);
        log.addFisherFacts(sketch, {2, 1, 3.5});
        log.addDataset(sketch, text("prose"), "calibration");
        log.addTokenScores(sketch, {{1.0F, 2.0F}, {}, {7, 8}});
        log.addOutput(sketch, {"Once", " upon", Json::array({1, 2})});
        log.addOutput(sketch, {"Twice", " more", Json::array({3})});
        log.addArtifact(sketch, {"recipe", "/tmp/r.json", "00", 5, "complete"});
        log.addTag(sketch, "good");
        log.setNote(sketch, "remember");
        log.setStar(sketch, true);
        log.finishRun(sketch, RunStatus::done);
        Recipe recipe;
        recipe.kind = "assign";
        recipe.checkpoint = demoPath();
        recipe.assignment.sweepRun = sketch.value();
        recipe.assignment.measuredRuns = {sketch.value()};
        assign = log.beginRun(recipe, "bitwright-cli assign", demoCheckpoint(), *makeCpuDevice());
        log.addAssignments(assign, {{"blk.0.attn_q", "q4_0", "q4_0", "", 100, 0.5, 0.1}});
        log.finishRun(assign, RunStatus::done);
    }
    const std::string source = contents(path("other.db"));
    const MergeReport report = merge(path("target.db"), {path("other.db")});
    EXPECT_EQ(report.added, 2);
    EXPECT_EQ(report.known, 0);
    EXPECT_EQ(contents(path("other.db")), source) << "sources are only read";
    const LogReader log(path("target.db"));
    ASSERT_EQ(log.runs().size(), 3u);
    const RunDetail run = log.run(RunId(2)), theirs = LogReader(path("other.db")).run(sketch);
    EXPECT_EQ(run.recipe, theirs.recipe);
    EXPECT_EQ(run.summary.startedAt, theirs.summary.startedAt);
    EXPECT_EQ(run.summary.note, "remember");
    EXPECT_TRUE(run.summary.starred);
    EXPECT_THAT(run.summary.tags, ElementsAre("good"));
    EXPECT_EQ(run.summary.metrics.size(), theirs.summary.metrics.size());
    ASSERT_EQ(run.datasets.size(), 1u);
    EXPECT_EQ(run.datasets[0].sha256, text("prose").sha256);
    EXPECT_EQ(run.outputs.size(), 2u);
    EXPECT_EQ(run.artifacts.size(), 1u);
    EXPECT_THAT(log.fisherProjections(RunId(2)).at("blk.0.attn_q").at("q4_0"), ElementsAre(0.5F, -1.25F));
    EXPECT_EQ(log.sensitivities(RunId(2)).at(0).tokens, 64);
    EXPECT_THAT(log.tokenScores(RunId(2))->nll, ElementsAre(1.0F, 2.0F));
    // Recipes follow their runs to their new numbers.
    const RunDetail solved = log.run(RunId(3));
    EXPECT_EQ(solved.recipe.at("assignment").at("sweep_run"), 2);
    EXPECT_EQ(solved.recipe.at("assignment").at("measured_runs"), Json::array({2}));
    EXPECT_EQ(solved.assignments.size(), 1u);
    EXPECT_EQ(query(path("target.db"), "SELECT count(*) FROM pragma_foreign_key_check"), "0");
}

TEST_F(Merged, KnowsWhatItHas) {
    {
        ExperimentLog log(path("a.db"));
        log.finishRun(begin(log, "evaluate"), RunStatus::done);
        log.finishRun(begin(log, "quantize"), RunStatus::done);
    }
    EXPECT_EQ(merge(path("target.db"), {path("a.db"), path("a.db")}).added, 2);
    const std::string before = contents(path("target.db"));
    const MergeReport again = merge(path("target.db"), {path("a.db")});
    EXPECT_EQ(again.added, 0);
    EXPECT_EQ(again.known, 2);
    EXPECT_EQ(contents(path("target.db")), before);
    expectRefused(path("target.db"), {path("target.db")}, {"itself"});
    expectError(ErrorCode::fileNotFound, [&] { merge(path("target.db"), {path("none.db")}); });
    tamper(path("a.db"), "PRAGMA user_version = 999");
    expectError(ErrorCode::logTooNew, [&] { merge(path("target.db"), {path("a.db")}); });
    tamper(path("a.db"), "PRAGMA application_id = 1");
    expectError(ErrorCode::logCorrupt, [&] { merge(path("target.db"), {path("a.db")}); });
}

TEST_F(Merged, TakesChosenRunsAndThoseTheyName) {
    RunId sketch, assign, other;
    {
        ExperimentLog log(path("from.db"));
        other = begin(log, "evaluate");
        log.addWarnings(other, {{"stack", "s", "w", "r", {"d"}}});
        log.addWarnings(other, {{"overlap", "s2", "w", "r", {}}});
        log.setOutputPairs(other, {{"1", "Prompt", 2, 0.5, {{"id", "1"}}}});
        log.addTokenScores(other, {{1.0F, 2.0F}, {0.5F, 0.25F}, {7, 8}, {1, 3}, {{"a.txt", "paragraph", {1, 1}}}, {1, 7, 0, 0x38, 0}});
        log.finishRun(other, RunStatus::done);
        sketch = begin(log);
        log.finishRun(sketch, RunStatus::done);
        Recipe recipe;
        recipe.kind = "assign";
        recipe.checkpoint = demoPath();
        recipe.assignment.sweepRun = sketch.value();
        assign = log.beginRun(recipe, "bitwright-cli assign", demoCheckpoint(), *makeCpuDevice());
        log.finishRun(assign, RunStatus::done);
    }
    JobContext job;
    MergeReport report = copyRuns(path("one.db"), path("from.db"), {assign}, job);
    EXPECT_EQ(report.added, 2);
    EXPECT_EQ(report.named, 1);
    EXPECT_EQ(LogReader(path("one.db")).run(RunId(2)).recipe.at("assignment").at("sweep_run"), 1);
    EXPECT_EQ(copyRuns(path("two.db"), path("from.db"), {other}, job).added, 1);
    const LogReader two(path("two.db"));
    ASSERT_EQ(two.warnings(RunId(1)).size(), 2u);
    EXPECT_EQ(two.warnings(RunId(1))[1].kind, "overlap");
    EXPECT_EQ(two.outputPairs(RunId(1)).at(0).cosine, 0.5);
    const TokenScoreRow scores = two.tokenScores(RunId(1)).value();
    EXPECT_THAT(scores.marks, ElementsAre(1, 3));
    EXPECT_THAT(scores.topTokens, ElementsAre(1, 7, 0, 0x38, 0));
    EXPECT_EQ(scores.texts, (std::vector<ScoredText>{{"a.txt", "paragraph", {1, 1}}}));
    EXPECT_EQ(two.run(RunId(1)).stack.program, LogReader(path("from.db")).run(other).stack.program);
    report = copyRuns(path("two.db"), path("from.db"), {}, job);
    EXPECT_EQ(report.added, 2);
    EXPECT_EQ(report.known, 1);
    EXPECT_EQ(copyRuns(path("no.db"), path("from.db"), {other}, job, true).added, 1);
    EXPECT_FALSE(fs::exists(path("no.db"))) << "only pretended";
    const Error e = expectError(ErrorCode::unknownRun, [&] { copyRuns(path("no.db"), path("from.db"), {RunId(99)}, job); });
    EXPECT_THAT(e.message(), HasSubstr("99"));
    EXPECT_FALSE(fs::exists(path("no.db")));
    tamper(path("from.db"), "PRAGMA user_version = 999");
    expectError(ErrorCode::logTooNew, [&] { copyRuns(path("no.db"), path("from.db"), {other}, job); });
}

TEST_F(Merged, TakesMoreOfAnUnfinishedRun) {
    shardLog("a.db", "1/1", {made("a", "q4_0", 1)}, RunStatus::cancelled);
    EXPECT_EQ(merge(path("target.db"), {path("a.db")}).added, 1);
    {
        ExperimentLog log(path("a.db"));
        log.resumeRun(RunId(1));
        log.addSensitivity(RunId(1), made("b", "q4_0", 2), SensitivityMetric::measuredKl);
        log.setResult(RunId(1), {{"metric", "kl"}});
        log.finishRun(RunId(1), RunStatus::done);
    }
    const MergeReport report = merge(path("target.db"), {path("a.db")});
    EXPECT_EQ(report.added, 0);
    EXPECT_EQ(report.completed, 1);
    EXPECT_THAT(cells("target.db", RunId(1)), ElementsAre("a", "b"));
    EXPECT_EQ(LogReader(path("target.db")).run(RunId(1)).summary.status, "done");
}

TEST_F(Merged, ShardsBecomeOneFinishedRun) {
    shardLog("1.db", "1/3", {made("a", "q4_0", 1), made("b", "q4_0", 2)});
    shardLog("2.db", "2/3", {made("c", "q4_0", 3)});
    shardLog("3.db", "3/3", {made("d", "q4_0", 4)});
    const MergeReport report = merge(path("target.db"), {path("3.db"), path("1.db"), path("2.db")});
    EXPECT_EQ(report.added, 3);
    ASSERT_EQ(report.sweeps.size(), 1u);
    EXPECT_TRUE(report.sweeps[0].missing.empty());
    EXPECT_EQ(report.sweeps[0].cells, 4);
    const LogReader log(path("target.db"));
    ASSERT_EQ(log.runs().size(), 1u);
    const RunDetail run = log.run(report.sweeps[0].run);
    EXPECT_EQ(run.summary.status, "done");
    EXPECT_EQ(run.recipe.at("sweep").at("shard"), "1/1");
    EXPECT_NO_THROW(Recipe::fromJson(run.recipe));
    EXPECT_EQ(run.datasets.size(), 1u);
    EXPECT_THAT(cells("target.db", run.summary.id), ElementsAre("a", "b", "c", "d"));
    const MergeReport again = merge(path("target.db"), {path("2.db"), path("1.db"), path("3.db")});
    EXPECT_EQ(again.added, 0);
    EXPECT_EQ(again.known, 3);
    EXPECT_EQ(LogReader(path("target.db")).runs().size(), 1u);
}

TEST_F(Merged, TellsWhichShardsAreMissing) {
    shardLog("1.db", "1/3", {made("a", "q4_0", 1)});
    shardLog("2.db", "2/3", {made("c", "q4_0", 3)}, RunStatus::interrupted); // stopped midway
    const MergeReport first = merge(path("target.db"), {path("1.db"), path("2.db")});
    ASSERT_EQ(first.sweeps.size(), 1u);
    EXPECT_THAT(first.sweeps[0].missing, ElementsAre("2/3", "3/3"));
    EXPECT_EQ(first.sweeps[0].cells, 2) << "what the stopped shard has is taken";
    const RunSummary unfinished = LogReader(path("target.db")).run(first.sweeps[0].run).summary;
    EXPECT_EQ(unfinished.status, "interrupted");
    EXPECT_THAT(unfinished.error, HasSubstr("2/3, 3/3"));
    // It is resumed like any other run: the shards' parts stay known.
    shardLog("3.db", "3/3", {made("d", "q4_0", 4)});
    EXPECT_THAT(merge(path("target.db"), {path("3.db")}).sweeps.at(0).missing, ElementsAre("2/3"));
    {
        ExperimentLog log(path("2.db"));
        log.resumeRun(RunId(1));
        log.addSensitivity(RunId(1), made("e", "q4_0", 5), SensitivityMetric::measuredKl);
        log.setResult(RunId(1), {{"metric", "kl"}});
        log.finishRun(RunId(1), RunStatus::done);
    }
    const MergeReport last = merge(path("target.db"), {path("2.db")});
    EXPECT_TRUE(last.sweeps.at(0).missing.empty());
    EXPECT_EQ(last.sweeps.at(0).run, first.sweeps[0].run);
    EXPECT_THAT(cells("target.db", first.sweeps[0].run), ElementsAre("a", "c", "d", "e"));
    EXPECT_EQ(LogReader(path("target.db")).runs().size(), 1u);
    EXPECT_EQ(LogReader(path("target.db")).run(first.sweeps[0].run).summary.status, "done");
}

TEST_F(Merged, TheTargetMayHoldAShardItself) {
    shardLog("1.db", "1/2", {made("a", "q4_0", 1)});
    shardLog("2.db", "2/2", {made("b", "q4_0", 2)});
    const MergeReport report = merge(path("1.db"), {path("2.db")});
    ASSERT_EQ(report.sweeps.size(), 1u);
    EXPECT_EQ(report.sweeps[0].run, RunId(1));
    EXPECT_TRUE(report.sweeps[0].missing.empty());
    EXPECT_THAT(cells("1.db", RunId(1)), ElementsAre("a", "b"));
    EXPECT_EQ(LogReader(path("1.db")).runs().size(), 1u);
}

TEST_F(Merged, AMergedSweepResumedByHandIsComplete) {
    shardLog("1.db", "1/2", {made("a", "q4_0", 1)});
    shardLog("2.db", "2/2", {made("b", "q4_0", 2)});
    const RunId run = merge(path("target.db"), {path("1.db")}).sweeps.at(0).run;
    {
        ExperimentLog log(path("target.db"));
        log.resumeRun(run);
        log.addSensitivity(run, made("b", "q4_0", 2), SensitivityMetric::measuredKl);
        log.setResult(run, {{"metric", "kl"}});
        log.finishRun(run, RunStatus::done);
    }
    // The late shard says the same, so nothing changes; or something else, which is refused.
    EXPECT_EQ(merge(path("target.db"), {path("2.db")}).sweeps.at(0).run, run);
    EXPECT_EQ(LogReader(path("target.db")).runs().size(), 1u);
    EXPECT_EQ(LogReader(path("target.db")).run(run).summary.status, "done");
    tamper(path("2.db"), "UPDATE sensitivities SET value = 2.5");
    tamper(path("2.db"), "UPDATE runs SET command_line = 'once more'");
    expectRefused(path("target.db"), {path("2.db")}, {"q4_0", "'b'", "2.5"});
}

TEST_F(Merged, RefusesShardsThatContradictEachOther) {
    shardLog("1.db", "1/2", {made("a", "q4_0", 1), made("b", "q4_0", 0.25)});
    shardLog("2.db", "2/2", {made("b", "q4_0", 0.375), made("c", "q4_0", 2)});
    expectRefused(path("target.db"), {path("1.db"), path("2.db")}, {"q4_0", "'b'", "0.25", "0.375", path("1.db"), path("2.db")});
    shardLog("same.db", "2/2", {made("b", "q4_0", 0.25), made("c", "q4_0", 2)});
    const MergeReport report = merge(path("target.db"), {path("1.db"), path("same.db")});
    EXPECT_EQ(report.sweeps.at(0).cells, 3) << "shards that overlap and agree do no harm";
}

TEST_F(Merged, RefusesShardsOfOtherCheckpointsAndTexts) {
    writeTinyModel(path("tiny"));
    const auto tiny = Checkpoint::open(path("tiny"));
    shardLog("1.db", "1/2", {made("a", "q4_0", 1)});
    shardLog("other.db", "2/2", {made("b", "q4_0", 1)}, RunStatus::done, "prose", *tiny);
    shardLog("texts.db", "2/2", {made("b", "q4_0", 1)}, RunStatus::done, "verse");
    expectRefused(path("target.db"), {path("1.db"), path("other.db")}, {"checkpoints", demoPath(), path("tiny"), path("1.db"), path("other.db")});
    expectRefused(path("1.db"), {path("other.db")}, {"checkpoints", demoPath(), path("tiny")});
    expectRefused(path("target.db"), {path("1.db"), path("texts.db")}, {"texts", "prose", "verse"});
    // Two complete sweeps of two checkpoints are two runs.
    shardLog("2.db", "2/2", {made("b", "q4_0", 1)});
    shardLog("other1.db", "1/2", {made("a", "q4_0", 1)}, RunStatus::done, "prose", *tiny);
    const MergeReport both = merge(path("target.db"), {path("1.db"), path("2.db"), path("other1.db"), path("other.db")});
    ASSERT_EQ(both.sweeps.size(), 2u);
    EXPECT_TRUE(both.sweeps[0].missing.empty());
    EXPECT_TRUE(both.sweeps[1].missing.empty());
    EXPECT_EQ(LogReader(path("target.db")).runs().size(), 2u);
}

TEST_F(Merged, PretendsWithoutWriting) {
    shardLog("1.db", "1/2", {made("a", "q4_0", 1)});
    shardLog("2.db", "2/2", {made("b", "q4_0", 2)});
    JobContext job;
    EXPECT_THAT(mergeLogs(path("new.db"), {path("1.db")}, job, true).sweeps.at(0).missing, ElementsAre("2/2"));
    EXPECT_FALSE(fs::exists(path("new.db")));
    const std::string before = contents(path("1.db"));
    EXPECT_EQ(mergeLogs(path("1.db"), {path("2.db")}, job, true).sweeps.at(0).cells, 2);
    EXPECT_EQ(contents(path("1.db")), before);
}

TEST_F(Merged, AStopMidwayLeavesTheTargetAsItWas) {
    shardLog("target.db", "1/1", {made("z", "q4_0", 1)});
    {
        ExperimentLog log(path("a.db"));
        for (int i = 0; i < 5; ++i)
            log.finishRun(begin(log, i % 2 == 0 ? "evaluate" : "quantize"), RunStatus::done);
    }
    shardLog("1.db", "1/2", {made("a", "q4_0", 1)});
    shardLog("2.db", "2/2", {made("b", "q4_0", 1)});
    const std::string before = contents(path("target.db"));
    const std::vector<std::string> sources{path("a.db"), path("1.db"), path("2.db")};
    int stops = 0;
    for (int look = 1;; ++look, ++stops) {
        JobContext job;
        int looks = 0;
        job.setProbe([&] {
            if (++looks == look)
                job.requestStop();
        });
        try {
            mergeLogs(path("target.db"), sources, job);
            break;
        } catch (const Error& e) {
            ASSERT_EQ(e.code(), ErrorCode::cancelled) << e.what();
        }
        EXPECT_EQ(contents(path("target.db")), before) << "stopped at look " << look;
        EXPECT_EQ(query(path("target.db"), "PRAGMA integrity_check"), "ok");
    }
    EXPECT_GE(stops, 10) << "before and between runs, and before the commit";
    EXPECT_EQ(LogReader(path("target.db")).runs().size(), 1u + 5u - 3u + 1u) << "five begun in one second are two kinds";
}

TEST_F(Merged, ShardsOfARealSweepGiveTheWholeSweep) {
    writeTinyModel(path("tiny"));
    const auto sweepInto = [&](const std::string& log, const std::string& shard) {
        Recipe recipe;
        recipe.kind = "sweep";
        recipe.checkpoint = path("tiny");
        recipe.calibration = {{textPath("calib_prose.txt")}, 2, 32};
        recipe.sweep.metric = "kl";
        recipe.sweep.formats = {"q4_0", "q8_0"};
        recipe.sweep.shard = shard;
        ExperimentLog made(path(log));
        Runner runner(made, [](const std::string&) { return std::shared_ptr<Device>(makeCpuDevice()); });
        JobContext job;
        return runner.run(recipe, job, "test").run;
    };
    const RunId whole = sweepInto("whole.db", "1/1");
    sweepInto("1.db", "1/2");
    sweepInto("2.db", "2/2");
    const MergeReport report = merge(path("1.db"), {path("2.db")});
    ASSERT_EQ(report.sweeps.size(), 1u);
    ASSERT_TRUE(report.sweeps[0].missing.empty());
    const auto expected = LogReader(path("whole.db")).sensitivities(whole), rows = LogReader(path("1.db")).sensitivities(report.sweeps[0].run);
    ASSERT_EQ(rows.size(), expected.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
        EXPECT_EQ(rows[i].site + rows[i].format, expected[i].site + expected[i].format);
        EXPECT_EQ(rows[i].value, expected[i].value);
        EXPECT_EQ(rows[i].tokens, 64);
    }
}

} // namespace
} // namespace bw::test
