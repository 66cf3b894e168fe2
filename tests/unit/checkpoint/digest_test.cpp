// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/hash.h"
#include "core/checkpoint/digest.h"
#include "tests/support/bad_files.h"
#include "tests/support/bytes.h"
#include "tests/support/expect_error.h"

#include <chrono>

namespace bw::test {
namespace {
namespace fs = std::filesystem;

std::string weights(const std::string& name, char fill) { return safetensorsBytes("{" + f32Entry(name, 0, 4) + "}", std::string(16, fill)); }

/// As if nobody had touched the file for a minute.
void settle(const std::string& path) { fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::minutes(1)); }

CheckpointDigest digest(const std::string& path, const std::string& cache) {
    JobContext job;
    return digestCheckpoint(*Checkpoint::open(path), cache, job);
}

TEST(Digest, oneFileHasItsOwnAndIsRememberedUntilItChanges) {
    const TempFolder folder;
    const std::string cache = folder.file("cache/digests.json"), bytes = weights("a", 'x');
    const std::string path = folder.write("m.safetensors", bytes);
    settle(path);
    EXPECT_EQ(digest(path, cache).sha256, sha256Hex(bytes));
    EXPECT_TRUE(digest(path, cache).files.at(0).remembered);
    EXPECT_EQ(digest(path, cache).sha256, sha256Hex(bytes));
    folder.write("m.safetensors", weights("a", 'y')); // same size
    settle(path);
    fs::last_write_time(path, fs::last_write_time(path) + std::chrono::seconds(1));
    EXPECT_FALSE(digest(path, cache).files.at(0).remembered);
    EXPECT_EQ(digest(path, cache).sha256, sha256Hex(weights("a", 'y')));
}

TEST(Digest, aFileThatChangedJustNowIsNotRemembered) {
    const TempFolder folder;
    const std::string cache = folder.file("digests.json"), path = folder.write("m.safetensors", weights("a", 'x'));
    digest(path, cache);
    EXPECT_FALSE(digest(path, cache).files.at(0).remembered);
}

TEST(Digest, severalFilesAreTheDigestOfTheirList) {
    const TempFolder folder;
    folder.write("x-2.safetensors", weights("b", 'b'));
    folder.write("x-1.safetensors", weights("a", 'a'));
    folder.write("model.safetensors.index.json", R"({"weight_map":{"a":"x-1.safetensors","b":"x-2.safetensors"}})");
    const CheckpointDigest made = digest(folder.path().string(), "");
    ASSERT_EQ(made.files.size(), 2u);
    // sha256sum *.safetensors | sha256sum
    EXPECT_EQ(made.sha256, sha256Hex(sha256Hex(weights("a", 'a')) + "  x-1.safetensors\n" + sha256Hex(weights("b", 'b')) + "  x-2.safetensors\n"));
}

TEST(Digest, damagedOrForbiddenCachesOnlyCostTime) {
    const TempFolder folder;
    const std::string path = folder.write("m.safetensors", weights("a", 'x'));
    settle(path);
    for (const char* text : {"", "{", "[]", R"({"x":3})", "\xff"}) {
        const std::string cache = folder.write("digests.json", text);
        EXPECT_EQ(digest(path, cache).sha256, sha256Hex(weights("a", 'x'))) << text;
        EXPECT_TRUE(digest(path, cache).files.at(0).remembered) << text;
        // Someone wrote nonsense under our file's name.
        folder.write("digests.json", "{\"" + path + "\": {\"bytes\": \"many\", \"sha256\": 5}}");
        EXPECT_FALSE(digest(path, cache).files.at(0).remembered) << text;
    }
    EXPECT_NO_THROW(digest(path, "/proc/nowhere/digests.json"));
}

TEST(Digest, canBeStopped) {
    const TempFolder folder;
    const auto checkpoint = Checkpoint::open(folder.write("m.safetensors", weights("a", 'x')));
    JobContext job;
    job.requestStop();
    expectError(ErrorCode::cancelled, [&] { digestCheckpoint(*checkpoint, "", job); });
}

} // namespace
} // namespace bw::test
