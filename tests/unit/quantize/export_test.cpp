// SPDX-License-Identifier: GPL-3.0-or-later
// Exports of the demo model: exact sizes, audited files, kept bytes, and what a re-opened file is worth.
#include "tests/unit/quantize/demo_model.h"

#include "core/format/affine.h"

#include <gmock/gmock.h>

namespace bw {
namespace {

using test::asPlanned;
using test::codeOf;
using test::demoModel;
using test::openModel;
using test::quantize;
using test::someWindows;

struct Exported {
    ExportPlan plan;
    std::shared_ptr<QuantizedModel> quantized;
    AuditReport audit;
};

Exported exportAs(const Model& model, const std::string& format, const std::vector<FormatRule>& rules, const std::string& path, bool replace = false) {
    Exported e;
    const auto formats = resolveFormats(model, format, "", rules);
    e.plan = planExport(model, formats, path, replace);
    e.quantized = quantize(model, asPlanned(formats, e.plan));
    JobContext job;
    e.audit = exportModel(model, *e.quantized, e.plan, replace, someWindows(model.config().vocabulary), job);
    return e;
}

void expectSameWeights(const Model& simulated, const QuantizedModel& quantized, const Model& reopened) {
    for (const Site& site : simulated.sites()) {
        const Matrix a = simulated.siteWeight(site, &quantized), b = reopened.siteWeight(*reopened.findSite(site.name));
        EXPECT_EQ(std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.size()) * 4), 0) << site.name;
    }
}

class GgufExport : public testing::TestWithParam<const char*> {};

TEST_P(GgufExport, hasThePlannedSizeAndValues) {
    const test::TempFolder folder;
    const std::string path = folder / "out.gguf";
    const Exported e = exportAs(demoModel(), GetParam(), {{"blk.*.attn_v", "q8_0"}, {"blk.0.ffn_up", "keep"}}, path);
    EXPECT_TRUE(e.audit.ok);
    EXPECT_EQ(e.audit.tensorsChecked, static_cast<std::int64_t>(e.plan.tensors.size()));
    EXPECT_EQ(e.audit.evaluatedTokens, 46);
    EXPECT_NEAR(e.audit.simulatedNll, e.audit.reopenedNll, 1e-6);
    EXPECT_EQ(test::fs::file_size(path), e.plan.fileBytes);
    EXPECT_EQ(folder.names(), std::vector<std::string>{"out.gguf"});
    const auto reopened = openModel(path);
    expectSameWeights(demoModel(), *e.quantized, *reopened);
    EXPECT_EQ(reopened->checkpoint().require("blk.0.ffn_up.weight").type, StorageType::bf16);
    EXPECT_EQ(reopened->checkpoint().require("blk.0.attn_v.weight").type, StorageType::q8_0);
    const auto kept = demoModel().checkpoint().raw(demoModel().checkpoint().require("blk.0.ffn_up.weight"));
    const auto written = reopened->checkpoint().raw(reopened->checkpoint().require("blk.0.ffn_up.weight"));
    EXPECT_TRUE(std::equal(kept.begin(), kept.end(), written.begin(), written.end()));
}

