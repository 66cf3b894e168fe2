// SPDX-License-Identifier: GPL-3.0-or-later
// Sites and input groups of an opened model, and every reason to refuse one.
#include "tests/support/expect_error.h"
#include "tests/unit/model/tiny_model.h"

#include <gtest/gtest.h>

namespace bw {
namespace {

using test::expectError;
using test::RandomLlama;
using test::TempFolder;
using test::TinyModel;

std::vector<std::string> names(const Model& model) {
    std::vector<std::string> all;
    for (const auto& site : model.sites()) all.push_back(site.name);
    return all;
}

TEST(ModelOpen, ListsSitesInOrderWithShapes) {
    const TinyModel tiny;
    const Model& model = *tiny.model;
    EXPECT_EQ(names(model),
              (std::vector<std::string>{"token_embd", "blk.0.attn_q", "blk.0.attn_k", "blk.0.attn_v",
                                        "blk.0.attn_output", "blk.0.ffn_gate", "blk.0.ffn_up", "blk.0.ffn_down",
                                        "blk.1.attn_q", "blk.1.attn_k", "blk.1.attn_v", "blk.1.attn_output",
                                        "blk.1.ffn_gate", "blk.1.ffn_up", "blk.1.ffn_down"}));
    for (std::size_t i = 0; i < model.sites().size(); ++i) {
        const Site& site = model.sites()[i];
        EXPECT_EQ(site.id.value(), static_cast<int>(i));
        EXPECT_EQ(site.tensor, site.name + ".weight");
        EXPECT_EQ(model.findSite(site.name), &site);
        const TensorInfo& tensor = model.checkpoint().require(site.tensor);
        EXPECT_EQ(tensor.shape, (std::vector<std::int64_t>{site.rows, site.cols})) << site.name;
        EXPECT_TRUE(site.name.ends_with(siteKindName(site.kind)));
    }
    EXPECT_EQ(model.findSite("blk.2.attn_q"), nullptr);
    EXPECT_EQ(model.findSite("blk.1.attn_v")->block.value(), 1);
    EXPECT_EQ(model.findSite("token_embd")->block.value(), -1);
}

TEST(ModelOpen, GroupsSitesThatShareAnInput) {
    const TinyModel tiny;
    const Model& model = *tiny.model;
    std::vector<std::string> groups;
    for (const auto& group : model.inputGroups()) {
        std::string text = group.name + "/" + std::to_string(group.width) + ":";
        for (const auto id : group.sites) text += " " + model.site(id).name;
        groups.push_back(text);
    }
    ASSERT_EQ(groups.size(), 9u);
    EXPECT_EQ(groups[0], "blk.0.attn_in/24: blk.0.attn_q blk.0.attn_k blk.0.attn_v");
    EXPECT_EQ(groups[5], "blk.1.attn_output_in/24: blk.1.attn_output");
    EXPECT_EQ(groups[6], "blk.1.ffn_in/24: blk.1.ffn_gate blk.1.ffn_up");
    EXPECT_EQ(groups[7], "blk.1.ffn_down_in/40: blk.1.ffn_down");
    EXPECT_EQ(groups[8], "output_in/24: token_embd");
    for (const auto& site : model.sites()) {
        const auto& members = model.inputGroups().at(static_cast<std::size_t>(site.inputGroup)).sites;
        EXPECT_NE(std::find(members.begin(), members.end(), site.id), members.end()) << site.name;
    }
}

TEST(ModelOpen, UntiedHeadIsASiteOfItsOwn) {
    RandomLlama shape;
    shape.tied = false;
    const TinyModel tiny(shape);
    EXPECT_EQ(tiny.model->sites().back().name, "output");
    EXPECT_EQ(tiny.model->sites().front().inputGroup, -1);
    EXPECT_EQ(tiny.model->inputGroups().back().sites, (std::vector<SiteId>{tiny.model->sites().back().id}));
    EXPECT_FALSE(tiny.model->config().tiedHead);
}

TEST(ModelOpen, MissingHeadMeansTied) {
    RandomLlama shape;
    shape.editConfig = [](nlohmann::json& config) { config["tie_word_embeddings"] = false; };
    const TinyModel tiny(shape);
    EXPECT_TRUE(tiny.model->config().tiedHead);
    EXPECT_EQ(tiny.model->sites().back().name, "blk.1.ffn_down");
}

/// Writes the shape and expects Model::open to refuse it.
Error refusal(ErrorCode code, const RandomLlama& shape) {
    const TempFolder folder;
    shape.write(folder.path());
    return expectError(code, [&] { Model::open(Checkpoint::open(folder.path().string()), makeCpuDevice()); });
}

TEST(ModelOpen, ShapeMismatchNamesBothShapes) {
    RandomLlama shape;
    shape.editConfig = [](nlohmann::json& config) { config["intermediate_size"] = 48; };
    const Error error = refusal(ErrorCode::shapeMismatch, shape);
    EXPECT_NE(error.message().find("mlp.gate_proj"), std::string::npos) << error.message();
    EXPECT_NE(error.message().find("[40, 24]"), std::string::npos) << error.message();
    EXPECT_NE(error.message().find("[48, 24]"), std::string::npos) << error.message();
}

TEST(ModelOpen, VocabularyAndEmbeddingMustAgree) {
    RandomLlama shape;
    shape.editConfig = [](nlohmann::json& config) { config["vocab_size"] = 51; };
    const Error error = refusal(ErrorCode::shapeMismatch, shape);
    EXPECT_NE(error.message().find("[51, 24]"), std::string::npos) << error.message();
}

TEST(ModelOpen, MissingTensorIsNamed) {
    RandomLlama shape;
    shape.editTensor = [](RandomLlama::Tensor& tensor) { return tensor.name != "model.layers.1.mlp.up_proj.weight"; };
    EXPECT_NE(refusal(ErrorCode::tensorMissing, shape).message().find("blk.1.ffn_up.weight"), std::string::npos);
}

TEST(ModelOpen, UnknownArchitectureSaysWhy) {
    RandomLlama shape;
    shape.editConfig = [](nlohmann::json& config) {
        config["model_type"] = "zebra";
        config["architectures"] = {"ZebraForCausalLM"};
    };
    const Error error = refusal(ErrorCode::unsupportedModel, shape);
    EXPECT_NE(error.message().find("zebra"), std::string::npos) << error.message();
}

TEST(ModelOpen, BiasesAreNotIgnored) {
    RandomLlama shape;
    shape.editTensor = [](RandomLlama::Tensor& tensor) {
        // A second norm vector posing as a bias of a linear layer.
        if (tensor.name == "model.layers.1.post_attention_layernorm.weight")
            tensor.name = "model.layers.1.self_attn.q_proj.bias";
        return true;
    };
    refusal(ErrorCode::unsupportedModel, shape);
}

TEST(ModelWeights, SiteWeightAndSourceAreApplied) {
    struct Doubling final : WeightSource {
        void apply(const Site& site, MatrixView<float> weight) const override {
            if (site.kind != SiteKind::ffnUp) return;
            for (std::int64_t i = 0; i < weight.size(); ++i) weight.data[i] *= 2;
        }
    } doubling;
    const TinyModel tiny;
    for (const char* name : {"blk.0.ffn_up", "blk.0.ffn_gate"}) {
        const Site& site = *tiny.model->findSite(name);
        const Matrix plain = tiny.model->siteWeight(site), changed = tiny.model->siteWeight(site, &doubling);
        const float factor = site.kind == SiteKind::ffnUp ? 2.0f : 1.0f;
        for (std::int64_t i = 0; i < plain.size(); ++i) ASSERT_EQ(changed.data()[i], factor * plain.data()[i]);
    }
    const auto block = tiny.model->loadBlock(BlockIndex{1});
    EXPECT_EQ(block->owned.size(), 7u);
    EXPECT_EQ(block->bytes, 4u * (24 * 24 * 2 + 12 * 24 * 2 + 40 * 24 * 3 + 2 * 24));
    EXPECT_EQ(block->feedForward.down.weight->cols, 40);
}

} // namespace
} // namespace bw
