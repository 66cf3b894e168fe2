// SPDX-License-Identifier: GPL-3.0-or-later
// Methods as logged runs on the demo checkpoint: it beats plain rounding where it should, it repeats to the
// last bit, and several of them are ranked.
#include "core/experiment/methods.h"
#include "core/experiment/runner.h"
#include "core/quantize/tensor_cache.h"
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
    r.calibration = {{textPath("calib_prose.txt")}, 16, 64};
    r.evaluation = {{textPath("eval_prose.txt")}, "windows:64", 512};
    r.assignment.format = "int3:g64:asym";
    r.assignment.head = "keep";
    return r;
}

TEST(Methods, GptqBeatsNearestAndTellsOfEverySite) {
    Bench b;
    Recipe r = small();
    const double nearest = klOf(b.run(r));
    r.rounder = "gptq";
    const RunOutcome gptq = b.run(r);
    EXPECT_LT(klOf(gptq), 0.75 * nearest); // a half on more text; 1024 tokens calibrate less well
    const Json& rows = gptq.result.at("gptq").at("by_site");
    EXPECT_EQ(rows.size(), 42u); // all but the head, which is kept
    for (const Json& row : rows) {
        EXPECT_LE(row.at("error").get<double>(), row.at("error_nearest").get<double>()) << row.dump();
        EXPECT_EQ(row.at("tokens"), 1024) << row.dump();
    }
    EXPECT_LT(gptq.result.at("gptq").at("error_ratio").get<double>(), 0.9);
    const std::vector<SiteRoundingRow> logged = b.reader.siteRounding(gptq.run);
    ASSERT_EQ(logged.size(), 42u);
    for (const SiteRoundingRow& row : logged) EXPECT_TRUE(row.rounder == (row.fallback.empty() ? "gptq" : "nearest") && row.damping > 0 && row.tokens == 1024) << row.site;
    const RunOutcome again = b.runner.rerun(gptq.run, b.job, "test");
    EXPECT_TRUE(again.result.at("agrees").get<bool>()) << again.result.dump(1);
}

TEST(Methods, GptqKeepsTheScalesAndBytesOfBlocksAndWritesThem) {
    Bench b;
    Recipe r = small();
    r.assignment.format = "q4_k";
    r.rounder = "weighted";
    const RunOutcome weighted = b.run(r);
    r.rounder = "gptq";
    r.exporting.path = b.folder.file("gptq.gguf");
    const RunOutcome gptq = b.run(r);
    EXPECT_LT(klOf(gptq), 0.85 * klOf(weighted));
    EXPECT_EQ(gptq.result.at("bits_per_weight"), weighted.result.at("bits_per_weight"));
    EXPECT_TRUE(gptq.result.at("audit").at("ok").get<bool>());
    const RunOutcome again = b.runner.rerun(gptq.run, b.job, "test");
    EXPECT_TRUE(again.result.at("artifacts").at(0).at("equal").get<bool>());
}

TEST(Methods, ASiteMayNameGptqItself) {
    Bench b;
    Recipe r = small();
    r.assignment.rules = {{"blk.*.ffn_down", "int3:g64:asym@gptq"}};
    const RunOutcome some = b.run(r);
    EXPECT_EQ(some.result.at("gptq").at("sites"), 6);
}

