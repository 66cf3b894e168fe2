// SPDX-License-Identifier: GPL-3.0-or-later
// Importance matrices against what llama.cpp multiplies with on the same tokens: of the demo checkpoint
// (tests/golden/checkpoint/make_imatrix.py), and of mixtures of experts, expert by expert (make_expert_imatrix.py).
#include "core/calibrate/dataset.h"
#include "core/compute/cpu_device.h"
#include "core/experiment/importance.h"
#include "tests/golden/families/family_model.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>

namespace bw::test {
namespace {

/// Of sums; those near zero are held against a thousandth of their matrix' mean. Experts that saw nothing must be zero.
double largestRelativeDifference(const ImportanceEntry& ours, const ImportanceEntry& expected) {
    EXPECT_EQ(ours.counts, expected.counts);
    if (ours.sums.size() != expected.sums.size()) return INFINITY;
    double worst = 0;
    const auto cols = static_cast<std::size_t>(expected.cols);
    for (std::size_t begin = 0; begin < expected.sums.size(); begin += cols) { // one matrix, or one expert
        double mean = 0;
        for (std::size_t c = begin; c < begin + cols; ++c) mean += expected.sums[c] / static_cast<double>(cols);
        for (std::size_t c = begin; c < begin + cols; ++c)
            worst = std::max(worst, mean == 0 ? std::abs(ours.sums[c]) : std::abs(ours.sums[c] - expected.sums[c]) / (expected.sums[c] + 1e-3 * mean));
    }
    return worst;
}

TEST(ImatrixGolden, demoEqualsLlamaCppWithinFloatError) {
    const ImportanceMatrix expected = ImportanceMatrix::read(BW_TEST_DATA "/checkpoint/demo.imatrix.gguf");
    const auto checkpoint = Checkpoint::open(BW_RESOURCES "/demo");
    const auto model = Model::open(checkpoint, makeCpuDevice());
    const auto tokenizer = Tokenizer::open(*checkpoint);
    JobContext job;
    const std::int64_t tokens = expected.chunks * expected.chunkSize;
    const TextData text = loadText(BW_RESOURCES "/texts/calib_prose.txt", *tokenizer, tokens, job);
    const Windows windows = cutWindows(text, parseProtocol("llama.cpp:" + std::to_string(expected.chunkSize)), *tokenizer, tokens);
    ASSERT_EQ(windows.count, expected.chunks);
    const ImportanceMatrix made = importanceMatrix(*model, calibrate(*model, windows, {}, job), windows.count, windows.length, {text.name}, false);
    ASSERT_EQ(made.entries.size(), expected.entries.size());
    double worst = 0;
    for (const auto& [name, entry] : expected.entries) {
        SCOPED_TRACE(name);
        ASSERT_TRUE(made.entries.contains(name));
        worst = std::max(worst, largestRelativeDifference(made.entries.at(name), entry));
    }
    // Sums of 1536 squares of values that went through up to six blocks in f32, added up in another order.
    EXPECT_LT(worst, 1e-4);
    RecordProperty("worst_relative_error", std::to_string(worst));
}

class ExpertImatrixGolden : public testing::TestWithParam<const char*> {};

TEST_P(ExpertImatrixGolden, everyExpertEqualsLlamaCppWithinFloatError) {
    const ImportanceMatrix expected = ImportanceMatrix::read(std::string(BW_TEST_DATA "/checkpoint/experts/") + GetParam() + ".imatrix.gguf");
    const FamilyFolder folder(GetParam());
    const auto model = openModel(folder.model());
    const std::vector<TokenId> ids = readReference(GetParam()).ids;
    const Windows windows{1, static_cast<std::int64_t>(ids.size()), ids};
    JobContext job;
    const ImportanceMatrix made = importanceMatrix(*model, calibrate(*model, windows, {}, job), 1, windows.length, {"reference ids"}, false);
    ASSERT_EQ(made.entries.size(), expected.entries.size());
    double worst = 0;
    bool uneven = false;
    for (const auto& [name, entry] : expected.entries) {
        SCOPED_TRACE(name);
        ASSERT_TRUE(made.entries.contains(name));
        worst = std::max(worst, largestRelativeDifference(made.entries.at(name), entry));
        uneven = uneven || *std::max_element(entry.counts.begin(), entry.counts.end()) > 2 * *std::min_element(entry.counts.begin(), entry.counts.end());
    }
    EXPECT_TRUE(uneven) << "the fixture tells experts apart";
    EXPECT_LT(worst, 1e-4); // f32 activations of two programs, as above
    RecordProperty("worst_relative_error", std::to_string(worst));
}

INSTANTIATE_TEST_SUITE_P(Families, ExpertImatrixGolden, testing::Values("mixtral", "qwen2_moe", "olmoe"), [](const auto& test) { return test.param; });

} // namespace
} // namespace bw::test
