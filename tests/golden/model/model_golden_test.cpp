// SPDX-License-Identifier: GPL-3.0-or-later
// The demo checkpoint against stored values of the reference implementation: logits, hidden states, ranking, greedy
// continuation and perplexity. The noise floor of the reference itself (f32 against f64) is 1.2e-5 to 1.7e-5 in logits.
#include "core/base/text.h"
#include "core/compute/cpu_device.h"
#include "core/model/generate.h"
#include "core/tokenizer/tokenizer.h"
#include "tests/golden/model/golden_check.h"
#include "tests/support/npy.h"

#include <cmath>
#include <gtest/gtest.h>

namespace bw {
namespace {

const std::string kGolden = BW_TEST_DATA "/golden";

std::shared_ptr<const Model> demoModel() {
    static const auto model = Model::open(Checkpoint::open(BW_RESOURCES "/demo"), makeCpuDevice());
    return model;
}

const Json& golden() {
    static const Json json = readJsonFile(kGolden + "/demo-256/golden.json");
    return json;
}

class DemoPrompt : public testing::TestWithParam<const char*> {
protected:
    const Json& prompt() const { return golden().at("prompts").at(GetParam()); }
    std::vector<TokenId> ids() const { return prompt().at("ids").get<std::vector<TokenId>>(); }
};

TEST_P(DemoPrompt, FilesAgreeOnTheIds) {
    const auto stored = test::readNpy<TokenId>(kGolden + "/demo-256/" + GetParam() + ".ids.npy");
    EXPECT_EQ(std::vector<TokenId>(stored.values.begin(), stored.values.end()), ids());
}

TEST_P(DemoPrompt, ForwardPassEqualsReference) {
    const test::GoldenReport report = test::checkPrompt(*demoModel(), prompt(), kGolden);
    // Ten times the reference's own noise; an error in any weight, norm or angle shows at 1e-2 and above.
    EXPECT_LE(report.logits, 2e-4);
    EXPECT_LE(report.logProbability, 2e-4);
    // Norms are stored with 7 digits.
    EXPECT_LE(report.hiddenNorm, 1e-5);
    EXPECT_LE(report.hiddenLast, 1e-5);
    // The order of the ten most likely tokens may only differ where two logits are closer than twice the tolerance.
    EXPECT_LE(report.topTenGap, 4e-4);
    EXPECT_LE(report.topTenMoved, 1);
}

TEST_P(DemoPrompt, GreedyContinuationEqualsReference) {
    GenerateOptions options;
    options.maxTokens = 20;
    options.stopAtEos = false;
    JobContext job;
    const auto prompted = ids();
    EXPECT_EQ(generate(*demoModel(), prompted, options, nullptr, job).ids,
              prompt().at("greedy_next20").get<std::vector<TokenId>>());
}

INSTANTIATE_TEST_SUITE_P(Demo, DemoPrompt, testing::Values("p1_prose", "p2_code", "p3_mixed"),
                         [](const auto& each) { return std::string(each.param); });

struct TextCase {
    const char* text;
    const char* protocol;
};

class DemoPerplexity : public testing::TestWithParam<TextCase> {};

TEST_P(DemoPerplexity, EqualsReferenceToFiveDigits) {
    const Json& entry = golden().at("perplexity").at(std::string("demo/") + GetParam().text);
    const Json& stored = entry.at(GetParam().protocol);
    const auto count = entry.at("windows").get<std::int64_t>();
    const auto model = demoModel();
    const std::string text = readTextFile(std::string(BW_RESOURCES "/texts/") + GetParam().text + ".txt", 1 << 20);
    const std::vector<TokenId> ids = Tokenizer::open(model->checkpoint())->encode(text, false);
    const std::int64_t bos = std::string(GetParam().protocol) == "bos" ? model->config().bosId : -1;
    const std::vector<double> sums = test::windowNll(*model, test::cutWindows(ids, count, 256, bos));
    const Json& windows = stored.at("window_nll_sum");
    ASSERT_EQ(sums.size(), windows.size());
    double total = 0;
    for (std::size_t w = 0; w < sums.size(); ++w) {
        const double reference = windows[w].get<double>();
        EXPECT_NEAR(sums[w], reference, 2e-6 * reference) << "window " << w; // 7 digits stored
        total += sums[w];
    }
    const double perplexity = std::exp(total / static_cast<double>(count * 255));
    EXPECT_NEAR(perplexity, stored.at("ppl").get<double>(), 5e-6 * perplexity);
}

INSTANTIATE_TEST_SUITE_P(Demo, DemoPerplexity,
                         testing::Values(TextCase{"eval_prose", "nobos"}, TextCase{"eval_prose", "bos"},
                                         TextCase{"eval_code", "nobos"}, TextCase{"eval_code", "bos"}),
                         [](const auto& each) { return std::string(each.param.text) + "_" + each.param.protocol; });

} // namespace
} // namespace bw
