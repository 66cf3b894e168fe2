// SPDX-License-Identifier: GPL-3.0-or-later
// A checkpoint of a made-up architecture, from both containers: its weights are rounded and exported, everything else
// goes along, and what comes back is what was planned.
#include "tests/unit/quantize/demo_model.h"

#include "core/base/mapped_file.h"

#include <fstream>
#include <gmock/gmock.h>

namespace bw {
namespace {

using test::asPlanned;
using test::quantize;

const test::fs::path kMistral = test::fs::path(BW_TEST_DATA) / "families" / "mistral";

/// Every `from` in the bytes becomes `to`, of the same length.
std::string renamed(std::string bytes, const std::string& from, const std::string& to) {
    for (auto at = bytes.find(from); at != std::string::npos; at = bytes.find(from, at + to.size())) bytes.replace(at, from.size(), to);
    return bytes;
}

void write(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

std::shared_ptr<const Model> openWeights(const std::string& path) {
    const auto checkpoint = Checkpoint::open(path);
    EXPECT_FALSE(checkpoint->config().forwardSupported);
    EXPECT_THAT(checkpoint->config().whyNot, testing::HasSubstr("'zebra'"));
    return Model::openWeights(checkpoint, makeCpuDevice());
}

/// Exports with every site in `format`, and compares what is read back with the simulated weights.
std::shared_ptr<const Model> exported(const Model& model, const std::string& format, const std::string& path) {
    const auto formats = resolveFormats(model, format, "", {});
    const ExportPlan plan = planExport(model, formats, path, false);
    const auto quantized = quantize(model, asPlanned(formats, plan));
    JobContext job;
    EXPECT_TRUE(exportModel(model, *quantized, plan, false, {}, job).ok);
    const auto reopened = openWeights(path);
    EXPECT_EQ(reopened->sites().size(), model.sites().size());
    for (const Site& site : model.sites()) {
        const Matrix a = model.siteWeight(site, quantized.get()), b = reopened->siteWeight(*reopened->findSite(site.name));
        EXPECT_EQ(std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.size()) * 4), 0) << site.name;
    }
    return reopened;
}

TEST(Reduced, unknownFolderIsQuantizedAndExported) {
    const test::TempFolder folder;
    test::fs::create_directories(folder / "zebra");
    write(folder / "zebra/config.json", renamed(readTextFile((kMistral / "config.json").string(), 1 << 20), "\"mistral\"", "\"zebra\""));
    // One linear has a name that no table knows.
    write(folder / "zebra/model.safetensors", renamed(readTextFile((kMistral / "model.safetensors").string(), 1 << 24), "mlp.up_proj", "mlp.zz_proj"));
    const auto model = openWeights(folder / "zebra");
    const Site* odd = model->findSite("model.layers.1.mlp.zz_proj");
    ASSERT_NE(odd, nullptr);
    EXPECT_EQ(odd->kind, SiteKind::other);
    const auto reopened = exported(*model, "int4:g32", folder / "out");
    EXPECT_TRUE(reopened->checkpoint().require(odd->tensor).packed);
    EXPECT_EQ(reopened->checkpoint().require("model.norm.weight").type, StorageType::f32);
}

TEST(Reduced, unknownGgufIsQuantizedAndExported) {
    const test::TempFolder folder;
    const test::fs::path families = test::fs::path(BW_TEST_DATA) / "families";
    test::fs::copy(families / "llama", folder / "llama");
    test::fs::copy_file(families / "tokenizer.json", folder / "llama/tokenizer.json");
    const auto known = test::openModel(folder / "llama");
    const auto formats = resolveFormats(*known, "keep", "", {});
    const ExportPlan plan = planExport(*known, formats, folder / "llama.gguf", false);
    JobContext job;
    exportModel(*known, *quantize(*known, formats), plan, false, {}, job);
    write(folder / "zebra.gguf", renamed(readTextFile(folder / "llama.gguf", 1 << 24), "llama", "zebra"));
    const auto model = openWeights(folder / "zebra.gguf");
    const auto reopened = exported(*model, "q8_0", folder / "out.gguf");
    EXPECT_EQ(reopened->checkpoint().require("blk.1.attn_v.weight").type, StorageType::q8_0);
    EXPECT_EQ(reopened->checkpoint().require("blk.1.attn_norm.weight").type, StorageType::f32);
    EXPECT_EQ(reopened->checkpoint().metadata().text("general.architecture"), "zebra");
    EXPECT_EQ(reopened->checkpoint().tensors().size(), model->checkpoint().tensors().size());
}

} // namespace
} // namespace bw
