// SPDX-License-Identifier: GPL-3.0-or-later
// Comparing two runs: intervals from paired tokens, and a fair-or-not that knows why.
#include "core/experiment/runner.h"
#include "tests/unit/experiment/log_support.h"

#include <cmath>
#include <gtest/gtest.h>

namespace bw::test {
namespace {

RunId evaluated(ExperimentLog& log, const std::string& sha256, const std::vector<float>& nll, const std::string& protocol = "windows:256") {
    Recipe recipe;
    recipe.kind = "evaluate";
    recipe.checkpoint = demoPath();
    recipe.evaluation.protocol = protocol;
    const RunId id = log.beginRun(recipe, "test", demoCheckpoint(), *makeCpuDevice());
    double mean = 0;
    for (const float value : nll)
        mean += static_cast<double>(value) / static_cast<double>(nll.size());
    log.addDataset(id, {"/t/" + sha256, sha256, sha256, 10, {1}}, "evaluation");
    log.addMetrics(id, {{"nll", mean, 0.5, "nats/token"}, {"perplexity", std::exp(mean), 1.0, ""}, {"tokens_per_second", 10, std::nullopt, ""}});
    log.addTokenScores(id, {nll, {}, std::vector<TokenId>(nll.size(), 3)});
    log.finishRun(id, RunStatus::done);
    return id;
}

Json metric(const Json& comparison, const std::string& name) {
    for (const Json& row : comparison.at("metrics"))
        if (row.at("name") == name)
            return row;
    return {};
}

TEST(Compare, PairedTokensGiveTheInterval) {
    const TempFolder folder;
    ExperimentLog log(folder.file("log.db"));
    // Tokens differ by units, the runs by 0.2 ± 0.1 at every token: only pairs show that.
    std::vector<float> first, second;
    for (int i = 0; i < 320; ++i) {
        first.push_back(static_cast<float>(1 + (i * 7) % 11));
        second.push_back(first.back() + (i % 2 == 0 ? 0.1f : 0.3f));
    }
    const RunId a = evaluated(log, "aa", first), b = evaluated(log, "aa", second);
    const Json result = Runner::compare(LogReader(log.path()), a, b);
    EXPECT_TRUE(result.at("fair").get<bool>()) << result.dump();
    const Json nll = metric(result, "nll");
    EXPECT_NEAR(nll.at("difference").get<double>(), 0.2, 1e-6);
    EXPECT_EQ(nll.at("interval"), "paired, 12 blocks of 26 tokens");
    EXPECT_LT(nll.at("ci_low").get<double>(), 0.2);
    EXPECT_GT(nll.at("ci_low").get<double>(), 0.19);
    EXPECT_GT(nll.at("ci_high").get<double>(), 0.2);
    EXPECT_LT(nll.at("ci_high").get<double>(), 0.21);
    EXPECT_EQ(nll.at("verdict"), "b is worse");
    EXPECT_EQ(metric(Runner::compare(LogReader(log.path()), b, a), "nll").at("verdict"), "b is better");
    EXPECT_EQ(metric(Runner::compare(LogReader(log.path()), a, a), "nll").at("verdict"), "not distinguishable");
}

TEST(Compare, AFewTokensFallBackToTheErrorsOfTheRuns) {
    const TempFolder folder;
    ExperimentLog log(folder.file("log.db"));
    const RunId a = evaluated(log, "aa", {1.0f, 2.0f}), b = evaluated(log, "aa", {1.5f, 2.5f});
    const Json nll = metric(Runner::compare(LogReader(log.path()), a, b), "nll");
    EXPECT_EQ(nll.at("interval"), "independent errors");
    EXPECT_NEAR(nll.at("ci_high").get<double>(), 0.5 + 1.959964 * std::hypot(0.5, 0.5), 1e-6);
    EXPECT_EQ(nll.at("verdict"), "not distinguishable");
}

TEST(Compare, JudgesOnlyExactFiguresAndThoseWithAnError) {
    const TempFolder folder;
    ExperimentLog log(folder.file("log.db"));
    const RunId a = evaluated(log, "aa", {1.0f, 2.0f});
    const RunId b = evaluated(log, "aa", {1.0f, 2.0f});
    log.addMetrics(a, {{"ece", 0.02, {}, ""}, {"bytes", 1000, {}, "bytes"}});
    log.addMetrics(b, {{"ece", 0.01, {}, ""}, {"bytes", 900, {}, "bytes"}});
    const Json result = Runner::compare(LogReader(log.path()), a, b);
    EXPECT_EQ(metric(result, "ece").at("verdict"), "");
    EXPECT_EQ(metric(result, "bytes").at("verdict"), "b is better");
}

TEST(Compare, SaysWhyItIsNotFair) {
    const TempFolder folder;
    ExperimentLog log(folder.file("log.db"));
    const RunId a = evaluated(log, "aa", {1.0f, 2.0f});
    const RunId otherText = evaluated(log, "bb", {1.0f, 2.0f});
    const RunId otherProtocol = evaluated(log, "aa", {1.0f, 2.0f}, "windows:128");
    const LogReader reader(log.path());
    const Json text = Runner::compare(reader, a, otherText), protocol = Runner::compare(reader, a, otherProtocol);
    EXPECT_FALSE(text.at("fair").get<bool>());
    EXPECT_NE(text.at("unfair_because").dump().find("different texts"), std::string::npos);
    EXPECT_FALSE(protocol.at("fair").get<bool>());
    EXPECT_NE(protocol.at("unfair_because").dump().find("windows:128"), std::string::npos);
    EXPECT_EQ(protocol.at("recipe_changes"), Json({"/evaluation/protocol"}));
}

} // namespace
} // namespace bw::test
