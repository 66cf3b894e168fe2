// SPDX-License-Identifier: GPL-3.0-or-later
// Activation and cache schemes and the outlier split as parts of logged runs: what they say, log and repeat.
#include "core/evaluate/baseline_store.h"
#include "core/experiment/runner.h"
#include "core/quantize/tensor_cache.h"
#include "tests/support/expect_error.h"
#include "tests/unit/experiment/log_support.h"

#include <filesystem>
#include <fstream>
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

TEST(RuntimeProfiles, AddWhatTheRuntimeRoundsAndTellBothFigures) {
    Bench b;
    Recipe r = small();
    r.assignment.format = "q8_0";
    r.assignment.head = "q8_0";
    const RunOutcome ideal = b.run(r);
    r.evaluation.runtime = "llama.cpp-cpu";
    const RunOutcome rounded = b.run(r);
    const Json& e = rounded.result.at("evaluation");
    EXPECT_EQ(e.at("runtime"), "llama.cpp-cpu");
    EXPECT_EQ(e.at("ideal").at("kl_mean").get<double>(), klOf(ideal));
    EXPECT_EQ(e.at("ideal").at("perplexity"), ideal.result.at("evaluation").at("perplexity"));
    EXPECT_GT(klOf(rounded), 1.5 * klOf(ideal)); // 8 bits of every input cost more than 8 bits of the weights
    EXPECT_FALSE(ideal.result.at("evaluation").contains("runtime"));
    EXPECT_TRUE(b.runner.rerun(rounded.run, b.job, "test").result.at("agrees").get<bool>());
    const Json compared = Runner::compare(b.reader, ideal.run, rounded.run);
    EXPECT_FALSE(compared.at("fair").get<bool>());
    EXPECT_EQ(compared.at("unfair_because").at(0), "runtime: ideal against llama.cpp-cpu");

    // The file says the same as the simulation: its tensors' types choose, and the weights are the same.
    r.exporting.path = b.folder.file("small.gguf");
    const double simulated = klOf(b.run(r));
    Recipe file;
    file.kind = "evaluate";
    file.checkpoint = r.exporting.path;
    file.base = r.checkpoint;
    file.evaluation = r.evaluation;
    EXPECT_NEAR(b.run(file).result.at("kl_mean").get<double>(), simulated, 1e-6 * simulated);
    // Without a baseline the file is held against itself in exact arithmetic.
    file.base.clear();
    const Json own = b.run(file).result;
    EXPECT_GT(own.at("kl_mean").get<double>(), 0);
    EXPECT_EQ(own.at("base_perplexity"), own.at("ideal").at("perplexity"));
    EXPECT_TRUE(own.at("ideal").at("kl_mean").is_null());

    r.exporting = {};
    r.evaluation.runtime = "w8a8";
    const double token = klOf(b.run(r));
    r.evaluation.runtime = "ideal";
    r.activations = "a8:token";
    EXPECT_EQ(token, klOf(b.run(r)));
    r.evaluation.runtime = "w8a8";
    EXPECT_NE(expectError(ErrorCode::invalidRecipe, [&] { Recipe::fromJson(r.toJson()); }).message().find("evaluation.runtime"), std::string::npos);
    r.activations = "none";
    r.evaluation.runtime = "llama.cpp-cpu";
    r.assignment.format = "int8:channel";
    EXPECT_NE(expectError(ErrorCode::usage, [&] { b.run(r); }).message().find("blk.0.attn_q"), std::string::npos);
}

TEST(Baselines, AreWalkedOnceForAText) {
    Bench b;
    setTensorCache({b.folder.file("cache/tensors"), 1ull << 30, 0});
    Recipe r = small();
    r.kind = "evaluate";
    r.checkpoint = std::string(BW_RESOURCES) + "/demo";
    r.base = r.checkpoint;
    r.activations = "a8:token";
    const Json first = b.run(r).result;
    BaselineStore store({b.folder.file("cache/baselines"), 1ull << 30, 0});
    EXPECT_EQ(store.size().entries, 1);
    EXPECT_LT(store.size().bytes, 512u * 256 * 4 + 4096); // states, not logits
    const Json second = b.run(r).result;
    for (const char* figure : {"kl_mean", "kl_max", "perplexity", "base_perplexity", "same_top1"}) EXPECT_EQ(first.at(figure), second.at(figure)) << figure;
    EXPECT_EQ(store.size().entries, 1);
    // What the store holds is used, and what is damaged there is found out: states of another key's shape are a miss.
    for (const auto& entry : std::filesystem::recursive_directory_iterator(b.folder.file("cache/baselines")))
        if (entry.is_regular_file())
            std::filesystem::resize_file(entry.path(), 100);
    EXPECT_EQ(b.run(r).result.at("kl_mean"), first.at("kl_mean"));
    EXPECT_GT(store.size().bytes, 100u);
    setTensorCache({});
}

TEST(Baselines, ThatAreGoneOrHaveChangedAreTold) {
    Bench b;
    std::filesystem::copy(demoPath(), b.folder.file("base"));
    Recipe r = small();
    r.kind = "evaluate";
    r.base = b.folder.file("base");
    r.evaluation.tokens = 256;
    const RunId run = b.run(r).run;
    EXPECT_EQ(b.reader.result(run).at("base_sha256"), b.reader.checkpointSha256(run));
    EXPECT_TRUE(b.runner.rerun(run, b.job, "test").result.at("agrees").get<bool>());
    {
        std::fstream weights(b.folder.path() / "base" / "model.safetensors", std::ios::in | std::ios::out | std::ios::binary);
        weights.seekp(-2, std::ios::end);
        weights.put('');
    }
    const Error changed = expectError(ErrorCode::fileChanged, [&] { b.runner.rerun(run, b.job, "test"); });
    EXPECT_NE(changed.message().find("base', which run " + std::to_string(run.value())), std::string::npos) << changed.message();
    std::filesystem::remove_all(b.folder.path() / "base");
    const Error gone = expectError(ErrorCode::fileNotFound, [&] { b.runner.rerun(run, b.job, "test"); });
    EXPECT_NE(gone.message().find("not there any more"), std::string::npos) << gone.message();
    Recipe question = Recipe::fromJson(b.reader.run(run).recipe);
    question.kind = "diagnose";
    question.diagnosis.run = run.value();
    const std::size_t runs = b.reader.runs(100).size();
    expectError(ErrorCode::fileNotFound, [&] { b.run(question); });
    EXPECT_EQ(b.reader.runs(100).size(), runs); // a question that can't be asked is no failed run
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
    const double beside = split.result.at("evaluation").at("kl_mean").get<double>();
    r.transform = "clip+outliers:weights=0.01"; // the range of what is left, judged at the output
    EXPECT_LT(b.run(r).result.at("evaluation").at("kl_mean").get<double>(), beside);
    r.transform = "outliers:weights=0.01";
    r.rounder = "gptq";
    const RunOutcome both = b.run(r);
    EXPECT_LT(both.result.at("evaluation").at("kl_mean").get<double>(), 0.95 * beside);
    EXPECT_EQ(both.result.at("bytes"), split.result.at("bytes"));
    r.exporting.path = b.folder.file("split");
    EXPECT_NE(expectError(ErrorCode::formatDoesNotFit, [&] { b.run(r); }).message().find("outlier"), std::string::npos);
}

} // namespace
} // namespace bw::test
