// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/atomic_file.h"

#include "core/base/mapped_file.h"
#include "tests/support/expect_error.h"
#include "tests/support/failing_io.h"
#include "tests/support/temp_folder.h"

#include <sys/stat.h>
#include <unistd.h>

using namespace bw;
using namespace bw::test;

TEST(AtomicFile, AppearsOnlyAtCommit) {
    const TempFolder folder;
    const std::string path = folder.file("out.bin");
    {
        AtomicFile file(path, AtomicFile::Replace::no);
        file.write("hello");
        file.finish();
        EXPECT_FALSE(std::filesystem::exists(path));
        EXPECT_EQ("hello", readTextFile(file.temporaryPath(), 100));
        file.commit();
    }
    EXPECT_EQ("hello", readTextFile(path, 100));
    EXPECT_EQ(1, folder.entries());
}

TEST(AtomicFile, AbandonedLeavesNothing) {
    const TempFolder folder;
    { AtomicFile(folder.file("out"), AtomicFile::Replace::no).write("x"); }
    EXPECT_EQ(0, folder.entries());
}

TEST(AtomicFile, PaddingAndPatching) {
    const TempFolder folder;
    AtomicFile file(folder.file("out"), AtomicFile::Replace::no);
    file.write("abc");
    file.padTo(32);
    EXPECT_EQ(32u, file.position());
    file.padTo(32);
    EXPECT_EQ(32u, file.position());
    file.writeAt(1, std::as_bytes(std::span(std::string_view("X"))));
    file.commit();
    const std::string text = readTextFile(folder.file("out"), 100);
    EXPECT_EQ(std::string("aXc") + std::string(29, '\0'), text);
}

TEST(AtomicFile, ExistingTargetIsKeptUnlessAsked) {
    const TempFolder folder;
    const std::string path = folder.write("out", "old");
    const Error e = expectError(ErrorCode::targetExists, [&] { AtomicFile(path, AtomicFile::Replace::no); });
    EXPECT_NE(std::string::npos, e.message().find("out"));
    writeFileAtomically(path, "new", AtomicFile::Replace::yes);
    EXPECT_EQ("new", readTextFile(path, 10));
}

TEST(AtomicFile, EveryFailingCallLeavesTheOldFileAndNothingElse) {
    const TempFolder folder;
    const std::string path = folder.write("out", "old");
    int k = 1;
    for (;; ++k) {
        FailingIo io(k);
        try {
            writeFileAtomically(path, std::string(3 << 20, 'n'), AtomicFile::Replace::yes);
        } catch (const Error& e) {
            ASSERT_TRUE(io.failed());
            EXPECT_EQ(ErrorCode::diskFull, e.code());
            EXPECT_EQ("old", readTextFile(path, 10)) << "call " << k;
            EXPECT_EQ(1, folder.entries()) << "call " << k;
            continue;
        }
        if (!io.failed()) break; // every call has been failed once
        EXPECT_EQ(static_cast<std::size_t>(3 << 20), readTextFile(path, 4 << 20).size()); // only the folder's fsync may fail quietly
        writeFileAtomically(path, "old", AtomicFile::Replace::yes);
    }
    EXPECT_GT(k, 5);
}

TEST(AtomicFile, ReservationBeyondTheDiskIsRefusedAtOnce) {
    const TempFolder folder;
    expectError(ErrorCode::diskFull, [&] { AtomicFile(folder.file("out"), AtomicFile::Replace::no, 1ull << 60); });
    EXPECT_EQ(0, folder.entries());
}

TEST(AtomicFile, MissingAndReadOnlyFolder) {
    const TempFolder folder;
    expectError(ErrorCode::fileNotFound, [&] { AtomicFile(folder.file("none/out"), AtomicFile::Replace::no); });
    if (::geteuid() != 0) {
        ::chmod(folder.path().c_str(), 0500);
        expectError(ErrorCode::permissionDenied, [&] { AtomicFile(folder.file("out"), AtomicFile::Replace::no); });
    } else {
        FailingIo io(1, EROFS); // root may write anywhere: let the system refuse instead
        expectError(ErrorCode::permissionDenied, [&] { AtomicFile(folder.file("out"), AtomicFile::Replace::no); });
    }
}

