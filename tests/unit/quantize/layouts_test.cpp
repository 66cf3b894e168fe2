// SPDX-License-Identifier: GPL-3.0-or-later
// Layouts that other programs load: what they hold and refuse, their configuration, and an audit that finds damage in each.
#include "tests/unit/quantize/demo_model.h"

#include "core/base/io_ops.h"
#include "core/base/text.h"
#include "core/format/float_format.h"

#include <gmock/gmock.h>

#include <atomic>
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

/// Static scales as a calibration would give them.
TEST(Layouts, staticSchemesAreStatedWithTheirScales) {
    const test::TempFolder folder;
    const auto formats = resolveFormats(demoModel(), "fp8_e4m3:channel", "", {{"blk.1.ffn_down", "keep"}});
    ExportOptions options = optionsOf({"compressed-tensors", "", {}, "fp8:tensor:percentile=99.9"}, "vllm");
    options.cache = "fp8:tensor";
    const ExportPlan plan = planExport(demoModel(), formats, folder / "out", false, options);
    const auto quantized = test::quantize(demoModel(), asPlanned(formats, plan));
    RuntimeScales scales;
    for (std::size_t g = 0; g < demoModel().inputGroups().size(); ++g) scales.inputs.push_back(0.01f + 0.001f * static_cast<float>(g));
    scales.keys.assign(6, 0.02f);
    scales.values.assign(6, 0.03f);
    JobContext job;
    const auto run = [&](const RuntimeScales& given) { return exportModel(demoModel(), *quantized, plan, false, someWindows(demoModel().config().vocabulary), job, given); };
    std::string line;
    RuntimeScales unseen = scales;
    unseen.inputs[static_cast<std::size_t>(demoModel().findSite("blk.3.ffn_up")->inputGroup)] = 0;
    EXPECT_EQ(codeOf([&] { run(unseen); }, &line), ErrorCode::formatDoesNotFit);
    EXPECT_THAT(line, testing::AllOf(testing::HasSubstr("no token of the calibration text"), testing::HasSubstr("model.layers.3.mlp.up_proj")));
    EXPECT_TRUE(folder.names().empty());
    EXPECT_TRUE(run(scales).ok);
    const Json config = configOf(folder / "out");
    const Json& inputs = config.at("config_groups").at("group_0").at("input_activations");
    EXPECT_EQ(inputs.at("dynamic"), false);
    EXPECT_EQ(inputs.at("strategy"), "tensor");
    EXPECT_EQ(inputs.at("type"), "float");
    EXPECT_EQ(config.at("kv_cache_scheme").at("strategy"), "tensor");
    const auto written = Checkpoint::open(folder / "out");
    const auto valueOf = [&](const std::string& name) {
        float value = 0;
        written->read(written->require(name), {&value, 1});
        return value;
    };
    EXPECT_EQ(valueOf("model.layers.3.self_attn.k_proj.input_scale"), scales.inputs[static_cast<std::size_t>(demoModel().findSite("blk.3.attn_k")->inputGroup)]);
    EXPECT_EQ(valueOf("model.layers.5.self_attn.k_scale"), 0.02f);
    EXPECT_EQ(valueOf("model.layers.0.self_attn.v_scale"), 0.03f);
    EXPECT_EQ(written->find("model.layers.1.mlp.down_proj.input_scale"), nullptr) << "it is not quantized";
    EXPECT_NO_THROW(planExport(*openModel(folder / "out"), resolveFormats(demoModel(), "q8_0", "", {}), folder / "again.gguf", false)) << "GGUF leaves them out";
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
                                         Case{"compressed-tensors", "mxfp4"}, Case{"compressed-tensors", "fp8_e4m3:channel", {{"blk.1.*", "fp8_e4m3:tensor"}, {"blk.2.*", "fp8_e4m3:g64"}}, "fp8:token"},
                                         Case{"compressed-tensors", "nvfp4", {{"blk.1.*", "mxfp8_e4m3"}, {"blk.2.*", "fp8_e4m3:block128"}}}, Case{"fp8", "fp8_e4m3:block128", {{"blk.1.*", "keep"}}},
                                         Case{"fp8", "fp8_e4m3:tensor"}, Case{"bnb", "nf4"}, Case{"bnb", "nf4:b128:dq", {{"blk.3.attn_o*", "keep"}}}, Case{"bnb", "int8:channel:sym", {{"blk.1.*", "f16"}}}));

