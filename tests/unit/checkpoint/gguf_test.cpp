// SPDX-License-Identifier: GPL-3.0-or-later
#include "refusal.h"
#include "core/base/random.h"
#include "core/checkpoint/writer.h"
#include "tests/support/bytes.h"

#include <cmath>

namespace bw::test {
namespace {

TEST(Gguf, G01_magicAndVersion) { TempFolder folder; expectRefused(g01MagicAndVersion(folder)); }

TEST(Gguf, G01_versions2And3AreRead) {
    TempFolder folder;
    for (const std::uint32_t version : {2u, 3u}) {
        const GgufBytes file = GgufBytes(1, 1, version).u32("a.b", 7).tensor("a", {8}, 0, 0).pad().data(32);
        const auto checkpoint = Checkpoint::open(folder.write("v.gguf", file.bytes()));
        EXPECT_EQ(checkpoint->metadata().integer("a.b"), 7);
        EXPECT_EQ(checkpoint->tensors().size(), 1u);
    }
}

TEST(Gguf, G02_hugeCounts) { TempFolder folder; expectRefused(g02HugeCounts(folder)); }
TEST(Gguf, G03_badKeys) { TempFolder folder; expectRefused(g03BadKeys(folder)); }
TEST(Gguf, G04_badValues) { TempFolder folder; expectRefused(g04BadValues(folder)); }
TEST(Gguf, G05_deepArrays) { TempFolder folder; expectRefused(g05DeepArrays(folder)); }
TEST(Gguf, G06_badNames) { TempFolder folder; expectRefused(g06BadNames(folder)); }
TEST(Gguf, G07_badAlignment) { TempFolder folder; expectRefused(g07BadAlignment(folder)); }

TEST(Gguf, G07_missingAlignmentIs32AndMultiplesOf8AreAccepted) {
    TempFolder folder;
    const auto defaults = Checkpoint::open(folder.write("d.gguf", GgufBytes(1, 0).tensor("a", {8}, 0, 0).pad(32).data(32).bytes()));
    EXPECT_EQ(defaults->tensors()[0].offset % 32, 0u);
    for (const std::uint32_t alignment : {8u, 16u, 64u, 4096u}) {
        const GgufBytes file = GgufBytes(1, 1).u32("general.alignment", alignment).tensor("a", {8}, 0, 0).pad(alignment).data(32);
        EXPECT_EQ(Checkpoint::open(folder.write("a.gguf", file.bytes()))->tensors()[0].offset, file.bytes().size() - 32);
    }
    const GgufBytes one = GgufBytes(1, 1).u32("general.alignment", 1).tensor("a", {8}, 0, 0).data(32);
    const auto unaligned = Checkpoint::open(folder.write("one.gguf", one.bytes()));
    ASSERT_FALSE(unaligned->warnings().empty());
    EXPECT_NE(unaligned->warnings()[0].find("alignment is 1"), std::string::npos);
}

TEST(Gguf, G08_badDimensions) { TempFolder folder; expectRefused(g08BadDimensions(folder)); }

TEST(Gguf, G08_zeroSizesAccepted) {
    TempFolder folder;
    const GgufBytes file = GgufBytes(3, 0).tensor("scalar", {}, 0, 0).tensor("none", {0, 4}, 0, 32).tensor("five", {1, 1, 1, 1, 2}, 0, 32).pad().data(64);
    const auto checkpoint = Checkpoint::open(folder.write("z.gguf", file.bytes()));
    std::vector<float> one(1), two(2);
    checkpoint->read(checkpoint->require("scalar"), one);
    EXPECT_EQ(checkpoint->require("none").elements(), 0);
    expectError(ErrorCode::unsupportedType, [&] { checkpoint->read(checkpoint->require("five"), two); });
}

TEST(Gguf, G09_removedAndUnknownTypesAreListedOnly) {
    TempFolder folder;
    for (const std::uint32_t type : {4u, 5u, 31u, 32u, 33u, 255u}) {
        const GgufBytes file = GgufBytes(2, 0).tensor("a", {32}, type, 0).tensor("b", {8}, 0, 32).pad().data(64);
        const auto checkpoint = Checkpoint::open(folder.write("u.gguf", file.bytes()));
        const TensorInfo& tensor = checkpoint->require("a");
        EXPECT_EQ(tensor.type, StorageType::unknown);
        EXPECT_EQ(tensor.bytes, 32u);
        EXPECT_EQ(tensor.typeName, "type " + std::to_string(type));
        std::vector<float> values(32);
        expectError(ErrorCode::unsupportedType, [&] { checkpoint->read(tensor, values); });
    }
}

TEST(Gguf, G10_rowNoMultipleOfBlock) { TempFolder folder; expectRefused(g10RowNoMultiple(folder)); }
TEST(Gguf, G11_badOffsets) { TempFolder folder; expectRefused(g11BadOffsets(folder)); }

/// Everything before the last byte of tensor data must be refused, wherever it ends.
TEST(Gguf, G12_truncatedAnywhere) {
    TempFolder folder;
    GgufBytes file(3, 4);
    file.string("general.architecture", "llama").u32("llama.block_count", 1).string("general.name", std::string(3000, 'n'));
    file.key("tokenizer.ggml.tokens", GgufType::array).number<std::uint32_t>(8).number<std::uint64_t>(500);
    for (int i = 0; i < 500; ++i) file.text("token" + std::to_string(i));
    file.tensor("a", {64, 64}, 2, 0).tensor("b", {64}, 0, 2304).tensor("c", {32, 8}, 8, 2560).pad().data(2560 + 272);
    const std::string& whole = file.bytes();
    ASSERT_NO_THROW(Checkpoint::open(folder.write("whole.gguf", whole)));
    std::vector<std::size_t> lengths;
    for (std::size_t n = 0; n < whole.size(); n += 4096) lengths.push_back(n);
    Random random(7);
    for (int i = 0; i < 300; ++i) lengths.push_back(random.below(whole.size()));
    for (std::size_t n = 0; n < 200; ++n) lengths.push_back(n);
    lengths.push_back(whole.size() - 1);
    for (const auto n : lengths) {
        SCOPED_TRACE(n);
        const std::string path = folder.write("cut.gguf", std::string_view(whole).substr(0, n));
        try {
            Checkpoint::open(path);
            ADD_FAILURE() << "opened";
        } catch (const Error& e) {
            EXPECT_TRUE(e.code() == ErrorCode::truncated || e.code() == ErrorCode::headerTooSmall) << e.oneLine();
        }
    }
}

/// Any single changed byte of the header either opens or gives an Error; nothing else may happen.
TEST(Gguf, G12_damagedHeaderBytes) {
    TempFolder folder;
    GgufBytes file(2, 3);
    file.string("general.architecture", "llama").u32("llama.block_count", 1);
    file.key("x", GgufType::array).number<std::uint32_t>(4).number<std::uint64_t>(3).number<std::uint32_t>(1).number<std::uint32_t>(2).number<std::uint32_t>(3);
    file.tensor("a", {32, 2}, 2, 0).tensor("b", {8}, 0, 64).pad().data(96);
    const std::string whole = file.bytes();
    int refused = 0;
    for (std::size_t at = 0; at < whole.size() - 96; ++at)
        for (const int flip : {0x01, 0x80, 0xff}) {
            std::string damaged = whole;
            damaged[at] = static_cast<char>(damaged[at] ^ flip);
            try {
                Checkpoint::open(folder.write("damaged.gguf", damaged));
            } catch (const Error&) {
                ++refused;
            }
        }
    EXPECT_GT(refused, 100);
}

TEST(Gguf, G13_nanInBlockScalesOpensAndIsCounted) {
    TempFolder folder;
    std::string data(18 * 4, '\0');
    data[18] = '\x00';
    data[19] = '\x7e'; // fp16 NaN as the scale of the second block
    data[37] = '\x7c'; // and infinity as that of the third: infinity times code −8
    const GgufBytes file = GgufBytes(1, 0).tensor("a", {32, 4}, 2, 0).pad().raw(data);
    const auto checkpoint = Checkpoint::open(folder.write("nan.gguf", file.bytes()));
    JobContext job;
    const FiniteReport report = checkFinite(*checkpoint, checkpoint->require("a"), job);
    EXPECT_EQ(report.nan, 32);
    EXPECT_EQ(report.infinite, 32);
    EXPECT_EQ(report.firstRow, 1);
    EXPECT_EQ(report.firstCol, 0);
}

TEST(Gguf, G14_partsThatDoNotBelongTogetherAreRefused) { TempFolder folder; expectRefused(g14Split(folder)); }

TEST(Gguf, metadataLookUps) {
    TempFolder folder;
    GgufBytes file(0, 6);
    file.u32("n", 7).string("s", "text").key("b", GgufType::boolean).number<std::uint8_t>(1).key("f", GgufType::f32).number(1.5f);
    file.key("big", GgufType::u64).number(~0ull).key("a", GgufType::array).number<std::uint32_t>(6).number<std::uint64_t>(2).number(0.5f).number(2.0f);
    const auto checkpoint = Checkpoint::open(folder.write("m.gguf", file.bytes()));
    const GgufMetadata& metadata = checkpoint->metadata();
    EXPECT_EQ(metadata.integer("n"), 7);
    EXPECT_EQ(metadata.real("f"), 1.5);
    EXPECT_EQ(metadata.real("n"), 7.0);
    EXPECT_EQ(metadata.text("s"), "text");
    EXPECT_EQ(metadata.flag("b"), true);
    EXPECT_EQ(metadata.array("a")->reals, (std::vector<double>{0.5, 2.0}));
    EXPECT_FALSE(metadata.integer("absent").has_value());
    EXPECT_EQ(metadata.array("absent"), nullptr);
    for (const auto& call : std::vector<std::function<void()>>{[&] { (void)metadata.integer("s"); }, [&] { (void)metadata.integer("big"); }, [&] { (void)metadata.real("s"); }, [&] { (void)metadata.text("n"); },
                                                               [&] { (void)metadata.flag("n"); }, [&] { (void)metadata.array("n"); }})
        EXPECT_NE(expectError(ErrorCode::invalidConfig, call).message().find("key '"), std::string::npos);
}

} // namespace
} // namespace bw::test
