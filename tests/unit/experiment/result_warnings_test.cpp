// SPDX-License-Identifier: GPL-3.0-or-later
// Planted faults of real runs on the demo: each raises its own warning and no other.
#include "tests/unit/experiment/log_support.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

namespace bw {
namespace {

namespace fs = std::filesystem;
using test::Bench;
using test::expectError;
using test::tamper;
using test::textPath;

std::string contents(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

struct Planted : Bench {
    std::string copy = folder.file("copy");
    Planted() { fs::copy(test::demoPath(), copy); }
    Recipe evaluation() const {
        Recipe recipe;
        recipe.kind = "evaluate";
        recipe.checkpoint = copy;
        recipe.base = test::demoPath();
        recipe.evaluation = {{textPath("eval_prose.txt")}, "windows:64", 256};
        return recipe;
    }
    Recipe quantization(const std::string& calibration) const {
        Recipe recipe;
        recipe.checkpoint = test::demoPath();
        recipe.assignment.format = "q8_0";
        recipe.rounder = "weighted";
        recipe.calibration = {{calibration}, 4, 64};
        recipe.evaluation = {{textPath("eval_prose.txt")}, "windows:64", 256};
        return recipe;
    }
    /// Of the newest run.
    std::string kinds() const {
        std::string out;
        for (const DataWarning& warning : reader.warnings(reader.runs(1).front().id)) {
            out += (out.empty() ? "" : " ") + warning.kind;
            EXPECT_FALSE(warning.seen.empty() || warning.why.empty() || warning.remedy.empty()) << warning.kind;
        }
        return out;
    }
    DataWarning only() const {
        const std::vector<DataWarning> all = reader.warnings(reader.runs(1).front().id);
        EXPECT_EQ(all.size(), 1u);
        return all.empty() ? DataWarning{} : all.front();
    }
};

TEST(ResultWarnings, NothingToSayOfTheSameModel) {
    Planted planted;
    planted.run(planted.evaluation());
    EXPECT_EQ(planted.kinds(), "");
}

TEST(ResultWarnings, ASwappedTokenizer) {
    Planted planted;
    Json tokenizer = parseJson(contents(planted.copy + "/tokenizer.json"), "tokenizer");
    Json& words = tokenizer["model"]["vocab"];
    std::swap(words["e"], words["a"]);
    std::ofstream(planted.copy + "/tokenizer.json") << tokenizer.dump();
    const Error e = expectError(ErrorCode::vocabularyMismatch, [&] { planted.run(planted.evaluation()); });
    EXPECT_NE(e.message().find("different tokens"), std::string::npos);
    EXPECT_EQ(planted.kinds(), "tokenizer");
    // Without a baseline there is nothing to hold it against, but tasks and perplexity are measured.
    Recipe alone = planted.evaluation();
    alone.base.clear();
    planted.run(alone);
    EXPECT_EQ(planted.kinds(), "");
}

TEST(ResultWarnings, ACalibrationSetThatHoldsTheEvaluationText) {
    Planted planted;
    // Few and short samples have warnings of their own, on a clean set too.
    planted.run(planted.quantization(textPath("calib_prose.txt")));
    const std::string clean = planted.kinds();
    EXPECT_EQ(clean, "few-samples short-samples");
    const std::string mixed = planted.folder.file("mixed.txt");
    std::ofstream(mixed, std::ios::binary) << contents(textPath("eval_prose.txt")).substr(0, 3000) << contents(textPath("calib_prose.txt")).substr(0, 3000);
    planted.run(planted.quantization(mixed));
    EXPECT_EQ(planted.kinds(), clean + " overlap");
    const std::vector<DataWarning> warnings = planted.reader.warnings(planted.reader.runs(1).front().id);
    ASSERT_FALSE(warnings.back().details.empty());
    EXPECT_NE(warnings.back().details.front().find("tokens in window"), std::string::npos);
}

TEST(ResultWarnings, ANanInOneTensor) {
    Planted planted;
    const std::string path = planted.copy + "/model.safetensors";
    std::string bytes = contents(path);
    std::uint64_t header = 0;
    std::copy_n(bytes.data(), 8, reinterpret_cast<char*>(&header));
    const Json tensors = parseJson(bytes.substr(8, header), "header");
    const std::size_t at = 8 + header + tensors.at("model.layers.1.mlp.down_proj.weight").at("data_offsets").at(0).get<std::size_t>();
    bytes[at] = static_cast<char>(0xc0); // bf16 0x7fc0
    bytes[at + 1] = 0x7f;
    std::ofstream(path, std::ios::binary) << bytes;
    expectError(ErrorCode::nonFinite, [&] { planted.run(planted.evaluation()); });
    EXPECT_NE(planted.only().seen.find("blk.1.ffn_down"), std::string::npos) << planted.only().seen;
    EXPECT_EQ(planted.kinds(), "non-finite");
    Recipe zero = planted.evaluation();
    zero.nonFinite = "zero";
    planted.run(zero);
    EXPECT_EQ(planted.kinds(), "non-finite");
}

TEST(ResultWarnings, AChangedStack) {
    Planted planted;
    const RunId run = planted.run(planted.evaluation()).run;
    planted.runner.rerun(run, planted.job, "test");
    EXPECT_EQ(planted.kinds(), "") << "the same stack";
    tamper(planted.log.path(), "UPDATE stacks SET program = 'Bitwright 0.0.1'");
    planted.runner.rerun(run, planted.job, "test");
    EXPECT_EQ(planted.kinds(), "stack");
    EXPECT_NE(planted.only().details.at(0).find("0.0.1"), std::string::npos);
    EXPECT_NE(planted.only().seen.find("come out again"), std::string::npos);
}

TEST(ResultWarnings, ABlockThatIsFarOff) {
    Planted planted;
    Recipe recipe = planted.quantization(textPath("calib_prose.txt"));
    recipe.rounder = "nearest";
    recipe.calibration.files.clear();
    recipe.assignment.rules = {{"blk.2.*", "int2:channel"}};
    planted.run(recipe);
    EXPECT_EQ(planted.kinds(), "block-error");
    EXPECT_NE(planted.only().seen.find("block 2"), std::string::npos) << planted.only().seen;
}

/// Two windows of 16 tokens, hardly any damping, swept over and over: fitted to the calibration text.
TEST(ResultWarnings, InversionOfARecipeThatOverfits) {
    Planted planted;
    Recipe recipe = planted.quantization(textPath("calib_code.txt"));
    recipe.rounder = "gptq";
    recipe.assignment.format = "int4:g64";
    recipe.calibration.samples = 2;
    recipe.calibration.length = 16;
    recipe.gptq.damping = 1e-6;
    recipe.gptq.sweeps = 64;
    const Json result = planted.run(recipe).result;
    EXPECT_LT(result.at("gptq").at("error_ratio").get<double>(), 0.8) << "better on what it was fitted to";
    EXPECT_NE(planted.kinds().find("inversion"), std::string::npos) << planted.kinds() << result.at("evaluation").at("kl_mean") << result.at("gptq").at("error_ratio");
    EXPECT_NE(result.at("warnings").dump().find("plain nearest rounding"), std::string::npos);
    // With enough text and the usual damping there is none.
    recipe.calibration = {{textPath("calib_prose.txt")}, 32, 64};
    recipe.gptq = {};
    planted.run(recipe);
    EXPECT_EQ(planted.kinds().find("inversion"), std::string::npos) << planted.kinds();
}

} // namespace
} // namespace bw