TEST(Layouts, floatsSayTheirScales) {
    const test::TempFolder folder;
    exportCase({"compressed-tensors", "nvfp4", {{"blk.1.*", "mxfp8_e4m3"}, {"blk.2.*", "fp8_e4m3:block128"}}}, folder / "mixed");
    std::map<std::string, Json> weights;
    const Json mixed = configOf(folder / "mixed");
    for (const Json& group : mixed.at("config_groups")) weights[group.at("format")] = group.at("weights");
    ASSERT_EQ(weights.size(), 3u);
    EXPECT_EQ(weights.at("nvfp4-pack-quantized").at("strategy"), "tensor_group");
    EXPECT_EQ(weights.at("nvfp4-pack-quantized").at("group_size"), 16);
    EXPECT_EQ(weights.at("mxfp8-quantized").at("group_size"), 32);
    EXPECT_EQ(weights.at("mxfp8-quantized").at("scale_dtype"), "torch.uint8");
    EXPECT_EQ(weights.at("float-quantized").at("block_structure"), Json({128, 128}));
    exportCase({"fp8", "fp8_e4m3:block128", {{"blk.1.attn_q", "keep"}}}, folder / "blocks");
    const Json blocks = configOf(folder / "blocks");
    EXPECT_EQ(blocks.at("weight_block_size"), Json({128, 128}));
    EXPECT_EQ(blocks.at("modules_to_not_convert"), Json({"model.layers.1.self_attn.q_proj", "lm_head"}));
    exportCase({"bnb", "nf4:dq"}, folder / "nf4");
    const Json nf4 = configOf(folder / "nf4");
    EXPECT_EQ(nf4.at("load_in_4bit"), true);
    EXPECT_EQ(nf4.at("load_in_8bit"), false);
    EXPECT_EQ(nf4.at("bnb_4bit_quant_type"), "nf4");
    EXPECT_EQ(nf4.at("bnb_4bit_use_double_quant"), true);
    EXPECT_EQ(nf4.at("bnb_4bit_compute_dtype"), "bfloat16");
}

/// Loaders that fuse layers keep one global scale for them.
TEST(Layouts, layersThatShareAnInputShareTheGlobalScaleOfNvfp4) {
    const auto formats = shareGlobalScales(demoModel(), resolveFormats(demoModel(), "nvfp4", "", {{"blk.1.attn_v", "keep"}}));
    const auto scaleOf = [&](const char* name) {
        const Site& site = *demoModel().findSite(name);
        const Matrix weight = demoModel().siteWeight(site);
        const auto& format = dynamic_cast<const FloatFormat&>(*formats[static_cast<std::size_t>(site.id.value())].used);
        std::vector<std::byte> bytes(format.bytes(site.rows, site.cols));
        format.encode(weight.view(), {}, bytes);
        return format.unpack(bytes, site.rows, site.cols).globalScale;
    };
    EXPECT_EQ(scaleOf("blk.0.attn_q"), scaleOf("blk.0.attn_k"));
    EXPECT_EQ(scaleOf("blk.0.attn_q"), scaleOf("blk.0.attn_v"));
    EXPECT_EQ(scaleOf("blk.0.ffn_gate"), scaleOf("blk.0.ffn_up"));
    EXPECT_EQ(scaleOf("blk.1.attn_q"), scaleOf("blk.1.attn_k"));
    EXPECT_NE(scaleOf("blk.0.attn_q"), scaleOf("blk.1.attn_q"));
    EXPECT_NE(scaleOf("blk.0.ffn_down"), scaleOf("blk.0.ffn_up"));
    std::set<float> own;
    for (const char* name : {"blk.0.attn_q", "blk.0.attn_k", "blk.0.attn_v"}) {
        const Matrix weight = demoModel().siteWeight(*demoModel().findSite(name));
        own.insert(nvGlobalScale(std::max(*std::max_element(weight.data(), weight.data() + weight.size()), -*std::min_element(weight.data(), weight.data() + weight.size()))));
    }
    EXPECT_EQ(scaleOf("blk.0.attn_q"), *own.begin()) << "of the largest weight";
}

TEST(Layouts, foldersAreDividedIntoPartsWithAnIndex) {
    const test::TempFolder folder;
    const auto formats = resolveFormats(demoModel(), "nf4", "", {});
    ExportOptions options = optionsOf({"bnb", "nf4"});
    options.partBytes = 1'000'000;
    const ExportPlan plan = planExport(demoModel(), formats, folder / "out", false, options);
    JobContext job;
    EXPECT_TRUE(exportModel(demoModel(), *test::quantize(demoModel(), asPlanned(formats, plan)), plan, false, someWindows(demoModel().config().vocabulary), job).ok);
    std::uint64_t bytes = 0;
    int parts = 0;
    for (const auto& entry : test::fs::directory_iterator(folder / "out"))
        if (entry.path().extension() == ".safetensors") {
            bytes += entry.file_size();
            ++parts;
        }
    EXPECT_GE(parts, 3);
    EXPECT_EQ(bytes, plan.fileBytes);
    std::ifstream in(folder / "out/model.safetensors.index.json");
    const Json map = Json::parse(in).at("weight_map");
    EXPECT_TRUE(map.contains("model.layers.0.self_attn.q_proj.weight.quant_state.bitsandbytes__nf4"));
}