TEST(Methods, ASecondSearchTakesItsGramMatricesFromTheStore) {
    Bench b;
    setTensorCache({b.folder.file("cache"), {}, 0});
    Recipe r = small();
    r.transform = "awq+clip";
    const RunOutcome first = b.run(r), second = b.run(r);
    EXPECT_EQ(first.result.at("gram_matrices"), (Json{{"taken", 0}, {"kept", 2}, {"damaged", 0}})); // before and after the scales
    EXPECT_EQ(second.result.at("gram_matrices"), (Json{{"taken", 2}, {"kept", 0}, {"damaged", 0}}));
    EXPECT_EQ(klOf(second), klOf(first));
    for (const auto& file : std::filesystem::recursive_directory_iterator(b.folder.file("cache/grams")))
        if (file.is_regular_file()) {
            std::fstream bytes(file.path(), std::ios::in | std::ios::out | std::ios::binary);
            bytes.seekp(5000);
            bytes.put('x').put('y').put('z');
        }
    const RunOutcome third = b.run(r);
    EXPECT_EQ(third.result.at("gram_matrices"), (Json{{"taken", 0}, {"kept", 2}, {"damaged", 2}}));
    EXPECT_EQ(klOf(third), klOf(first));
    std::filesystem::remove_all(b.folder.file("cache/grams"));
    Recipe calibration = r;
    calibration.kind = "calibrate";
    calibration.transform = "none";
    calibration.calibrationSet.grams = true;
    EXPECT_EQ(b.run(calibration).result.at("gram_matrices").at("kept"), 1);
    EXPECT_EQ(b.run(calibration).result.at("gram_matrices").at("kept"), 0);
    r.transform = "awq";
    EXPECT_EQ(b.run(r).result.at("gram_matrices"), (Json{{"taken", 1}, {"kept", 0}, {"damaged", 0}}));
    setTensorCache({});
}

TEST(Methods, AreRankedAndTakenFromTheLog) {
    Bench b;
    Recipe from = small();
    MethodsOptions options;
    for (const char* text : {"nearest", "gptq", "none/nearest/int8:channel:sym"})
        options.trials.push_back(parseMethod(text, from, true));
    const Json first = tryMethods(b.log, kCpuOnly, options, b.job, "test");
    const Json& rows = first.at("methods");
    ASSERT_EQ(rows.size(), 3u);
    EXPECT_EQ(rows[0].at("name"), "none/nearest/int8:channel:sym");
    EXPECT_EQ(rows[1].at("name"), "gptq");
    EXPECT_TRUE(rows[1].at("beats_nearest").get<bool>());
    EXPECT_TRUE(rows[1].at("front").get<bool>());
    EXPECT_FALSE(rows[2].at("front").get<bool>()); // the same bytes as GPTQ's, and worse
    const Json second = tryMethods(b.log, kCpuOnly, options, b.job, "test");
    for (std::size_t i = 0; i < rows.size(); ++i) {
        EXPECT_TRUE(second.at("methods")[i].at("taken").get<bool>());
        EXPECT_EQ(second.at("methods")[i].at("kl"), rows[i].at("kl"));
    }
}

TEST(Methods, WhatOneCanNotDoDoesNotStopTheOthers) {
    Bench b;
    MethodsOptions options;
    options.trials.push_back(parseMethod("nearest", small(), true));
    Recipe impossible = small();
    impossible.calibration.files.clear(); // GPTQ without a text
    options.trials.push_back(parseMethod("gptq", impossible, true));
    const Json result = tryMethods(b.log, kCpuOnly, options, b.job, "test");
    EXPECT_EQ(result.at("methods").size(), 1u);
    ASSERT_EQ(result.at("failed").size(), 1u);
    EXPECT_EQ(result.at("failed")[0].at("name"), "gptq");
}

TEST(Methods, NamesAndPartsAreReadStrictly) {
    const Recipe from = small();
    const Recipe parts = parseMethod("none/weighted/int8:channel:sym", from, false).recipe;
    EXPECT_EQ(parts.rounder, "weighted");
    EXPECT_EQ(parts.assignment.format, "int8:channel:sym");
    EXPECT_EQ(parseMethod("gptq/q4_k", from, false).recipe.assignment.format, "q4_k");
    EXPECT_EQ(parseMethod("gptq", from, true).recipe.assignment.format, "int3:g64:asym");
    EXPECT_EQ(parseMethod("none/reference/q4_0", from, false).recipe.search, "reference");
    for (const char* bad : {"gptqq", "gptq/q44", "a/b", "none/nearest/q4_0/a8:token/more", "", "none/nearest/"})
        expectError(ErrorCode::usage, [&] { parseMethod(bad, from, false); });
    for (const NamedMethod& method : namedMethods())
        EXPECT_NO_THROW(parseMethod(method.name, from, false)) << method.name;
}

} // namespace
} // namespace bw::test
