// SPDX-License-Identifier: GPL-3.0-or-later
// What each metric measures, on the demo model and on small random ones: against direct computation and against whole
// evaluations. What both have in common: sweep_request_test.cpp.
#include "core/base/json.h"
#include "core/base/parallel.h"
#include "tests/support/expect_error.h"
#include "tests/support/random_llama.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/sensitivity/sweep_support.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <map>
#include <thread>

namespace bw {
namespace {

using test::expectError;
using namespace test::sweeps;

TEST(OutputError, EqualsDirectComputation) {
    const Windows windows = demoWindows(4, 32);
    const auto cells = run(demo(), windows, options(SensitivityMetric::outputError, {"q4_0", "int3:g64:asym"}));
    EXPECT_EQ(cells.size(), demo().sites().size() * 2);
    JobContext job;
    for (const char* name : {"blk.0.attn_q", "blk.0.attn_v", "blk.2.attn_output", "blk.4.ffn_up", "blk.5.ffn_down"})
        for (const char* format : {"q4_0", "int3:g64:asym"}) {
            const Site& site = *demo().findSite(name);
            DirectError direct(demo(), site, format);
            walkBlocks(demo(), windows, nullptr, &direct, job);
            const SensitivityCell& c = cell(cells, name, format);
            EXPECT_NEAR(c.value, direct.ratio(), kGramTolerance * direct.ratio()) << name << " " << format;
            EXPECT_GT(c.standardError, 0);
            EXPECT_LT(c.standardError, c.value);
            EXPECT_EQ(c.bytes, parseFormat(format)->bytes(site.rows, site.cols));
        }
}

TEST(OutputError, TiedEmbeddingCountsLookUpAndHead) {
    const Windows windows = demoWindows(2, 32);
    const auto cells = run(demo(), windows, options(SensitivityMetric::outputError, {"q4_0"}));
    const double expected =
        directLookUp(demo(), windows, "q4_0") + directHead(demo(), windows, demo().sites().front(), "q4_0");
    EXPECT_NEAR(cell(cells, "token_embd", "q4_0").value, expected, kGramTolerance * expected);
}

TEST(OutputError, EqualsNumpyOnThreeSites) {
    const Json golden = readJsonFile(BW_TEST_DATA "/evaluate/quantized_reference.json").at("output_error_q4_0");
    const auto cells = run(demo(), demoWindows(9, 256), options(SensitivityMetric::outputError, {"q4_0"}));
    for (const auto& [site, value] : golden.items())
        EXPECT_NEAR(cell(cells, site, "q4_0").value, value.get<double>(), 5e-5 * value.get<double>()) << site;
}

TEST(MeasuredKl, EqualsAWholeEvaluationOfThatSiteAlone) {
    const Windows windows = demoWindows(3, 64);
    SweepOptions o = options(SensitivityMetric::measuredKl, {"int2:g64:asym", "q4_0"});
    o.halfDifferences = false;
    const auto cells = run(demo(), windows, o);
    EvaluateOptions evaluate;
    evaluate.protocol.length = 64;
    JobContext job;
    for (const char* name : {"blk.0.attn_k", "blk.2.ffn_gate", "blk.5.attn_output", "blk.5.ffn_down", "token_embd"})
        for (const char* format : {"int2:g64:asym", "q4_0"}) {
            const OneQuantized source(name, format);
            const Evaluation e = evaluateAgainstBase(demo(), &source, demo(), nullptr, windows, evaluate, job);
            const SensitivityCell& c = cell(cells, name, format);
            // The same products in batches of another size: logits differ by f32 rounding, some 1e-6, and a divergence
            // of 1e-3 by its square root times that.
            EXPECT_NEAR(c.value, e.klMean, 1e-3 * e.klMean + 1e-9) << name << " " << format;
            EXPECT_NEAR(c.standardError, e.klStandardError, 1e-3 * e.klStandardError + 1e-9)
                << "fewer than 8 windows: over tokens in both";
        }
    for (const Site& site : demo().sites())
        EXPECT_GT(cell(cells, site.name, "int2:g64:asym").value, cell(cells, site.name, "q4_0").value) << site.name;
}

/// KL at every scored position of base against the model with the given replacement, worked out from whole forward
/// passes.
std::vector<double> divergences(const Model& model, const Windows& windows, const WeightSource* source) {
    JobContext job;
    Matrix base(windows.tokens(), model.config().vocabulary);
    const auto logits = [&](const WeightSource* weights,
                            const std::function<void(std::int64_t, MatrixView<const float>)>& use) {
        const ScratchMatrix states = walkBlocks(model, windows, weights, nullptr, job);
        walkHead(model, windows, states.view(), weights, job, use);
    };
    logits(nullptr, [&](std::int64_t w, MatrixView<const float> rows) {
        std::copy_n(rows.data, rows.size(), base.row(w * windows.length));
    });
    std::vector<double> kl;
    logits(source, [&](std::int64_t w, MatrixView<const float> rows) {
        for (std::int64_t t = 0; t + 1 < windows.length; ++t)
            kl.push_back(klDivergence(std::as_const(base).view().rowSpan(w * windows.length + t), rows.rowSpan(t)));
    });
    return kl;
}

double meanOf(const std::vector<double>& values) {
    double sum = 0;
    for (const double v : values)
        sum += v;
    return sum / static_cast<double>(values.size());
}

/// σ/√n of a − b.
double errorOf(const std::vector<double>& a, const std::vector<double>& b) {
    const double mean = meanOf(a) - meanOf(b), n = static_cast<double>(a.size());
    double squares = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        squares += std::pow(a[i] - b[i] - mean, 2);
    return std::sqrt(squares / (n - 1) / n);
}

/// Everything in one format, apart from one site.
class RestQuantized final : public WeightSource {
public:
    RestQuantized(const std::string& rest, std::string site, const std::string& format)
        : rest_(parseFormat(rest)), site_(std::move(site)), format_(format) {}
    void apply(const Site& site, MatrixView<float> weight) const override {
        FormatPtr format = rest_;
        if (site.name == site_) {
            if (format_.empty())
                return;
            format = parseFormat(format_);
        }
        format = fallbackFormat(format, site.rows, site.cols);
        format->decode(quantizeSite(site, weight, format, {}, {}).bytes, weight);
    }

private:
    FormatPtr rest_;
    std::string site_, format_;
};

TEST(MeasuredKl, WithTheRestQuantizedIsADifferenceOfTwoWholeRuns) {
    const Windows windows = demoWindows(2, 48);
    SweepOptions o = options(SensitivityMetric::measuredKl, {"int2:g64:asym", "q8_0"});
    o.context = SweepContext::rest;
    o.rest = "q4_0";
    o.sites = {"blk.0.attn_k", "blk.3.ffn_down", "token_embd"};
    const auto fast = run(demo(), windows, o);
    o.halfDifferences = false;
    const auto cells = run(demo(), windows, o);
    ASSERT_EQ(cells.size(), 6u);
    for (const SensitivityCell& c : fast) {
        // Differences of what is nearly the same: the rounding of either divergence (some 1e-4 of it) is a part of the
        // error.
        const SensitivityCell& exact = cell(cells, c.site_name, c.format);
        EXPECT_NEAR(c.value, exact.value, 0.2 * exact.standardError) << c.site_name << " " << c.format;
        EXPECT_NEAR(c.standardError, exact.standardError, 0.05 * exact.standardError);
    }
    for (const SensitivityCell& c : cells) {
        const RestQuantized full("q4_0", c.site_name, ""), changed("q4_0", c.site_name, c.format);
        const auto reference = divergences(demo(), windows, &full), kl = divergences(demo(), windows, &changed);
        const double expected = meanOf(kl) - meanOf(reference), error = errorOf(kl, reference);
        // Both KLs carry the rounding of other batches (1e-3 of a small one): what is left of the difference is bounded
        // by a thousandth of the larger.
        const double tolerance = 1e-3 * std::abs(expected) + 1e-4 * meanOf(kl);
        EXPECT_NEAR(c.value, expected, tolerance) << c.site_name << " " << c.format;
        EXPECT_NEAR(c.standardError, error, 1e-2 * error + tolerance) << c.site_name << " " << c.format;
    }
    EXPECT_LT(std::abs(cell(cells, "blk.3.ffn_down", "q8_0").value),
              cell(cells, "blk.3.ffn_down", "int2:g64:asym").value);
    o.rest.clear();
    expectError(ErrorCode::usage, [&] { run(demo(), windows, o); });
}

TEST(MeasuredKl, DifferencesInHalfPrecisionAgreeWithFullProducts) {
    const Windows windows = demoWindows(3, 96);
    SweepOptions o = options(SensitivityMetric::measuredKl, {"int2:g64:asym", "int4:g64", "q8_0"});
    const auto fast = run(demo(), windows, o);
    o.halfDifferences = false;
    const auto exact = run(demo(), windows, o);
    ASSERT_EQ(fast.size(), exact.size());
    for (std::size_t i = 0; i < fast.size(); ++i) {
        // 2⁻⁹ of each factor, averaged over thousands of terms, enters the divergence once linearly and once squared.
        EXPECT_NEAR(fast[i].value, exact[i].value, 2e-3 * exact[i].value + 1e-9)
            << exact[i].site_name << " " << exact[i].format;
        EXPECT_LT(std::abs(fast[i].value - exact[i].value), 0.05 * exact[i].standardError + 1e-9)
            << exact[i].site_name << " " << exact[i].format;
    }
}

TEST(MeasuredKl, AShareOfThePositionsIsASampleOfAll) {
    const Windows windows = demoWindows(4, 64);
    SweepOptions o = options(SensitivityMetric::measuredKl, {"int3:g64"});
    o.sites = {"blk.1.*", "token_embd"};
    const auto all = run(demo(), windows, o);
    o.positions = 0.25;
    const auto some = run(demo(), windows, o);
    ASSERT_EQ(some.size(), all.size());
    double excess = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
        EXPECT_NE(some[i].value, all[i].value);
        // The quarter's own error covers the distance to the whole, which it is part of; four errors over eight cells.
        EXPECT_LT(std::abs(some[i].value - all[i].value), 4 * some[i].standardError) << all[i].site_name;
        excess += some[i].standardError / all[i].standardError / static_cast<double>(all.size());
    }
    EXPECT_NEAR(excess, 2.0, 0.7) << "a quarter of the positions has twice the error";
    // Exactly the positions that are evenly spread: 63 of 252, each in the middle of four. 2e-3: differences in half precision.
    const OneQuantized source("blk.1.ffn_up", "int3:g64");
    const auto kl = divergences(demo(), windows, &source);
    double sum = 0;
    for (std::size_t i = 0; i < 63; ++i)
        sum += kl[4 * i + 2];
    EXPECT_NEAR(cell(some, "blk.1.ffn_up", "int3:g64").value, sum / 63, 2e-3 * sum / 63);
    for (const double share : {0.0, -1.0, 1.5, std::nan("")}) {
        o.positions = share;
        expectError(ErrorCode::usage, [&] { run(demo(), windows, o); });
    }
}

TEST(MeasuredKl, MeasuresTheDearestFirst) {
    const Windows windows = demoWindows(2, 32);
    SweepOptions o = options(SensitivityMetric::measuredKl, {"q4_0", "int3:g64"});
    o.sites = {"blk.2.*", "token_embd", "blk.4.ffn_down"};
    const auto plain = run(demo(), windows, o);
    std::map<std::pair<std::string, std::string>, double> expected;
    for (const SensitivityCell& c : plain)
        expected[{c.site_name, c.format}] = c.value;
    o.expected = [&](const std::string& site, const std::string& format) { return expected.at({site, format}); };
    std::vector<double> order;
    expectSame(run(demo(), windows, o, {}, [&](const SensitivityCell& c) { order.push_back(c.value); }), plain);
    EXPECT_EQ(order.size(), plain.size());
    EXPECT_TRUE(std::is_sorted(order.rbegin(), order.rend())) << "each candidate on its own, from the dearest down";
}

TEST(MeasuredKl, NeedsNoMemoryToBeRight) {
    // Without room for the blocks, or for what they know, candidates run in batches that load them again.
    const Windows windows = demoWindows(3, 32);
    SweepOptions o = options(SensitivityMetric::measuredKl, {"int3:g64", "q4_0"});
    o.sites = {"blk.0.attn_q", "blk.2.ffn_up", "blk.5.ffn_down", "token_embd"};
    const auto roomy = run(demo(), windows, o);
    std::uint64_t weights = 0;
    for (const Site& site : demo().sites())
        weights += site.block.value() >= 0 ? static_cast<std::uint64_t>(site.rows * site.cols) : 0;
    for (const bool half : {true, false})
        for (const std::uint64_t memory : {std::uint64_t{1}, 6 * weights}) { // nothing; the blocks alone
            o.memory = memory;
            o.halfDifferences = half;
            const auto tight = run(demo(), windows, o);
            ASSERT_EQ(tight.size(), roomy.size());
            for (std::size_t i = 0; i < tight.size(); ++i)
                EXPECT_NEAR(tight[i].value, roomy[i].value, 2e-3 * roomy[i].value + 1e-9)
                    << roomy[i].site_name << " " << memory << " " << half;
        }
}

} // namespace
} // namespace bw
