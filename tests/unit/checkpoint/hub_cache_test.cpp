// SPDX-License-Identifier: GPL-3.0-or-later
// X10: which snapshot of a Hugging Face cache is opened, and what happens when its links or refs are broken.
#include "core/checkpoint/checkpoint.h"
#include "tests/support/bytes.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

#include <chrono>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bw::test {
namespace {
namespace fs = std::filesystem;
using testing::HasSubstr;

/// A cache folder of one model; every snapshot holds one tensor named as it is.
class Cache {
public:
    Cache() { fs::create_directories(model() / "blobs"); }
    fs::path model() const { return folder_.path() / "models--org--name"; }
    void snapshot(const std::string& revision) const {
        const fs::path where = model() / "snapshots" / revision;
        fs::create_directories(where);
        folder_.write("models--org--name/blobs/" + revision, safetensorsBytes("{" + f32Entry(revision, 0, 1) + "}", std::string(4, '\0')));
        fs::create_symlink(fs::path("../../blobs") / revision, where / "model.safetensors");
    }
    void ref(const std::string& name, const std::string& revision, int secondsAgo = 0) const {
        fs::create_directories((model() / "refs" / name).parent_path());
        folder_.write("models--org--name/refs/" + name, revision);
        fs::last_write_time(model() / "refs" / name, fs::file_time_type::clock::now() - std::chrono::seconds(secondsAgo));
    }
    std::string opened(const std::string& suffix = {}) const { return Checkpoint::open(model().string() + suffix)->tensors().at(0).name; }

private:
    TempFolder folder_;
};

TEST(HubCache, X10_mainIsOpenedUnlessAnotherRevisionIsNamed) {
    const Cache cache;
    cache.snapshot("aaaaaaaa11");
    cache.snapshot("bbbbbbbb22");
    cache.ref("main", "aaaaaaaa11\n", 100);
    cache.ref("pr/7", "bbbbbbbb22");
    fs::create_directories(cache.model() / ".no_exist" / "aaaaaaaa11");
    EXPECT_EQ(cache.opened(), "aaaaaaaa11");
    EXPECT_EQ(cache.opened("@pr/7"), "bbbbbbbb22");
    EXPECT_EQ(cache.opened("@bbbbbbb"), "bbbbbbbb22");
    EXPECT_EQ(cache.opened("/snapshots/bbbbbbbb22"), "bbbbbbbb22");
    EXPECT_EQ(Checkpoint::open(cache.model().string())->displayName(), "name");
    const Error error = expectError(ErrorCode::fileNotFound, [&] { cache.opened("@v9"); });
    EXPECT_THAT(error.message(), HasSubstr("'v9'"));
    EXPECT_THAT(error.hint(), HasSubstr("bbbbbbbb22"));
}

TEST(HubCache, X10_withoutMainTheNewestRefIsChosenWithAWarning) {
    const Cache cache;
    cache.snapshot("aaaaaaaa11");
    cache.snapshot("bbbbbbbb22");
    cache.ref("v1", "aaaaaaaa11", 100);
    cache.ref("v2", "bbbbbbbb22", 50);
    cache.ref("main", "cccccccc33"); // its snapshot was never fetched
    EXPECT_EQ(cache.opened(), "bbbbbbbb22");
    EXPECT_THAT(Checkpoint::open(cache.model().string())->warnings(), testing::Contains(HasSubstr("'v2'")));
}

TEST(HubCache, X10_noRefsAtAll) {
    const Cache cache;
    const Error none = expectError(ErrorCode::fileNotFound, [&] {
        fs::create_directories(cache.model() / "snapshots");
        cache.opened();
    });
    EXPECT_THAT(none.message(), HasSubstr("no snapshot"));
    cache.snapshot("aaaaaaaa11");
    EXPECT_EQ(cache.opened(), "aaaaaaaa11");
}

TEST(HubCache, X10_danglingBlobIsNamed) {
    const Cache cache;
    cache.snapshot("aaaaaaaa11");
    cache.ref("main", "aaaaaaaa11");
    fs::remove(cache.model() / "blobs" / "aaaaaaaa11");
    const Error error = expectError(ErrorCode::fileNotFound, [&] { cache.opened(); });
    EXPECT_THAT(error.message(), HasSubstr("model.safetensors"));
}

TEST(HubCache, X10_refThatLeavesTheFolderIsRefused) {
    const Cache cache;
    cache.snapshot("aaaaaaaa11");
    cache.ref("main", "../../../etc");
    expectError(ErrorCode::pathEscapes, [&] { cache.opened(); });
}

} // namespace
} // namespace bw::test
