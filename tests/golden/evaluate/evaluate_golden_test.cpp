// SPDX-License-Identifier: GPL-3.0-or-later
// Perplexity against transformers and llama.cpp, KL divergence and companions against NumPy (origins in the JSON files).
#include "core/base/json.h"
#include "core/calibrate/observers.h"
#include "core/compute/cpu_device.h"
#include "core/evaluate/evaluate.h"

#include <gtest/gtest.h>

#include <cmath>

namespace bw {
namespace {

const Model& demo() {
    static const auto model = Model::open(Checkpoint::open(BW_RESOURCES "/demo"), std::shared_ptr<Device>(makeCpuDevice()));
    return *model;
}

Windows evalWindows(const std::string& name, const char* protocol, std::int64_t tokens) {
    JobContext job;
    const auto tokenizer = Tokenizer::open(demo().checkpoint());
    return cutWindows(loadText(std::string(BW_RESOURCES "/texts/") + name + ".txt", *tokenizer, 0, job), parseProtocol(protocol), *tokenizer, tokens);
}

EvaluateOptions with(const char* protocol) {
    EvaluateOptions options;
    options.protocol = parseProtocol(protocol);
    return options;
}

/// Every linear inside the blocks rounded to one format, nothing else.
class RoundedBlocks final : public WeightSource {
public:
    explicit RoundedBlocks(const char* format) : format_(parseFormat(format)) {}
    void apply(const Site& site, MatrixView<float> weight) const override {
        if (site.block.value() < 0)
            return;
        Matrix copy(weight.rows, weight.cols);
        for (std::int64_t r = 0; r < weight.rows; ++r)
            std::copy_n(weight.row(r), weight.cols, copy.row(r));
        format_->roundTrip(copy.view(), {}, weight);
    }

private:
    FormatPtr format_;
};

class Perplexity : public ::testing::TestWithParam<const char*> {};

TEST_P(Perplexity, EqualsTransformersToFiveDigits) {
    const Json golden = readJsonFile(BW_TEST_DATA "/evaluate/demo_perplexity.json").at(GetParam());
    JobContext job;
    const Evaluation e = evaluatePerplexity(demo(), nullptr, evalWindows(GetParam(), "windows:256", 16 * 256), with("windows:256"), job);
    EXPECT_EQ(e.tokens, golden.at("scored_tokens").get<std::int64_t>());
    // The reference sums f32 log-probabilities and prints 7 digits; both forward passes are f32 with other orders of
    // addition (the reference's own f32 against f64: below 1e-5 per window of 255 tokens).
    const auto sums = golden.at("window_nll_sum").get<std::vector<double>>();
    ASSERT_EQ(e.windowNll.size(), sums.size());
    for (std::size_t w = 0; w < sums.size(); ++w)
        EXPECT_NEAR(e.windowNll[w], sums[w], 2e-6 * sums[w]) << "window " << w;
    EXPECT_NEAR(e.perplexity, golden.at("ppl").get<double>(), 5e-6 * e.perplexity);
}

TEST_P(Perplexity, FollowsLlamaCppsProtocol) {
    const double golden = readJsonFile(BW_TEST_DATA "/evaluate/demo_perplexity.json").at(GetParam()).at("llama_cpp_ppl").get<double>();
    JobContext job;
    const Evaluation e = evaluatePerplexity(demo(), nullptr, evalWindows(GetParam(), "llama.cpp:256", 0), with("llama.cpp:256"), job);
    // That program keeps keys and values in 16 bits: 1e-3 relative is its noise on this model; scoring one position more
    // or fewer, or all of them, moves the figure by 0.3 % and more.
    EXPECT_NEAR(e.perplexity, golden, 1e-3 * golden);
}

INSTANTIATE_TEST_SUITE_P(DemoTexts, Perplexity, ::testing::Values("eval_prose", "eval_code"));

TEST(AgainstBase, EqualsNumpyOnQ4_0) {
    const Json golden = readJsonFile(BW_TEST_DATA "/evaluate/quantized_reference.json");
    const auto expected = [&](const char* key) { return golden.at(key).get<double>(); };
    JobContext job;
    const RoundedBlocks rounded("q4_0");
    const Evaluation e = evaluateAgainstBase(demo(), &rounded, demo(), nullptr, evalWindows("eval_prose", "windows:256", 9 * 256), with("windows:256"), job);
    const auto sums = golden.at("window_nll").get<std::vector<double>>();
    for (std::size_t w = 0; w < sums.size(); ++w)
        EXPECT_NEAR(e.windowNll[w], sums[w], 2e-6 * sums[w]);
    EXPECT_NEAR(e.nll, expected("nll"), 2e-6 * e.nll);
    EXPECT_NEAR(e.nllStandardError, expected("nll_se"), 1e-4 * e.nllStandardError);
    EXPECT_NEAR(e.basePerplexity, expected("base_perplexity"), 1e-5 * e.basePerplexity);
    // Logits of an f32 forward pass differ from f64's by about 1e-5, and a divergence of 0.01 by its slope times that.
    const auto close = [&](const char* key, double value, double relative) { EXPECT_NEAR(value, expected(key), relative * std::abs(expected(key))) << key; };
    close("kl_mean", e.klMean, 2e-4);
    close("kl_se", e.klStandardError, 2e-3);
    close("kl_median", e.klMedian, 1e-3);
    close("kl_p90", e.klP90, 1e-3);
    close("kl_p99", e.klP99, 1e-3);
    close("kl_p999", e.klP999, 1e-3);
    close("kl_max", e.klMax, 1e-3);
    // One near tie may fall the other way.
    EXPECT_NEAR(e.sameTop1, expected("same_top1"), 1.01 / static_cast<double>(e.tokens));
    close("delta_p_rms", e.deltaPRms, 1e-3);
    EXPECT_NEAR(e.deltaPMean, expected("delta_p_mean"), 2e-3 * e.deltaPRms);
    EXPECT_NEAR(e.ece, expected("ece"), 1e-4);
    close("brier", e.brier, 1e-3);
}

TEST(Calibration, EqualsNumpyOnOneGroup) {
    const Json golden = readJsonFile(BW_TEST_DATA "/evaluate/quantized_reference.json").at("blk.3.ffn_in");
    JobContext job;
    const CalibrationResult result = calibrate(demo(), evalWindows("eval_prose", "windows:256", 9 * 256), {}, job);
    const InputStatistics* s = result.forSite(demo().findSite("blk.3.ffn_gate")->id);
    ASSERT_NE(s, nullptr);
    double squares = 0;
    for (const double v : s->sumSquares)
        squares += v;
    const double n = static_cast<double>(s->tokens) * static_cast<double>(s->sumSquares.size());
    const auto expected = [&](const char* key) { return golden.at(key).get<double>(); };
    EXPECT_NEAR(*std::max_element(s->channelMax.begin(), s->channelMax.end()), expected("abs_max"), 1e-4);
    EXPECT_NEAR(squares / n, expected("mean_square"), 1e-5);
    EXPECT_NEAR(s->kurtosis, expected("kurtosis"), 1e-4);
    // Read off bins: the bin that the limit of 6 rms cuts is shared out in proportion.
    EXPECT_NEAR(s->outlierShare, expected("outlier_share"), 0.05 * expected("outlier_share"));
    for (std::size_t c = 0; c < 4; ++c) {
        EXPECT_NEAR(s->channelMax[c], golden.at("channel_max_first")[c].get<double>(), 1e-4);
        EXPECT_NEAR(s->sumSquares[c], golden.at("sum_squares_first")[c].get<double>(), 1e-4 * s->sumSquares[c]);
    }
}

} // namespace
} // namespace bw
