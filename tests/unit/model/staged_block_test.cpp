// SPDX-License-Identifier: GPL-3.0-or-later
// A block that is run stage by stage against the same block run at once: same states and same inputs of every site, bit for
// bit, in every family; and weights that are changed between stages.
#include "core/model/staged_block.h"

#include "core/base/random.h"
#include "tests/support/expect_error.h"
#include "tests/support/families.h"

#include <cstring>
#include <gtest/gtest.h>
#include <limits>
#include <map>

namespace bw {
namespace {

constexpr std::int64_t kWindows = 5, kLength = 12;
constexpr BlockStage kStages[] = {BlockStage::attention, BlockStage::attentionOutput, BlockStage::feedForward, BlockStage::down};

/// Inputs by group and window; those of a window may come in one piece only.
struct Inputs final : ActivationObserver {
    std::map<std::pair<int, std::int64_t>, std::vector<float>> seen;
    void onInput(int group, std::int64_t window, MatrixView<const float> x) override {
        auto& values = seen[{group, window}];
        EXPECT_TRUE(values.empty()) << "group " << group << " twice";
        for (std::int64_t r = 0; r < x.rows; ++r) values.insert(values.end(), x.row(r), x.row(r) + x.cols);
    }
};

/// Rounds what enters some groups to whole 1/8, as a runtime's scheme would.
struct Eighths final : RuntimeRounding {
    bool roundsInput(int group) const override { return group % 3 != 1; }
    void roundInput(int, MatrixView<float> x) const override {
        for (std::int64_t r = 0; r < x.rows; ++r)
            for (float& v : x.rowSpan(r)) v = static_cast<float>(static_cast<int>(v * 8)) / 8;
    }
    bool roundsCache(BlockIndex) const override { return false; }
    std::int64_t cacheRun(BlockIndex, std::int64_t, std::int64_t most) const override { return most; }
    void roundCache(BlockIndex, MatrixView<float>, MatrixView<float>, std::int64_t) const override {}
};

Matrix randomStates(const Model& model) {
    Matrix states(kWindows * kLength, model.config().width);
    Random random(11);
    for (std::int64_t i = 0; i < states.size(); ++i) states.data()[i] = static_cast<float>(random.normal());
    return states;
}

bool sameBits(const Matrix& a, const Matrix& b) { return std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.size()) * sizeof(float)) == 0; }

TEST(StagedBlock, EveryFamilyGivesWhatOnePassGives) {
    JobContext job;
    int families = 0;
    for (const std::string& family : test::familyNames()) {
        const auto model = test::openFamily(family);
        for (const bool rounded : {false, true})
            for (int b = 0; b < model->config().blocks; ++b) {
                SCOPED_TRACE(family + " block " + std::to_string(b) + (rounded ? ", rounded" : ""));
                BlockWeights weights = *model->loadBlock(BlockIndex{b});
                if (rounded) weights.rounding = std::make_shared<Eighths>();
                Matrix whole = randomStates(*model), parts = randomStates(*model);
                Inputs fromWhole, fromParts;
                model->runBlockWindows(weights, whole.view(), kLength, &fromWhole, 0);
                StagedBlock staged(*model, BlockIndex{b}, parts.view(), kLength);
                for (const BlockStage stage : kStages) staged.inputs(stage, weights, &fromParts, job);
                staged.finish(weights, job);
                EXPECT_TRUE(sameBits(whole, parts));
                EXPECT_TRUE(fromWhole.seen == fromParts.seen);
                Matrix unseen = randomStates(*model); // without anybody looking
                StagedBlock quiet(*model, BlockIndex{b}, unseen.view(), kLength);
                for (const BlockStage stage : kStages) quiet.inputs(stage, weights, nullptr, job);
                quiet.finish(weights, job);
                EXPECT_TRUE(sameBits(whole, unseen));
            }
        ++families;
    }
    EXPECT_GE(families, 20);
}

TEST(StagedBlock, StagesRunWithTheWeightsTheyAreGiven) {
    const auto model = test::openFamily("qwen2");
    JobContext job;
    const auto loaded = model->loadBlock(BlockIndex{0});
    BlockWeights weights = *loaded;
    Matrix parts = randomStates(*model), whole = randomStates(*model);
    StagedBlock staged(*model, BlockIndex{0}, parts.view(), kLength);
    std::vector<Matrix> doubled;
    const auto change = [&](Linear& linear) {
        Matrix m(linear.weight->rows, linear.weight->cols);
        for (std::int64_t i = 0; i < m.size(); ++i) m.data()[i] = 2 * linear.weight->values.data[i];
        doubled.push_back(std::move(m));
        linear.weight = model->device().prepare(std::as_const(doubled.back()).view());
    };
    doubled.reserve(3);
    staged.inputs(BlockStage::attention, weights, nullptr, job);
    change(weights.v);
    staged.inputs(BlockStage::attentionOutput, weights, nullptr, job);
    change(weights.output);
    staged.inputs(BlockStage::feedForward, weights, nullptr, job);
    staged.inputs(BlockStage::down, weights, nullptr, job);
    change(weights.feedForward.down);
    staged.finish(weights, job);
    model->runBlockWindows(weights, whole.view(), kLength, nullptr, 0);
    EXPECT_TRUE(sameBits(whole, parts));
}

TEST(StagedBlock, BadNumbersAndStopsEndIt) {
    const auto model = test::openFamily("llama");
    JobContext job;
    const auto weights = model->loadBlock(BlockIndex{0});
    Matrix states = randomStates(*model);
    states.row(kLength + 3)[0] = std::numeric_limits<float>::quiet_NaN();
    StagedBlock staged(*model, BlockIndex{0}, states.view(), kLength);
    for (const BlockStage stage : kStages) staged.inputs(stage, *weights, nullptr, job);
    const Error bad = test::expectError(ErrorCode::nonFinite, [&] { staged.finish(*weights, job); });
    EXPECT_NE(bad.oneLine().find("window 1, token"), std::string::npos) << bad.oneLine();
    JobContext stopped;
    stopped.requestStop();
    StagedBlock other(*model, BlockIndex{0}, states.view(), kLength);
    test::expectError(ErrorCode::cancelled, [&] { other.inputs(BlockStage::attentionOutput, *weights, nullptr, stopped); });
}

} // namespace
} // namespace bw
