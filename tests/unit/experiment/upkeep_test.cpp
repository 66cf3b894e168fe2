// SPDX-License-Identifier: GPL-3.0-or-later
// Pruning and revalidating: what goes, what must stay, and figures that drifted.
#include "core/experiment/prune.h"
#include "core/experiment/revalidate.h"
#include "tests/unit/experiment/log_support.h"

#include <gmock/gmock.h>

namespace bw {
namespace {

using test::begin;
using test::Bench;
using test::expectError;
using test::query;
using test::tamper;
using testing::HasSubstr;

struct SomeRuns : Bench {
    RunId old = make("quantize", "2020-01-01T00:00:00Z"), starred = make("quantize"), tagged = make("sweep"), map = make("sweep"), failed = make("calibrate", {}, RunStatus::failed), user = uses(map), fresh = make("quantize");
    SomeRuns() {
        log.setStar(starred, true);
        log.addTag(tagged, "release");
        log.addMetrics(old, {{"perplexity", 10, 0.1, ""}});
    }
    RunId make(const std::string& kind, const std::string& startedAt = {}, RunStatus status = RunStatus::done) {
        const RunId run = begin(log, kind);
        log.finishRun(run, status, status == RunStatus::failed ? "full" : "");
        if (!startedAt.empty())
            tamper(log.path(), "UPDATE runs SET started_at = '" + startedAt + "' WHERE id = " + std::to_string(run.value()));
        return run;
    }
    RunId uses(RunId sweep) {
        Recipe recipe;
        recipe.kind = "assign";
        recipe.checkpoint = test::demoPath();
        recipe.assignment.sweepRun = sweep.value();
        const RunId run = log.beginRun(recipe, "test", test::demoCheckpoint(), *makeCpuDevice());
        log.finishRun(run, RunStatus::done);
        return run;
    }
    std::string count() { return query(log.path(), "SELECT count(*) FROM runs"); }
};

TEST(Prune, TakesWhatFitsEveryRule) {
    SomeRuns runs;
    const PruneReport report = pruneLog(runs.log.path(), {.runs = {}, .kinds = {"quantize"}, .statuses = {}, .olderThanDays = 30, .keep = 0}, false);
    EXPECT_EQ(report.removed, std::vector<RunId>{runs.old});
    EXPECT_EQ(runs.count(), "6");
    EXPECT_EQ(query(runs.log.path(), "SELECT count(*) FROM metrics"), "0") << "a run's rows go with it";
    EXPECT_EQ(query(runs.log.path(), "SELECT count(*) FROM checkpoints"), "1") << "others still use it";
    EXPECT_EQ(pruneLog(runs.log.path(), {.runs = {}, .kinds = {}, .statuses = {"failed"}}, false).removed, std::vector<RunId>{runs.failed});
}

TEST(Prune, NeverTakesWhatIsMarkedOrUsed) {
    SomeRuns runs;
    const PruneReport report = pruneLog(runs.log.path(), {.runs = {}, .kinds = {"quantize", "sweep"}, .statuses = {"done"}}, false);
    EXPECT_EQ(report.removed, (std::vector<RunId>{runs.old, runs.fresh}));
    ASSERT_EQ(report.kept.size(), 3u);
    std::map<RunId, std::string> why;
    for (const auto& kept : report.kept) why[kept.run] = kept.why;
    EXPECT_THAT(why[runs.starred], HasSubstr("starred"));
    EXPECT_THAT(why[runs.tagged], HasSubstr("release"));
    EXPECT_THAT(why[runs.map], HasSubstr("uses its map"));
    EXPECT_EQ(pruneLog(runs.log.path(), {.runs = {runs.map, runs.user}, .kinds = {}}, false).removed, (std::vector<RunId>{runs.map, runs.user})) << "both go together";
}

TEST(Prune, KeepsTheNewestAndPretends) {
    SomeRuns runs;
    const PruneRules rules{.runs = {}, .kinds = {}, .statuses = {}, .olderThanDays = 0, .keep = 5};
    EXPECT_EQ(pruneLog(runs.log.path(), rules, true).removed, std::vector<RunId>{runs.old}); // of the two oldest, one is starred
    EXPECT_EQ(runs.count(), "7");
    expectError(ErrorCode::usage, [&] { pruneLog(runs.log.path(), {}, false); });
    expectError(ErrorCode::unknownRun, [&] { pruneLog(runs.log.path(), {.runs = {RunId(77)}, .kinds = {}}, false); });
    EXPECT_EQ(runs.count(), "7");
}

TEST(Prune, VacuumGivesSpaceBack) {
    SomeRuns runs;
    for (int i = 0; i < 20; ++i)
        runs.log.addTokenScores(runs.make("evaluate"), {std::vector<float>(20000, 1.0f), std::vector<float>(20000, 1.0f), std::vector<TokenId>(20000, 1)});
    const PruneReport report = pruneLog(runs.log.path(), {.runs = {}, .kinds = {"evaluate"}}, false);
    EXPECT_EQ(report.removed.size(), 20u);
    EXPECT_LT(report.bytesAfter, report.bytesBefore / 2);
    EXPECT_EQ(vacuumLog(runs.log.path()).second, report.bytesAfter);
    EXPECT_EQ(LogReader(runs.log.path()).runs().size(), 7u);
}

Recipe shortEvaluation() {
    Recipe recipe;
    recipe.kind = "evaluate";
    recipe.checkpoint = test::demoPath();
    recipe.evaluation = {{test::textPath("eval_prose.txt")}, "windows:64", 512};
    return recipe;
}

TEST(Revalidate, FlagsWhatDriftedBeyondItsError) {
    Bench bench;
    const RunId run = bench.run(shortEvaluation()).run;
    expectError(ErrorCode::usage, [&] { revalidate(bench.runner, bench.reader, {}, bench.job, "test"); }); // nothing is tagged
    bench.log.addTag(run, "release");
    Json r = revalidate(bench.runner, bench.reader, {}, bench.job, "test");
    EXPECT_EQ(r.at("same"), 1);
    EXPECT_EQ(r.at("runs").at(0).at("verdict"), "same");
    // A little off, as another processor might be: within the error.
    tamper(bench.log.path(), "UPDATE metrics SET value = value * 1.001 WHERE run = 1 AND name IN ('perplexity', 'nll')");
    r = revalidate(bench.runner, bench.reader, {{}, "release", false}, bench.job, "test");
    EXPECT_EQ(r.at("runs").at(0).at("verdict"), "within error") << r.dump();
    // Far off: drifted, and named.
    tamper(bench.log.path(), "UPDATE metrics SET value = value * 1.5 WHERE run = 1 AND name = 'perplexity'");
    r = revalidate(bench.runner, bench.reader, {{run}, "", false}, bench.job, "test");
    EXPECT_EQ(r.at("drifted"), 1);
    EXPECT_THAT(r.dump(), HasSubstr("perplexity"));
    // Its text is gone: the others are repeated all the same.
    tamper(bench.log.path(), "UPDATE runs SET recipe = replace(recipe, 'eval_prose', 'eval_gone') WHERE id = 1");
    r = revalidate(bench.runner, bench.reader, {{run, RunId(2)}, "", false}, bench.job, "test");
    EXPECT_EQ(r.at("failed"), 1);
    EXPECT_EQ(r.at("same"), 1);
    EXPECT_THAT(r.at("runs").at(0).at("why").get<std::string>(), HasSubstr("eval_gone"));
}

TEST(Revalidate, ShowsHowFiguresWentWithTime) {
    Bench bench;
    const RunId run = bench.run(shortEvaluation()).run;
    bench.log.addTag(run, "release");
    Json r = decayHistory(bench.reader, {});
    ASSERT_EQ(r.at("runs").size(), 1u);
    EXPECT_EQ(r.at("runs").at(0).at("times").size(), 1u);
    EXPECT_EQ(r.at("runs").at(0).at("times").at(0).at("verdict"), "first");
    revalidate(bench.runner, bench.reader, {}, bench.job, "test");
    Recipe other = shortEvaluation();
    other.seed = 5; // no repetition
    bench.run(other);
    r = decayHistory(bench.reader, {{}, "", true});
    ASSERT_EQ(r.at("runs").size(), 2u);
    const Json& times = r.at("runs").at(0).at("times");
    ASSERT_EQ(times.size(), 2u);
    EXPECT_EQ(times.at(1).at("verdict"), "same");
    EXPECT_EQ(times.at(1).at("run"), 2);
    // An older program whose figures were others by two of their errors.
    tamper(bench.log.path(), "INSERT INTO stacks SELECT NULL, 'Bitwright 0.0.1', compiler, libraries, cpu, device, threads FROM stacks LIMIT 1");
    tamper(bench.log.path(), "UPDATE runs SET stack = (SELECT max(id) FROM stacks) WHERE id = 1");
    tamper(bench.log.path(), "UPDATE metrics SET value = value + 2 * standard_error WHERE run = 1 AND name = 'nll'");
    r = decayHistory(bench.reader, {});
    EXPECT_EQ(r.at("drifted"), 1) << r.dump();
    const Json& last = r.at("runs").at(0).at("times").at(1);
    EXPECT_EQ(last.at("verdict"), "drifted");
    EXPECT_THAT(last.at("stack_changes").dump(), HasSubstr("0.0.1"));
    for (const Json& figure : last.at("figures"))
        if (figure.at("name") == "nll") {
            EXPECT_NEAR(figure.at("drift").get<double>(), 2, 1e-6);
        }
}

} // namespace
} // namespace bw
