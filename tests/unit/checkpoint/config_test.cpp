// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/json.h"
#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/config_reader.h"
#include "tests/support/bad_files.h"
#include "tests/support/bytes.h"
#include "tests/support/expect_error.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace bw::test {
namespace {

Json configWith(const char* key, Json value) {
    Json config = Json::parse(llamaConfig());
    config[key] = std::move(value);
    return config;
}

bool warns(const Checkpoint& checkpoint, const std::string& part) {
    for (const auto& line : checkpoint.warnings())
        if (line.find(part) != std::string::npos) return true;
    return false;
}

TEST(Config, bothSpellingsGiveTheSame) {
    Json four = Json::parse(llamaConfig()), five = four;
    four["rope_theta"] = 250000.0;
    five.erase("rope_theta");
    five.erase("rope_scaling");
    five["rope_parameters"] = {{"rope_theta", 250000.0}, {"rope_type", "default"}};
    for (const Json& json : {four, five}) {
        const ModelConfig config = configFromHuggingFace(json);
        EXPECT_TRUE(config.forwardSupported) << config.whyNot;
        EXPECT_EQ(config.ropes.front().theta, 250000.0);
        EXPECT_EQ(config.headDim, 8);
        EXPECT_EQ(config.kvHeads, 2);
        EXPECT_EQ(config.bosId, 0);
        EXPECT_EQ(config.padId, -1);
    }
}

TEST(Config, X06_unsupportedValuesSayWhy) {
    struct Case {
        const char* key;
        Json value;
        const char* mentions;
    };
    for (const Case& c : std::vector<Case>{{"hidden_size", 0, "hidden size is 0"}, {"hidden_size", "64", "hidden_size is \"64\""}, {"hidden_size", -64, "-64"}, {"hidden_size", 1e30, "hidden_size"},
                                           {"num_hidden_layers", 1'000'000'000, "1000000000"}, {"num_attention_heads", 5, "5 heads do not divide"}, {"num_key_value_heads", 3, "no multiple of 3"},
                                           {"num_attention_heads", 0, "attention heads is 0"}, {"model_type", "mamba", "'mamba'"}, {"model_type", nullptr, "no model_type"}, {"model_type", 7, "model_type is 7"},
                                           {"attention_bias", 1, "attention_bias is 1"}, {"hidden_act", "relu2", "'relu2'"}, {"head_dim", 7, "odd"},
                                           {"rope_scaling", {{"rope_type", "llama3"}, {"factor", 8}}, "needs low_freq_factor"}, {"rope_scaling", {{"type", "linear"}, {"factor", 0}}, "factor is 0"},
                                           {"rope_scaling", {{"type", "linear"}}, "needs factor"}, {"rope_scaling", {{"rope_type", "dynamic"}, {"factor", 2}}, "'dynamic'"},
                                           {"rope_scaling", {{"rope_type", "llama3"}, {"factor", 8}, {"low_freq_factor", 4}, {"high_freq_factor", 4}}, "high_freq_factor 4 is not above low_freq_factor 4"},
                                           {"rope_scaling", {{"rope_type", "longrope"}, {"short_factor", {1, 1, 1}}, {"long_factor", {1, 1, 1, 1}}}, "short_factor has 3 numbers, but 8 rotated channels need 4"},
                                           {"rope_scaling", {{"rope_type", "longrope"}, {"short_factor", {1, 1, 1, 1}}, {"long_factor", {1, -1, 1, 1}}}, "long_factor"},
                                           {"rope_scaling", {{"rope_type", "yarn"}, {"factor", 2}, {"original_max_position_embeddings", 0}}, "original_max_position_embeddings is 0"},
                                           {"rope_parameters", {{"rope_type", "yarn"}}, "'yarn' needs factor"}, {"rope_parameters", 3, "rope_parameters"}, {"partial_rotary_factor", 1.5, "partial_rotary_factor is 1.5"},
                                           {"partial_rotary_factor", 0.4, "3 rotated channels of heads of 8"}, {"text_config", {{"hidden_size", 7}}, "4 heads do not divide the hidden size 7"},
                                           {"rms_norm_eps", -1.0, "epsilon"}, {"rope_theta", 0, "rotary base"}, {"vocab_size", 0, "vocabulary"},
                                           {"num_hidden_layers", 18446744073709551615ull, "num_hidden_layers"}}) {
        SCOPED_TRACE(std::string(c.key) + " = " + c.value.dump());
        const ModelConfig config = configFromHuggingFace(configWith(c.key, c.value));
        EXPECT_FALSE(config.forwardSupported);
        EXPECT_NE(config.whyNot.find(c.mentions), std::string::npos) << config.whyNot;
    }
    EXPECT_FALSE(configFromHuggingFace(Json::array()).forwardSupported);
    EXPECT_TRUE(configFromHuggingFace(configWith("eos_token_id", {2, 3})).eosId == 2);
}

TEST(Config, X06_checkpointOpensForInspection) {
    TempFolder folder;
    const std::string path = writeTinyLlama(folder, "m", llamaConfig());
    EXPECT_TRUE(Checkpoint::open(path)->config().forwardSupported);
    for (const std::string& config : {std::string("{"), std::string("[1]"), std::string(1000, '['), configWith("model_type", "mamba").dump(), configWith("hidden_size", 0).dump()}) {
        folder.write("m/config.json", config);
        const auto checkpoint = Checkpoint::open(path);
        EXPECT_EQ(checkpoint->tensors().size(), 20u);
        EXPECT_FALSE(checkpoint->config().forwardSupported);
        EXPECT_FALSE(checkpoint->config().whyNot.empty());
    }
    std::filesystem::remove(path + "/config.json");
    const auto bare = Checkpoint::open(path);
    EXPECT_NE(bare->config().whyNot.find("config.json"), std::string::npos);
    EXPECT_EQ(Checkpoint::open(path + "/model.safetensors")->tensors().size(), 20u);
    EXPECT_TRUE(bare->configJson().is_null());
}

TEST(Config, X07_shapesThatDisagreeAreNamed) {
    TempFolder folder;
    const std::string path = writeTinyLlama(folder, "m", llamaConfig());
    folder.write("m/config.json", configWith("intermediate_size", 80).dump());
    const auto checkpoint = Checkpoint::open(path);
    EXPECT_TRUE(warns(*checkpoint, "'model.layers.0.mlp.gate_proj.weight' is [64, 32], the configuration needs [80, 32]"));
    folder.write("m/config.json", configWith("num_hidden_layers", 3).dump());
    EXPECT_TRUE(warns(*Checkpoint::open(path), "9 tensors that the configuration needs are missing: blk.2.attn_norm.weight"));
}

TEST(Config, X08_tiedHeadsAgainstTheFlag) {
    TempFolder folder;
    const auto open = [&](const char* name, bool flag, bool head) { return Checkpoint::open(writeTinyLlama(folder, name, llamaConfig(32, 64, 2, 4, 2, 48, flag), head)); };
    const auto tied = open("tied", true, false), untied = open("untied", false, true), extra = open("extra", true, true), lacking = open("lacking", false, false);
    EXPECT_TRUE(tied->config().tiedHead);
    EXPECT_TRUE(tied->warnings().empty());
    EXPECT_FALSE(untied->config().tiedHead);
    EXPECT_TRUE(untied->warnings().empty());
    EXPECT_FALSE(extra->config().tiedHead);
    EXPECT_TRUE(warns(*extra, "lm_head of their own"));
    EXPECT_TRUE(lacking->config().tiedHead);
    EXPECT_TRUE(warns(*lacking, "there is no lm_head"));
    for (const auto& checkpoint : {tied, untied, extra, lacking}) EXPECT_TRUE(checkpoint->config().forwardSupported);
}

TEST(Config, ggufUnsupportedValuesSayWhy) {
    const auto llama = [] {
        GgufMetadata m;
        m.set("general.architecture", {GgufType::string, std::string("llama")});
        for (const auto& [key, value] : {std::pair{"block_count", 2}, {"embedding_length", 32}, {"feed_forward_length", 64}, {"attention.head_count", 4}, {"attention.head_count_kv", 2}, {"rope.dimension_count", 8}})
            m.set(std::string("llama.") + key, {GgufType::u32, std::int64_t{value}});
        m.set("llama.attention.layer_norm_rms_epsilon", {GgufType::f32, 1e-5});
        return m;
    };
    EXPECT_TRUE(configFromGguf(llama(), 48).forwardSupported) << configFromGguf(llama(), 48).whyNot;
    EXPECT_EQ(configFromGguf(llama(), 48).vocabulary, 48);
    EXPECT_FALSE(configFromGguf(llama(), 0).forwardSupported);
    EXPECT_FALSE(configFromGguf({}, 48).forwardSupported);
    GgufArray perBlock;
    perBlock.element = GgufType::i32;
    perBlock.integers = {4, 4};
    auto m = llama();
    m.set("llama.attention.head_count", {GgufType::array, perBlock});
    EXPECT_TRUE(configFromGguf(m, 48).forwardSupported);
    perBlock.integers = {4, 2};
    m.set("llama.attention.head_count", {GgufType::array, perBlock});
    EXPECT_NE(configFromGguf(m, 48).whyNot.find("different shape"), std::string::npos);
    struct Case {
        const char* key;
        GgufValue value;
        const char* mentions;
    };
    for (const Case& c : std::vector<Case>{{"general.architecture", {GgufType::string, std::string("rwkv")}, "'rwkv'"}, {"llama.block_count", {GgufType::u32, std::int64_t{4'000'000'000}}, "4000000000"},
                                           {"llama.block_count", {GgufType::string, std::string("6")}, "llama.block_count"}, {"llama.expert_count", {GgufType::u32, std::int64_t{8}}, "0 experts per token (llama.expert_used_count) of 8 (llama.expert_count)"},
                                           {"llama.attention.layer_norm_rms_epsilon", {GgufType::string, std::string("no")}, "layer_norm_rms_epsilon"},
                                           {"llama.attention.layer_norm_rms_epsilon", {GgufType::f32, -1.0}, "epsilon is -1"},
                                           {"llama.attention.sliding_window", {GgufType::u32, std::int64_t{0}}, "llama.attention.sliding_window is 0"},
                                           {"llama.rope.freq_base", {GgufType::f32, std::nan("")}, "rotary base (llama.rope.freq_base) is nan"},
                                           {"llama.rope.scaling.type", {GgufType::string, std::string("ntk")}, "'ntk'"}, {"llama.rope.dimension_count", {GgufType::u32, std::int64_t{10}}, "10 rotated channels of heads of 8"},
                                           {"llama.attention.value_length", {GgufType::u32, std::int64_t{16}}, "values of 16"}}) {
        auto metadata = llama();
        metadata.set(c.key, c.value);
        const ModelConfig config = configFromGguf(metadata, 48, [](const std::string& name) { return name.ends_with("ffn_gate_inp.weight"); });
        EXPECT_FALSE(config.forwardSupported) << c.key;
        EXPECT_NE(config.whyNot.find(c.mentions), std::string::npos) << config.whyNot;
    }
}

TEST(Config, bosComesFromFlagOrTemplate) {
    TempFolder folder;
    EXPECT_FALSE(tokenizerAddsBos(folder.path().string()));
    folder.write("tokenizer.json", R"({"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}}]}})");
    EXPECT_TRUE(tokenizerAddsBos(folder.path().string()));
    folder.write("tokenizer.json", R"({"post_processor":{"type":"Sequence","processors":[{"type":"ByteLevel"},{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}}]}]}})");
    EXPECT_TRUE(tokenizerAddsBos(folder.path().string()));
    folder.write("tokenizer.json", R"({"post_processor":{"type":"TemplateProcessing","single":[{"Sequence":{"id":"A"}}]}})");
    EXPECT_FALSE(tokenizerAddsBos(folder.path().string()));
    folder.write("tokenizer_config.json", R"({"add_bos_token":true})");
    EXPECT_TRUE(tokenizerAddsBos(folder.path().string()));
    folder.write("tokenizer_config.json", "broken");
    EXPECT_FALSE(tokenizerAddsBos(folder.path().string()));
}

} // namespace
} // namespace bw::test
