// SPDX-License-Identifier: GPL-3.0-or-later
// Writing GGUF models in parts: where they are divided, what each says, and that all appear or none.
#include "core/checkpoint/split_gguf_writer.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

#include <fstream>
#include <gtest/gtest.h>
#include <numeric>

namespace bw::test {
namespace {
namespace fs = std::filesystem;

/// Five vectors of 1,000, 1,000, 3,000, 10 and 10 numbers.
std::vector<OutputTensor> fiveTensors() {
    std::vector<OutputTensor> tensors;
    for (const std::int64_t n : {1000, 1000, 3000, 10, 10}) tensors.push_back({"t" + std::to_string(tensors.size()), StorageType::f32, {n}});
    return tensors;
}

GgufMetadata someMetadata() {
    GgufMetadata metadata;
    metadata.set("general.name", {GgufType::string, std::string("whole")});
    return metadata;
}

std::vector<float> valuesOf(const OutputTensor& tensor) {
    std::vector<float> values(static_cast<std::size_t>(tensor.shape[0]));
    std::iota(values.begin(), values.end(), static_cast<float>(tensor.name.back()));
    return values;
}

void writeAll(SplitGgufWriter& writer) {
    for (const OutputTensor& tensor : fiveTensors()) {
        const std::vector<float> values = valuesOf(tensor);
        const auto bytes = std::as_bytes(std::span(values));
        writer.writeTensorPart(bytes.first(12)); // in pieces, as experts come
        writer.writeTensorPart(bytes.subspan(12));
    }
}

std::vector<std::string> namesIn(const TempFolder& folder) {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder.path())) names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
}

TEST(SplitGgufWriter, dividesBeforeAPartGrowsTooLong) {
    const auto parts = divideGguf("/x/m.gguf", someMetadata(), fiveTensors(), 9000);
    ASSERT_EQ(parts.size(), 3u);
    EXPECT_EQ(parts[0].path, "/x/m-00001-of-00003.gguf");
    EXPECT_EQ(parts[0].tensors.size(), 2u);
    EXPECT_LE(parts[0].bytes, 9000u);
    EXPECT_EQ(parts[1].tensors.size(), 1u) << "longer than a part may be: alone in its own";
    EXPECT_GT(parts[1].bytes, 12000u);
    EXPECT_EQ(parts[2].tensors.size(), 2u);
    EXPECT_EQ(parts[1].metadata.text("general.name"), std::nullopt) << "only the first part holds the model's keys";
    const auto whole = divideGguf("/x/m.gguf", someMetadata(), fiveTensors(), 50'000);
    ASSERT_EQ(whole.size(), 1u);
    EXPECT_EQ(whole[0].path, "/x/m.gguf");
    EXPECT_EQ(whole[0].metadata.integer("split.count"), std::nullopt);
    EXPECT_EQ(whole[0].bytes, GgufWriter::fileBytes(someMetadata(), fiveTensors()));
    EXPECT_EQ(divideGguf("/x/m.gguf", someMetadata(), fiveTensors(), whole[0].bytes).size(), 1u);
    EXPECT_EQ(divideGguf("/x/m.gguf", someMetadata(), fiveTensors(), 1).size(), 5u) << "one tensor each";
    std::vector<OutputTensor> many;
    for (int i = 0; i <= 10'000; ++i) many.push_back({"t" + std::to_string(i), StorageType::f32, {8}});
    expectError(ErrorCode::usage, [&] { divideGguf("/x/m.gguf", someMetadata(), many, 1); });
}

TEST(SplitGgufWriter, partsOpenAsOneModel) {
    const TempFolder folder;
    const auto parts = divideGguf(folder.file("m.gguf"), someMetadata(), fiveTensors(), 9000);
    SplitGgufWriter writer(folder.file("m.gguf"), parts, AtomicFile::Replace::no);
    writeAll(writer);
    writer.finish();
    EXPECT_EQ(Checkpoint::open(writer.temporaryFirstPart())->tensors().size(), 5u);
    EXPECT_EQ(namesIn(folder).size(), 1u) << "the temporary folder only";
    writer.commit();
    EXPECT_EQ(namesIn(folder).size(), 4u);
    for (const GgufPartLayout& part : parts) {
        EXPECT_EQ(fs::file_size(part.path), part.bytes);
        const auto checkpoint = Checkpoint::open(part.path);
        EXPECT_EQ(checkpoint->metadata().text("general.name"), "whole");
        EXPECT_EQ(checkpoint->metadata().integer("split.tensors.count"), 5);
        for (const OutputTensor& tensor : fiveTensors()) {
            std::vector<float> values(static_cast<std::size_t>(tensor.shape[0]));
            checkpoint->read(checkpoint->require(tensor.name), values);
            EXPECT_EQ(values, valuesOf(tensor)) << tensor.name;
        }
    }
}

TEST(SplitGgufWriter, allPartsAppearOrNone) {
    const TempFolder folder;
    const auto parts = divideGguf(folder.file("m.gguf"), someMetadata(), fiveTensors(), 9000);
    folder.write("m-00002-of-00003.gguf", "old");
    expectError(ErrorCode::targetExists, [&] { SplitGgufWriter(folder.file("m.gguf"), parts, AtomicFile::Replace::no); });
    { // given up half way
        SplitGgufWriter writer(folder.file("m.gguf"), parts, AtomicFile::Replace::yes);
        const std::vector<float> values = valuesOf(fiveTensors()[0]);
        writer.writeTensorPart(std::as_bytes(std::span(values)));
        expectError(ErrorCode::internal, [&] { writer.commit(); });
    }
    EXPECT_EQ(namesIn(folder), std::vector<std::string>{"m-00002-of-00003.gguf"});
    { // a folder takes a part's name: it is not replaced, and what was moved aside comes back
        SplitGgufWriter writer(folder.file("m.gguf"), parts, AtomicFile::Replace::yes);
        writeAll(writer);
        fs::create_directories(folder.file("m-00003-of-00003.gguf"));
        expectError(ErrorCode::notRegularFile, [&] { writer.commit(); });
    }
    EXPECT_EQ(namesIn(folder), (std::vector<std::string>{"m-00002-of-00003.gguf", "m-00003-of-00003.gguf"}));
    EXPECT_EQ(fs::file_size(parts[1].path), 3u);
    fs::remove(parts[2].path);
    {
        SplitGgufWriter writer(folder.file("m.gguf"), parts, AtomicFile::Replace::yes);
        writeAll(writer);
        writer.commit();
    }
    EXPECT_EQ(namesIn(folder).size(), 3u);
    EXPECT_EQ(fs::file_size(parts[1].path), parts[1].bytes);
    { // one appears while the parts are being written, and nobody allowed it to be replaced
        for (const GgufPartLayout& part : parts) fs::remove_all(part.path);
        SplitGgufWriter writer(folder.file("m.gguf"), parts, AtomicFile::Replace::no);
        writeAll(writer);
        folder.write("m-00003-of-00003.gguf", "somebody else's");
        expectError(ErrorCode::targetExists, [&] { writer.commit(); });
    }
    EXPECT_EQ(namesIn(folder), std::vector<std::string>{"m-00003-of-00003.gguf"});
    EXPECT_EQ(fs::file_size(folder.file("m-00003-of-00003.gguf")), 15u);
}

} // namespace
} // namespace bw::test
