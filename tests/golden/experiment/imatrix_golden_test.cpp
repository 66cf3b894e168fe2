// SPDX-License-Identifier: GPL-3.0-or-later
// The importance matrix of the demo checkpoint against what llama.cpp multiplies with on the same tokens
// (tests/golden/checkpoint/make_imatrix.py).
#include "core/calibrate/dataset.h"
#include "core/compute/cpu_device.h"
#include "core/experiment/importance.h"

#include <cmath>
#include <gtest/gtest.h>

namespace bw::test {
namespace {

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
        const ImportanceEntry& ours = made.entries.at(name);
        EXPECT_EQ(ours.counts, entry.counts);
        ASSERT_EQ(ours.sums.size(), entry.sums.size());
        double mean = 0;
        for (const double sum : entry.sums) mean += sum / static_cast<double>(entry.sums.size());
        for (std::size_t c = 0; c < entry.sums.size(); ++c) {
            const double error = std::abs(ours.sums[c] - entry.sums[c]) / (entry.sums[c] + 1e-3 * mean);
            worst = std::max(worst, error);
        }
    }
    // Sums of 1536 squares of values that went through up to six blocks in f32, added up in another order.
    EXPECT_LT(worst, 1e-4);
    RecordProperty("worst_relative_error", std::to_string(worst));
}

} // namespace
} // namespace bw::test
