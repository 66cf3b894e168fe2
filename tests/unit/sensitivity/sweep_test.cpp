// SPDX-License-Identifier: GPL-3.0-or-later
// Both metrics on the demo model and on small random ones: against direct computation, against a whole evaluation, resumed,
// stopped, and with formats that do not fit.
#include "core/sensitivity/sensitivity.h"

#include "core/base/json.h"
#include "core/base/parallel.h"
#include "core/compute/cpu_device.h"
#include "core/evaluate/evaluate.h"
#include "tests/support/expect_error.h"
#include "tests/support/random_llama.h"
#include "tests/support/temp_folder.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <map>
#include <thread>

namespace bw {
namespace {

using test::expectError;

std::shared_ptr<const Model> openModel(const std::string& path) {
    return Model::open(Checkpoint::open(path), std::shared_ptr<Device>(makeCpuDevice()));
}

const Model& demo() {
    static const auto model = openModel(BW_RESOURCES "/demo");
    return *model;
}

Windows demoWindows(std::int64_t count, std::int64_t length) {
    JobContext job;
    const auto tokenizer = Tokenizer::open(demo().checkpoint());
    Protocol protocol;
    protocol.length = length;
    return cutWindows(loadText(BW_RESOURCES "/texts/eval_prose.txt", *tokenizer, 0, job), protocol, *tokenizer, count * length);
}

SweepOptions options(SensitivityMetric metric, std::vector<std::string> formats) {
    SweepOptions o;
    o.metric = metric;
    o.formats = std::move(formats);
    return o;
}

std::vector<SensitivityCell> run(const Model& model, const Windows& windows, const SweepOptions& o, const std::vector<SensitivityCell>& known = {},
                                 const std::function<void(const SensitivityCell&)>& onCell = {}) {
    JobContext job;
    return sweep(model, windows, o, {}, known, onCell, job);
}

const SensitivityCell& cell(const std::vector<SensitivityCell>& cells, const std::string& site, const std::string& format) {
    for (const SensitivityCell& c : cells)
        if (c.site_name == site && c.format == format)
            return c;
    ADD_FAILURE() << "no cell " << site << " " << format;
    return cells.front();
}

void expectSame(const std::vector<SensitivityCell>& a, const std::vector<SensitivityCell>& b) {
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
        EXPECT_EQ(a[i].site_name, b[i].site_name);
        EXPECT_EQ(a[i].format, b[i].format);
        EXPECT_EQ(a[i].used, b[i].used);
        EXPECT_EQ(a[i].bytes, b[i].bytes);
        EXPECT_EQ(a[i].value, b[i].value) << a[i].site_name << " " << a[i].format;
        EXPECT_EQ(a[i].standardError, b[i].standardError);
    }
}

/// One site in one format, everything else as stored.
class OneQuantized final : public WeightSource {
public:
    OneQuantized(std::string site, const std::string& format) : site_(std::move(site)), format_(parseFormat(format)) {}
    void apply(const Site& site, MatrixView<float> weight) const override {
        if (site.name != site_)
            return;
        const QuantizedTensor tensor = quantizeSite(site, weight, format_, {}, {});
        format_->decode(tensor.bytes, weight);
    }

private:
    std::string site_;
    FormatPtr format_;
};

/// ‖X(W−Ŵ)ᵀ‖² and ‖XWᵀ‖² in f64, straight from the inputs that pass by.
class DirectError final : public WalkVisitor, public ActivationObserver {
public:
    DirectError(const Model& model, const Site& site, const std::string& format) : group_(site.inputGroup), weight_(model.siteWeight(site)),
        quantized_(model.siteWeight(site)) {
        OneQuantized(site.name, format).apply(site, quantized_.view());
    }
    ActivationObserver* observer(BlockIndex) override { return this; }
    void onInput(int group, std::int64_t, MatrixView<const float> x) override {
        if (group != group_)
            return;
        for (std::int64_t t = 0; t < x.rows; ++t)
            for (std::int64_t r = 0; r < weight_.rows(); ++r) {
                double y = 0, d = 0;
                for (std::int64_t c = 0; c < x.cols; ++c) {
                    const auto w = static_cast<double>(weight_.row(r)[c]), v = static_cast<double>(x(t, c));
                    y += v * w;
                    d += v * (w - static_cast<double>(quantized_.row(r)[c]));
                }
                output += y * y;
                damage += d * d;
            }
    }
    double ratio() const { return damage / output; }
    double output = 0, damage = 0;

private:
    int group_;
    Matrix weight_, quantized_;
};

double directHead(const Model& model, const Windows& windows, const Site& site, const std::string& format) {
    JobContext job;
    DirectError direct(model, site, format);
    const ScratchMatrix states = walkBlocks(model, windows, nullptr, nullptr, job);
    walkHead(model, windows, states.view(), nullptr, job, [](std::int64_t, MatrixView<const float>) {}, &direct);
    return direct.ratio();
}

double directLookUp(const Model& model, const Windows& windows, const std::string& format) {
    const Site& site = model.sites().front();
    const Matrix weight = model.siteWeight(site);
    const OneQuantized source(site.name, format);
    const Matrix quantized = model.siteWeight(site, &source);
    double damage = 0, whole = 0;
    for (const TokenId id : windows.ids)
        for (std::int64_t c = 0; c < weight.cols(); ++c) {
            whole += std::pow(static_cast<double>(weight.row(id)[c]), 2);
            damage += std::pow(static_cast<double>(weight.row(id)[c]) - static_cast<double>(quantized.row(id)[c]), 2);
        }
    return damage / whole;
}

// The Gram matrices are sums in f32, the direct way is in f64: relative 1e-6 per entry, and the damage is a sum of
// hundreds of thousands of terms.
constexpr double kGramTolerance = 2e-5;

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
    const double expected = directLookUp(demo(), windows, "q4_0") + directHead(demo(), windows, demo().sites().front(), "q4_0");
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
            EXPECT_NEAR(c.standardError, e.klStandardError, 1e-3 * e.klStandardError + 1e-9) << "fewer than 8 windows: over tokens in both";
        }
    for (const Site& site : demo().sites())
        EXPECT_GT(cell(cells, site.name, "int2:g64:asym").value, cell(cells, site.name, "q4_0").value) << site.name;
}