/// Rounds inputs otherwise in every walk: the file is not at fault, but what comes of it is not what was simulated.
class Unsteady final : public RuntimeRounding {
public:
    bool roundsInput(int) const override { return true; }
    void roundInput(int group, MatrixView<float> x) const override {
        if (group == 0) ++calls_;
        for (std::int64_t r = 0; r < x.rows; ++r)
            for (std::int64_t c = 0; c < x.cols; ++c) x.row(r)[c] *= calls_ > 1 ? 1.01f : 1.0f;
    }
    bool roundsCache(BlockIndex) const override { return false; }
    std::int64_t cacheRun(BlockIndex, std::int64_t, std::int64_t most) const override { return most; }
    void roundCache(BlockIndex, MatrixView<float>, MatrixView<float>, std::int64_t) const override {}

private:
    mutable std::atomic<int> calls_ = 0;
};

TEST(Layouts, divergenceFromTheSimulationFailsTheAudit) {
    const test::TempFolder folder;
    const auto formats = resolveFormats(demoModel(), "fp8_e4m3:channel", "", {});
    const ExportPlan plan = planExport(demoModel(), formats, folder / "out", false, optionsOf({"compressed-tensors", ""}));
    const auto quantized = test::quantize(demoModel(), asPlanned(formats, plan));
    quantized->setRounding(std::make_shared<Unsteady>());
    JobContext job;
    std::string line;
    EXPECT_EQ(codeOf([&] { exportModel(demoModel(), *quantized, plan, false, someWindows(demoModel().config().vocabulary), job); }, &line), ErrorCode::auditFailed);
    EXPECT_THAT(line, testing::HasSubstr("diverges from the simulation"));
    EXPECT_FALSE(test::fs::exists(folder / "out"));
}

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

TEST(Layouts, nf4InAFolderLiesAsBitsandbytesHasIt) {
    const test::TempFolder folder;
    const Case nf4{"", "nf4", {{"blk.1.*", "keep"}}};
    ASSERT_TRUE(exportCase(nf4, folder / "out").ok);
    EXPECT_EQ(configOf(folder / "out").at("quant_method"), "bitsandbytes");
    const ExportPlan plan = planExport(demoModel(), resolveFormats(demoModel(), "nf4", "", {}), folder / "other", false);
    EXPECT_EQ(plan.layout, "bnb");
    EXPECT_THAT(plan.warnings, testing::Contains(testing::HasSubstr("--layout bnb")));
    std::string line;
    EXPECT_EQ(codeOf([&] { planExport(demoModel(), resolveFormats(demoModel(), "int4:g64", "", {{"blk.2.attn_k", "nf4"}}), folder / "other", false); }, &line), ErrorCode::formatDoesNotFit);
    EXPECT_THAT(line, testing::AllOf(testing::HasSubstr("blk.0.attn_q"), testing::HasSubstr("give all sites nf4, or none")));
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
    EXPECT_THAT(refusal({"gptq", "int4:g64", {{"blk.2.attn_v", "int5:g64"}}}, "", out), AllOf(HasSubstr("5 bits"), HasSubstr("blk.2.attn_v"), HasSubstr("--set")));
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
    EXPECT_THAT(refusal({"fp8", "fp8_e4m3:channel"}, "", out), HasSubstr("compressed-tensors layout has channels"));
    EXPECT_THAT(refusal({"compressed-tensors", "fp8_e5m2:channel"}, "", out), AllOf(HasSubstr("float-quantized is fp8_e4m3"), HasSubstr("blk.0.attn_q")));
    EXPECT_THAT(refusal({"fp8", "fp8_e4m3:tensor"}, "transformers", out), AllOf(HasSubstr("reads no fp8_e4m3:tensor"), HasSubstr("fp8_e4m3:block128")));
    EXPECT_THAT(refusal({"compressed-tensors", "nvfp4"}, "sglang", out), HasSubstr("reads no nvfp4"));
    EXPECT_THAT(refusal({"compressed-tensors", "nf4"}, "", out), HasSubstr("the layout has no nf4"));
    EXPECT_THAT(refusal({"bnb", "nf4:b32"}, "", out), HasSubstr("64 to 4096"));
    EXPECT_THAT(refusal({"bnb", "nf4", {{"blk.0.ffn_up", "int8:channel:sym"}}}, "transformers", out), AllOf(HasSubstr("one format"), HasSubstr("blk.0.ffn_up")));
    EXPECT_THAT(refusal({"fp8", "fp8_e4m3:block128", {}, "a8:token"}, "vllm", out), HasSubstr("round inputs to fp8"));
    EXPECT_THAT(refusal({"gptq", "int4:g64:sym"}, "tensorrt-llm", out), HasSubstr("groups of 64"));
    EXPECT_TRUE(exportProblems(demoModel(), resolveFormats(demoModel(), "fp8_e4m3:channel", "", {}), out, optionsOf({"compressed-tensors", "", {}, "fp8:token"}, "vllm")).empty());
    EXPECT_TRUE(exportProblems(demoModel(), resolveFormats(demoModel(), "int4:g64:sym", "", {{"blk.1.ffn_down", "int8:g64:sym"}}), out, optionsOf({"gptq", ""}, "vllm")).empty());
    EXPECT_TRUE(folder.names().empty());
}

