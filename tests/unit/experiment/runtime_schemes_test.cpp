// SPDX-License-Identifier: GPL-3.0-or-later
// Activation and cache schemes and the outlier split as parts of logged runs: what they say, log and repeat.
#include "core/experiment/runner.h"
#include "tests/support/expect_error.h"
#include "tests/unit/experiment/log_support.h"

#include <gtest/gtest.h>

namespace bw::test {
namespace {

Recipe small() {
    Recipe r;
    r.kind = "quantize";
    r.checkpoint = demoPath();
    r.calibration = {{textPath("calib_prose.txt")}, 8, 64};
    r.evaluation = {{textPath("eval_prose.txt")}, "windows:128", 512};
    r.assignment.format = "int8:channel:sym";
    r.assignment.head = "keep";
    return r;
}

TEST(RuntimeSchemes, ActivationsAddTheirDamageAndRepeat) {
    Bench b;
    Recipe r = small();
    const double weights = klOf(b.run(r));
    r.activations = "a8:tensor:percentile=99.9";
    const RunOutcome tensor = b.run(r);
    EXPECT_EQ(tensor.result.at("evaluation").at("activations"), "a8:tensor:percentile=99.9");
    EXPECT_GT(tensor.result.at("evaluation").at("kl_mean").get<double>(), weights);
    EXPECT_TRUE(b.runner.rerun(tensor.run, b.job, "test").result.at("agrees").get<bool>());
    r.activations = "a8:token";
    const double token = klOf(b.run(r));
    r.activations = "a4:token";
    EXPECT_GT(token, weights);
    EXPECT_GT(klOf(b.run(r)), 10 * token); // a step 18 times as wide
    r.activations = "a8:tensor";
    r.calibration.files.clear();
    const Error error = expectError(ErrorCode::usage, [&] { b.run(r); });
    EXPECT_NE(error.message().find("--activations a8:tensor"), std::string::npos) << error.message();
}

TEST(RuntimeSchemes, ACachesDamageStandsAgainstContextLength) {
    Bench b;
    Recipe r = small();
    r.kind = "evaluate";
    r.kvCache = "k2:channel:g16,v4:token,recent=16";
    const RunOutcome outcome = b.run(r);
    const Json& e = outcome.result;
    EXPECT_EQ(e.at("kv_cache"), "k2:channel:g16,v4:token,recent=16");
    EXPECT_LT(e.at("cache_bytes_per_token").get<double>(), 0.35 * e.at("cache_bytes_per_token_f16").get<double>());
    const Json& rows = e.at("by_position");
    ASSERT_EQ(rows.size(), 3u);
    EXPECT_EQ(rows.at(0).at("from"), 1);
    EXPECT_EQ(rows.at(0).at("to"), 32);
    EXPECT_EQ(rows.at(2).at("to"), 128);
    double kl = 0, tokens = 0;
    for (const Json& row : rows) {
        kl += row.at("kl").get<double>() * row.at("tokens").get<double>();
        tokens += row.at("tokens").get<double>();
    }
    EXPECT_NEAR(kl / tokens, e.at("kl_mean").get<double>(), 1e-9);
    EXPECT_LT(rows.at(0).at("kl").get<double>(), 0.5 * rows.at(2).at("kl").get<double>()); // few tokens have left 16 bits by then
    EXPECT_GT(rows.at(0).at("cache_bytes_per_token").get<double>(), rows.at(2).at("cache_bytes_per_token").get<double>());
    EXPECT_TRUE(b.runner.rerun(outcome.run, b.job, "test").result.at("agrees").get<bool>());
    r.kvCache = "fp8:tensor";
    EXPECT_GT(b.run(r).result.at("kl_mean").get<double>(), 0);
    r.kvCache = "kv9";
    expectError(ErrorCode::invalidRecipe, [&] { Recipe::fromJson(r.toJson()); });
}

TEST(RuntimeSchemes, GenerationUsesThem) {
    Bench b;
    Recipe r = small();
    r.kind = "generate";
    r.generation = {"The old house by the sea", 24, 0, 1};
    const Json plain = b.run(r).result.at("ids");
    r.kvCache = "kv2:token:g4,recent=4";
    const Json two = b.run(r).result.at("ids");
    EXPECT_NE(two, plain);
    r.kvCache = "kv2:token:g4,recent=200"; // halves alone
    EXPECT_EQ(b.run(r).result.at("ids"), plain);
}

TEST(RuntimeSchemes, SparseOutliersHelpFewBitsAndCountTheirBytes) {
    Bench b;
    Recipe r = small();
    r.assignment.format = "int3:g64:asym";
    const RunOutcome plain = b.run(r);
    r.transform = "outliers:weights=0.01";
    const RunOutcome split = b.run(r);
    EXPECT_LT(split.result.at("evaluation").at("kl_mean").get<double>(), 0.9 * plain.result.at("evaluation").at("kl_mean").get<double>());
    EXPECT_EQ(split.result.at("bytes").get<std::uint64_t>(), plain.result.at("bytes").get<std::uint64_t>() + split.result.at("outliers").at("bytes").get<std::uint64_t>());
    EXPECT_GT(split.result.at("bits_per_weight").get<double>(), plain.result.at("bits_per_weight").get<double>() + 0.3);
    r.rounder = "gptq";
    expectError(ErrorCode::usage, [&] { b.run(r); });
    r.rounder = "nearest";
    r.exporting.path = b.folder.file("split");
    EXPECT_NE(expectError(ErrorCode::formatDoesNotFit, [&] { b.run(r); }).message().find("outlier"), std::string::npos);
}

} // namespace
} // namespace bw::test
