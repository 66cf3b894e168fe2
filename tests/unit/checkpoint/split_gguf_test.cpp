// SPDX-License-Identifier: GPL-3.0-or-later
// Split GGUF models that are right: any part opens the whole. The wrong ones are G14 in gguf_test.cpp.
#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/split_gguf.h"
#include "tests/support/bytes.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

#include <gtest/gtest.h>

namespace bw::test {
namespace {

/// A part with one tensor of 8 equal numbers.
std::string part(int number, std::uint16_t count, const std::string& tensor, float value, bool first) {
    GgufBytes file(1, first ? 4 : 3);
    file.key("split.no", GgufType::u16).number(static_cast<std::uint16_t>(number)).key("split.count", GgufType::u16).number(count);
    file.key("split.tensors.count", GgufType::i32).number(static_cast<std::int32_t>(count));
    if (first) file.string("general.name", "whole");
    file.tensor(tensor, {8}, 0, 0).pad();
    for (int i = 0; i < 8; ++i) file.number(value);
    return file.bytes();
}

void writeThreeParts(const TempFolder& folder) {
    folder.write("m-00001-of-00003.gguf", part(0, 3, "a", 1, true));
    folder.write("m-00002-of-00003.gguf", part(1, 3, "b", 2, false));
    folder.write("m-00003-of-00003.gguf", part(2, 3, "c", 3, false));
}

TEST(SplitGguf, anyPartAndTheFolderOpenTheWhole) {
    const TempFolder folder;
    writeThreeParts(folder);
    for (const char* name : {"m-00001-of-00003.gguf", "m-00002-of-00003.gguf", "m-00003-of-00003.gguf", ""}) {
        SCOPED_TRACE(name);
        const auto checkpoint = Checkpoint::open(*name ? folder.file(name) : folder.path().string());
        ASSERT_EQ(checkpoint->files().size(), 3u);
        EXPECT_EQ(checkpoint->metadata().text("general.name"), "whole");
        if (*name) {
            EXPECT_EQ(checkpoint->displayName(), "m");
        }
        float expected = 1;
        for (const char* tensor : {"a", "b", "c"}) {
            std::vector<float> values(8);
            checkpoint->read(checkpoint->require(tensor), values);
            EXPECT_EQ(values, std::vector<float>(8, expected++)) << tensor;
        }
    }
}

TEST(SplitGguf, folderWithoutTheFirstPartSaysWhatIsMissing) {
    const TempFolder folder;
    writeThreeParts(folder);
    std::filesystem::remove(folder.file("m-00001-of-00003.gguf"));
    const Error error = expectError(ErrorCode::shardMissing, [&] { Checkpoint::open(folder.path().string()); });
    EXPECT_NE(error.message().find("m-00001-of-00003.gguf"), std::string::npos) << error.message();
}

TEST(SplitGguf, names) {
    const auto split = parseSplitName("a-b-00002-of-00010.gguf");
    ASSERT_TRUE(split);
    EXPECT_EQ(split->prefix, "a-b");
    EXPECT_EQ(split->number, 2);
    EXPECT_EQ(split->count, 10);
    EXPECT_EQ(split->name(10), "a-b-00010-of-00010.gguf");
    for (const char* other : {"a.gguf", "-00001-of-00002.gguf", "a-00000-of-00002.gguf", "a-00003-of-00002.gguf", "a-0001-of-0002.gguf", "a-00001-of-00002.safetensors", "a-0000x-of-00002.gguf"})
        EXPECT_FALSE(parseSplitName(other)) << other;
}

} // namespace
} // namespace bw::test
