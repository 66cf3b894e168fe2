// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/mapped_file.h"

#include "core/base/hash.h"
#include "core/base/scratch.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

#include <sys/stat.h>

using namespace bw;
using namespace bw::test;

TEST(MappedFile, ReadsBytes) {
    const TempFolder folder;
    const MappedFile file(folder.write("a", "hello"));
    ASSERT_EQ(5u, file.size());
    EXPECT_EQ('h', static_cast<char>(file.bytes()[0]));
    EXPECT_NO_THROW(file.checkUnchanged());
}

TEST(MappedFile, EmptyFileIsFine) {
    const TempFolder folder;
    EXPECT_EQ(0u, MappedFile(folder.write("a", "")).size());
}

TEST(MappedFile, RefusesWhatIsNoRegularFile) {
    const TempFolder folder;
    expectError(ErrorCode::fileNotFound, [&] { MappedFile(folder.file("none")); });
    expectError(ErrorCode::notRegularFile, [&] { MappedFile(folder.path().string()); });
    const std::string fifo = folder.file("fifo");
    ASSERT_EQ(0, ::mkfifo(fifo.c_str(), 0600));
    expectError(ErrorCode::notRegularFile, [&] { MappedFile{fifo}; }); // must not hang
    expectError(ErrorCode::notRegularFile, [&] { MappedFile("/dev/zero"); });
    std::filesystem::create_symlink(folder.file("loop"), folder.file("loop"));
    expectError(ErrorCode::notRegularFile, [&] { MappedFile(folder.file("loop")); });
}

TEST(MappedFile, NoticesTruncation) {
    const TempFolder folder;
    const std::string path = folder.write("a", std::string(8192, 'x'));
    const MappedFile file(path);
    std::filesystem::resize_file(path, 100);
    expectError(ErrorCode::fileChanged, [&] { file.checkUnchanged(); });
}

TEST(ReadTextFile, RefusesPastTheLimit) {
    const TempFolder folder;
    expectError(ErrorCode::headerTooLarge, [&] { readTextFile(folder.write("a", "hello"), 4); });
}

TEST(Sha256, KnownVectors) { // FIPS 180-4 examples
    EXPECT_EQ("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", sha256Hex(""));
    EXPECT_EQ("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", sha256Hex("abc"));
}

TEST(ScratchMatrix, SpillsPastTheLimitAndKeepsValues) {
    setScratchLimit(1 << 20);
    ScratchMatrix inMemory(100, 100);
    ScratchMatrix onDisk(1000, 1000);
    EXPECT_FALSE(inMemory.spilled());
    EXPECT_TRUE(onDisk.spilled());
    onDisk.view()(999, 999) = 7;
    const ScratchMatrix moved = std::move(onDisk);
    EXPECT_EQ(7, moved.view()(999, 999));
    EXPECT_EQ(0, moved.view()(0, 0));
    setScratchLimit(2ull << 30);
}
