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

/// A run of four windows of 255 scored tokens in 16 documents.
RunId scored(ExperimentLog& log, const Recipe& recipe, const std::vector<float>& nll, const std::vector<float>& kl, const std::vector<TokenId>& ids) {
    const RunId id = log.beginRun(recipe, "test", demoCheckpoint(), *makeCpuDevice());
    double n = 0, k = 0;
    for (std::size_t i = 0; i < nll.size(); ++i) {
        n += static_cast<double>(nll[i]) / static_cast<double>(nll.size());
        k += static_cast<double>(kl[i]) / static_cast<double>(nll.size());
    }
    log.addDataset(id, {"/t/aa", "aa", "aa", 10, {1}}, "evaluation");
    log.addMetrics(id, {{"nll", n, 0.1, "nats/token"}, {"perplexity", std::exp(n), 1.0, ""}, {"kl_mean", k, 0.1, "nats/token"}, {"evaluation_windows", 4, {}, ""}, {"choice_accuracy", 0.5, 0.05, ""}});
    std::vector<std::int64_t> documents(16, 64);
    documents.back() = 60;
    log.addTokenScores(id, {nll, kl, ids, std::vector<std::uint8_t>(nll.size(), kTokenWasLikeliest), {{"a.txt", "paragraph", std::vector<std::int64_t>(documents.begin(), documents.begin() + 4)},
                                                                                                      {"b.txt", "paragraph", std::vector<std::int64_t>(documents.begin() + 4, documents.end())}}});
    log.finishRun(id, RunStatus::done);
    return id;
}

struct Scores {
    std::vector<float> nll, kl;
    std::vector<TokenId> ids;
    /// @param byDocument  what documents of 64 tokens add in turn.
    Scores(float shift, float byDocument) {
        for (int i = 0; i < 1020; ++i) {
            nll.push_back(static_cast<float>((i * 7) % 11));
            kl.push_back(0.1f + shift + ((i / 64) % 2 == 0 ? byDocument : -byDocument) + static_cast<float>(i % 3) * 1e-3f);
            ids.push_back(i);
        }
    }
    RunId log(ExperimentLog& to, std::uint64_t seed = 1234) const {
        Recipe recipe;
        recipe.kind = "evaluate";
        recipe.checkpoint = demoPath();
        recipe.seed = seed;
        return scored(to, recipe, nll, kl, ids);
    }
};

TEST(Compare, TheWiderOfWindowsAndDocumentsCounts) {
    const TempFolder folder;
    ExperimentLog log(folder.file("log.db"));
    // Documents differ much, quarters of windows hold about two of each kind: only documents show how little 16 of them say.
    const RunId a = Scores(0, 0).log(log), b = Scores(0.02f, 0.05f).log(log);
    const Json result = Runner::compare(LogReader(log.path()), a, b);
    const Json kl = metric(result, "kl_mean");
    EXPECT_NE(kl.at("interval").get<std::string>().find("16 paragraphs"), std::string::npos) << kl;
    EXPECT_EQ(kl.at("verdict"), "not distinguishable") << kl;
    const Json& figure = result.at("tokens").at("figures").at(0);
    EXPECT_EQ(figure.at("name"), "kl_mean");
    EXPECT_LT(kl.at("ci_low").get<double>(), figure.at("windows_low").get<double>() + 1e-12);
    EXPECT_LT(figure.at("documents_low").get<double>(), 0);
    EXPECT_EQ(result.at("by_text").size(), 2u);
    EXPECT_EQ(result.at("by_text").at(0).at("name"), "a.txt");
    EXPECT_EQ(result.at("by_text").at(0).at("tokens"), 256);
    EXPECT_EQ(result.at("positions").size(), 5u) << "1–15, 16–31, 32–63, 64–127, 128–255";
    EXPECT_EQ(result.at("positions").at(4).at("tokens"), 512);
}

