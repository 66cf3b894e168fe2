// SPDX-License-Identifier: GPL-3.0-or-later
// The block walk: what visitors and observers see, progress, cancelling, spilling, and numbers gone bad.
#include "tests/support/expect_error.h"
#include "tests/unit/model/tiny_model.h"

#include <cstring>
#include <gtest/gtest.h>
#include <limits>

namespace bw {
namespace {

using test::expectError;
using test::RandomLlama;
using test::randomWindows;
using test::TinyModel;

struct Recorder final : WalkVisitor, ActivationObserver {
    std::vector<std::string> events;
    std::vector<std::vector<float>> boundaries;
    void beforeBlock(BlockIndex block, MatrixView<const float> states) override {
        events.push_back("before " + std::to_string(block.value()));
        boundaries.emplace_back(states.data, states.data + states.size());
    }
    void afterBlock(BlockIndex block, MatrixView<const float> states) override {
        events.push_back("after " + std::to_string(block.value()));
        boundaries.emplace_back(states.data, states.data + states.size());
    }
    ActivationObserver* observer(BlockIndex block) override { return block.value() == 1 ? this : nullptr; }
    void onInput(int group, std::int64_t window, MatrixView<const float> x) override {
        events.push_back(std::to_string(group) + " of window " + std::to_string(window) + " " + std::to_string(x.rows) +
                         "x" + std::to_string(x.cols));
    }
};

TEST(Walk, VisitorsSeeBlocksAndInputsInOrder) {
    const TinyModel tiny;
    const Windows windows = randomWindows(2, 8);
    Recorder recorder;
    JobContext job;
    const ScratchMatrix states = walkBlocks(*tiny.model, windows, nullptr, &recorder, job, "calibrate");
    EXPECT_EQ(recorder.events,
              (std::vector<std::string>{"before 0", "after 0", "before 1", "4 of window 0 8x24", "4 of window 1 8x24",
                                        "5 of window 0 8x24", "5 of window 1 8x24", "6 of window 0 8x24",
                                        "6 of window 1 8x24", "7 of window 0 8x40", "7 of window 1 8x40", "after 1"}));
    EXPECT_EQ(recorder.boundaries[1], recorder.boundaries[2]);
    EXPECT_NE(recorder.boundaries[0], recorder.boundaries[1]);
    const auto last = states.view();
    EXPECT_EQ(std::vector<float>(last.data, last.data + last.size()), recorder.boundaries[3]);
    EXPECT_EQ(job.snapshot().stage, "calibrate");
    EXPECT_EQ(job.snapshot().unit, "tokens");
    EXPECT_EQ(job.snapshot().total, 2 * 8 * 2);
    EXPECT_EQ(job.snapshot().done, 2 * 8 * 2);
}

TEST(Walk, HeadReportsItsInputAndEveryWindow) {
    const TinyModel tiny;
    const Windows windows = randomWindows(3, 8);
    Recorder recorder;
    JobContext job;
    const ScratchMatrix states = walkBlocks(*tiny.model, windows, nullptr, nullptr, job);
    std::vector<std::int64_t> seen;
    walkHead(
        *tiny.model, windows, states.view(), nullptr, job,
        [&](std::int64_t w, MatrixView<const float> logits) {
            seen.push_back(w);
            EXPECT_EQ(logits.rows, 8);
            EXPECT_EQ(logits.cols, 50);
        },
        &recorder);
    EXPECT_EQ(seen, (std::vector<std::int64_t>{0, 1, 2}));
    EXPECT_EQ(recorder.events,
              (std::vector<std::string>{"8 of window 0 8x24", "8 of window 1 8x24", "8 of window 2 8x24"}));
    EXPECT_EQ(tiny.model->inputGroups()[8].name, "output_in");
}

TEST(Walk, SpilledStatesGiveTheSameBytes) {
    const TinyModel tiny;
    const Windows windows = randomWindows(3, 8);
    JobContext job;
    const ScratchMatrix memory = walkBlocks(*tiny.model, windows, nullptr, nullptr, job);
    setScratchLimit(1, tiny.folder.path().string());
    const ScratchMatrix disk = walkBlocks(*tiny.model, windows, nullptr, nullptr, job);
    setScratchLimit(2ull << 30);
    EXPECT_FALSE(memory.spilled());
    EXPECT_TRUE(disk.spilled());
    EXPECT_EQ(std::memcmp(memory.view().data, disk.view().data,
                          static_cast<std::size_t>(memory.view().size()) * sizeof(float)),
              0);
}

/// Puts `value` into one element of a tensor.
RandomLlama spoiled(const std::string& name, std::size_t element, float value) {
    RandomLlama shape;
    shape.tied = false;
    shape.editTensor = [=](RandomLlama::Tensor& tensor) {
        if (tensor.name == name) tensor.values.at(element) = value;
        return true;
    };
    return shape;
}

TEST(Walk, BadWeightNamesItsBlock) {
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
        const TinyModel tiny(spoiled("model.layers.1.mlp.up_proj.weight", 5, bad));
        const Error error =
            expectError(ErrorCode::nonFinite, [&] { test::allLogits(*tiny.model, randomWindows(2, 8)); });
        EXPECT_NE(error.message().find("blk.1 "), std::string::npos) << error.message();
        EXPECT_NE(error.message().find("window 0"), std::string::npos) << error.message();
    }
}

TEST(Walk, BadEmbeddingAndHeadAreNamed) {
    const Windows windows = randomWindows(2, 8);
    const auto row = static_cast<std::size_t>(windows.ids[11]);
    const TinyModel embedding(
        spoiled("model.embed_tokens.weight", row * 24 + 7, std::numeric_limits<float>::quiet_NaN()));
    const Error lookUp = expectError(ErrorCode::nonFinite, [&] { test::allLogits(*embedding.model, windows); });
    EXPECT_NE(lookUp.message().find("token_embd"), std::string::npos);
    EXPECT_NE(lookUp.message().find("channel 7"), std::string::npos) << lookUp.message();
    const TinyModel head(spoiled("lm_head.weight", 13 * 24, std::numeric_limits<float>::infinity()));
    const Error output = expectError(ErrorCode::nonFinite, [&] { test::allLogits(*head.model, windows); });
    EXPECT_NE(output.message().find("head"), std::string::npos);
    EXPECT_NE(output.message().find("channel 13"), std::string::npos) << output.message();
}

TEST(Walk, StopsOnRequest) {
    struct Stopper final : WalkVisitor {
        explicit Stopper(JobContext& context) : job(context) {}
        void beforeBlock(BlockIndex block, MatrixView<const float>) override {
            ++blocks;
            if (block.value() == 1) job.requestStop();
        }
        JobContext& job;
        int blocks = 0;
    };
    RandomLlama shape;
    shape.blocks = 4;
    const TinyModel tiny(shape);
    JobContext job;
    Stopper stopper(job);
    expectError(ErrorCode::cancelled, [&] { walkBlocks(*tiny.model, randomWindows(2, 8), nullptr, &stopper, job); });
    EXPECT_EQ(stopper.blocks, 2);
}

TEST(Walk, RefusesWindowsThatMakeNoSense) {
    const TinyModel tiny;
    JobContext job;
    const Error longer =
        expectError(ErrorCode::usage, [&] { walkBlocks(*tiny.model, randomWindows(1, 65), nullptr, nullptr, job); });
    EXPECT_NE(longer.message().find("65"), std::string::npos);
    EXPECT_NE(longer.message().find("64"), std::string::npos);
    expectError(ErrorCode::usage, [&] { walkBlocks(*tiny.model, Windows{}, nullptr, nullptr, job); });
    Windows torn = randomWindows(2, 8);
    torn.ids.pop_back();
    expectError(ErrorCode::usage, [&] { walkBlocks(*tiny.model, torn, nullptr, nullptr, job); });
}

} // namespace
} // namespace bw
