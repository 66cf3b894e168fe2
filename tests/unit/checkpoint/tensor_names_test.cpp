// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/checkpoint/tensor_names.h"

#include <gtest/gtest.h>

namespace bw {
namespace {

struct Names {
    const char *huggingFace, *canonical, *family;
};

TEST(TensorNames, bothWays) {
    for (const auto& [hf, canonical, family] : {
             Names{"model.embed_tokens.weight", "token_embd.weight", ""},
             {"model.norm.weight", "output_norm.weight", "llama"},
             {"lm_head.weight", "output.weight", "qwen2"},
             {"model.layers.0.self_attn.q_proj.weight", "blk.0.attn_q.weight", "llama"},
             {"model.layers.31.self_attn.o_proj.bias", "blk.31.attn_output.bias", "llama"},
             {"model.layers.7.mlp.down_proj.weight", "blk.7.ffn_down.weight", "llama"},
             {"model.layers.7.post_attention_layernorm.weight", "blk.7.ffn_norm.weight", "llama"},
             {"model.layers.7.post_attention_layernorm.weight", "blk.7.post_attention_norm.weight", "gemma2"},
             {"model.layers.7.pre_feedforward_layernorm.weight", "blk.7.ffn_norm.weight", "gemma3_text"},
             {"model.layers.7.post_feedforward_layernorm.weight", "blk.7.post_ffw_norm.weight", "gemma3_text"},
             {"model.layers.2.self_attn.k_norm.weight", "blk.2.attn_k_norm.weight", "qwen3"},
             {"model.layers.2.self_attn.qkv_proj.weight", "blk.2.attn_qkv.weight", "phi3"},
             {"model.layers.2.mlp.gate_up_proj.weight", "blk.2.ffn_up.weight", "phi3"},
             {"transformer.wte.weight", "token_embd.weight", "gpt2"},
             {"transformer.wpe.weight", "position_embd.weight", "gpt2"},
             {"transformer.ln_f.bias", "output_norm.bias", "gpt2"},
             {"lm_head.weight", "output.weight", "gpt2"},
             {"transformer.h.11.ln_2.weight", "blk.11.ffn_norm.weight", "gpt2"},
             {"transformer.h.11.attn.c_attn.bias", "blk.11.attn_qkv.bias", "gpt2"},
             {"transformer.h.11.attn.c_proj.weight", "blk.11.attn_output.weight", "gpt2"},
             {"transformer.h.11.mlp.c_fc.weight", "blk.11.ffn_up.weight", "gpt2"},
             {"transformer.h.11.mlp.c_proj.weight", "blk.11.ffn_down.weight", "gpt2"},
             {"model.layers.3.block_sparse_moe.gate.weight", "blk.3.ffn_gate_inp.weight", "mixtral"},
             {"model.layers.3.block_sparse_moe.experts.5.w1.weight", "blk.3.ffn_gate.e5.weight", "mixtral"},
             {"model.layers.3.block_sparse_moe.experts.15.w2.weight", "blk.3.ffn_down.e15.weight", "mixtral"},
             {"model.layers.3.block_sparse_moe.experts.0.w3.weight", "blk.3.ffn_up.e0.weight", "mixtral"},
             {"model.layers.3.mlp.gate.weight", "blk.3.ffn_gate_inp.weight", "olmoe"},
             {"model.layers.3.mlp.experts.59.up_proj.weight", "blk.3.ffn_up.e59.weight", "qwen3_moe"},
             {"model.layers.3.mlp.shared_expert.down_proj.weight", "blk.3.ffn_down_shexp.weight", "qwen2_moe"},
             {"model.layers.3.mlp.shared_expert_gate.weight", "blk.3.ffn_gate_inp_shexp.weight", "qwen2_moe"},
             {"model.layers.3.self_attn.q_layernorm.norms.12.weight", "blk.3.attn_q_norm.h12.weight", "stablelm"},
             {"model.layers.3.self_attn.k_layernorm.norms.weight", "blk.3.attn_k_norm.weight", "stablelm"},
         }) {
        EXPECT_EQ(canonicalTensorName(hf, family), canonical) << family;
        EXPECT_EQ(huggingFaceTensorName(canonical, family), hf) << family;
    }
}

/// Checkpoints of the bare model, of models with an image tower, and Mixtral as transformers 5 names its modules.
TEST(TensorNames, otherSpellings) {
    EXPECT_EQ(canonicalTensorName("h.3.attn.c_attn.weight", "gpt2"), "blk.3.attn_qkv.weight");
    EXPECT_EQ(canonicalTensorName("wte.weight", "gpt2"), "token_embd.weight");
    EXPECT_EQ(canonicalTensorName("layers.3.mlp.up_proj.weight"), "blk.3.ffn_up.weight");
    EXPECT_EQ(canonicalTensorName("language_model.model.layers.3.mlp.up_proj.weight", "gemma3_text"), "blk.3.ffn_up.weight");
    EXPECT_EQ(canonicalTensorName("model.language_model.layers.3.mlp.up_proj.weight", "gemma3_text"), "blk.3.ffn_up.weight");
    EXPECT_EQ(canonicalTensorName("model.layers.3.mlp.experts.2.gate_proj.weight", "mixtral"), "blk.3.ffn_gate.e2.weight");
}

TEST(TensorNames, othersAreEmpty) {
    for (const char* name : {"", "weight", "model.layers.weight", "model.layers.x.mlp.up_proj.weight", "model.layers.01.mlp.up_proj.weight", "model.layers.-1.mlp.up_proj.weight",
                             "model.layers.1.mlp.up_proj", "model.layers.1.mlp.up_proj.weight_scale", "model.layers.99999999999999999999.mlp.up_proj.weight", "model.layers.1.self_attn.rotary_emb.inv_freq",
                             "model.layers.1.mlp.experts.up_proj.weight", "model.layers.1.mlp.experts.-1.up_proj.weight", "model.layers.1.mlp.experts.01.up_proj.weight", "h.3.attn.c_attn.weight",
                             "model.layers.1.mlp.gate_up_proj.weight", "vision_tower.encoder.layers.1.mlp.fc1.weight"})
        EXPECT_EQ(canonicalTensorName(name), "") << name;
    EXPECT_EQ(huggingFaceTensorName("blk.0.unheard_of.weight"), "");
    EXPECT_EQ(huggingFaceTensorName("blk.0.attn_qkv.weight", "llama"), "");
}

TEST(TensorNames, blockParts) {
    const auto parts = parseBlockName("blk.12.attn_q.weight");
    ASSERT_TRUE(parts);
    EXPECT_EQ(parts->block, 12);
    EXPECT_EQ(parts->rest, "attn_q.weight");
    EXPECT_FALSE(parseBlockName("output.weight"));
    EXPECT_FALSE(parseBlockName("blk..x"));
}

TEST(TensorNames, expertParts) {
    const auto parts = parseExpertName("blk.12.ffn_down.e107.weight");
    ASSERT_TRUE(parts);
    EXPECT_EQ(parts->stack, "blk.12.ffn_down_exps.weight");
    EXPECT_EQ(parts->expert, 107);
    for (const char* name : {"blk.12.ffn_down.weight", "blk.12.ffn_down_exps.weight", "blk.12.ffn_down.e.weight", "blk.12.ffn_down.e1.bias", "output.e1.weight", "blk.1.attn_q_norm.h3.weight"})
        EXPECT_FALSE(parseExpertName(name)) << name;
}

} // namespace
} // namespace bw
