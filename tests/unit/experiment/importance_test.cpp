// SPDX-License-Identifier: GPL-3.0-or-later
// From importance matrices to sites, with what is missing (N05).
#include "core/compute/cpu_device.h"
#include "core/experiment/importance.h"
#include "core/quantize/quantized_model.h"
#include "tests/support/expect_error.h"
#include "tests/support/random_llama.h"
#include "tests/support/temp_folder.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bw::test {
namespace {
using testing::Contains;
using testing::HasSubstr;

std::shared_ptr<const Model> smallModel(const TempFolder& folder) {
    RandomLlama llama;
    llama.width = 32;
    llama.heads = 4;
    llama.headDim = 8;
    llama.feedForward = 64;
    llama.write(folder.path());
    return Model::open(Checkpoint::open(folder.path().string()), makeCpuDevice());
}

/// Importance of every site inside the blocks, rising along the columns.
ImportanceMatrix fullMatrix(const Model& model) {
    ImportanceMatrix matrix;
    for (const Site& site : model.sites()) {
        if (site.block.value() < 0) continue;
        ImportanceEntry& entry = matrix.entries[importanceKey(site).tensor];
        entry.cols = site.cols;
        entry.counts = {4};
        for (std::int64_t c = 0; c < site.cols; ++c) entry.sums.push_back(static_cast<double>(4 * (c + 1)));
    }
    return matrix;
}

TEST(SiteImportance, keysOfPlainLinearsAndExperts) {
    Site site;
    site.name = "blk.3.attn_q";
    EXPECT_EQ(importanceKey(site).tensor, "blk.3.attn_q.weight");
    site.name = "blk.3.ffn_up.e12";
    site.expert = 12;
    EXPECT_EQ(importanceKey(site).tensor, "blk.3.ffn_up_exps.weight");
    EXPECT_EQ(importanceKey(site).matrix, 12);
}

TEST(SiteImportance, everySiteInsideTheBlocksIsCovered) {
    const TempFolder folder;
    const auto model = smallModel(folder);
    const SiteImportance found = siteImportance(*model, fullMatrix(*model));
    EXPECT_EQ(found.covered, 14);
    EXPECT_EQ(found.missing, 0);
    EXPECT_TRUE(found.warnings.empty()) << "the embedding is usually not in a matrix and no reason to worry";
    EXPECT_EQ(found.values.at(model->findSite("blk.1.ffn_down")->id.value()).at(63), 64.0f);
}

TEST(SiteImportance, N05_missingAndAllZeroFallBackAndAreReported) {
    const TempFolder folder;
    const auto model = smallModel(folder);
    ImportanceMatrix matrix = fullMatrix(*model);
    matrix.entries.erase("blk.0.attn_k.weight");
    matrix.entries.at("blk.1.ffn_up.weight").sums.assign(32, 0.0);
    matrix.entries.at("blk.1.ffn_gate.weight").counts = {0};
    const SiteImportance found = siteImportance(*model, matrix);
    EXPECT_EQ(found.missing, 3);
    EXPECT_THAT(found.warnings, Contains(HasSubstr("blk.0.attn_k")));
    EXPECT_THAT(found.warnings, Contains(HasSubstr("blk.1.ffn_gate, blk.1.ffn_up")));
    EXPECT_THAT(found.warnings, Contains(HasSubstr("% of the weights")));
    // Rounding without it is the plain rounding, and no scale becomes NaN.
    const Site& site = *model->findSite("blk.1.ffn_up");
    const Matrix weight = model->siteWeight(site);
    const auto lookUp = [&](const Site& asked) { const auto at = found.values.find(asked.id.value()); return at == found.values.end() ? std::span<const float>() : std::span<const float>(at->second); };
    for (const char* format : {"q4_0", "q5_1", "int4:g32"}) {
        const QuantizedTensor weighted = quantizeSite(site, weight.view(), parseFormat(format), lookUp(site), {true, true});
        const QuantizedTensor plain = quantizeSite(site, weight.view(), parseFormat(format), {}, {false, true});
        EXPECT_EQ(weighted.bytes, plain.bytes) << format;
        EXPECT_TRUE(std::isfinite(weighted.relativeError)) << format;
    }
}

/// Zeros in single columns only: legal, and still no NaN.
TEST(SiteImportance, N05_zeroColumnsGiveFiniteScales) {
    const TempFolder folder;
    const auto model = smallModel(folder);
    const Site& site = *model->findSite("blk.0.ffn_down");
    const Matrix weight = model->siteWeight(site);
    std::vector<float> importance(64, 1.0f);
    std::fill(importance.begin(), importance.begin() + 32, 0.0f); // a whole block of 32
    Matrix back(weight.rows(), weight.cols());
    for (const char* name : {"q4_0", "q4_1", "q5_0", "q5_1", "iq4_nl", "int4:g32"}) {
        const FormatPtr format = parseFormat(name);
        const QuantizedTensor made = quantizeSite(site, weight.view(), format, importance, {true, true});
        format->decode(made.bytes, back.view());
        for (std::int64_t i = 0; i < back.size(); ++i) ASSERT_TRUE(std::isfinite(back.data()[i])) << name;
    }
}

TEST(SiteImportance, ofAnotherModelIsRefused) {
    const TempFolder folder;
    const auto model = smallModel(folder);
    ImportanceMatrix narrow = fullMatrix(*model);
    narrow.entries.at("blk.0.attn_q.weight") = {31, std::vector<double>(31, 1.0), {1}};
    EXPECT_THAT(expectError(ErrorCode::shapeMismatch, [&] { siteImportance(*model, narrow); }).message(), HasSubstr("blk.0.attn_q.weight"));
    ImportanceMatrix other;
    other.entries["blk.0.mixer.weight"] = {2, {1, 1}, {1}};
    expectError(ErrorCode::tensorMissing, [&] { siteImportance(*model, other); });
}

} // namespace
} // namespace bw::test
