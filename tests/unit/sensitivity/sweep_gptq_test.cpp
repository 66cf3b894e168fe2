// SPDX-License-Identifier: GPL-3.0-or-later
// Cells rounded by GPTQ, by every metric: each is what that rounding of the site alone does, and less than that of
// nearest rounding.
#include "core/sensitivity/fisher.h"
#include "tests/support/expect_error.h"
#include "tests/unit/sensitivity/sweep_support.h"

#include "core/base/parallel.h"

namespace bw {
namespace {

using test::expectError;
using namespace test::sweeps;

const char* const kSite = "blk.2.ffn_down";

/// kSite by GPTQ under Gram matrices that are collected here.
class ByGptq final : public WeightSource, public WalkVisitor {
public:
    ByGptq(const Windows& windows, const std::string& format) : format_(parseFormat(format)), grams_(demo()) {
        JobContext job;
        const Site& site = *demo().findSite(kSite);
        grams_.watch({site.inputGroup});
        walkBlocks(demo(), windows, nullptr, this, job, "test");
        tensor_ =
            gptqSite(site, demo().siteWeight(site).view(), format_, grams_.of(site.inputGroup), {}, {}, job).tensor;
    }
    ActivationObserver* observer(BlockIndex block) override { return block.value() == 2 ? &grams_ : nullptr; }
    void apply(const Site& site, MatrixView<float> weight) const override {
        if (site.name == kSite) tensor_.decode(weight);
    }

private:
    FormatPtr format_;
    GramObserver grams_;
    QuantizedTensor tensor_;
};

class GptqCells : public ::testing::TestWithParam<SensitivityMetric> {};
INSTANTIATE_TEST_SUITE_P(Metrics, GptqCells,
                         ::testing::Values(SensitivityMetric::outputError, SensitivityMetric::measuredKl,
                                           SensitivityMetric::fisher),
                         [](const auto& test) { return std::string(metricName(test.param)); });

/// Of all three metrics.
std::vector<SensitivityCell> cellsOf(SensitivityMetric metric, const Windows& windows, std::vector<std::string> formats,
                                     const GptqSweep& gptq, std::vector<std::string> sites) {
    SweepOptions o = options(metric, std::move(formats));
    o.gptq = gptq;
    o.sites = std::move(sites);
    if (metric != SensitivityMetric::fisher) return run(demo(), windows, o);
    FisherOptions fisher;
    fisher.formats = o.formats;
    fisher.gptq = gptq;
    fisher.sites = o.sites;
    fisher.probes = 64;
    std::vector<SensitivityCell> cells;
    JobContext job;
    fisherSketch(demo(), windows, fisher, {}, {}, [&](const FisherRow& row) { cells.push_back(row.cell); }, job);
    return cells;
}

TEST_P(GptqCells, CostLessThanNearestOnes) {
    const Windows windows = demoWindows(8, 64);
    const GptqSweep gptq{&windows, {}, false};
    const std::vector<std::string> sites{"blk.1.attn_q", kSite, "token_embd"};
    const auto cells = cellsOf(GetParam(), windows, {"int3:g64", "int3:g64@gptq"}, gptq, sites);
    ASSERT_EQ(cells.size(), 6u);
    for (const std::string& site : sites) {
        const SensitivityCell &nearest = cell(cells, site, "int3:g64"), &other = cell(cells, site, "int3:g64@gptq");
        EXPECT_EQ(other.used, "int3:g64:asym@gptq");
        EXPECT_EQ(other.bytes, nearest.bytes);
        if (site == "token_embd")
            EXPECT_EQ(other.value, nearest.value) << "a look-up has nothing to make up for";
        else
            EXPECT_LT(other.value, 0.9 * nearest.value) << site;
    }
    // The same where the rounder is the sweep's own.
    GptqSweep all = gptq;
    all.byDefault = true;
    for (const SensitivityCell& c : cellsOf(GetParam(), windows, {"int3:g64", "int3:g64@nearest"}, all, sites)) {
        const std::string same = c.format == "int3:g64" ? "int3:g64@gptq" : "int3:g64";
        EXPECT_EQ(c.value, cell(cells, c.site_name, same).value) << c.site_name << " " << c.format;
    }
}

TEST_P(GptqCells, DoNotDependOnThreadsOrOnTheSweptWindows) {
    const Windows calibration = demoWindows(6, 64), few = demoWindows(2, 32);
    setThreadCount(1);
    const auto one = cellsOf(GetParam(), few, {"q4_0@gptq"}, {&calibration, {}, false}, {"blk.3.*"});
    setThreadCount(2);
    const auto two = cellsOf(GetParam(), few, {"q4_0@gptq"}, {&calibration, {}, false}, {"blk.3.*"});
    const auto other = cellsOf(GetParam(), few, {"q4_0@gptq"}, {&few, {}, false}, {"blk.3.*"});
    setThreadCount(0);
    expectSame(one, two);
    EXPECT_NE(one.front().value, other.front().value) << "GPTQ sees its own windows";
}

TEST_P(GptqCells, NeedCalibrationText) {
    const Windows windows = demoWindows(2, 32);
    expectError(ErrorCode::usage, [&] { cellsOf(GetParam(), windows, {"q4_0@gptq"}, {}, {kSite}); });
}

TEST(GptqKl, IsThatOfAWholeEvaluation) {
    const Windows windows = demoWindows(3, 64);
    const ByGptq source(windows, "q4_0");
    EvaluateOptions evaluate;
    evaluate.protocol.length = 64;
    JobContext job;
    const double kl = evaluateAgainstBase(demo(), &source, demo(), nullptr, windows, evaluate, job).klMean;
    const auto cells = cellsOf(SensitivityMetric::measuredKl, windows, {"q4_0@gptq"}, {&windows, {}, false}, {kSite});
    EXPECT_NEAR(cells.front().value, kl, 2e-3 * kl); // differences in bf16
}

TEST(GptqKl, TheRestCanBeRoundedByIt) {
    const Windows windows = demoWindows(2, 64);
    SweepOptions o = options(SensitivityMetric::measuredKl, {"q4_0"});
    o.context = SweepContext::rest;
    o.sites = {kSite};
    o.gptq.windows = &windows;
    o.rest = "int3:g64";
    const double nearest = run(demo(), windows, o).front().value;
    o.rest = "int3:g64@gptq";
    EXPECT_NE(run(demo(), windows, o).front().value, nearest);
}

} // namespace
} // namespace bw
