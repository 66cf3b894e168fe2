// SPDX-License-Identifier: GPL-3.0-or-later
// What config.json and GGUF metadata of each family come to: windows, rotations, experts, caps; and what is refused.
#include "core/base/json.h"
#include "core/checkpoint/config_reader.h"
#include "core/checkpoint/expected_shapes.h"
#include "core/checkpoint/family.h"
#include "tests/support/bytes.h"

#include <algorithm>
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

namespace bw::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// A small config.json of a family with whatever else is given.
Json configOf(const std::string& type, const Json& more = Json::object()) {
    Json json{{"model_type", type},     {"hidden_size", 32},        {"intermediate_size", 48},
              {"num_hidden_layers", 6}, {"num_attention_heads", 4}, {"num_key_value_heads", 2},
              {"head_dim", 8},          {"vocab_size", 64},         {"max_position_embeddings", 128}};
    json.update(more);
    return json;
}

ModelConfig read(const std::string& type, const Json& more = Json::object()) {
    return configFromHuggingFace(configOf(type, more));
}

std::vector<std::int64_t> windows(const ModelConfig& config) {
    std::vector<std::int64_t> all;
    for (const auto& layer : config.layers) all.push_back(layer.window);
    return all;
}
std::vector<int> ropes(const ModelConfig& config) {
    std::vector<int> all;
    for (const auto& layer : config.layers) all.push_back(layer.rope);
    return all;
}

TEST(Family, everyRowIsFoundByAllItsNames) {
    std::set<std::string_view> names;
    for (const Family& family : families()) {
        EXPECT_TRUE(names.insert(family.name).second);
        EXPECT_EQ(familyNamed(family.name), &family);
        EXPECT_EQ(familyOfModelType(family.name), &family);
        if (!family.otherModelType.empty()) {
            EXPECT_EQ(familyOfModelType(family.otherModelType), &family);
        }
        const Family* byGguf = familyOfGguf(family.ggufArchitecture, family.experts);
        ASSERT_NE(byGguf, nullptr);
        EXPECT_EQ(byGguf->ggufArchitecture, family.ggufArchitecture);
        EXPECT_EQ(byGguf->experts, family.experts);
        EXPECT_EQ(byGguf->permutesQk, family.permutesQk);
    }
    EXPECT_EQ(familyOfModelType(""), nullptr);
    EXPECT_EQ(familyOfGguf("rwkv", false), nullptr);
    EXPECT_EQ(familyOfGguf("llama", true)->name, "mixtral");
}

TEST(Family, slidingWindows) {
    EXPECT_THAT(windows(read("llama", {{"sliding_window", 9}})), ElementsAre(0, 0, 0, 0, 0, 0));
    EXPECT_THAT(windows(read("mistral", {{"sliding_window", 9}})), ElementsAre(9, 9, 9, 9, 9, 9));
    EXPECT_THAT(windows(read("mistral", {{"sliding_window", nullptr}})), ElementsAre(0, 0, 0, 0, 0, 0));
    EXPECT_THAT(windows(read("mistral")), ElementsAre(4096, 4096, 4096, 4096, 4096, 4096)); // the class's default
    EXPECT_THAT(windows(read("gemma2", {{"sliding_window", 9}})), ElementsAre(9, 0, 9, 0, 9, 0));
    EXPECT_THAT(windows(read("gemma3_text", {{"sliding_window", 9}})), ElementsAre(9, 9, 9, 9, 9, 0));
    EXPECT_THAT(windows(read("gemma3_text", {{"sliding_window", 9}, {"sliding_window_pattern", 3}})),
                ElementsAre(9, 9, 0, 9, 9, 0));
    const Json used{{"sliding_window", 9}, {"use_sliding_window", true}, {"max_window_layers", 4}};
    EXPECT_THAT(windows(read("qwen2", used)), ElementsAre(0, 0, 0, 0, 9, 9));
    EXPECT_THAT(windows(read("qwen2", {{"sliding_window", 9}, {"max_window_layers", 4}})),
                ElementsAre(0, 0, 0, 0, 0, 0));
    const Json types{"full_attention", "sliding_attention", "full_attention",
                     "full_attention", "sliding_attention", "full_attention"};
    Json listed = used;
    listed["layer_types"] = types;
    EXPECT_THAT(windows(read("qwen3", listed)), ElementsAre(0, 9, 0, 0, 9, 0));
    EXPECT_THAT(windows(read("gemma2", {{"sliding_window", 9}, {"layer_types", types}})),
                ElementsAre(0, 9, 0, 0, 9, 0));
}

