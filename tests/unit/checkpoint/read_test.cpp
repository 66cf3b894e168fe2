// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/parallel.h"
#include "core/base/random.h"
#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/writer.h"
#include "tests/support/bad_files.h"
#include "tests/support/bytes.h"
#include "tests/support/expect_error.h"

#include <set>

namespace bw::test {
namespace {

TEST(Read, rowsAndWhole) {
    TempFolder folder;
    const auto checkpoint = Checkpoint::open(writeTinyLlama(folder, "m", llamaConfig()));
    const TensorInfo& tensor = checkpoint->require("blk.1.ffn_down.weight");
    EXPECT_EQ(&tensor, checkpoint->find("model.layers.1.mlp.down_proj.weight"));
    EXPECT_EQ(tensor.rows(), 32);
    EXPECT_EQ(tensor.cols(), 64);
    std::vector<float> whole(32 * 64), part(3 * 70, -1.0f);
    checkpoint->read(tensor, whole);
    checkpoint->readRows(tensor, 29, {part.data(), 3, 64, 70});
    for (int r = 0; r < 3; ++r) {
        for (int c = 0; c < 64; ++c) EXPECT_EQ(part[static_cast<std::size_t>(r * 70 + c)], whole[static_cast<std::size_t>((29 + r) * 64 + c)]);
        for (int c = 64; c < 70; ++c) EXPECT_EQ(part[static_cast<std::size_t>(r * 70 + c)], -1.0f); // beyond the row: untouched
    }
    const auto raw = checkpoint->raw(tensor);
    EXPECT_EQ(0, std::memcmp(raw.data(), whole.data(), raw.size()));
    EXPECT_EQ(checkpoint->bitsPerWeight(), 32.0);
    EXPECT_EQ(checkpoint->parameters(), 48 * 32 + 32 + 2 * (2 * 32 + 2 * 32 * 32 + 2 * 16 * 32 + 3 * 64 * 32));
}

TEST(Read, wrongRequestsAreErrors) {
    TempFolder folder;
    const auto checkpoint = Checkpoint::open(writeTinyLlama(folder, "m", llamaConfig()));
    const TensorInfo& tensor = checkpoint->require("blk.0.attn_q.weight");
    std::vector<float> buffer(64 * 64);
    expectError(ErrorCode::shapeMismatch, [&] { checkpoint->readRows(tensor, 31, {buffer.data(), 2, 32}); });
    expectError(ErrorCode::shapeMismatch, [&] { checkpoint->readRows(tensor, -1, {buffer.data(), 1, 32}); });
    expectError(ErrorCode::shapeMismatch, [&] { checkpoint->readRows(tensor, 0, {buffer.data(), 1, 31}); });
    expectError(ErrorCode::shapeMismatch, [&] { checkpoint->read(tensor, std::span(buffer).first(7)); });
    const Error missing = expectError(ErrorCode::tensorMissing, [&] { checkpoint->require("blk.9.attn_q.weight"); });
    EXPECT_NE(missing.message().find("blk.9.attn_q.weight"), std::string::npos);
}

TEST(Read, changedFileIsNoticed) {
    TempFolder folder;
    const std::string path = folder.write("a.safetensors", safetensorsBytes("{" + f32Entry("a", 0, 4096) + "}", std::string(4 * 4096, '\0')));
    const auto checkpoint = Checkpoint::open(path);
    std::vector<float> values(4096);
    checkpoint->read(checkpoint->require("a"), values);
    std::filesystem::resize_file(path, 100);
    EXPECT_NE(expectError(ErrorCode::fileChanged, [&] { checkpoint->read(checkpoint->require("a"), values); }).message().find(path), std::string::npos);
}

TEST(Read, permutationIsABijectionWithinHeads) {
    for (const std::int64_t headDim : {2, 8, 64}) {
        std::set<std::int64_t> seen;
        for (std::int64_t row = 0; row < 3 * headDim; ++row) {
            const std::int64_t source = ggufPermutedRow(row, headDim);
            EXPECT_EQ(source / headDim, row / headDim);
            seen.insert(source);
        }
        EXPECT_EQ(seen.size(), static_cast<std::size_t>(3 * headDim));
    }
    // Pairs (i, i + D/2) that rotate together become neighbours.
    EXPECT_EQ(ggufPermutedRow(0, 8), 0);
    EXPECT_EQ(ggufPermutedRow(1, 8), 4);
    EXPECT_EQ(ggufPermutedRow(2, 8), 1);
    EXPECT_EQ(ggufPermutedRow(15, 8), 15);
}

TEST(Read, checkFiniteFindsTheFirstAndCanBeCancelled) {
    TempFolder folder;
    std::string data;
    for (int i = 0; i < 300 * 50; ++i) put(data, i == 7777 ? std::numeric_limits<float>::infinity() : 1.0f);
    const auto checkpoint = Checkpoint::open(folder.write("a.safetensors", safetensorsBytes(R"({"a":{"dtype":"F32","shape":[300,50],"data_offsets":[0,60000]}})", data)));
    JobContext job;
    const FiniteReport report = checkFinite(*checkpoint, checkpoint->require("a"), job);
    EXPECT_EQ(report.nan, 0);
    EXPECT_EQ(report.infinite, 1);
    EXPECT_EQ(report.firstRow, 155);
    EXPECT_EQ(report.firstCol, 27);
    job.requestStop();
    expectError(ErrorCode::cancelled, [&] { checkFinite(*checkpoint, checkpoint->require("a"), job); });
}

} // namespace
} // namespace bw::test
