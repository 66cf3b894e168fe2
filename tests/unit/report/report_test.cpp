// SPDX-License-Identifier: GPL-3.0-or-later
// Reports: everything the log holds of a run is on the page, nothing on it is fetched or run, hostile text stays text.
#include "core/report/report.h"

#include "core/base/error.h"
#include "core/report/html.h"
#include "tests/unit/experiment/log_support.h"

#include <gmock/gmock.h>

#include <cmath>
#include <filesystem>
#include <fstream>

namespace bw {
namespace {

using test::Bench;
using test::expectError;
using testing::HasSubstr;
using testing::Not;

/// Every element that is opened is closed, in order. Void elements of HTML and whole SVG elements need none.
std::string tagFault(const std::string& html) {
    std::vector<std::string> open;
    for (std::size_t at = html.find('<'); at != std::string::npos; at = html.find('<', at + 1)) {
        const std::size_t end = html.find('>', at);
        if (end == std::string::npos) return "an open tag at the end";
        const std::string tag = html.substr(at + 1, end - at - 1);
        if (tag.starts_with("!")) continue;
        const std::size_t from = tag.starts_with("/") ? 1 : 0;
        const std::string name = tag.substr(from, tag.find_first_of(" \t\n/", from) - from);
        if (tag.ends_with("/") || name == "meta" || name == "br") continue;
        if (from == 0) {
            open.push_back(name);
            continue;
        }
        if (open.empty() || open.back() != name) return "</" + name + "> closes " + (open.empty() ? std::string("nothing") : "<" + open.back() + ">");
        open.pop_back();
    }
    return open.empty() ? std::string() : "<" + open.back() + "> stays open";
}

/// A run with everything: figures, warnings, sites, outputs.
RunId fullRun(Bench& bench, const std::string& name, double kl) {
    Recipe recipe;
    recipe.kind = "quantize";
    recipe.name = name;
    recipe.checkpoint = test::demoPath();
    ExperimentLog& log = bench.log;
    const RunId run = log.beginRun(recipe, "bitwright-cli quantize <demo> --name '&'", test::demoCheckpoint(), *makeCpuDevice());
    log.addMetrics(run, {{"perplexity", 49.5, 0.4, ""}, {"kl_mean", kl, 0.0001, "nats/token"}, {"same_top1", 0.94, 0.002, "share"}, {"ece", 0.031, std::nullopt, ""},
                         {"bits_per_weight", 4.5, std::nullopt, "bits"}, {"bytes", 2e6, std::nullopt, "bytes"}, {"evaluation_tokens", 2000, std::nullopt, "tokens"},
                         {"evaluation_windows", 1, std::nullopt, "windows"}, {"my_own", 7, std::nullopt, "things"}});
    log.addAssignments(run, {{"blk.0.attn_q", "q4_k", "q4_0", "rows of 96", 1000, 0, 0.004}, {"blk.1.attn_q", "q4_0", "q4_0", "", 1000, 0, 0.002}, {"token_embd", "q8_0", "q8_0", "", 5000, 0, 1e-5}});
    log.addOutput(run, {"Say <hello>", "</pre><script>alert(1)</script>\x01\xff", Json::array({1, 2})});
    log.setWarnings(run, {{"overlap", "12 % of the calibration text is in the evaluation text", "figures look too good", "use other text", {"a <b>passage</b>"}}});
    log.addTokenScores(run, {{1.0f, 2.0f, 0.5f}, {0.001f, 3.0f, 0.0f}, {5, 6, 7}});
    log.setResult(run, {{"evaluation", {{"by_text", {{{"name", "<b>prose"}, {"tokens", 1200}, {"perplexity", 44.25}, {"kl_mean", 0.0033}, {"kl_se", 1e-4}, {"same_top1", 0.95}}, {{"name", "code"}, {"tokens", 800}, {"perplexity", 61.5}, {"kl_mean", 0.0052}, {"kl_se", 1e-4}, {"same_top1", 0.93}}}}, {"reliability", {{{"count", 10}, {"confidence", 0.2}, {"accuracy", 0.25}, {"low", 0.1}, {"high", 0.4}}, {{"count", 10}, {"confidence", 0.8}, {"accuracy", 0.7}, {"low", 0.6}, {"high", 0.8}}}}}}});
    log.finishRun(run, RunStatus::done);
    return run;
}

TEST(Report, HoldsEverythingThatTheLogHolds) {
    Bench bench;
    const RunId run = fullRun(bench, "first", 0.004);
    const Report report = runReport(bench.reader, run);
    EXPECT_EQ(tagFault(report.html), "");
    for (const char* part : {"49.5", "± 0.4", "0.031", "my_own", "12 % of the calibration text", "use other text", "blk.0.attn_q", "rows of 96", "Say &lt;hello&gt;", "bitwright-cli quantize &lt;demo&gt;", "By text and position", "&lt;b&gt;prose", "44.25", "0.0052",
                             "Data sheet", "What to watch in use", "as often right as it is sure", "damage is spread over tokens"})
        EXPECT_THAT(report.html, HasSubstr(part));
    EXPECT_EQ(report.json.at("metrics").at("kl_mean").at("se"), 0.0001);
    EXPECT_EQ(report.json.at("sites").size(), 3u);
    EXPECT_EQ(report.json.at("warnings").at(0).at("kind"), "overlap");
}

TEST(Report, IsSafeToOpen) {
    Bench bench;
    const Report report = runReport(bench.reader, fullRun(bench, "<img src=x onerror=alert(1)>", 0.004));
    for (const char* fetched : {"<script", "<img", "http://", "https://", "url(", "@import", "<link", "<iframe"}) {
        std::string html = report.html;
        for (std::size_t at; (at = html.find("http://www.w3.org/2000/svg")) != std::string::npos;) html.erase(at, 26); // a name, not an address
        EXPECT_THAT(html, Not(HasSubstr(fetched)));
    }
    EXPECT_THAT(report.html, HasSubstr("&lt;script&gt;alert(1)&lt;/script&gt;\\x01\\xFF"));
    EXPECT_EQ(tagFault(report.html), "");
}

TEST(Report, ComparesTwoRuns) {
    Bench bench;
    const RunId a = fullRun(bench, "first", 0.004), b = fullRun(bench, "second", 0.002);
    const Report report = comparisonReport(bench.reader, a, b);
    EXPECT_EQ(tagFault(report.html), "");
    for (const char* part : {"first against second", "badge good", "B − A", "B is better", "Say &lt;hello&gt;"}) EXPECT_THAT(report.html, HasSubstr(part));
    EXPECT_TRUE(report.json.at("comparison").at("fair").get<bool>());
    EXPECT_THAT(report.html, HasSubstr("exact arithmetic on the decoded weights (ideal)"));
    EXPECT_THAT(report.html, Not(HasSubstr("llama.cpp on a CPU")));
    test::tamper(bench.log.path(), "UPDATE runs SET recipe = json_set(recipe, '$.evaluation.runtime', 'llama.cpp-cpu') WHERE id = " + std::to_string(b.value()));
    const Report mixed = comparisonReport(bench.reader, a, b);
    EXPECT_EQ(tagFault(mixed.html), "");
    for (const char* part : {"exact arithmetic on the decoded weights (ideal)", "llama.cpp on a CPU", "not like with like"}) EXPECT_THAT(mixed.html, HasSubstr(part));
    EXPECT_EQ(mixed.json.at("runtime").at("b"), "llama.cpp-cpu");
}

// The alarm of a sample of the run's own size lies √2 · 3 standard errors away: both are uncertain.
TEST(Report, CanaryAlarmsFollowTheErrors) {
    Bench bench;
    const RunDetail run = bench.reader.run(fullRun(bench, "first", 0.004));
    const std::vector<Canary> canary = canaryAdvice(run, 2000);
    ASSERT_EQ(canary.size(), 3u);
    EXPECT_EQ(canary[0].metric, "kl_mean");
    EXPECT_NEAR(canary[0].alarm, 0.004 + 3 * std::sqrt(2.0) * 0.0001, 1e-12);
    EXPECT_FALSE(canary[1].above);
    EXPECT_NEAR(canary[1].alarm, 0.94 - 3 * std::sqrt(2.0) * 0.002, 1e-12);
    EXPECT_GT(canaryAdvice(run, 200)[0].alarm, canary[0].alarm) << "a smaller sample scatters more";
    EXPECT_TRUE(canaryAdvice(RunDetail{}).empty());
}

TEST(Report, RunsWithNothingHaveAPageToo) {
    Bench bench;
    const RunId run = test::begin(bench.log);
    bench.log.finishRun(run, RunStatus::failed, "the disk is full");
    const Report report = runReport(bench.reader, run);
    EXPECT_THAT(report.html, HasSubstr("the disk is full"));
    EXPECT_EQ(tagFault(report.html), "");
    EXPECT_EQ(tagFault(comparisonReport(bench.reader, run, run).html), "");
    expectError(ErrorCode::unknownRun, [&] { runReport(bench.reader, RunId(99)); });
}

TEST(Report, FilesAppearWholeOrNotAtAll) {
    Bench bench;
    const Report report = runReport(bench.reader, fullRun(bench, "first", 0.004));
    const std::string path = bench.folder.file("a.html");
    writeReport(report, path, false);
    std::ifstream json(bench.folder.file("a.json"));
    EXPECT_EQ(Json::parse(json).at("run"), 1);
    expectError(ErrorCode::targetExists, [&] { writeReport(report, path, false); });
    writeReport(report, path, true);
    expectError(ErrorCode::usage, [&] { writeReport(report, bench.folder.file("a.txt"), false); });
    EXPECT_FALSE(std::filesystem::exists(bench.folder.file("a.txt")));
}

TEST(Report, FiguresReadWell) {
    EXPECT_EQ(report::number(1234567), "1,234,567");
    EXPECT_EQ(report::number(-12345), "-12,345");
    EXPECT_EQ(report::number(NAN), "–");
    EXPECT_EQ(report::escaped("a<b>&\"'"), "a&lt;b&gt;&amp;&quot;&#39;");
}

} // namespace
} // namespace bw