TEST(AtomicFile, LeftoversOfAWriterThatIsGoneAreRemoved) {
    const TempFolder folder;
    folder.write("out.partial-4194304-0", "half");          // no such process, no lock
    folder.write("out.partial-1-7", "half");                // a living process's id, but nobody holds the file
    folder.write("out.partial-notes", "mine");              // a person's file
    folder.write("other.partial-4194304-0", "another's");   // not of this path
    std::filesystem::create_directory(folder.file("out.partial-4194304-3"));
    folder.write("out.partial-4194304-3/model.safetensors", "half");
    AtomicFile first(folder.file("out"), AtomicFile::Replace::no);
    EXPECT_EQ(3, folder.entries());
    // A second writer of the same path leaves the first one's temporary alone.
    AtomicFile second(folder.file("out"), AtomicFile::Replace::no);
    EXPECT_EQ(0, removeLeftovers(folder.file("out")));
    EXPECT_EQ(4, folder.entries());
    first.write("whole");
    first.commit();
    EXPECT_EQ("whole", readTextFile(folder.file("out"), 100));
}

TEST(AtomicFile, AFolderMovedAsideComesBackWhenItsReplacementNeverCame) {
    const TempFolder folder;
    std::filesystem::create_directory(folder.file("out.partial-4194304-0.old"));
    folder.write("out.partial-4194304-0.old/config.json", "{}");
    removeLeftovers(folder.file("out"));
    EXPECT_EQ("{}", readTextFile(folder.file("out/config.json"), 100));
    std::filesystem::create_directory(folder.file("out.partial-4194304-1.old"));
    EXPECT_EQ(1, removeLeftovers(folder.file("out"))); // its replacement is there
    EXPECT_EQ(1, folder.entries());
}

TEST(AtomicFile, KnownLackOfSpaceIsToldBeforeAnythingIsMade) {
    class SmallDisk final : public IoOps {
    public:
        SmallDisk() { setIoOps(this); }
        ~SmallDisk() override { setIoOps(nullptr); }
        std::int64_t freeBytes(const std::string&) override { return 1000; }
    } disk;
    const TempFolder folder;
    const Error e = expectError(ErrorCode::diskFull, [&] { AtomicFile(folder.file("out"), AtomicFile::Replace::no, 1001); });
    EXPECT_NE(e.message().find("1000"), std::string::npos) << e.message();
    EXPECT_EQ(0, folder.entries());
    AtomicFile(folder.file("out"), AtomicFile::Replace::no, 1000).commit();
}

TEST(AtomicFile, WritersOfOnePathDoNotTakeEachOthersTemporaries) {
    // A cleaner that comes between the closing and the renaming, where the lock was once let go.
    class CleanerBeforeRename final : public IoOps {
    public:
        CleanerBeforeRename() { setIoOps(this); }
        ~CleanerBeforeRename() override { setIoOps(nullptr); }
        int rename(const std::string& from, const std::string& to) override {
            removed += removeLeftovers(to);
            return IoOps::rename(from, to);
        }
        int removed = 0;
    } cleaner;
    const TempFolder folder;
    AtomicFile file(folder.file("out"), AtomicFile::Replace::no);
    file.write("whole");
    file.commit();
    EXPECT_EQ(0, cleaner.removed);
    EXPECT_EQ("whole", readTextFile(folder.file("out"), 100));
}

TEST(AtomicFile, IsFlushedToDiskUnlessItMayBeLost) {
    class CountingSyncs final : public IoOps {
    public:
        CountingSyncs() { setIoOps(this); }
        ~CountingSyncs() override { setIoOps(nullptr); }
        int fsync(int fd) override {
            ++count;
            return IoOps::fsync(fd);
        }
        int count = 0;
    } syncs;
    const TempFolder folder;
    AtomicFile(folder.file("kept"), AtomicFile::Replace::no).commit();
    EXPECT_EQ(2, syncs.count); // the file and its folder
    AtomicFile(folder.file("lost"), AtomicFile::Replace::no, 0, AtomicFile::AfterPowerCut::lost).commit();
    EXPECT_EQ(2, syncs.count);
    EXPECT_EQ(2, folder.entries());
}