/// KL at every scored position of base against the model with the given replacement, worked out from whole forward passes.
std::vector<double> divergences(const Model& model, const Windows& windows, const WeightSource* source) {
    JobContext job;
    Matrix base(windows.tokens(), model.config().vocabulary);
    const auto logits = [&](const WeightSource* weights, const std::function<void(std::int64_t, MatrixView<const float>)>& use) {
        const ScratchMatrix states = walkBlocks(model, windows, weights, nullptr, job);
        walkHead(model, windows, states.view(), weights, job, use);
    };
    logits(nullptr, [&](std::int64_t w, MatrixView<const float> rows) { std::copy_n(rows.data, rows.size(), base.row(w * windows.length)); });
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
    RestQuantized(const std::string& rest, std::string site, const std::string& format) : rest_(parseFormat(rest)), site_(std::move(site)), format_(format) {}
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
        // Differences of what is nearly the same: the rounding of either divergence (some 1e-4 of it) is a part of the error.
        const SensitivityCell& exact = cell(cells, c.site_name, c.format);
        EXPECT_NEAR(c.value, exact.value, 0.2 * exact.standardError) << c.site_name << " " << c.format;
        EXPECT_NEAR(c.standardError, exact.standardError, 0.05 * exact.standardError);
    }
    for (const SensitivityCell& c : cells) {
        const RestQuantized full("q4_0", c.site_name, ""), changed("q4_0", c.site_name, c.format);
        const auto reference = divergences(demo(), windows, &full), kl = divergences(demo(), windows, &changed);
        const double expected = meanOf(kl) - meanOf(reference), error = errorOf(kl, reference);
        // Both KLs carry the rounding of other batches (1e-3 of a small one): what is left of the difference is bounded by
        // a thousandth of the larger.
        const double tolerance = 1e-3 * std::abs(expected) + 1e-4 * meanOf(kl);
        EXPECT_NEAR(c.value, expected, tolerance) << c.site_name << " " << c.format;
        EXPECT_NEAR(c.standardError, error, 1e-2 * error + tolerance) << c.site_name << " " << c.format;
    }
    EXPECT_LT(std::abs(cell(cells, "blk.3.ffn_down", "q8_0").value), cell(cells, "blk.3.ffn_down", "int2:g64:asym").value);
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
        EXPECT_NEAR(fast[i].value, exact[i].value, 2e-3 * exact[i].value + 1e-9) << exact[i].site_name << " " << exact[i].format;
        EXPECT_LT(std::abs(fast[i].value - exact[i].value), 0.05 * exact[i].standardError + 1e-9) << exact[i].site_name << " " << exact[i].format;
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
    // Exactly the positions that are evenly spread: 63 of 252, each in the middle of four.
    const OneQuantized source("blk.1.ffn_up", "int3:g64");
    const auto kl = divergences(demo(), windows, &source);
    double sum = 0;
    for (std::size_t i = 0; i < 63; ++i)
        sum += kl[4 * i + 2];
    EXPECT_NEAR(cell(some, "blk.1.ffn_up", "int3:g64").value, sum / 63, 1e-3 * sum / 63);
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
            EXPECT_TRUE(found.emplace(std::pair(c.site_name, c.format), &c).second) << c.site_name << " " << c.format << " in two shards";
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
                EXPECT_NEAR(tight[i].value, roomy[i].value, 2e-3 * roomy[i].value + 1e-9) << roomy[i].site_name << " " << memory << " " << half;
        }
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
        made("a", "int2", 20, 0.10, 0.01), made("a", "int3", 30, 0.30, 0.02), made("a", "int4", 40, 0.01, 0.001), // int3 contradicts int2
        made("b", "int2", 20, 0.10, 0.01), made("b", "int3", 30, 0.14, 0.02),  // within the errors
        made("c", "int2", 20, 0.10, 0.0001), made("c", "int3", 30, 0.14, 0.0001), // far outside them, but by less than half
        made("g", "int2", 20, 0.10, 0.03), made("g", "int3", 30, 0.17, 0.03), // by more than half, but within the errors
        made("d", "int3", 30, 0.30, 0.02), made("e", "int2", 20, 0.10, 0.01), // other sites say nothing
        made("f", "int4", 20, -0.01, 0.001), made("f", "int8", 30, 0.02, 0.001)}; // with the rest quantized, changes may help
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
                EXPECT_FALSE(old.site_name == c.site_name && old.format == c.format) << "known cells are not measured again";
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
        const double lookUp = directLookUp(*model, windows, "q4_0"), head = directHead(*model, windows, *model->findSite("output"), "q4_0");
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
    const auto weighted = sweep(demo(), windows, o, [&](const Site& site) { return std::span<const float>(importance).first(static_cast<std::size_t>(site.cols)); }, {}, {}, job);
    EXPECT_NE(cell(plain, "blk.1.ffn_down", "q4_0").value, cell(weighted, "blk.1.ffn_down", "q4_0").value);
}

