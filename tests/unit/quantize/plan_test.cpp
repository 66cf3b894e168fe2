// SPDX-License-Identifier: GPL-3.0-or-later
// Plans: formats a container can't hold, reasons, warnings, and paths that must not be written.
#include "tests/unit/quantize/demo_model.h"

#include <gmock/gmock.h>

#include <fstream>

namespace bw {
namespace {

using test::codeOf;
using test::demoModel;
using test::kDemo;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

const PlannedTensor& tensor(const ExportPlan& plan, const std::string& name) {
    for (const PlannedTensor& t : plan.tensors)
        if (t.name == name) return t;
    throw std::runtime_error("no tensor " + name);
}

ExportPlan plan(const std::string& format, const std::string& path, const std::vector<FormatRule>& rules = {}) {
    return planExport(demoModel(), resolveFormats(demoModel(), format, "", rules), path, false);
}

TEST(Plan, ggufTakesTheNearestTypeForAffineFormats) {
    const test::TempFolder folder;
    const std::vector<std::pair<const char*, const char*>> table{{"int2:g64", "q3_k"}, {"int4:g64:sym", "q4_0"}, {"int4", "q4_1"}, {"int5:g32:sym", "q5_0"},
                                                                 {"int5", "q5_1"},     {"int6:channel", "q8_0"}, {"int8:tensor:sym", "q8_0"}};
    for (const auto& [asked, used] : table) {
        const ExportPlan p = plan(asked, folder / "out.gguf");
        const PlannedTensor& t = tensor(p, "blk.0.attn_q.weight");
        EXPECT_EQ(t.asked, parseFormat(asked)->name());
        EXPECT_EQ(t.used, used);
        EXPECT_THAT(t.whyDiffers, HasSubstr("GGUF has no"));
        EXPECT_TRUE(p.differsFromAsked());
        EXPECT_THAT(p.warnings, Contains(HasSubstr("another format than asked")));
    }
    EXPECT_FALSE(plan("q4_0", folder / "out.gguf").differsFromAsked());
    EXPECT_TRUE(folder.names().empty()) << "planning creates nothing";
}

TEST(Plan, safetensorsTakeTheSameGridForBlocks) {
    const test::TempFolder folder;
    const std::vector<std::pair<const char*, const char*>> table{{"q4_0", "int4:g32:sym"}, {"q4_1", "int4:g32:asym"}, {"q5_0", "int5:g32:sym"},
                                                                 {"q5_1", "int5:g32:asym"}, {"q8_0", "int8:g32:sym"},
                                                                 {"iq4_nl", "int4:g32:sym"}, {"q3_k", "int3:g16:sym"}};
    for (const auto& [asked, used] : table) {
        const ExportPlan p = plan(asked, folder / "out");
        const PlannedTensor& t = tensor(p, "model.layers.0.self_attn.q_proj.weight");
        EXPECT_EQ(t.used, used);
        EXPECT_THAT(t.whyDiffers, HasSubstr("packed safetensors has no"));
    }
    const ExportPlan own = plan("int4:g64", folder / "out", {{"token_embd", "keep"}});
    EXPECT_FALSE(own.differsFromAsked());
    EXPECT_EQ(tensor(own, "model.embed_tokens.weight").used, "bf16");
    EXPECT_EQ(tensor(own, "model.embed_tokens.weight").asked, "keep");
}

TEST(Plan, countsBytesTensorByTensor) {
    const test::TempFolder folder;
    const ExportPlan p = plan("q4_0", folder / "out.gguf", {{"token_embd", "q8_0"}});
    EXPECT_EQ(tensor(p, "blk.0.attn_q.weight").bytes, 256u * 256 / 32 * 18);
    EXPECT_EQ(tensor(p, "token_embd.weight").bytes, 2048u * 256 / 32 * 34);
    EXPECT_EQ(tensor(p, "output_norm.weight").bytes, 256u * 4) << "norms are f32 in GGUF";
    EXPECT_EQ(tensor(p, "output_norm.weight").site, SiteId{-1});
    std::uint64_t sum = 0;
    for (const PlannedTensor& t : p.tensors) sum += t.bytes;
    EXPECT_EQ(p.tensorBytes, sum);
    EXPECT_GT(p.fileBytes, p.tensorBytes);
    EXPECT_DOUBLE_EQ(p.bitsPerWeight, 8.0 * static_cast<double>(sum) / static_cast<double>(demoModel().checkpoint().parameters()));
    EXPECT_GT(p.memoryBytes, p.tensorBytes);
    EXPECT_GT(p.secondsEstimate, 0.0);
    EXPECT_LT(p.secondsEstimate, 60.0);
    EXPECT_GT(p.diskFree, p.fileBytes);
}

TEST(Plan, warnsOfWhatIsEasilyOverlooked) {
    const test::TempFolder folder;
    EXPECT_THAT(plan("f32", folder / "out.gguf").warnings, Contains(HasSubstr("larger than the checkpoint")));
    EXPECT_THAT(plan("f32", folder / "out.gguf").warnings, Contains(HasSubstr("tensors grow")));
    EXPECT_THAT(plan("keep", folder / "out.gguf").warnings, Contains(HasSubstr("no site is quantized")));
    EXPECT_THAT(plan("int4:g64", folder / "out").warnings, Contains(HasSubstr("token_embd is packed")));
    EXPECT_THAT(plan("int4:g64", folder / "out", {{"blk.1.attn_v", "int8:g64"}}).warnings, Contains(HasSubstr("in 1 groups")));
    EXPECT_TRUE(plan("q4_0", folder / "out.gguf").warnings.empty());
}

TEST(Plan, refusesPathsThatWouldHurt) {
    const test::TempFolder folder;
    std::ofstream(folder / "there.gguf") << "x";
    EXPECT_EQ(codeOf([&] { plan("q4_0", folder / "there.gguf"); }), ErrorCode::targetExists);
    EXPECT_EQ(codeOf([&] { plan("q4_0", kDemo); }), ErrorCode::targetIsSource);
    EXPECT_EQ(codeOf([&] { plan("q4_0", kDemo + "/../demo/"); }), ErrorCode::targetIsSource);
    EXPECT_EQ(codeOf([&] { plan("q4_0", folder / "no/such/out.gguf"); }), ErrorCode::fileNotFound);
    EXPECT_EQ(codeOf([&] { plan("q4_0", folder / "model.safetensors"); }), ErrorCode::usage);
    EXPECT_EQ(codeOf([&] { plan("q4_0", ""); }), ErrorCode::usage);
    EXPECT_NO_THROW(planExport(demoModel(), resolveFormats(demoModel(), "q4_0", "", {}), folder / "there.gguf", true));
}

} // namespace
} // namespace bw