TEST(Layouts, blocksThatAreCutShortAreRefused) {
    using testing::AllOf, testing::Contains, testing::Field, testing::HasSubstr;
    const auto model = openModel(std::string(BW_TEST_DATA) + "/families/llama"); // 32 wide, 40 in the middle
    const auto formats = resolveFormats(*model, "fp8_e4m3:block128", "", {});
    for (const char* profile : {"vllm", "sglang", "transformers"}) {
        const auto problems = exportProblems(*model, formats, "out", optionsOf({"fp8", ""}, profile));
        EXPECT_THAT(problems, Contains(AllOf(Field(&ExportProblem::what, AllOf(HasSubstr(profile), HasSubstr("multiples of the block of 128"))),
                                             Field(&ExportProblem::remedy, HasSubstr("fp8_e4m3:channel")))));
    }
    EXPECT_TRUE(exportProblems(*model, formats, "out", optionsOf({"compressed-tensors", ""}, "transformers")).empty()); // pads
    EXPECT_TRUE(exportProblems(*model, formats, "out", optionsOf({"fp8", ""})).empty());
}

struct Loaded {
    const char *profile, *layout, *format;
    bool loads;
};

TEST(Layouts, profilesTakeWhatTheirRuntimesLoad) {
    constexpr Loaded kCases[]{
        {"llama.cpp", "gguf", "q4_k", true},                        {"llama.cpp", "gguf", "nf4", false},
        {"vllm", "gptq", "int4:g128:sym", true},                    {"vllm", "gptq", "int4:g16:sym", false},
        {"vllm", "awq", "int4:g64", true},                          {"vllm", "awq", "int4:g16", false},
        {"vllm", "compressed-tensors", "int8:channel:sym", true},   {"vllm", "compressed-tensors", "int5:g64", false},
        {"vllm", "compressed-tensors", "nvfp4", true},              {"vllm", "compressed-tensors", "fp8_e4m3:g64", false},
        {"vllm", "compressed-tensors", "mxfp4", true},              {"vllm", "compressed-tensors", "mxfp8_e4m3", true},
        {"vllm", "fp8", "fp8_e4m3:block128", true},                 {"vllm", "fp8", "fp8_e4m3:tensor", true},
        {"vllm", "bnb", "nf4", true},                               {"vllm", "fp8", "nf4", false},
        {"sglang", "gptq", "int8:g128:sym", true},                  {"sglang", "gptq", "int3:g128:sym", false},
        {"sglang", "compressed-tensors", "fp8_e4m3:channel", true}, {"sglang", "compressed-tensors", "mxfp4", false},
        {"transformers", "gptq", "int2:g16:asym", true},            {"transformers", "gptq", "int5:g64", false},
        {"transformers", "compressed-tensors", "int5:g16", true},   {"transformers", "fp8", "fp8_e4m3:tensor", false},
        {"transformers", "bnb", "int8:channel:sym", true},          {"transformers", "bnb", "int8:g64:sym", false},
        {"tensorrt-llm", "gptq", "int4:g128:sym", true},            {"tensorrt-llm", "gptq", "int8:g128:sym", false},
        {"tensorrt-llm", "fp8", "fp8_e4m3:block128", true},         {"tensorrt-llm", "fp8", "fp8_e4m3:tensor", false},
    };
    for (const Loaded& c : kCases) {
        const std::string out = std::string(c.layout) == "gguf" ? "out.gguf" : "out";
        const auto problems = exportProblems(demoModel(), resolveFormats(demoModel(), c.format, "", {}), out, optionsOf({c.layout, ""}, c.profile));
        EXPECT_EQ(problems.empty(), c.loads) << c.profile << " " << c.layout << " " << c.format << (problems.empty() ? "" : ": " + problems.front().what);
        for (const ExportProblem& problem : problems) {
            EXPECT_FALSE(problem.sites.empty());
            EXPECT_FALSE(problem.remedy.empty());
        }
    }
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