TEST(Family, rotations) {
    EXPECT_THAT(ropes(read("smollm3")), ElementsAre(0, 0, 0, -1, 0, 0));
    EXPECT_THAT(ropes(read("smollm3", {{"no_rope_layers", {0, 1, 1, 0, 1, 1}}})), ElementsAre(-1, 0, 0, -1, 0, 0));
    EXPECT_THAT(ropes(read("gpt2", {{"n_positions", 128}})), ElementsAre(-1, -1, -1, -1, -1, -1));
    // Gemma 3 in both spellings: the blocks with a window rotate by the local base.
    const Json four{
        {"rope_theta", 5e5}, {"rope_local_base_freq", 2e4}, {"rope_scaling", {{"rope_type", "linear"}, {"factor", 8}}}};
    const Json five{{"rope_parameters",
                     {{"full_attention", {{"rope_type", "linear"}, {"factor", 8}, {"rope_theta", 5e5}}},
                      {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", 2e4}}}}}};
    for (const Json& spelling : {four, five}) {
        const ModelConfig config = read("gemma3_text", spelling);
        EXPECT_TRUE(config.forwardSupported) << config.whyNot;
        EXPECT_THAT(ropes(config), ElementsAre(1, 1, 1, 1, 1, 0));
        ASSERT_EQ(config.ropes.size(), 2u);
        EXPECT_EQ(config.ropes[0].theta, 5e5);
        EXPECT_EQ(config.ropes[0].scaling, RopeScaling::linear);
        EXPECT_EQ(config.ropes[0].factor, 8);
        EXPECT_EQ(config.ropes[1].theta, 2e4);
        EXPECT_EQ(config.ropes[1].scaling, RopeScaling::none);
    }
    EXPECT_EQ(read("stablelm", {{"partial_rotary_factor", 0.5}}).ropes[0].dims, 4);
    EXPECT_EQ(read("stablelm", {{"rope_parameters", {{"partial_rotary_factor", 0.75}, {"rope_type", "default"}}}})
                  .ropes[0]
                  .dims,
              6);
    EXPECT_EQ(read("stablelm").ropes[0].dims, 2); // a quarter where the file says nothing
    const ModelConfig yarn = read(
        "qwen2", {{"rope_scaling", {{"type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 32}}}});
    EXPECT_NEAR(yarn.ropes[0].attentionFactor, 0.1 * std::log(4.0) + 1, 1e-12);
    const Json lists{{"type", "su"}, {"short_factor", {1, 1, 1, 1}}, {"long_factor", {2, 2, 2, 2}}};
    const ModelConfig longrope = read("phi3", {{"rope_scaling", lists}, {"original_max_position_embeddings", 32}});
    EXPECT_TRUE(longrope.forwardSupported) << longrope.whyNot;
    EXPECT_EQ(longrope.ropes[0].scaling, RopeScaling::longrope);
    EXPECT_EQ(longrope.ropes[0].originalContext, 32);
    EXPECT_NEAR(longrope.ropes[0].attentionFactor, std::sqrt(1 + std::log(4.0) / std::log(32.0)), 1e-12);
}

TEST(Family, experts) {
    const Json mixture{{"num_experts", 6}, {"num_experts_per_tok", 2}, {"moe_intermediate_size", 10}};
    Json sparse = mixture;
    sparse.update({{"decoder_sparse_step", 2}, {"mlp_only_layers", {3}}, {"norm_topk_prob", true}});
    const ModelConfig config = read("qwen3_moe", sparse);
    EXPECT_TRUE(config.forwardSupported) << config.whyNot;
    std::vector<bool> has;
    for (const auto& layer : config.layers) has.push_back(layer.experts);
    EXPECT_THAT(has, ElementsAre(false, true, false, false, false, true));
    EXPECT_EQ(config.expertFeedForward, 10);
    EXPECT_TRUE(config.renormalizeExperts);
    Json shared = mixture;
    shared["shared_expert_intermediate_size"] = 12;
    EXPECT_EQ(read("qwen2_moe", shared).sharedFeedForward, 12);
    EXPECT_FALSE(read("qwen2_moe", shared).renormalizeExperts);
    EXPECT_TRUE(read("mixtral", {{"num_local_experts", 4}, {"num_experts_per_tok", 2}}).renormalizeExperts);
    EXPECT_EQ(read("mixtral", {{"num_local_experts", 4}, {"num_experts_per_tok", 2}}).expertFeedForward, 48);
}

TEST(Family, scalesCapsAndBiases) {
    const ModelConfig gemma = read("gemma2", {{"query_pre_attn_scalar", 16}, {"final_logit_softcapping", nullptr}});
    EXPECT_DOUBLE_EQ(gemma.attentionScale, 0.25);
    EXPECT_EQ(gemma.attentionSoftCap, 50); // the class's default
    EXPECT_EQ(gemma.headSoftCap, 0);
    EXPECT_DOUBLE_EQ(gemma.embeddingScale, std::sqrt(32.0));
    EXPECT_EQ(gemma.normOffset, 1);
    EXPECT_EQ(gemma.activation, Activation::geluTanh);
    EXPECT_EQ(read("gemma", {{"hidden_act", "gelu"}}).activation, Activation::geluTanh);
    EXPECT_EQ(read("stablelm", {{"hidden_act", "gelu"}}).activation, Activation::geluErf);
    EXPECT_EQ(read("qwen2").qkvBias, Bias::required);
    EXPECT_EQ(read("qwen2").outputBias, Bias::none);
    EXPECT_EQ(read("llama", {{"attention_bias", true}, {"mlp_bias", true}}).outputBias, Bias::required);
    EXPECT_EQ(read("stablelm", {{"use_qkv_bias", true}}).outputBias, Bias::none);
    EXPECT_EQ(read("stablelm", {{"qk_layernorm", true}}).qkNorm, QkNorm::perHead);
    EXPECT_TRUE(read("stablelm", {{"use_parallel_residual", true}}).parallelResidual);
    const Json gpt{{"model_type", "gpt2"}, {"n_embd", 32},      {"n_layer", 2},
                   {"n_head", 4},          {"n_positions", 64}, {"vocab_size", 50}};
    const ModelConfig two = configFromHuggingFace(gpt);
    EXPECT_TRUE(two.forwardSupported) << two.whyNot;
    EXPECT_EQ(two.feedForward, 128); // four times the width
    EXPECT_EQ(two.kvHeads, 4);
    EXPECT_TRUE(two.tiedHead);
}

/// Models that also see pictures keep the numbers of the text part in an object; short files leave out defaults.
TEST(Family, textPartOfAPictureModel) {
    const Json json{{"model_type", "gemma3"},
                    {"text_config",
                     {{"model_type", "gemma3_text"},
                      {"hidden_size", 2560},
                      {"num_hidden_layers", 34},
                      {"intermediate_size", 10240},
                      {"sliding_window", 1024},
                      {"rope_scaling", {{"rope_type", "linear"}, {"factor", 8.0}}}}}};
    const ModelConfig config = configFromHuggingFace(json);
    EXPECT_TRUE(config.forwardSupported) << config.whyNot;
    EXPECT_EQ(config.family, "gemma3_text");
    EXPECT_EQ(config.heads, 8);
    EXPECT_EQ(config.headDim, 256);
    EXPECT_EQ(config.vocabulary, 262208);
    EXPECT_EQ(config.layers[5].window, 0);
}

TEST(Family, X06_impossibleValuesNameKeyAndValues) {
    struct Case {
        const char* type;
        Json more;
        const char* mentions;
    };
    const Json moe{{"num_experts", 4},
                   {"num_experts_per_tok", 2},
                   {"moe_intermediate_size", 8},
                   {"shared_expert_intermediate_size", 8}};
    const auto with = [](Json base, const Json& more) {
        base.update(more);
        return base;
    };
    for (const Case& c : std::vector<Case>{
             {"mistral", {{"sliding_window", 0}}, "sliding_window is 0"},
             {"mistral", {{"sliding_window", -5}}, "sliding_window is -5"},
             {"mistral", {{"sliding_window", "big"}}, "sliding_window is \"big\""},
             {"gemma2", {{"layer_types", {"full_attention"}}}, "layer_types has 1 entries for 6 blocks"},
             {"gemma2", {{"layer_types", Json(std::vector<std::string>(6, "linear_attention"))}}, "linear_attention"},
             {"gemma2",
              {{"layer_types", Json(std::vector<std::string>(6, "sliding_attention"))}, {"sliding_window", nullptr}},
              "sliding_window is null"},
             {"gemma2", {{"attn_logit_softcapping", -1.0}}, "attn_logit_softcapping is -1"},
             {"gemma2", {{"query_pre_attn_scalar", -4}}, "query_pre_attn_scalar is -4"},
             {"gemma3_text", {{"sliding_window_pattern", 0}}, "sliding_window_pattern is 0"},
             {"smollm3", {{"no_rope_layers", {1, 1}}}, "no_rope_layers has 2 entries for 6 blocks"},
             {"smollm3", {{"no_rope_layer_interval", 0}}, "no_rope_layer_interval is 0"},
             {"qwen3_moe", with(moe, {{"num_experts_per_tok", 5}}),
              "5 experts per token (num_experts_per_tok) of 4 (num_experts)"},
             {"qwen3_moe", with(moe, {{"num_experts_per_tok", 0}}), "0 experts per token"},
             {"qwen3_moe", with(moe, {{"num_experts", 0}}), "(num_experts) is 0"},
             {"qwen3_moe", with(moe, {{"num_experts", 60000}, {"num_hidden_layers", 4096}}), "60000 experts"},
             {"qwen3_moe", with(moe, {{"moe_intermediate_size", -1}}), "moe_intermediate_size"},
             {"qwen3_moe", with(moe, {{"decoder_sparse_step", 0}}), "decoder_sparse_step is 0"},
             {"qwen2_moe", with(moe, {{"shared_expert_intermediate_size", -8}}), "shared_expert_intermediate_size"},
             {"olmoe", with(moe, {{"clip_qkv", 8.0}}), "clip_qkv is 8"},
             {"stablelm", {{"layer_norm_eps", -1e-5}}, "layer_norm_eps"},
             {"gpt2", {{"n_positions", 0}, {"max_position_embeddings", nullptr}}, "n_positions"},
             {"gpt2", {{"scale_attn_by_inverse_layer_idx", true}}, "scale_attn_by_inverse_layer_idx"},
             {"phi3",
              {{"rope_scaling", {{"type", "longrope"}, {"long_factor", {1, 1, 1, 1}}}}},
              "needs short_factor"}}) {
        const ModelConfig config = read(c.type, c.more);
        EXPECT_FALSE(config.forwardSupported) << c.type << " " << c.more.dump();
        EXPECT_THAT(config.whyNot, HasSubstr(c.mentions)) << c.type << " " << c.more.dump();
    }
}

TEST(Family, unknownArchitectureKeepsItsSizes) {
    const ModelConfig config = read("zebra");
    EXPECT_FALSE(config.forwardSupported);
    EXPECT_THAT(config.whyNot, HasSubstr("'zebra'"));
    EXPECT_THAT(config.whyNot, HasSubstr("mistral"));
    EXPECT_EQ(config.family, "zebra");
    EXPECT_EQ(config.blocks, 6);
}

GgufMetadata ggufOf(const std::string& arch, const std::vector<std::pair<std::string, GgufValue>>& more) {
    GgufMetadata m;
    m.set("general.architecture", {GgufType::string, arch});
    for (const auto& [key, value] : {std::pair{"block_count", 6},
                                     {"embedding_length", 32},
                                     {"feed_forward_length", 48},
                                     {"attention.head_count", 4},
                                     {"attention.head_count_kv", 2},
                                     {"vocab_size", 64}})
        m.set(arch + "." + key, {GgufType::u32, std::int64_t{value}});
    for (const char* key : {".attention.layer_norm_rms_epsilon", ".attention.layer_norm_epsilon"})
        m.set(arch + key, {GgufType::f32, 1e-5});
    for (const auto& [key, value] : more) m.set(arch + "." + key, value);
    return m;
}
GgufValue number(std::int64_t value) {
    return {GgufType::u32, value};
}
GgufValue real(double value) {
    return {GgufType::f32, value};
}

TEST(Family, ggufKeysAndLlamaCppsRules) {
    const auto everything = [](const std::string&) { return true; };
    const ModelConfig gemma2 = configFromGguf(ggufOf("gemma2", {{"attention.sliding_window", number(9)},
                                                                {"attention.key_length", number(16)},
                                                                {"attention.value_length", number(16)}}),
                                              0);
    EXPECT_TRUE(gemma2.forwardSupported) << gemma2.whyNot;
    EXPECT_THAT(windows(gemma2), ElementsAre(9, 0, 9, 0, 9, 0));
    EXPECT_EQ(gemma2.attentionSoftCap, 50);
    EXPECT_EQ(gemma2.normOffset, 0) << "GGUF holds 1 + w";
    EXPECT_EQ(gemma2.qkvBias, Bias::asStored);
    const ModelConfig gemma3 = configFromGguf(ggufOf("gemma3", {{"attention.sliding_window", number(9)},
                                                                {"rope.freq_base", real(1e6)},
                                                                {"rope.scaling.factor", real(8)}}),
                                              0);
    EXPECT_EQ(gemma3.family, "gemma3_text");
    EXPECT_THAT(ropes(gemma3), ElementsAre(1, 1, 1, 1, 1, 0));
    EXPECT_EQ(gemma3.ropes[0].scaling, RopeScaling::linear) << "a factor without a type";
    EXPECT_EQ(gemma3.ropes[1].theta, 10000);
    const ModelConfig mixtral =
        configFromGguf(ggufOf("llama", {{"expert_count", number(4)}, {"expert_used_count", number(2)}}), 0, everything);
    EXPECT_TRUE(mixtral.forwardSupported) << mixtral.whyNot;
    EXPECT_EQ(mixtral.family, "mixtral");
    EXPECT_TRUE(mixtral.renormalizeExperts);
    EXPECT_EQ(mixtral.expertFeedForward, 48);
    const ModelConfig qwen = configFromGguf(ggufOf("qwen2moe", {{"expert_count", number(4)},
                                                                {"expert_used_count", number(2)},
                                                                {"expert_feed_forward_length", number(8)}}),
                                            0, everything);
    EXPECT_EQ(qwen.sharedFeedForward, 48);
    EXPECT_FALSE(qwen.renormalizeExperts);
    const ModelConfig yarn =
        configFromGguf(ggufOf("qwen2", {{"rope.scaling.type", {GgufType::string, std::string("yarn")}},
                                        {"rope.scaling.factor", real(4)},
                                        {"rope.scaling.original_context_length", number(64)}}),
                       0);
    EXPECT_EQ(yarn.ropes[0].scaling, RopeScaling::yarn);
    EXPECT_NEAR(yarn.ropes[0].attentionFactor, 0.1 * std::log(4.0) + 1, 1e-12);
    EXPECT_THAT(ropes(configFromGguf(ggufOf("smollm3", {}), 0)), ElementsAre(0, 0, 0, -1, 0, 0));
    EXPECT_EQ(configFromGguf(ggufOf("stablelm", {}), 0, everything).qkNorm, QkNorm::perHead);
    EXPECT_TRUE(configFromGguf(ggufOf("stablelm", {}), 0).parallelResidual) << "no ffn_norm";
    GgufMetadata lacking = ggufOf("qwen2", {});
    std::erase_if(lacking.entries, [](const auto& e) { return e.first.ends_with("rms_epsilon"); });
    EXPECT_THAT(configFromGguf(lacking, 0).whyNot, HasSubstr("qwen2.attention.layer_norm_rms_epsilon is missing"));
    EXPECT_THAT(configFromGguf(ggufOf("zebra", {}), 0).whyNot, HasSubstr("'zebra'"));
}

TEST(Family, expectedShapesFollowTheCheckpointsForm) {
    const Json json{{"num_local_experts", 3}, {"num_experts_per_tok", 2}};
    const ModelConfig config = read("mixtral", json);
    const auto names = [&](const std::string& held) {
        std::set<std::string> all;
        for (const auto& e : expectedShapes(config, [&](const std::string& name) { return name.ends_with(held); }))
            all.insert(e.canonical);
        return all;
    };
    EXPECT_TRUE(names("nothing").contains("blk.5.ffn_up_exps.weight"));
    EXPECT_TRUE(names("ffn_up.e0.weight").contains("blk.5.ffn_up.e2.weight"));
    EXPECT_FALSE(names("ffn_up.e0.weight").contains("blk.5.ffn_up.e3.weight"));
    EXPECT_TRUE(names("ffn_gate_up_exps.weight").contains("blk.0.ffn_gate_up_exps.weight"));
    EXPECT_TRUE(sameShape({1, 7}, {7}));
    EXPECT_FALSE(sameShape({7, 1}, {7}));
}

} // namespace
} // namespace bw::test
