// SPDX-License-Identifier: GPL-3.0-or-later
// Rows of the list of faults that belong to no single reader.
#include "core/base/text.h"
#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/folder_files.h"
#include "tests/support/bytes.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/checkpoint/refusal.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace bw::test {
namespace {
using testing::HasSubstr;

TEST(BadInput, X11_folderOfAHundredThousandFilesIsScannedWithinBounds) {
    const TempFolder folder;
    const int root = ::open(folder.path().c_str(), O_RDONLY | O_DIRECTORY);
    ASSERT_GE(root, 0);
    // Most are links to files made before: the folder is as crowded, and disks have less to write.
    for (int i = 0; i < 100'000; ++i) {
        const std::string name = "f" + std::to_string(i), linked = "f" + std::to_string(i / 1000 * 1000);
        if (i % 1000 != 0 && ::linkat(root, linked.c_str(), root, name.c_str(), 0) == 0) continue;
        const int file = ::openat(root, name.c_str(), O_WRONLY | O_CREAT, 0600);
        ASSERT_GE(file, 0);
        ::close(file);
    }
    ::close(root);
    const PeakMemory memory;
    const CpuTimer timer;
    const Error error = expectError(ErrorCode::fileNotFound, [&] { Checkpoint::open(folder.path().string()); });
    EXPECT_LT(timer.seconds(), kMostSeconds);
#ifndef BW_SANITIZED // which keeps what was freed for a while
    EXPECT_LT(memory.growthKb(), 64 * 1024);
#endif
    EXPECT_THAT(error.message(), HasSubstr("no model.safetensors"));
    EXPECT_EQ(listRegularNames(folder.path().string(), 1000).size(), 1000u) << "never looks at more than it was told to";
}

TEST(BadInput, G15_chatTemplateWithCodeIsTextOnly) {
    const TempFolder folder;
    const std::string code = "{{ self.__init__.__globals__.__builtins__.__import__('os').system('touch " + folder.file("pwned") + "') }}\x1b[2J";
    GgufBytes file(1, 2);
    file.string("general.architecture", "llama").string("tokenizer.chat_template", code).tensor("a", {8}, 0, 0).pad().data(32);
    const auto checkpoint = Checkpoint::open(folder.write("m.gguf", file.bytes()));
    EXPECT_EQ(checkpoint->metadata().text("tokenizer.chat_template"), code) << "kept as it is";
    EXPECT_FALSE(std::filesystem::exists(folder.file("pwned")));
    EXPECT_EQ(escapeForDisplay(code, 4000).find('\x1b'), std::string::npos) << "and shown without its control characters";
}

TEST(BadInput, G09_typeRemovedIsRefusedInUseByName) {
    const TempFolder folder;
    const auto checkpoint = Checkpoint::open(folder.write("m.gguf", GgufBytes(1, 0).tensor("old", {32}, 4, 0).pad().data(32).bytes()));
    std::vector<float> values(32);
    const Error error = expectError(ErrorCode::unsupportedType, [&] { checkpoint->read(checkpoint->tensors().front(), values); });
    EXPECT_THAT(error.message(), HasSubstr("'old'"));
    EXPECT_THAT(error.message(), HasSubstr("type 4"));
}

} // namespace
} // namespace bw::test
