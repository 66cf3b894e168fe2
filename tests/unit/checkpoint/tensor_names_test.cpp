// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/checkpoint/tensor_names.h"

#include <gtest/gtest.h>

namespace bw {
namespace {

TEST(TensorNames, bothWays) {
    for (const auto& [hf, canonical] : {std::pair{"model.embed_tokens.weight", "token_embd.weight"}, {"model.norm.weight", "output_norm.weight"}, {"lm_head.weight", "output.weight"},
                                        {"model.layers.0.self_attn.q_proj.weight", "blk.0.attn_q.weight"}, {"model.layers.31.self_attn.o_proj.bias", "blk.31.attn_output.bias"},
                                        {"model.layers.7.mlp.down_proj.weight", "blk.7.ffn_down.weight"}, {"model.layers.7.post_attention_layernorm.weight", "blk.7.ffn_norm.weight"}}) {
        EXPECT_EQ(canonicalTensorName(hf), canonical);
        EXPECT_EQ(huggingFaceTensorName(canonical), hf);
    }
}

TEST(TensorNames, othersAreEmpty) {
    for (const char* name : {"", "weight", "model.layers.weight", "model.layers.x.mlp.up_proj.weight", "model.layers.01.mlp.up_proj.weight", "model.layers.-1.mlp.up_proj.weight",
                             "model.layers.1.mlp.up_proj", "model.layers.1.mlp.up_proj.weight_scale", "model.layers.99999999999999999999.mlp.up_proj.weight", "model.layers.1.self_attn.rotary_emb.inv_freq"})
        EXPECT_EQ(canonicalTensorName(name), "") << name;
    EXPECT_EQ(huggingFaceTensorName("blk.0.unheard_of.weight"), "");
}

TEST(TensorNames, blockParts) {
    const auto parts = parseBlockName("blk.12.attn_q.weight");
    ASSERT_TRUE(parts);
    EXPECT_EQ(parts->block, 12);
    EXPECT_EQ(parts->rest, "attn_q.weight");
    EXPECT_FALSE(parseBlockName("output.weight"));
    EXPECT_FALSE(parseBlockName("blk..x"));
}

} // namespace
} // namespace bw
