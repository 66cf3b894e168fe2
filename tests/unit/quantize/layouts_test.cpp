// SPDX-License-Identifier: GPL-3.0-or-later
// Layouts that other programs load: what they hold and refuse, their configuration, and an audit that finds damage in each.
#include "tests/unit/quantize/demo_model.h"

#include "core/base/io_ops.h"
#include "core/base/text.h"

#include <gmock/gmock.h>

#include <fstream>

namespace bw {
namespace {

using test::asPlanned;
using test::codeOf;
using test::demoModel;
using test::openModel;
using test::someWindows;

struct Case {
    const char *layout, *format;
    std::vector<FormatRule> rules = {};
    const char* activations = "";
    friend std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.layout << " " << c.format << " " << c.activations; }
};

ExportOptions optionsOf(const Case& c, const std::string& profile = {}) {
    ExportOptions options;
    options.layout = c.layout;
    options.profile = profile;
    options.activations = c.activations;
    return options;
}

Json configOf(const std::string& folder) {
    std::ifstream in(folder + "/config.json");
    return Json::parse(in).at("quantization_config");
}

AuditReport exportCase(const Case& c, const std::string& path, const Model& model = demoModel()) {
    const auto formats = resolveFormats(model, c.format, "", c.rules);
    const ExportPlan plan = planExport(model, formats, path, false, optionsOf(c));
    JobContext job;
    return exportModel(model, *test::quantize(model, asPlanned(formats, plan)), plan, false, someWindows(model.config().vocabulary), job);
}

class LayoutExport : public testing::TestWithParam<Case> {};

TEST_P(LayoutExport, opensAgainWithTheSimulatedValues) {
    const test::TempFolder folder;
    const AuditReport audit = exportCase(GetParam(), folder / "out");
    EXPECT_TRUE(audit.ok);
    EXPECT_EQ(audit.evaluatedTokens, 46);
    EXPECT_NEAR(audit.simulatedNll, audit.reopenedNll, 1e-6);
    EXPECT_TRUE(test::fs::exists(folder / "out/tokenizer.json"));
    EXPECT_EQ(configOf(folder / "out").at("quant_method"), GetParam().layout == std::string("bnb") ? "bitsandbytes" : GetParam().layout);
}

/// Changes one byte of what is written in the k-th call that writes at a place (codes, scales, zero points …).
class FlippingIo final : public IoOps {
public:
    explicit FlippingIo(int k) : k_(k) { setIoOps(this); }
    ~FlippingIo() override { setIoOps(nullptr); }
    ssize_t pwrite(int fd, const void* data, std::size_t bytes, off_t offset) override {
        if (++calls_ != k_ || bytes == 0) return IoOps::pwrite(fd, data, bytes, offset);
        std::string copy(static_cast<const char*>(data), bytes);
        copy[bytes / 2] = static_cast<char>(copy[bytes / 2] ^ 0x12);
        return IoOps::pwrite(fd, copy.data(), bytes, offset);
    }
    int calls() const { return calls_; }

private:
    int k_, calls_ = 0;
};

TEST_P(LayoutExport, auditFindsDamageInEveryPart) {
    const test::TempFolder folder;
    int total = 0;
    {
        const FlippingIo counting(0);
        exportCase(GetParam(), folder / "whole");
        total = counting.calls();
    }
    ASSERT_GT(total, 20);
    // Call 1 is the header; 2 to 10 are parts of the embedding and of the first linears.
    for (int k = 1; k <= 10; ++k) {
        const std::string name = "out" + std::to_string(k);
        const FlippingIo io(k);
        EXPECT_EQ(codeOf([&] { exportCase(GetParam(), folder / name); }), ErrorCode::auditFailed) << "write " << k;
        EXPECT_FALSE(test::fs::exists(folder / name)) << k;
        EXPECT_TRUE(test::fs::exists(folder / (name + ".failed-audit"))) << k;
    }
}

INSTANTIATE_TEST_SUITE_P(Layouts, LayoutExport,
                         testing::Values(Case{"gptq", "int4:g128:sym"}, Case{"gptq", "int4:g64:asym"}, Case{"gptq", "int3:g32:sym", {{"blk.0.*", "int8:channel:sym"}, {"blk.1.ffn_down", "keep"}}},
                                         Case{"gptq", "int2:g16:asym"}, Case{"awq", "int4:g64:asym", {{"blk.2.attn_q", "keep"}}}, Case{"awq", "int4:channel:sym"},
                                         Case{"compressed-tensors", "int4:g128:sym", {{"blk.*.ffn_down", "mxfp4"}, {"blk.0.attn_q", "int5:g32"}}}, Case{"compressed-tensors", "int8:channel:sym", {}, "a8:token"},
                                         Case{"compressed-tensors", "mxfp4"}, Case{"bnb", "int8:channel:sym", {{"blk.1.*", "f16"}}}));

TEST(Layouts, gptqSaysWhatIsDifferentFromTheRest) {
    const test::TempFolder folder;
    exportCase({"gptq", "int4:g64:sym", {{"blk.0.attn_q", "int8:g64:sym"}, {"blk.0.attn_k", "int8:g64:sym"}, {"blk.0.attn_v", "int8:g64:sym"}, {"blk.1.ffn_down", "keep"}}}, folder / "out");
    const Json config = configOf(folder / "out");
    EXPECT_EQ(config.at("bits"), 4);
    EXPECT_EQ(config.at("group_size"), 64);
    EXPECT_EQ(config.at("sym"), true);
    EXPECT_EQ(config.at("desc_act"), false);
    EXPECT_EQ(config.at("checkpoint_format"), "gptq");
    const Json& dynamic = config.at("dynamic");
    ASSERT_EQ(dynamic.size(), 3u) << dynamic.dump(2);
    EXPECT_EQ(dynamic.at("+:^model\\.layers\\.0\\.self_attn\\.(?:k_proj|q_proj|v_proj|qkv_proj)$").at("bits"), 8);
    EXPECT_TRUE(dynamic.contains("-:^model\\.layers\\.1\\.mlp\\.down_proj$"));
    EXPECT_TRUE(dynamic.contains("-:^lm_head$"));
    std::ifstream copy(folder / "out/quantize_config.json");
    EXPECT_EQ(Json::parse(copy), config);
    const auto written = Checkpoint::open(folder / "out");
    EXPECT_EQ(written->require("model.layers.0.self_attn.q_proj.weight").packed->name(), "gptq int8:g64");
    EXPECT_EQ(written->require("blk.1.ffn_down.weight").type, StorageType::bf16);
    EXPECT_EQ(written->require("token_embd.weight").type, StorageType::bf16) << "the table stays";
}

TEST(Layouts, compressedTensorsNamesTheFormatOfEachGroup) {
    const test::TempFolder folder;
    exportCase({"compressed-tensors", "int4:g128:sym", {{"blk.0.ffn_down", "mxfp4"}, {"blk.1.attn_q", "keep"}}}, folder / "mixed");
    const Json mixed = configOf(folder / "mixed");
    EXPECT_EQ(mixed.at("format"), "mixed-precision");
    EXPECT_EQ(mixed.at("ignore"), Json({"model.layers.1.self_attn.q_proj", "lm_head"}));
    std::set<std::string> formats;
    for (const Json& group : mixed.at("config_groups")) formats.insert(group.at("format").get<std::string>());
    EXPECT_EQ(formats, (std::set<std::string>{"mxfp4-pack-quantized", "pack-quantized"}));
    exportCase({"compressed-tensors", "int8:channel:sym", {}, "a8:token"}, folder / "w8a8");
    const Json w8a8 = configOf(folder / "w8a8");
    EXPECT_EQ(w8a8.at("format"), "int-quantized");
    const Json& inputs = w8a8.at("config_groups").at("group_0").at("input_activations");
    EXPECT_EQ(inputs.at("dynamic"), true);
    EXPECT_EQ(inputs.at("strategy"), "token");
    EXPECT_EQ(inputs.at("num_bits"), 8);
}

/// A weight whose last group has one sign has a zero point of 0, which the first generation can't hold.
TEST(Layouts, zeroPointsOfZeroNeedTheSecondGeneration) {
    const test::TempFolder folder;
    const auto formats = resolveFormats(demoModel(), "keep", "", {{"blk.0.ffn_down", "int4:g64:asym"}});
    const Site& site = *demoModel().findSite("blk.0.ffn_down");
    Matrix weight = demoModel().siteWeight(site);
    for (std::int64_t i = 0; i < 64; ++i) weight.row(3)[i] = std::abs(weight.row(3)[i]);
    const auto run = [&](const std::string& name, const std::string& profile) {
        const ExportPlan plan = planExport(demoModel(), formats, folder / name, false, optionsOf({"gptq", ""}, profile));
        QuantizedModel quantized;
        quantized.setFormats(formats);
        quantized.set(quantizeSite(site, weight.view(), formats[static_cast<std::size_t>(site.id.value())].used, {}, {false, false}));
        JobContext job;
        return exportModel(demoModel(), quantized, plan, false, {}, job);
    };
    EXPECT_TRUE(run("free", "").ok);
    EXPECT_EQ(configOf(folder / "free").at("checkpoint_format"), "gptq_v2");
    std::string line;
    EXPECT_EQ(codeOf([&] { run("vllm", "vllm"); }, &line), ErrorCode::formatDoesNotFit);
    EXPECT_THAT(line, testing::HasSubstr("zero points of 0, which the first generation of GPTQ files can't hold: blk.0.ffn_down"));
    EXPECT_EQ(folder.names(), std::vector<std::string>{"free"});
}

TEST(Layouts, weightsBesideTheGridAreRefused) {
    const test::TempFolder folder;
    const auto formats = resolveFormats(demoModel(), "int4:g64:sym", "", {{"token_embd", "keep"}});
    const ExportPlan plan = planExport(demoModel(), formats, folder / "out", false, optionsOf({"gptq", ""}));
    const auto quantized = test::quantize(demoModel(), formats);
    const Site& site = *demoModel().findSite("blk.3.ffn_up");
    QuantizedTensor tensor = *quantized->find(site.id);
    tensor.kept.rowOf = {1};
    tensor.kept.columnOf = {2};
    tensor.kept.values = {0x3c00};
    quantized->set(tensor);
    JobContext job;
    std::string line;
    EXPECT_EQ(codeOf([&] { exportModel(demoModel(), *quantized, plan, false, {}, job); }, &line), ErrorCode::formatDoesNotFit);
    EXPECT_THAT(line, testing::HasSubstr("blk.3.ffn_up"));
    EXPECT_TRUE(folder.names().empty());
}

std::string refusal(const Case& c, const std::string& profile, const std::string& path) {
    std::string line;
    EXPECT_EQ(codeOf([&] { planExport(demoModel(), resolveFormats(demoModel(), c.format, "", c.rules), path, false, optionsOf(c, profile)); }, &line), ErrorCode::formatDoesNotFit) << c << " " << profile;
    return line;
}

TEST(Layouts, refusalsNameTheSitesAndTheWayOut) {
    using testing::AllOf, testing::HasSubstr;
    const test::TempFolder folder;
    const std::string out = folder / "out";
    EXPECT_THAT(refusal({"gptq", "int4:g64", {{"blk.2.attn_v", "int5:g64"}}}, "", out), AllOf(HasSubstr("5 bits"), HasSubstr("blk.2.attn_v"), HasSubstr("--rule")));
    EXPECT_THAT(refusal({"gptq", "q4_k"}, "", out), HasSubstr("blk.0.attn_q"));
    EXPECT_THAT(refusal({"awq", "int4:g64", {{"blk.0.ffn_up", "int4:g32"}}}, "", out), AllOf(HasSubstr("one format"), HasSubstr("blk.0.ffn_up")));
    EXPECT_THAT(refusal({"bnb", "int4:g64"}, "", out), HasSubstr("int8:channel:sym"));
    EXPECT_THAT(refusal({"gguf", "int4:g64"}, "", folder / "out.gguf"), HasSubstr("GGUF"));
    EXPECT_THAT(refusal({"compressed-tensors", "int4:tensor:asym"}, "", out), HasSubstr("zero points"));
    EXPECT_THAT(refusal({"compressed-tensors", "int4:g64:sym", {{"blk.1.attn_k", "int8:g64:sym"}}}, "vllm", out), AllOf(HasSubstr("fuses"), HasSubstr("blk.1.attn_k"), HasSubstr("--tie fused")));
    EXPECT_THAT(refusal({"compressed-tensors", "int4:g64:sym", {{"blk.1.ffn_down", "int8:g64:sym"}}}, "sglang", out), AllOf(HasSubstr("one format"), HasSubstr("blk.1.ffn_down")));
    EXPECT_THAT(refusal({"compressed-tensors", "int6:g64"}, "vllm", out), HasSubstr("6 bits"));
    EXPECT_THAT(refusal({"gptq", "int4:g256:sym"}, "vllm", out), HasSubstr("groups of 256"));
    EXPECT_THAT(refusal({"compressed-tensors", "int8:g64:sym", {}, "a8:token"}, "vllm", out), HasSubstr("int8:channel:sym"));
    EXPECT_THAT(refusal({"compressed-tensors", "int8:channel:sym", {}, "a8:channel"}, "", out), HasSubstr("a8:channel"));
    EXPECT_TRUE(exportProblems(demoModel(), resolveFormats(demoModel(), "int4:g64:sym", "", {{"blk.1.ffn_down", "int8:g64:sym"}}), out, optionsOf({"gptq", ""}, "vllm")).empty());
    EXPECT_TRUE(folder.names().empty());
}

TEST(Layouts, unknownNamesAndContradictionsAreUsageErrors) {
    const test::TempFolder folder;
    const auto formats = resolveFormats(demoModel(), "int4:g64:sym", "", {});
    const auto plan = [&](const char* layout, const char* profile, const std::string& name, std::string* line) {
        return codeOf([&] { planExport(demoModel(), formats, folder / name, false, optionsOf({layout, ""}, profile)); }, line);
    };
    std::string line;
    EXPECT_EQ(plan("gtpq", "", "out", &line), ErrorCode::usage);
    EXPECT_THAT(line, testing::HasSubstr("compressed-tensors"));
    EXPECT_EQ(plan("", "vlmm", "out", &line), ErrorCode::usage);
    EXPECT_THAT(line, testing::HasSubstr("vllm"));
    EXPECT_EQ(plan("awq", "", "out.gguf", &line), ErrorCode::usage);
    EXPECT_EQ(plan("awq", "llama.cpp", "out", &line), ErrorCode::usage);
    EXPECT_THAT(line, testing::HasSubstr("gguf"));
    EXPECT_TRUE(profileFusesLayers("vllm"));
    EXPECT_FALSE(profileFusesLayers("llama.cpp"));
}

} // namespace
} // namespace bw