INSTANTIATE_TEST_SUITE_P(Formats, GgufExport, testing::Values("q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "iq4_nl", "q3_k", "f16", "bf16", "f32", "keep", "int4:g64", "int3:channel:sym"));

class FolderExport : public testing::TestWithParam<const char*> {};

TEST_P(FolderExport, hasThePlannedSizeAndValues) {
    const test::TempFolder folder;
    const std::string path = folder / "out";
    const Exported e = exportAs(demoModel(), GetParam(), {{"token_embd", "keep"}, {"blk.2.ffn_*", "int8:channel:sym"}}, path);
    EXPECT_TRUE(e.audit.ok);
    EXPECT_NEAR(e.audit.simulatedNll, e.audit.reopenedNll, 1e-6);
    EXPECT_EQ(test::fs::file_size(path + "/model.safetensors"), e.plan.fileBytes);
    EXPECT_TRUE(test::fs::exists(path + "/tokenizer.json"));
    EXPECT_EQ(folder.names(), std::vector<std::string>{"out"});
    expectSameWeights(demoModel(), *e.quantized, *openModel(path));
}

INSTANTIATE_TEST_SUITE_P(Formats, FolderExport, testing::Values("int4:g64", "int3:g32:sym", "int2:g16", "int5:channel", "int7:tensor:sym", "int6:g256", "f16", "bf16", "keep", "q4_0", "q5_1"));

TEST(Export, quantizedGgufCanBeQuantizedAgain) {
    const test::TempFolder folder;
    exportAs(demoModel(), "q8_0", {}, folder / "first.gguf");
    const auto first = openModel(folder / "first.gguf");
    const Exported e = exportAs(*first, "q4_0", {{"blk.1.attn_q", "keep"}, {"blk.1.attn_k", "keep"}}, folder / "second.gguf");
    EXPECT_THAT(e.plan.warnings, testing::Contains(testing::HasSubstr("quantized already")));
    const auto second = openModel(folder / "second.gguf");
    expectSameWeights(*first, *e.quantized, *second);
    const auto a = first->checkpoint().raw(first->checkpoint().require("blk.1.attn_q.weight"));
    const auto b = second->checkpoint().raw(second->checkpoint().require("blk.1.attn_q.weight"));
    EXPECT_TRUE(std::equal(a.begin(), a.end(), b.begin(), b.end())) << "kept blocks are copied byte for byte";
    EXPECT_EQ(codeOf([&] { exportAs(*first, "int4:g64", {}, folder / "folder"); }), ErrorCode::unsupportedModel);
}

TEST(Export, packedFolderCanBeExportedAgain) {
    const test::TempFolder folder;
    exportAs(demoModel(), "int4:g64", {}, folder / "first");
    const auto first = openModel(folder / "first");
    const Exported again = exportAs(*first, "int8:g64", {{"blk.1.attn_q", "keep"}}, folder / "second");
    EXPECT_TRUE(again.audit.ok);
    EXPECT_TRUE(again.plan.differsFromAsked()) << "packed codes of the kept site are written out";
    EXPECT_TRUE(exportAs(*first, "q4_1", {{"blk.1.attn_q", "keep"}}, folder / "second.gguf").audit.ok);
}

TEST(Export, replacesOnlyWhenAsked) {
    const test::TempFolder folder;
    exportAs(demoModel(), "q4_0", {}, folder / "out.gguf");
    EXPECT_EQ(codeOf([&] { exportAs(demoModel(), "q8_0", {}, folder / "out.gguf"); }), ErrorCode::targetExists);
    EXPECT_TRUE(exportAs(demoModel(), "q8_0", {}, folder / "out.gguf", true).audit.ok);
    EXPECT_EQ(Checkpoint::open(folder / "out.gguf")->require("blk.0.attn_q.weight").type, StorageType::q8_0);
    exportAs(demoModel(), "int4:g64", {}, folder / "out");
    EXPECT_EQ(codeOf([&] { exportAs(demoModel(), "int8:g64", {}, folder / "out"); }), ErrorCode::targetExists);
    EXPECT_TRUE(exportAs(demoModel(), "int8:g64", {}, folder / "out", true).audit.ok);
    EXPECT_EQ(folder.names(), (std::vector<std::string>{"out", "out.gguf"}));
}

TEST(Export, partsHaveThePlannedSizesAndOpenAsOne) {
    const test::TempFolder folder;
    const auto formats = resolveFormats(demoModel(), "q4_0", "", {});
    const ExportPlan one = planExport(demoModel(), formats, folder / "out.gguf", false);
    ASSERT_EQ(one.files.size(), 1u);
    EXPECT_EQ(one.files.front().bytes, one.fileBytes);
    EXPECT_EQ(planExport(demoModel(), formats, folder / "out.gguf", false, {one.fileBytes, -1}).path, folder / "out.gguf") << "it fits: no parts";

    constexpr std::uint64_t kPart = 500'000;
    const ExportPlan plan = planExport(demoModel(), formats, folder / "out.gguf", false, {kPart, -1});
    ASSERT_GE(plan.files.size(), 4u);
    EXPECT_EQ(plan.path, plan.files.front().path);
    const auto quantized = quantize(demoModel(), asPlanned(formats, plan));
    JobContext job;
    const AuditReport audit = exportModel(demoModel(), *quantized, plan, false, someWindows(demoModel().config().vocabulary), job);
    EXPECT_TRUE(audit.ok);
    EXPECT_EQ(audit.evaluatedTokens, 46);
    std::uint64_t sum = 0;
    std::vector<std::string> names;
    for (const PlannedFile& file : plan.files) {
        EXPECT_EQ(test::fs::file_size(file.path), file.bytes);
        sum += file.bytes;
        names.push_back(test::fs::path(file.path).filename().string());
        EXPECT_LE(file.bytes, kPart) << file.path;
    }
    EXPECT_EQ(sum, plan.fileBytes);
    EXPECT_EQ(folder.names(), names);
    expectSameWeights(demoModel(), *quantized, *openModel(plan.files.back().path)); // any part opens the whole
    EXPECT_EQ(codeOf([&] { planExport(demoModel(), formats, folder / "out.gguf", false, {kPart, -1}); }), ErrorCode::targetExists);
    EXPECT_TRUE(exportModel(demoModel(), *quantized, planExport(demoModel(), formats, folder / "out.gguf", true, {kPart, -1}), true, {}, job).ok);
    EXPECT_EQ(folder.names(), names);
    // Parts are what is read from: the same names are refused.
    const auto source = openModel(plan.path);
    const auto same = resolveFormats(*source, "keep", "", {});
    EXPECT_EQ(codeOf([&] { planExport(*source, same, folder / "out.gguf", true, {kPart, -1}); }), ErrorCode::targetIsSource);
}

TEST(Export, fileTypeIsThatOfTheMixOrOfMostWeights) {
    const test::TempFolder folder;
    const auto written = [&](const std::string& format, int fileType) {
        const auto formats = resolveFormats(demoModel(), format, "", {});
        const ExportPlan plan = planExport(demoModel(), formats, folder / "t.gguf", true, {0, fileType});
        JobContext job;
        exportModel(demoModel(), *quantize(demoModel(), asPlanned(formats, plan)), plan, true, {}, job);
        return Checkpoint::open(plan.path)->metadata().integer("general.file_type");
    };
    EXPECT_EQ(written("q5_1", -1), 9);
    EXPECT_EQ(written("q4_0", 11), 11);
    const auto formats = resolveFormats(*openModel(folder / "t.gguf"), "keep", "", {});
    JobContext job;
    const auto source = openModel(folder / "t.gguf");
    const ExportPlan kept = planExport(*source, formats, folder / "kept.gguf", false);
    exportModel(*source, *quantize(*source, formats), kept, false, {}, job);
    EXPECT_EQ(Checkpoint::open(kept.path)->metadata().integer("general.file_type"), 11) << "nothing was quantized: the file is what it was";
}

TEST(Export, planAndQuantizedModelMustBelongTogether) {
    const test::TempFolder folder;
    JobContext job;
    const auto formats = resolveFormats(demoModel(), "q4_0", "", {});
    const ExportPlan plan = planExport(demoModel(), formats, folder / "out.gguf", false);
    const auto other = quantize(demoModel(), resolveFormats(demoModel(), "q8_0", "", {}));
    EXPECT_EQ(codeOf([&] { exportModel(demoModel(), *other, plan, false, {}, job); }), ErrorCode::usage);
    const auto partly = quantize(demoModel(), resolveFormats(demoModel(), "q4_0", "", {{"blk.0.*", "keep"}}));
    EXPECT_EQ(codeOf([&] { exportModel(demoModel(), *partly, plan, false, {}, job); }), ErrorCode::usage);
    EXPECT_TRUE(folder.names().empty());
}

} // namespace
} // namespace bw
