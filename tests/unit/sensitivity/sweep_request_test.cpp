// SPDX-License-Identifier: GPL-3.0-or-later
// What sweeps of either metric have in common: requests, shards, resuming, threads, rounders, outer sites, stopping.
#include "tests/support/expect_error.h"
#include "tests/support/random_llama.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/sensitivity/sweep_support.h"

#include "core/base/parallel.h"

#include <chrono>
#include <set>
#include <thread>

namespace bw {
namespace {

using test::expectError;
using namespace test::sweeps;

TEST(SweepRequest, ShardsAreDisjointAndComplete) {
    const Windows windows = demoWindows(1, 16);
    SweepOptions o = options(SensitivityMetric::measuredKl, {"q4_0", "q8_0", "int3:g64", "int2:g64"});
    o.sites = {"blk.0.*", "blk.3.*", "token_embd"};
    const auto whole = run(demo(), windows, o);
    ASSERT_EQ(whole.size(), 60u);
    std::map<std::pair<std::string, std::string>, const SensitivityCell*> found;
    o.shards = 3;
    std::vector<std::vector<SensitivityCell>> parts;
    for (o.shard = 1; o.shard <= o.shards; ++o.shard)
        parts.push_back(run(demo(), windows, o));
    for (const auto& part : parts) {
        EXPECT_EQ(part.size(), 20u) << "a fair share of 60";
        for (const SensitivityCell& c : part)
            EXPECT_TRUE(found.emplace(std::pair(c.site_name, c.format), &c).second)
                << c.site_name << " " << c.format << " in two shards";
    }
    ASSERT_EQ(found.size(), whole.size());
    for (const SensitivityCell& c : whole)
        EXPECT_EQ((found.at({c.site_name, c.format})->value), c.value) << c.site_name;
    // The same cells in whatever order formats are named, and when some are known already.
    std::swap(o.formats.front(), o.formats.back());
    o.shard = 2;
    const std::vector<SensitivityCell> known(parts[1].begin(), parts[1].begin() + 7);
    std::size_t added = 0;
    const auto again = run(demo(), windows, o, known, [&](const SensitivityCell&) { ++added; });
    EXPECT_EQ(added, 13u);
    EXPECT_EQ(again.size(), 20u);
    for (const SensitivityCell& c : again)
        EXPECT_EQ(cell(parts[1], c.site_name, c.format).value, c.value);
    for (const auto& [shard, shards] : {std::pair{0, 3}, {4, 3}, {1, 0}}) {
        o.shard = shard;
        o.shards = shards;
        expectError(ErrorCode::usage, [&] { run(demo(), windows, o); });
    }
}

TEST(SweepRequest, TakesPatternsOfSites) {
    const Windows windows = demoWindows(1, 16);
    SweepOptions o = options(SensitivityMetric::outputError, {"q4_0"});
    o.sites = {"blk.?.attn_v", "token_embd"};
    const auto cells = run(demo(), windows, o);
    EXPECT_EQ(cells.size(), 7u);
    for (const SensitivityCell& c : cells)
        EXPECT_EQ(c.tokens, 16) << c.site_name;
    o.sites = {"blk.0.*", "blk.99.*"};
    expectError(ErrorCode::usage, [&] { run(demo(), windows, o); });
    o.sites.clear();
    o.metric = SensitivityMetric::fisher;
    expectError(ErrorCode::usage, [&] { run(demo(), windows, o); });
    EXPECT_EQ(parseContext("rest"), SweepContext::rest);
    EXPECT_EQ(contextName(parseContext("alone")), "alone");
    expectError(ErrorCode::usage, [] { parseContext("both"); });
}

TEST(DoubtfulCells, AreThoseThatCostMoreThanASmallerFormat) {
    const auto made = [](const char* site, const char* format, std::uint64_t bytes, double value, double error) {
        SensitivityCell c;
        c.site_name = site;
        c.format = format;
        c.bytes = bytes;
        c.value = value;
        c.standardError = error;
        return c;
    };
    const std::vector<SensitivityCell> cells{
        made("a", "int2", 20, 0.10, 0.01),
        made("a", "int3", 30, 0.30, 0.02),
        made("a", "int4", 40, 0.01, 0.001), // int3 contradicts int2
        made("b", "int2", 20, 0.10, 0.01),
        made("b", "int3", 30, 0.14, 0.02), // within the errors
        made("c", "int2", 20, 0.10, 0.0001),
        made("c", "int3", 30, 0.14, 0.0001), // far outside them, but by less than half
        made("g", "int2", 20, 0.10, 0.03),
        made("g", "int3", 30, 0.17, 0.03), // by more than half, but within the errors
        made("d", "int3", 30, 0.30, 0.02),
        made("e", "int2", 20, 0.10, 0.01), // other sites say nothing
        made("f", "int4", 20, -0.01, 0.001),
        made("f", "int8", 30, 0.02, 0.001)}; // with the rest quantized, changes may help
    const auto doubts = doubtfulCells(cells);
    ASSERT_EQ(doubts.size(), 2u);
    EXPECT_EQ(doubts[0].cell, 1u);
    EXPECT_NE(doubts[0].why.find("int3"), std::string::npos);
    EXPECT_NE(doubts[0].why.find("int2"), std::string::npos);
    EXPECT_EQ(doubts[1].cell, 12u);
    EXPECT_TRUE(doubtfulCells({}).empty());
}

class EitherMetric : public ::testing::TestWithParam<SensitivityMetric> {};

TEST_P(EitherMetric, ResumesToTheSameMap) {
    const Windows windows = demoWindows(2, 32);
    const SweepOptions o = options(GetParam(), {"q4_0", "q8_0"});
    std::vector<SensitivityCell> order;
    const auto whole = run(demo(), windows, o, {}, [&](const SensitivityCell& c) { order.push_back(c); });
    ASSERT_EQ(order.size(), whole.size());
    EXPECT_EQ(order.front().site_name, "blk.0.attn_q");
    EXPECT_EQ(order.back().site_name, "token_embd");
    // Stop in the middle of a site, then go on with what was handed out.
    for (const std::size_t stopAfter : {std::size_t{0}, std::size_t{15}, order.size() - 1}) {
        JobContext job;
        std::vector<SensitivityCell> first;
        const auto interrupted = [&] {
            sweep(demo(), windows, o, {}, {}, [&](const SensitivityCell& c) {
                first.push_back(c);
                if (first.size() == stopAfter + 1)
                    job.requestStop();
            }, job);
        };
        if (stopAfter + 1 < order.size())
            expectError(ErrorCode::cancelled, interrupted);
        else
            interrupted();
        // A stop is noticed at the next cell, or at the next pair when two run together.
        EXPECT_LE(first.size(), stopAfter + 80);
        EXPECT_GE(first.size(), stopAfter + 1);
        std::size_t added = 0;
        const auto resumed = run(demo(), windows, o, first, [&](const SensitivityCell& c) {
            ++added;
            for (const SensitivityCell& old : first)
                EXPECT_FALSE(old.site_name == c.site_name && old.format == c.format)
                    << "known cells are not measured again";
        });
        EXPECT_EQ(added + first.size(), whole.size());
        expectSame(resumed, whole);
    }
    std::size_t again = 0;
    expectSame(run(demo(), windows, o, whole, [&](const SensitivityCell&) { ++again; }), whole);
    EXPECT_EQ(again, 0u);
}

TEST_P(EitherMetric, DoesNotDependOnThreads) {
    const Windows windows = demoWindows(2, 32);
    const SweepOptions o = options(GetParam(), {"q4_0"});
    setThreadCount(1);
    const auto one = run(demo(), windows, o);
    setThreadCount(2);
    const auto two = run(demo(), windows, o);
    setThreadCount(0);
    expectSame(one, two);
}

TEST_P(EitherMetric, UntiedModelsHaveTwoOuterSites) {
    test::TempFolder folder;
    test::RandomLlama random;
    random.tied = false;
    random.width = 64;
    random.headDim = 16;
    random.feedForward = 96;
    random.write(folder.path());
    const auto model = openModel(folder.path().string());
    Windows windows;
    windows.count = 2;
    windows.length = 20;
    for (int i = 0; i < 40; ++i)
        windows.ids.push_back(static_cast<TokenId>(i * 7 % 50));
    // 128 divides neither 64 nor 96: groups of 128 fall back to what groups of 64 are, or become themselves.
    const auto cells = run(*model, windows, options(GetParam(), {"q4_0", "int4:g128", "int4:g64"}));
    EXPECT_EQ(cells.size(), 16u * 3);
    EXPECT_EQ(cell(cells, "output", "int4:g128").used, "int4:g64:asym");
    EXPECT_EQ(cell(cells, "blk.0.ffn_down", "int4:g128").used, "int4:g32:asym");
    for (const Site& site : model->sites()) {
        EXPECT_EQ(cell(cells, site.name, "int4:g128").value, cell(cells, site.name, "int4:g64").value);
        EXPECT_EQ(cell(cells, site.name, "int4:g128").bytes, cell(cells, site.name, "int4:g64").bytes);
    }
    if (GetParam() == SensitivityMetric::outputError) {
        const double lookUp = directLookUp(*model, windows, "q4_0"),
                     head = directHead(*model, windows, *model->findSite("output"), "q4_0");
        EXPECT_NEAR(cell(cells, "token_embd", "q4_0").value, lookUp, kGramTolerance * lookUp);
        EXPECT_NEAR(cell(cells, "output", "q4_0").value, head, kGramTolerance * head);
    } else {
        EvaluateOptions evaluate;
        evaluate.protocol.length = 20;
        JobContext job;
        for (const char* name : {"token_embd", "output"}) {
            const OneQuantized source(name, "q4_0");
            const double kl = evaluateAgainstBase(*model, &source, *model, nullptr, windows, evaluate, job).klMean;
            EXPECT_NEAR(cell(cells, name, "q4_0").value, kl, 1e-3 * kl) << name;
        }
    }
    SweepOptions inner = options(GetParam(), {"q4_0", "q4_0"});
    inner.includeHead = false;
    EXPECT_EQ(run(*model, windows, inner).size(), 14u) << "a format named twice is one format";
}

TEST_P(EitherMetric, UsesImportanceWhenAsked) {
    const Windows windows = demoWindows(2, 32);
    SweepOptions o = options(GetParam(), {"q4_0"});
    const auto plain = run(demo(), windows, o);
    o.rounder.weighted = true;
    std::vector<float> importance(768, 1.0f);
    for (std::size_t i = 0; i < importance.size(); i += 3)
        importance[i] = 100.0f;
    JobContext job;
    const auto weighted = sweep(
        demo(), windows, o,
        [&](const Site& site) { return std::span<const float>(importance).first(static_cast<std::size_t>(site.cols)); },
        {}, {}, job);
    EXPECT_NE(cell(plain, "blk.1.ffn_down", "q4_0").value, cell(weighted, "blk.1.ffn_down", "q4_0").value);
}

TEST_P(EitherMetric, ARounderIsPartOfTheFormatAskedFor) {
    SweepOptions o = options(GetParam(), {"q4_0", "q4_0@weighted", "q4_0@nearest"});
    o.sites = {"blk.2.*"};
    std::vector<float> weights(768);
    for (std::size_t i = 0; i < weights.size(); ++i)
        weights[i] = i % 4 == 0 ? 20.0f : 0.05f;
    const ImportanceLookup importance = [&](const Site& site) {
        return std::span<const float>(weights).first(static_cast<std::size_t>(site.cols));
    };
    JobContext job;
    const Windows windows = demoWindows(1, 64);
    const auto cells = sweep(demo(), windows, o, importance, {}, {}, job);
    SweepOptions all = options(GetParam(), {"q4_0"});
    all.sites = o.sites;
    all.rounder.weighted = true;
    const auto weighted = sweep(demo(), windows, all, importance, {}, {}, job);
    ASSERT_EQ(cells.size(), 3 * weighted.size());
    for (const SensitivityCell& c : weighted) {
        EXPECT_EQ(cell(cells, c.site_name, "q4_0@weighted").value, c.value) << c.site_name;
        EXPECT_EQ(cell(cells, c.site_name, "q4_0@nearest").value, cell(cells, c.site_name, "q4_0").value)
            << c.site_name;
        EXPECT_NE(cell(cells, c.site_name, "q4_0").value, c.value) << c.site_name;
        EXPECT_EQ(cell(cells, c.site_name, "q4_0@weighted").used, "q4_0@weighted");
    }
}

TEST_P(EitherMetric, StopsWithinTwoSeconds) {
    const Windows windows = demoWindows(8, 256);
    JobContext job;
    std::chrono::steady_clock::time_point asked;
    std::thread stopper([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(300));
        asked = std::chrono::steady_clock::now();
        job.requestStop();
    });
    expectError(ErrorCode::cancelled, [&] {
        for (;;)
            sweep(demo(), windows, options(GetParam(), {"q4_0", "q5_0", "q8_0", "int2:g64", "int3:g64"}), {}, {}, {},
                  job);
    });
    const auto returned = std::chrono::steady_clock::now();
    stopper.join();
    EXPECT_LT(std::chrono::duration<double>(returned - asked).count(), 2.0);
}

INSTANTIATE_TEST_SUITE_P(Metrics, EitherMetric,
                         ::testing::Values(SensitivityMetric::outputError, SensitivityMetric::measuredKl),
                         [](const auto& test) { return std::string(metricName(test.param)); });

TEST(SweepRequest, RefusesWhatItCannotMeasure) {
    const Windows windows = demoWindows(1, 16);
    expectError(ErrorCode::usage, [&] { run(demo(), windows, options(SensitivityMetric::outputError, {})); });
    expectError(ErrorCode::invalidFormat,
                [&] { run(demo(), windows, options(SensitivityMetric::outputError, {"q9_9"})); });
    expectError(ErrorCode::textTooShort,
                [&] { run(demo(), Windows{}, options(SensitivityMetric::measuredKl, {"q4_0"})); });
    EXPECT_EQ(parseMetric("kl"), SensitivityMetric::measuredKl);
    EXPECT_EQ(parseMetric("output"), SensitivityMetric::outputError);
    EXPECT_EQ(parseMetric("fisher"), SensitivityMetric::fisher);
    expectError(ErrorCode::usage, [] { parseMetric("hessian"); });
}

} // namespace
} // namespace bw
