// SPDX-License-Identifier: GPL-3.0-or-later
#include "refusal.h"
#include "tests/support/bytes.h"

#include <filesystem>
#include <sys/resource.h>

namespace bw::test {
namespace {

std::shared_ptr<const Checkpoint> openBytes(const TempFolder& folder, std::string_view header, std::string_view data = {}) {
    return Checkpoint::open(folder.write("good.safetensors", safetensorsBytes(header, data)));
}

bool warns(const Checkpoint& checkpoint, const std::string& part) {
    for (const auto& line : checkpoint.warnings())
        if (line.find(part) != std::string::npos) return true;
    return false;
}

TEST(Safetensors, S01_tooShort) { TempFolder folder; expectRefused(s01TooShort(folder)); }
TEST(Safetensors, S02_hugeHeaderLength) { TempFolder folder; expectRefused(s02HugeHeaderLength(folder)); }
TEST(Safetensors, S03_headerPastEnd) { TempFolder folder; expectRefused(s03HeaderPastEnd(folder)); }
TEST(Safetensors, S04_headerNoJson) { TempFolder folder; expectRefused(s04HeaderNoJson(folder)); }

TEST(Safetensors, S05_trailingSpacesAccepted) {
    TempFolder folder;
    const auto checkpoint = openBytes(folder, "{" + f32Entry("a", 0, 4) + "}    ", std::string(16, '\0'));
    ASSERT_EQ(checkpoint->tensors().size(), 1u);
    EXPECT_EQ(checkpoint->tensors()[0].name, "a");
}

TEST(Safetensors, S06_deepJson) { TempFolder folder; expectRefused(s06DeepJson(folder)); }
TEST(Safetensors, S07_duplicateTensorKey) { TempFolder folder; expectRefused(s07DuplicateTensor(folder)); }
TEST(Safetensors, S08_badOffsets) { TempFolder folder; expectRefused(s08BadOffsets(folder)); }
TEST(Safetensors, S09_overlapAndHole) { TempFolder folder; expectRefused(s09OverlapAndHole(folder)); }

TEST(Safetensors, S09_anyJsonOrderAccepted) {
    TempFolder folder;
    std::string data;
    for (int i = 0; i < 5; ++i) put(data, static_cast<float>(i));
    const auto checkpoint = openBytes(folder, "{" + f32Entry("b", 12, 2) + "," + f32Entry("a", 0, 3) + "}", data);
    std::vector<float> values(2);
    checkpoint->read(checkpoint->require("b"), values);
    EXPECT_EQ(values, (std::vector<float>{3, 4}));
}

TEST(Safetensors, S10_endOfFile) { TempFolder folder; expectRefused(s10EndOfFile(folder)); }
TEST(Safetensors, S11_shapeOverflow) { TempFolder folder; expectRefused(s11ShapeOverflow(folder)); }
TEST(Safetensors, S12_oddSubByte) { TempFolder folder; expectRefused(s12OddSubByte(folder)); }

/// Any single changed byte either opens or gives an Error; nothing else may happen.
TEST(Safetensors, S04_damagedHeaderBytes) {
    TempFolder folder;
    const std::string whole = safetensorsBytes(R"({"__metadata__":{"format":"pt"},)" + f32Entry("a", 0, 2) + "," + f32Entry("b", 8, 2) + "}", std::string(16, '\0'));
    int refused = 0;
    for (std::size_t at = 0; at < whole.size() - 16; ++at)
        for (const int flip : {0x01, 0x10, 0x80}) {
            std::string damaged = whole;
            damaged[at] = static_cast<char>(damaged[at] ^ flip);
            try {
                Checkpoint::open(folder.write("damaged.safetensors", damaged));
            } catch (const Error&) {
                ++refused;
            }
        }
    EXPECT_GT(refused, 100);
}

TEST(Safetensors, S12_scalarAndEmptyAccepted) {
    TempFolder folder;
    std::string data;
    put(data, 2.5f);
    const auto checkpoint = openBytes(folder, R"({"s":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"e":{"dtype":"F32","shape":[3,0],"data_offsets":[4,4]}})", data);
    const TensorInfo& scalar = checkpoint->require("s");
    EXPECT_EQ(scalar.rows(), 1);
    EXPECT_EQ(scalar.cols(), 1);
    std::vector<float> value(1);
    checkpoint->read(scalar, value);
    EXPECT_EQ(value[0], 2.5f);
    const TensorInfo& empty = checkpoint->require("e");
    EXPECT_EQ(empty.elements(), 0);
    checkpoint->read(empty, {});
}

TEST(Safetensors, S12_unknownTypeListedButNotUsable) {
    TempFolder folder;
    const auto checkpoint = openBytes(folder, R"({"odd":{"dtype":"X7","shape":[4],"data_offsets":[0,5]},"c":{"dtype":"C64","shape":[1],"data_offsets":[5,13]}})", std::string(13, '\0'));
    EXPECT_EQ(checkpoint->require("odd").type, StorageType::unknown);
    EXPECT_EQ(checkpoint->require("odd").typeName, "X7");
    EXPECT_TRUE(warns(*checkpoint, "X7"));
    std::vector<float> values(4), one(1);
    const Error error = expectError(ErrorCode::unsupportedType, [&] { checkpoint->read(checkpoint->require("odd"), values); });
    EXPECT_NE(error.message().find("'odd'"), std::string::npos);
    EXPECT_NE(error.message().find("X7"), std::string::npos);
    expectError(ErrorCode::unsupportedType, [&] { checkpoint->read(checkpoint->require("c"), one); });
}

TEST(Safetensors, S13_badMetadata) { TempFolder folder; expectRefused(s13BadMetadata(folder)); }

TEST(Safetensors, S13_missingEmptyAndNullMetadataAccepted) {
    TempFolder folder;
    EXPECT_TRUE(openBytes(folder, "{}")->tensors().empty());
    EXPECT_TRUE(openBytes(folder, R"({"__metadata__":{}})")->tensors().empty());
    const auto checkpoint = openBytes(folder, R"({"__metadata__":null})");
    EXPECT_TRUE(warns(*checkpoint, "__metadata__ is null"));
}

TEST(Safetensors, S14_wrongExtensionIsRecognised) {
    TempFolder folder;
    const GgufBytes gguf = GgufBytes(1, 0).tensor("a", {8}, 0, 0).pad().data(32);
    const auto one = Checkpoint::open(folder.write("model.safetensors", gguf.bytes()));
    EXPECT_EQ(one->kind(), CheckpointKind::gguf);
    EXPECT_TRUE(warns(*one, "is a GGUF file"));
    const auto two = Checkpoint::open(folder.write("model.gguf", safetensorsBytes("{" + f32Entry("a", 0, 1) + "}", std::string(4, '\0'))));
    EXPECT_EQ(two->kind(), CheckpointKind::safetensors);
    EXPECT_TRUE(warns(*two, "is a safetensors file"));
}

TEST(Safetensors, S15_oddNumbersOpenAndAreCounted) {
    TempFolder folder;
    std::string data;
    const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
    for (const float v : {1.0f, nan, -inf, inf, 0.0f, nan}) put(data, v);
    for (int i = 0; i < 6; ++i) put(data, std::numeric_limits<float>::denorm_min());
    const auto checkpoint = openBytes(folder, R"({"bad":{"dtype":"F32","shape":[3,2],"data_offsets":[0,24]},"small":{"dtype":"F32","shape":[6],"data_offsets":[24,48]}})", data);
    JobContext job;
    const FiniteReport bad = checkFinite(*checkpoint, checkpoint->require("bad"), job);
    EXPECT_FALSE(bad.finite());
    EXPECT_EQ(bad.nan, 2);
    EXPECT_EQ(bad.infinite, 2);
    EXPECT_EQ(bad.firstRow, 0);
    EXPECT_EQ(bad.firstCol, 1);
    EXPECT_TRUE(checkFinite(*checkpoint, checkpoint->require("small"), job).finite());
    std::vector<float> values(6);
    checkpoint->read(checkpoint->require("small"), values);
    EXPECT_EQ(values[5], std::numeric_limits<float>::denorm_min());
}

TEST(Safetensors, S16_millionTensors) {
    TempFolder folder;
    std::string header = "{";
    const std::size_t count = 1'000'000;
    for (std::size_t i = 0; i < count; ++i) {
        if (i > 0) header += ',';
        header += "\"t" + std::to_string(i) + R"(":{"dtype":"U8","shape":[1],"data_offsets":[)" + std::to_string(i) + "," + std::to_string(i + 1) + "]}";
    }
    header += "}";
    const std::string path = folder.write("many.safetensors", safetensorsBytes(header, std::string(count, '\x07')));
    const CpuTimer timer;
    const auto checkpoint = Checkpoint::open(path);
    EXPECT_LT(timer.seconds(), 10.0 * kSlowdown);
    EXPECT_EQ(checkpoint->tensors().size(), count);
    ASSERT_NE(checkpoint->find("t777777"), nullptr);
    EXPECT_EQ(checkpoint->find("t777777")->offset, 8 + header.size() + 777777);
}

TEST(Safetensors, tenGigabytesAreListedAtOnce) {
    TempFolder folder;
    const std::uint64_t bytes = 10'000'000'000ull;
    const std::string header = R"({"model.embed_tokens.weight":{"dtype":"F16","shape":[2500000,2000],"data_offsets":[0,10000000000]}})";
    const std::string path = folder.write("big.safetensors", safetensorsBytes(header));
    std::filesystem::resize_file(path, 8 + header.size() + bytes); // sparse: takes no room
    const PeakMemory memory;
    const CpuTimer timer;
    const auto checkpoint = Checkpoint::open(path);
    EXPECT_LT(timer.seconds(), 1.0 * kSlowdown);
    EXPECT_LT(memory.growthKb(), 64 * 1024);
    EXPECT_EQ(checkpoint->totalBytes(), 8 + header.size() + bytes);
    EXPECT_EQ(checkpoint->parameters(), 5'000'000'000);
    std::vector<float> row(2000, 1.0f);
    checkpoint->readRows(checkpoint->require("token_embd.weight"), 2'499'999, {row.data(), 1, 2000});
    EXPECT_EQ(row[1999], 0.0f);
}

#ifndef BW_SANITIZED // its shadow memory needs the address space that is taken away here
TEST(Safetensors, mappingThatTheSystemRefusesIsAnError) {
    TempFolder folder;
    const std::string header = R"({"a":{"dtype":"U8","shape":[64000000000],"data_offsets":[0,64000000000]}})";
    const std::string path = folder.write("big.safetensors", safetensorsBytes(header));
    std::filesystem::resize_file(path, 8 + header.size() + 64'000'000'000ull);
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_AS, &before), 0);
    rlimit small = before;
    small.rlim_cur = 32'000'000'000ull; // far more than the test needs, less than the file
    ASSERT_EQ(::setrlimit(RLIMIT_AS, &small), 0);
    const Error error = expectError(ErrorCode::readFailed, [&] { Checkpoint::open(path); });
    ASSERT_EQ(::setrlimit(RLIMIT_AS, &before), 0);
    EXPECT_NE(error.message().find("big.safetensors"), std::string::npos);
}
#endif

} // namespace
} // namespace bw::test
