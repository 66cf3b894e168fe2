// SPDX-License-Identifier: GPL-3.0-or-later
// Quantized exports of the families whose tensors are not one to one between the containers: stacked, fused and turned.
#include "tests/golden/families/family_model.h"

#include "core/base/json.h"
#include "core/checkpoint/writer.h"
#include "core/quantize/export.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

namespace bw::test {
namespace {

struct Exported {
    ExportPlan plan;
    AuditReport audit;
    std::shared_ptr<const Model> reopened;
    const PlannedTensor& tensor(const std::string& name) const {
        const auto found = std::find_if(plan.tensors.begin(), plan.tensors.end(), [&](const PlannedTensor& t) { return t.name == name; });
        if (found == plan.tensors.end()) throw std::runtime_error("the plan has no " + name);
        return *found;
    }
};

/// Plans, rounds as planned, writes; the audit compares every value and the mean log-likelihood of the reference's ids.
Exported exportQuantized(const Model& model, const std::string& path, const std::string& format, const std::vector<FormatRule>& rules, const std::vector<TokenId>& ids) {
    Exported out;
    JobContext job;
    std::vector<SiteFormat> formats = resolveFormats(model, format, "", rules);
    out.plan = planExport(model, formats, path, false);
    for (SiteFormat& f : formats)
        for (const PlannedTensor& t : out.plan.tensors)
            if (f.used && std::find(t.sites.begin(), t.sites.end(), f.site) != t.sites.end()) f.used = parseFormat(t.used);
    const auto quantized = QuantizedModel::build(model, formats, {}, {}, job);
    out.audit = exportModel(model, *quantized, out.plan, false, {1, static_cast<std::int64_t>(ids.size()), ids}, job);
    EXPECT_TRUE(out.audit.ok) << testing::PrintToString(out.audit.mismatches);
    EXPECT_EQ(out.audit.tensorsChecked, static_cast<std::int64_t>(out.plan.tensors.size()));
    out.reopened = openModel(path);
    return out;
}

TEST(FamilyExport, aStackOfExpertsGetsTheLargestTypeAskedForOne) {
    const FamilyFolder folder("mixtral");
    const auto ids = readReference("mixtral").ids;
    const auto model = openModel(folder.model());
    const Exported first = exportQuantized(*model, folder.file("first.gguf"), "q4_0", {{"blk.0.ffn_up.e2", "q8_0"}, {"blk.1.ffn_gate.e0", "keep"}}, ids);
    const PlannedTensor& up = first.tensor("blk.0.ffn_up_exps.weight");
    EXPECT_EQ(up.sites.size(), 4u);
    EXPECT_EQ(up.asked, "q4_0, q8_0");
    EXPECT_EQ(up.used, "q8_0");
    EXPECT_THAT(up.whyDiffers, testing::HasSubstr("largest format"));
    EXPECT_EQ(first.tensor("blk.0.ffn_gate_exps.weight").used, "q4_0");
    EXPECT_EQ(first.tensor("blk.0.ffn_gate_exps.weight").whyDiffers, "");
    const PlannedTensor& gate = first.tensor("blk.1.ffn_gate_exps.weight");
    EXPECT_EQ(gate.used, "f32");
    EXPECT_THAT(gate.whyDiffers, testing::HasSubstr("keep their type"));
    const TensorInfo& stack = first.reopened->checkpoint().require("blk.0.ffn_up_exps.weight");
    EXPECT_EQ(stack.type, StorageType::q8_0);
    EXPECT_EQ(stack.shape, (std::vector<std::int64_t>{4, 16, 32}));
    EXPECT_EQ(first.reopened->checkpoint().require("blk.0.ffn_gate_inp.weight").type, StorageType::f32);

    // From the stack of a GGUF, again expert by expert.
    const Exported second = exportQuantized(*first.reopened, folder.file("second.gguf"), "keep", {{"blk.0.ffn_up.*", "q4_0"}}, ids);
    EXPECT_EQ(second.tensor("blk.0.ffn_up_exps.weight").used, "q4_0");
    EXPECT_EQ(second.tensor("blk.0.ffn_gate_exps.weight").used, "q4_0");
    EXPECT_EQ(second.reopened->checkpoint().require("blk.0.ffn_up_exps.weight").type, StorageType::q4_0);
}

TEST(FamilyExport, aFusedStackIsDividedOnlyWhereAnExpertIsQuantized) {
    const FamilyFolder folder("qwen3_moe_fused");
    const auto ids = readReference("qwen3_moe_fused").ids;
    const auto model = openModel(folder.model());
    const Exported out = exportQuantized(*model, folder.file("out"), "keep", {{"blk.0.ffn_up.e3", "int8:g32"}}, ids);
    EXPECT_EQ(out.tensor("model.layers.1.mlp.experts.gate_up_proj").bytes, 5u * 32 * 32 * 4);
    EXPECT_EQ(out.tensor("model.layers.0.mlp.experts.3.up_proj.weight").used, "int8:g32:asym");
    EXPECT_EQ(out.tensor("model.layers.0.mlp.experts.2.gate_proj.weight").used, "f32");
}

TEST(FamilyExport, turnedWeightsComeBackAsTheyWere) {
    const FamilyFolder folder("gpt2");
    const auto ids = readReference("gpt2").ids;
    const auto model = openModel(folder.model());
    const Exported gguf = exportQuantized(*model, folder.file("out.gguf"), "q8_0", {}, ids);
    EXPECT_EQ(gguf.reopened->checkpoint().require("blk.0.attn_qkv.weight").type, StorageType::q8_0);
    // A plain type keeps the turned shape; packed codes are {O, I} as every reader of them expects.
    const Exported plain = exportQuantized(*model, folder.file("plain"), "bf16", {{"blk.*.ffn_up", "int8:g32"}}, ids);
    const Checkpoint& copy = plain.reopened->checkpoint();
    const TensorInfo& qkv = copy.require("blk.0.attn_qkv.weight");
    EXPECT_TRUE(qkv.transposed);
    EXPECT_EQ(qkv.fileShape(), (std::vector<std::int64_t>{32, 96}));
    EXPECT_EQ(qkv.shape, (std::vector<std::int64_t>{96, 32}));
    EXPECT_FALSE(copy.require("blk.0.ffn_up.weight").transposed);
    EXPECT_EQ(copy.require("blk.0.ffn_up.weight").shape, (std::vector<std::int64_t>{40, 32}));
}

/// The bytes themselves: what reads its own mistake back would not see it. Pair i of a head stands at 2i and 2i+1.
TEST(FamilyExport, llamaBiasesStandInGgufsOrder) {
    const FamilyFolder folder("llama_linear");
    const auto model = openModel(folder.model());
    exportUnquantized(*model, folder.file("out.gguf"));
    const auto gguf = Checkpoint::open(folder.file("out.gguf"));
    const std::int64_t headDim = model->config().headDim;
    for (const char* name : {"blk.0.attn_q.bias", "blk.1.attn_k.bias"}) {
        const TensorInfo& first = model->checkpoint().require(name);
        std::vector<float> values(static_cast<std::size_t>(first.elements())), stored(values.size());
        model->checkpoint().read(first, values);
        const auto raw = gguf->raw(gguf->require(name));
        ASSERT_EQ(raw.size(), stored.size() * sizeof(float));
        std::memcpy(stored.data(), raw.data(), raw.size());
        for (std::int64_t i = 0; i < first.elements(); ++i) {
            const std::int64_t inHead = i % headDim, half = headDim / 2;
            EXPECT_EQ(stored[static_cast<std::size_t>(i - inHead + 2 * (inHead % half) + inHead / half)], values[static_cast<std::size_t>(i)]) << name << " " << i;
        }
    }
}

/// Every key that llama.cpp's converter writes for these families stands in ours too, with the same type.
TEST(FamilyExport, metadataHasTheKeysOfLlamaCppsConverter) {
    const Json facts = readJsonFile(BW_TEST_DATA "/checkpoint/converter_keys.json");
    for (const char* family : {"qwen2", "mixtral", "gpt2"}) {
        const FamilyFolder folder(family);
        const GgufMetadata metadata = ggufMetadataFor(*Checkpoint::open(folder.model()), 0);
        for (const auto& [key, type] : facts.at(family).items()) {
            const GgufValue* value = metadata.find(key);
            ASSERT_NE(value, nullptr) << family << ": " << key;
            EXPECT_EQ(static_cast<int>(value->type), type.get<int>()) << family << ": " << key;
        }
    }
}

} // namespace
} // namespace bw::test
