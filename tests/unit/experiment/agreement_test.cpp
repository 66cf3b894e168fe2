// SPDX-License-Identifier: GPL-3.0-or-later
// Pairs of two maps and their correlation, against figures worked out by hand.
#include "core/experiment/agreement.h"
#include "tests/unit/experiment/log_support.h"

#include <cmath>
#include <gtest/gtest.h>

namespace bw::test {
namespace {

RunId sweepOf(ExperimentLog& log, const std::string& metric, const std::vector<SensitivityCell>& cells) {
    Recipe recipe;
    recipe.kind = "sweep";
    recipe.checkpoint = demoPath();
    recipe.sweep.formats = {"q8_0", "q4_0"};
    recipe.sweep.metric = metric;
    const RunId run = log.beginRun(recipe, "bitwright-cli test", demoCheckpoint(), *makeCpuDevice());
    for (const SensitivityCell& cell : cells)
        log.addSensitivity(run, cell, parseMetric(metric));
    log.finishRun(run, RunStatus::done);
    return run;
}

SensitivityCell cell(const std::string& site, const std::string& format, double value, double error = 0.01) {
    SensitivityCell made;
    made.site_name = site;
    made.format = made.used = format;
    made.value = value;
    made.standardError = error;
    return made;
}

TEST(Agreement, PairsCommonCellsAndRanksThem) {
    const TempFolder folder;
    ExperimentLog log(folder.file("log.db"));
    // b is a doubled, but for one swap in rank at q4_0; "only a" and "only b" have no partner.
    const RunId a = sweepOf(log, "fisher", {cell("s1", "q4_0", 1), cell("s2", "q4_0", 2), cell("s3", "q4_0", 3), cell("s4", "q4_0", 4), cell("only a", "q4_0", 9),
                                            cell("s1", "q8_0", 0.1), cell("s2", "q8_0", 0.2), cell("s3", "q8_0", 0.3)});
    const RunId b = sweepOf(log, "kl", {cell("s1", "q4_0", 2), cell("s2", "q4_0", 4), cell("s3", "q4_0", 8), cell("s4", "q4_0", 6), cell("only b", "q4_0", 9),
                                        cell("s1", "q8_0", 0.2), cell("s2", "q8_0", 0.4), cell("s3", "q8_0", 0.6)});
    const Agreement found = agreement(LogReader(log.path()), a, b);
    EXPECT_EQ(found.metricA, "fisher");
    EXPECT_EQ(found.metricB, "kl");
    ASSERT_EQ(found.pairs.size(), 7u);
    ASSERT_EQ(found.scores.size(), 3u);
    EXPECT_EQ(found.scores[0].format, "");
    EXPECT_EQ(found.scores[0].pairs, 7);
    EXPECT_EQ(found.scores[1].format, "q8_0"); // the order of the recipe
    EXPECT_DOUBLE_EQ(found.scores[1].spearman, 1);
    EXPECT_DOUBLE_EQ(found.scores[1].medianRatio, 0.5);
    EXPECT_NEAR(found.scores[1].logCorrelation, 1, 1e-12);
    // Ranks 1 2 3 4 against 1 2 4 3: 1 − 6·2/(4·15).
    EXPECT_NEAR(found.scores[2].spearman, 0.8, 1e-12);
    // Ratios 0.5 0.5 0.375 0.667: the middle two.
    EXPECT_DOUBLE_EQ(found.scores[2].medianRatio, 0.5);
    EXPECT_LT(found.scores[2].logCorrelation, 0.95);
    EXPECT_GT(found.scores[2].logCorrelation, 0.8);
}

TEST(Agreement, SaysNothingWhereNothingIsDefined) {
    const std::vector<AgreementPair> two{{"a", "q4_0", 1, 2, 0, 0}, {"b", "q4_0", 2, 3, 0, 0}};
    EXPECT_TRUE(std::isnan(agreementScore("", two, true).spearman));
    // Ties share a rank; negative values (noise around nothing) take part in ranks and not in logarithms.
    const std::vector<AgreementPair> some{{"a", "f", -1, 1, 0, 0}, {"b", "f", 2, 2, 0, 0}, {"c", "f", 2, 3, 0, 0}, {"d", "f", 5, 4, 0, 0}};
    const AgreementScore score = agreementScore("f", some, false);
    EXPECT_NEAR(score.spearman, 4.5 / std::sqrt(4.5 * 5), 1e-12); // ranks 1 2.5 2.5 4 against 1 2 3 4
    EXPECT_TRUE(std::isnan(score.medianRatio));
    EXPECT_FALSE(std::isnan(score.logCorrelation));
}

TEST(Agreement, RefusesWhatCannotBeCompared) {
    const TempFolder folder;
    ExperimentLog log(folder.file("log.db"));
    const RunId a = sweepOf(log, "kl", {cell("s1", "q4_0", 1)});
    const RunId other = sweepOf(log, "kl", {cell("s2", "q4_0", 1)});
    const RunId noSweep = begin(log, "calibrate");
    const LogReader reader(log.path());
    EXPECT_NE(expectError(ErrorCode::usage, [&] { agreement(reader, a, other); }).message().find("in common"), std::string::npos);
    EXPECT_NE(expectError(ErrorCode::usage, [&] { agreement(reader, a, noSweep); }).message().find("not a sweep"), std::string::npos);
    expectError(ErrorCode::unknownRun, [&] { agreement(reader, a, RunId(99)); });
    log.setResult(a, {{"checkpoint_sha256", "aa"}});
    tamper(log.path(), "INSERT INTO checkpoints SELECT id + 100, path || '2', name, kind, family, parameters, bytes, bits_per_weight, fingerprint FROM checkpoints;"
                       "UPDATE runs SET checkpoint = checkpoint + 100 WHERE id = " + std::to_string(other.value()));
    EXPECT_NE(expectError(ErrorCode::usage, [&] { agreement(reader, a, other); }).message().find("different checkpoints"), std::string::npos);
}

} // namespace
} // namespace bw::test