TEST(Compare, RefusesFiguresOfOtherTokensAndKeepsTasks) {
    const TempFolder folder;
    ExperimentLog log(folder.file("log.db"));
    Scores other(0.1f, 0);
    for (TokenId& id : other.ids) id += 1; // another tokenizer's numbers for the same text
    const RunId a = Scores(0, 0).log(log), b = other.log(log);
    const Json result = Runner::compare(LogReader(log.path()), a, b);
    EXPECT_FALSE(result.at("tokens").at("shared").get<bool>());
    EXPECT_NE(result.at("unfair_because").dump().find("tokenizers"), std::string::npos) << result.at("unfair_because");
    for (const char* name : {"nll", "perplexity", "kl_mean"}) {
        EXPECT_EQ(metric(result, name).at("verdict"), "not comparable") << name;
        EXPECT_TRUE(metric(result, name).at("ci_low").is_null()) << name;
    }
    EXPECT_EQ(metric(result, "choice_accuracy").at("verdict"), "not distinguishable");
}

TEST(Compare, WhatSeedsDifferByIsNoise) {
    const TempFolder folder;
    ExperimentLog log(folder.file("log.db"));
    std::vector<RunId> runs;
    for (int i = 0; i < 5; ++i) runs.push_back(Scores(0.002f * static_cast<float>(i), 0).log(log, static_cast<std::uint64_t>(i)));
    Scores(0.5f, 0).log(log, 4); // a repetition of a seed counts once, as the newest
    const LogReader reader(log.path());
    EXPECT_EQ(reader.replicates(runs[0]).size(), 6u);
    const Json result = Runner::compare(reader, runs[0], runs[3]);
    const Json kl = metric(result, "kl_mean");
    EXPECT_LT(0, kl.at("ci_low").get<double>()) << "the same at every token: the text leaves no doubt";
    EXPECT_EQ(kl.at("verdict"), "not distinguishable") << kl;
    EXPECT_NE(kl.at("interval").get<std::string>().find("seeds of 5 runs"), std::string::npos) << kl;
    EXPECT_EQ(result.at("noise").at("a").at("runs").size(), 5u);
    // Beyond the band: seeds 0, 1, 2, 3 differ by 0.0026, so that a pair stays within 3.18·√2·0.0026 = 0.012.
    ExperimentLog fresh(folder.file("fresh.db"));
    std::vector<RunId> few;
    for (int i = 0; i < 4; ++i) few.push_back(Scores(0.002f * static_cast<float>(i), 0).log(fresh, static_cast<std::uint64_t>(i)));
    Recipe changed;
    changed.kind = "evaluate";
    changed.checkpoint = demoPath();
    changed.rounder = "stochastic";
    const Scores far(0.02f, 0);
    const RunId other = scored(fresh, changed, far.nll, far.kl, far.ids);
    const Json clear = Runner::compare(LogReader(fresh.path()), few[0], other);
    EXPECT_EQ(metric(clear, "kl_mean").at("verdict"), "b is worse") << metric(clear, "kl_mean");
    EXPECT_TRUE(clear.at("noise").at("b").is_null());
    for (const Json& figure : clear.at("noise").at("a").at("figures"))
        if (figure.at("name") == "kl_mean") {
            EXPECT_NEAR(figure.at("half_width").get<double>(), 3.18245 * std::sqrt(2.0) * 0.002 * std::sqrt(5.0 / 3), 1e-6); // floats
        }
}

TEST(Compare, OldLogsHaveNoDocuments) {
    const TempFolder folder;
    ExperimentLog log(folder.file("log.db"));
    const RunId a = Scores(0, 0).log(log), b = Scores(0.02f, 0).log(log);
    tamper(log.path(), R"(UPDATE token_scores SET texts = '[{"name":"a","unit":"x","documents":[5,-1]}]', marks = x'')");
    const Json result = Runner::compare(LogReader(log.path()), a, b);
    EXPECT_EQ(metric(result, "kl_mean").at("verdict"), "b is worse");
    EXPECT_EQ(result.at("by_text").size(), 0u);
}

} // namespace
} // namespace bw::test