TEST_P(EitherMetric, ARounderIsPartOfTheFormatAskedFor) {
    SweepOptions o = options(GetParam(), {"q4_0", "q4_0@weighted", "q4_0@nearest"});
    o.sites = {"blk.2.*"};
    std::vector<float> weights(768);
    for (std::size_t i = 0; i < weights.size(); ++i)
        weights[i] = i % 4 == 0 ? 20.0f : 0.05f;
    const ImportanceLookup importance = [&](const Site& site) { return std::span<const float>(weights).first(static_cast<std::size_t>(site.cols)); };
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
        EXPECT_EQ(cell(cells, c.site_name, "q4_0@nearest").value, cell(cells, c.site_name, "q4_0").value) << c.site_name;
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
            sweep(demo(), windows, options(GetParam(), {"q4_0", "q5_0", "q8_0", "int2:g64", "int3:g64"}), {}, {}, {}, job);
    });
    const auto returned = std::chrono::steady_clock::now();
    stopper.join();
    EXPECT_LT(std::chrono::duration<double>(returned - asked).count(), 2.0);
}

INSTANTIATE_TEST_SUITE_P(Metrics, EitherMetric, ::testing::Values(SensitivityMetric::outputError, SensitivityMetric::measuredKl),
                         [](const auto& test) { return std::string(metricName(test.param)); });

TEST(SweepRequest, RefusesWhatItCannotMeasure) {
    const Windows windows = demoWindows(1, 16);
    expectError(ErrorCode::usage, [&] { run(demo(), windows, options(SensitivityMetric::outputError, {})); });
    expectError(ErrorCode::invalidFormat, [&] { run(demo(), windows, options(SensitivityMetric::outputError, {"q9_9"})); });
    expectError(ErrorCode::textTooShort, [&] { run(demo(), Windows{}, options(SensitivityMetric::measuredKl, {"q4_0"})); });
    EXPECT_EQ(parseMetric("kl"), SensitivityMetric::measuredKl);
    EXPECT_EQ(parseMetric("output"), SensitivityMetric::outputError);
    EXPECT_EQ(parseMetric("fisher"), SensitivityMetric::fisher);
    expectError(ErrorCode::usage, [] { parseMetric("hessian"); });
}

} // namespace
} // namespace bw
