// SPDX-License-Identifier: GPL-3.0-or-later
// Every architecture family against transformers' own logits: from both spellings of config.json, through a KV cache,
// and after a way through GGUF. Origin of the numbers: make_families.py.
#include "tests/golden/families/family_model.h"

#include "core/base/error.h"
#include "core/quantize/export.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <map>

namespace bw::test {
namespace {

/// f32 against f32 in another order of summation. What is left out or mixed up moves these logits by 1e-3 (the two kinds
/// of GELU) to 10.
constexpr double kTolerance = 2e-4;

/// Models that GGUF's readers would take for others, and a word of the reason.
const std::map<std::string, std::string> kNotInGguf{
    {"gemma2_scale", "attention scores are scaled by"},
    {"qwen2_moe_sparse", "divided by their sum"},
};

class Families : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(All, Families, testing::ValuesIn(familyNames()), [](const auto& name) { return name.param; });

/// One row of the manual's table "What opens".
TEST_P(Families, logitsAreThoseOfTransformers) {
    const Reference reference = readReference(GetParam());
    const FamilyFolder five(GetParam()), four(GetParam(), "config.v4.json");
    const auto model = openModel(five.model());
    EXPECT_THAT(model->checkpoint().warnings(), testing::IsEmpty());
    const double window = largestDifference(windowLogits(*model, reference.ids), reference.logits);
    const double cached = largestDifference(stepwiseLogits(*model, reference.ids), reference.logits);
    EXPECT_LE(window, kTolerance);
    EXPECT_LE(cached, kTolerance);
    const auto old = openModel(four.model());
    EXPECT_LE(largestDifference(windowLogits(*old, reference.ids), reference.logits), kTolerance) << "config.json as transformers 4 writes it";

    double gguf = -1, ggufCached = -1;
    if (const auto refused = kNotInGguf.find(GetParam()); refused != kNotInGguf.end()) {
        try {
            exportUnquantized(*model, five.file("out.gguf"));
            ADD_FAILURE() << "GGUF cannot say what this model is";
        } catch (const Error& e) {
            EXPECT_EQ(e.code(), ErrorCode::unsupportedModel);
            EXPECT_THAT(e.message(), testing::HasSubstr(refused->second));
        }
    } else {
        exportUnquantized(*model, five.file("out.gguf"));
        const auto reopened = openModel(five.file("out.gguf"));
        EXPECT_THAT(reopened->checkpoint().warnings(), testing::IsEmpty());
        gguf = largestDifference(windowLogits(*reopened, reference.ids), reference.logits);
        ggufCached = largestDifference(stepwiseLogits(*reopened, reference.ids), reference.logits);
        EXPECT_LE(gguf, kTolerance);
        EXPECT_LE(ggufCached, kTolerance);
        // And once more: a GGUF source keeps its metadata and its bytes.
        exportUnquantized(*reopened, five.file("again.gguf"));
        EXPECT_EQ(largestDifference(windowLogits(*openModel(five.file("again.gguf")), reference.ids), windowLogits(*reopened, reference.ids)), 0.0);
    }
    std::printf("| %-18s | %.1e | %.1e | %.1e | %.1e |\n", GetParam().c_str(), window, cached, gguf, ggufCached);
}

/// A safetensors copy has the names, shapes and bytes of the original: fused, turned and single experts as they were.
TEST_P(Families, safetensorsCopyKeepsTheForm) {
    const FamilyFolder folder(GetParam());
    const auto model = openModel(folder.model());
    exportUnquantized(*model, folder.file("copy"));
    const auto names = [](const std::string& path) {
        std::map<std::string, std::pair<std::vector<std::int64_t>, std::vector<std::byte>>> all;
        const auto checkpoint = Checkpoint::open(path);
        for (const TensorInfo& tensor : checkpoint->tensors()) {
            for (const TensorInfo& piece : tensor.pieces ? *tensor.pieces : std::vector{tensor.whole ? *tensor.whole : tensor}) {
                const auto raw = checkpoint->raw(piece);
                all[piece.name] = {piece.fileShape(), {raw.begin(), raw.end()}};
            }
        }
        return all;
    };
    EXPECT_EQ(names(folder.model()), names(folder.file("copy")));
}

} // namespace
} // namespace bw::test
