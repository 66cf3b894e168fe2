// SPDX-License-Identifier: GPL-3.0-or-later
// From tensors as files hold them to tensors as the program sees them. Whole checkpoints: tests/golden/families.
#include "core/checkpoint/logical_tensors.h"

#include "core/checkpoint/gguf_model_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bw {
namespace {

TensorInfo tensor(std::string name, std::vector<std::int64_t> shape, std::uint64_t offset = 0) {
    TensorInfo t;
    t.name = std::move(name);
    t.type = StorageType::bf16;
    t.shape = std::move(shape);
    t.offset = offset;
    t.bytes = static_cast<std::uint64_t>(t.elements()) * 2;
    return t;
}

std::vector<std::string> canonicalNames(const std::vector<TensorInfo>& tensors) {
    std::vector<std::string> names;
    for (const auto& t : tensors) names.push_back(t.canonical);
    return names;
}

TEST(LogicalTensors, fusedExpertsAreSliced) {
    std::vector<TensorInfo> tensors{tensor("model.layers.4.mlp.experts.gate_up_proj", {2, 6, 4}, 1000), tensor("model.layers.4.mlp.experts.down_proj", {2, 4, 3}, 5000)};
    arrangeTensors(tensors, "qwen3_moe");
    EXPECT_THAT(canonicalNames(tensors), testing::ElementsAre("blk.4.ffn_gate.e0.weight", "blk.4.ffn_up.e0.weight", "blk.4.ffn_gate.e1.weight", "blk.4.ffn_up.e1.weight",
                                                              "blk.4.ffn_down.e0.weight", "blk.4.ffn_down.e1.weight"));
    EXPECT_EQ(tensors[2].name, "model.layers.4.mlp.experts.1.gate_proj.weight");
    EXPECT_EQ(tensors[2].shape, (std::vector<std::int64_t>{3, 4}));
    EXPECT_EQ(tensors[2].offset, 1000u + 2 * 3 * 4 * 2);
    EXPECT_EQ(tensors[2].bytes, 3u * 4 * 2);
    ASSERT_TRUE(tensors[2].whole);
    EXPECT_EQ(tensors[2].whole->shape, (std::vector<std::int64_t>{2, 6, 4}));
    EXPECT_EQ(tensors[5].offset, 5000u + 4 * 3 * 2);
}

/// What cannot be sliced stays as it is, without a name: it is shown, and the model reports what it misses.
TEST(LogicalTensors, oddStacksStayWhole) {
    for (const auto& shape : {std::vector<std::int64_t>{2, 5, 4}, {100'000'000, 2, 0}, {2, 6}, {0, 6, 4}, {5000, 2, 1}}) {
        std::vector<TensorInfo> tensors{tensor("model.layers.0.mlp.experts.gate_up_proj", shape)};
        arrangeTensors(tensors, "mixtral");
        EXPECT_THAT(canonicalNames(tensors), testing::ElementsAre(""));
    }
    std::vector<TensorInfo> other{tensor("model.layers.0.mlp.experts.gate_up_proj", {2, 6, 4})};
    arrangeTensors(other, "gpt_oss"); // its gate and up rows stand in turn
    EXPECT_EQ(other.size(), 1u);
}

TEST(LogicalTensors, normsOfHeadsAreJoined) {
    std::vector<TensorInfo> tensors;
    for (const int head : {2, 0, 1}) tensors.push_back(tensor("model.layers.0.self_attn.q_layernorm.norms." + std::to_string(head) + ".weight", {8}, static_cast<std::uint64_t>(100 * head)));
    for (const int head : {0, 2}) tensors.push_back(tensor("model.layers.0.self_attn.k_layernorm.norms." + std::to_string(head) + ".weight", {8}));
    arrangeTensors(tensors, "stablelm");
    EXPECT_THAT(canonicalNames(tensors), testing::ElementsAre("blk.0.attn_k_norm.h0.weight", "blk.0.attn_k_norm.h2.weight", "blk.0.attn_q_norm.weight")); // head 1 is missing
    const TensorInfo& joined = tensors.back();
    EXPECT_EQ(joined.name, "model.layers.0.self_attn.q_layernorm.norms.weight");
    EXPECT_EQ(joined.shape, (std::vector<std::int64_t>{3, 8}));
    EXPECT_EQ(joined.bytes, 3u * 8 * 2);
    ASSERT_TRUE(joined.pieces);
    for (std::size_t head = 0; head < 3; ++head) EXPECT_EQ((*joined.pieces)[head].offset, 100 * head);
}

TEST(LogicalTensors, onlyBlockWeightsOfConv1dAreTurned) {
    std::vector<TensorInfo> tensors{tensor("h.0.attn.c_attn.weight", {4, 12}), tensor("h.0.attn.c_attn.bias", {12}), tensor("wpe.weight", {16, 4}), tensor("h.0.ln_1.weight", {4})};
    arrangeTensors(tensors, "gpt2");
    EXPECT_TRUE(tensors[0].transposed);
    EXPECT_EQ(tensors[0].shape, (std::vector<std::int64_t>{12, 4}));
    EXPECT_EQ(tensors[0].fileShape(), (std::vector<std::int64_t>{4, 12}));
    for (const std::size_t i : {1u, 2u, 3u}) EXPECT_FALSE(tensors[i].transposed) << tensors[i].name;
}

TEST(GgufObstacle, namesWhatGgufCannotSay) {
    ModelConfig config;
    config.family = "qwen3";
    config.forwardSupported = true;
    config.blocks = 2;
    config.width = 32;
    config.heads = 4;
    config.headDim = 8;
    config.layers.resize(2);
    EXPECT_EQ(ggufObstacle(config), "");
    ModelConfig windowed = config;
    windowed.layers[1].window = 8;
    EXPECT_THAT(ggufObstacle(windowed), testing::HasSubstr("block 1 has a sliding window of 8"));
    ModelConfig unrotated = config;
    unrotated.layers[0].rope = -1;
    EXPECT_THAT(ggufObstacle(unrotated), testing::HasSubstr("block 0 has no rotary positions"));
    ModelConfig scaled = config;
    scaled.attentionScale = 0.25;
    EXPECT_THAT(ggufObstacle(scaled), testing::HasSubstr("scaled by 0.25"));
    ModelConfig yarn = config;
    yarn.ropes.front().scaling = RopeScaling::yarn;
    yarn.ropes.front().factor = 4;
    yarn.ropes.front().attentionFactor = 1.0; // 0.1·ln 4 + 1 would be the usual one
    EXPECT_THAT(ggufObstacle(yarn), testing::HasSubstr("YaRN"));
    ModelConfig longrope = config;
    longrope.ropes.front().scaling = RopeScaling::longrope;
    EXPECT_THAT(ggufObstacle(longrope), testing::HasSubstr("longrope"));
    ModelConfig unknown = config;
    unknown.family = "never_heard_of";
    EXPECT_THAT(ggufObstacle(unknown), testing::HasSubstr("never_heard_of"));
}

} // namespace
} // namespace bw
