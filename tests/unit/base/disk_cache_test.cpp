// SPDX-License-Identifier: GPL-3.0-or-later
// A folder of files that can be made again: names, ages, limits, and what is not its own.
#include "core/base/disk_cache.h"

#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/io_ops.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace bw {
namespace {
namespace fs = std::filesystem;

class DiskCacheTest : public testing::Test {
protected:
    DiskCacheTest() : folder_(fs::temp_directory_path() / ("bw-disk-cache-" + std::to_string(::getpid()))) { fs::remove_all(folder_); }
    ~DiskCacheTest() override {
        std::error_code ignored;
        fs::remove_all(folder_, ignored);
    }
    DiskCache cache(std::optional<std::uint64_t> limit = 1 << 20, std::uint64_t keepFree = 0) const { return {{folder_.string(), limit, keepFree}, {".thing", 1000}}; }
    static std::string id(int number) { return sha256Hex("entry " + std::to_string(number)); }
    static bool put(DiskCache& cache, int number, std::size_t bytes) {
        if (!cache.makeRoom(bytes)) return false;
        const auto file = cache.create(id(number), bytes);
        file->write(std::string(bytes, 'x'));
        cache.commit(*file);
        return true;
    }
    void age(const DiskCache& cache, int number, int hours) const { fs::last_write_time(cache.pathOf(id(number)), fs::file_time_type::clock::now() - std::chrono::hours(hours)); }

    fs::path folder_;
};

TEST_F(DiskCacheTest, entriesAppearWholeUnderTheirDigest) {
    DiskCache c = cache();
    EXPECT_FALSE(c.has(id(1)));
    EXPECT_FALSE(fs::exists(folder_)) << "asking makes no folder";
    {
        const auto file = c.create(id(1));
        file->write("half");
        EXPECT_FALSE(c.has(id(1)));
    }
    EXPECT_FALSE(c.has(id(1))) << "not committed";
    ASSERT_TRUE(put(c, 1, 10));
    EXPECT_TRUE(c.has(id(1)));
    EXPECT_EQ(c.pathOf(id(1)), (folder_ / id(1).substr(0, 2) / (id(1) + ".thing")).string());
    EXPECT_EQ(c.size().entries, 1);
    EXPECT_EQ(c.size().bytes, 10u);
    c.remove(id(1));
    EXPECT_FALSE(c.has(id(1)));
    for (const std::string& name : {std::string(), std::string("../../etc/passwd"), std::string(64, 'A'), std::string(63, 'a'), std::string(65, 'a')}) {
        EXPECT_FALSE(DiskCache::isId(name)) << name;
        EXPECT_FALSE(c.has(name)) << name;
    }
    EXPECT_TRUE(DiskCache({}, {".thing", 1}).off());
}

TEST_F(DiskCacheTest, linksAndFoldersAreNoEntries) {
    DiskCache c = cache();
    ASSERT_TRUE(put(c, 1, 10));
    ASSERT_TRUE(put(c, 2, 10));
    fs::remove(c.pathOf(id(2)));
    fs::create_symlink(c.pathOf(id(1)), c.pathOf(id(2)));
    EXPECT_FALSE(c.has(id(2)));
    fs::remove(c.pathOf(id(2)));
    fs::create_directory(c.pathOf(id(2)));
    EXPECT_FALSE(c.has(id(2)));
    EXPECT_EQ(c.size().entries, 1);
}

TEST_F(DiskCacheTest, theOldestGoDownToNineTenths) {
    DiskCache first = cache();
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(put(first, i, 100));
    for (int i = 0; i < 10; ++i) age(first, i, 100 - i);
    DiskCache c = cache(1000);
    c.markUsed(id(0)); // young again, and in use here
    ASSERT_TRUE(put(c, 10, 100));
    EXPECT_EQ(c.size().bytes, 900u);
    EXPECT_TRUE(c.has(id(0)));
    EXPECT_FALSE(c.has(id(1)));
    EXPECT_FALSE(c.has(id(2)));
    EXPECT_TRUE(c.has(id(3)));
    EXPECT_TRUE(c.has(id(10)));
    // Something larger than all is refused alone, and nothing is removed for it.
    EXPECT_FALSE(c.makeRoom(1001));
    EXPECT_EQ(c.size().entries, 9);
    EXPECT_TRUE(c.makeRoom(100));
}

TEST_F(DiskCacheTest, whatThisObjectReadOrWroteStays) {
    DiskCache c = cache(250);
    ASSERT_TRUE(put(c, 1, 100));
    ASSERT_TRUE(put(c, 2, 100));
    EXPECT_FALSE(put(c, 3, 100));
    EXPECT_FALSE(c.makeRoom(10)) << "full is full: no walk for each that follows";
    EXPECT_TRUE(c.has(id(1)));
    EXPECT_TRUE(c.has(id(2)));
    DiskCache later = cache(250);
    age(later, 1, 5);
    EXPECT_TRUE(put(later, 3, 100));
    EXPECT_FALSE(later.has(id(1)));
}

TEST_F(DiskCacheTest, limitsAndFreeRoom) {
    EXPECT_EQ(cache(77).size().limit, 77u);
    EXPECT_LE(cache({}).size().limit, 1000u);
    EXPECT_GT(cache({}).size().limit, 0u);
    DiskCache readOnly = cache(0);
    EXPECT_FALSE(readOnly.makeRoom(1));
    const auto available = static_cast<std::uint64_t>(ioOps().freeBytes(fs::temp_directory_path().string()));
    fs::create_directories(folder_);
    DiskCache crowded = cache(1 << 20, 2 * available);
    try {
        crowded.makeRoom(1);
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), ErrorCode::diskFull);
        EXPECT_NE(e.message().find(folder_.string()), std::string::npos);
    }
}

TEST_F(DiskCacheTest, clearsItsOwnFilesAlone) {
    DiskCache c = cache();
    ASSERT_TRUE(put(c, 1, 10));
    const fs::path entry = c.pathOf(id(1));
    std::ofstream(entry.parent_path() / "notes.txt") << "a person's";
    std::ofstream(entry.string() + ".partial-99999999-0") << "of a writer that was killed";
    const fs::path other = entry.parent_path() / (id(1) + ".tensor");
    std::ofstream(other) << "of another kind";
    EXPECT_EQ(c.clear(), 1);
    EXPECT_FALSE(fs::exists(entry));
    EXPECT_FALSE(fs::exists(entry.string() + ".partial-99999999-0"));
    EXPECT_TRUE(fs::exists(entry.parent_path() / "notes.txt"));
    EXPECT_TRUE(fs::exists(other));
    EXPECT_EQ(c.size().bytes, 0u);
    EXPECT_TRUE(put(c, 2, 10));
}

} // namespace
} // namespace bw
