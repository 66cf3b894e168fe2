// SPDX-License-Identifier: GPL-3.0-or-later
// The store of baselines' states: the same bits come back, other texts and damage are misses, the store keeps to its limit.
#include "core/evaluate/baseline_store.h"

#include "core/base/job.h"
#include "tests/support/temp_folder.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

namespace bw {
namespace {

namespace fs = std::filesystem;
using test::TempFolder;

ScratchMatrix someStates() {
    ScratchMatrix states(6, 5);
    for (std::int64_t r = 0; r < 6; ++r)
        for (std::int64_t c = 0; c < 5; ++c) states.view()(r, c) = 1.0f / static_cast<float>(3 + 7 * r + c);
    return states;
}

BaselineStore storeIn(const TempFolder& folder, std::uint64_t limit = 1 << 20) { return BaselineStore({folder.file("store"), limit, 0}); }

std::vector<fs::path> entriesIn(const TempFolder& folder) {
    std::vector<fs::path> out;
    for (const auto& entry : fs::recursive_directory_iterator(folder.file("store")))
        if (entry.is_regular_file()) out.push_back(entry.path());
    return out;
}

TEST(BaselineStore, GivesBackTheSameBitsAndOnlyForTheSameText) {
    const TempFolder folder;
    JobContext job;
    const Windows windows{2, 3, {1, 2, 3, 4, 5, 6}};
    const std::string key = BaselineStore::keyOf("weights", windows, "cpu");
    BaselineStore store = storeIn(folder);
    EXPECT_FALSE(store.read(key, 6, 5, job));
    const ScratchMatrix states = someStates();
    ASSERT_EQ(store.write(key, states.view(), job), "");
    const auto found = storeIn(folder).read(key, 6, 5, job);
    ASSERT_TRUE(found);
    EXPECT_EQ(std::memcmp(found->view().data, states.view().data, 30 * sizeof(float)), 0);
    EXPECT_FALSE(store.read(BaselineStore::keyOf("other weights", windows, "cpu"), 6, 5, job));
    EXPECT_FALSE(store.read(BaselineStore::keyOf("weights", windows, "another program"), 6, 5, job));
    EXPECT_FALSE(store.read(BaselineStore::keyOf("weights", {2, 3, {1, 2, 3, 4, 5, 7}}, "cpu"), 6, 5, job));
    EXPECT_FALSE(store.read(BaselineStore::keyOf("weights", {3, 2, {1, 2, 3, 4, 5, 6}}, "cpu"), 6, 5, job));
    EXPECT_EQ(store.size().entries, 1);
    EXPECT_EQ(store.clear(), 1);
    EXPECT_FALSE(store.read(key, 6, 5, job));
}

TEST(BaselineStore, DamageIsAMissAndIsRemoved) {
    JobContext job;
    const std::string key = "a key";
    const ScratchMatrix states = someStates();
    for (const int how : {0, 1, 2, 3}) {
        const TempFolder folder;
        BaselineStore store = storeIn(folder);
        ASSERT_EQ(store.write(key, states.view(), job), "");
        const fs::path file = entriesIn(folder).at(0);
        if (how == 0) {
            fs::resize_file(file, fs::file_size(file) - 1);
        } else if (how < 3) {
            std::fstream edit(file, std::ios::in | std::ios::out | std::ios::binary);
            edit.seekp(how == 1 ? 60 : 2);
            edit.put('\x7f');
        }
        EXPECT_EQ(store.read(key, how == 3 ? 5 : 6, 5, job).has_value(), false) << how;
        EXPECT_TRUE(entriesIn(folder).empty()) << how;
    }
}

TEST(BaselineStore, WhatDoesNotFitIsToldAndWithoutAFolderNothingIsKept) {
    const TempFolder folder;
    JobContext job;
    BaselineStore small = storeIn(folder, 100);
    EXPECT_NE(small.write("a key", someStates().view(), job).find("limit"), std::string::npos);
    BaselineStore off({});
    EXPECT_TRUE(off.off());
    EXPECT_EQ(off.write("a key", someStates().view(), job), "");
    EXPECT_FALSE(off.read("a key", 6, 5, job));
}

} // namespace
} // namespace bw
