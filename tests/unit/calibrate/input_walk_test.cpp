// SPDX-License-Identifier: GPL-3.0-or-later
// Inputs from a store are those of a walk, bit for bit; what is damaged, too large or not all there is collected anew.
#include "core/calibrate/input_walk.h"

#include "core/calibrate/observers.h"
#include "core/compute/cpu_device.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_model.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

namespace bw {
namespace {

namespace fs = std::filesystem;

class InputWalk : public testing::Test {
protected:
    InputWalk() {
        test::writeTinyModel(folder.path() / "model");
        model = Model::open(Checkpoint::open((folder.path() / "model").string()), makeCpuDevice());
        windows = {4, 8, {}};
        for (std::int64_t i = 0; i < 32; ++i) windows.ids.push_back(static_cast<TokenId>(i * 7 % 61));
    }

    InputStore store(std::optional<std::uint64_t> limit = 1u << 30) const { return {{(folder.path() / "store").string(), limit, 0}, "digest", "program"}; }

    /// All inputs as bytes, by group.
    std::map<int, std::string> collect(InputStore* from, std::set<int> groups, GroupInput::Wanted wanted = {}) {
        std::map<int, std::string> out;
        JobContext job;
        int last = -2;
        walkInputs(*model, windows, groups, wanted, from, "test", [&](BlockIndex block, const BlockInputs& inputs) {
            EXPECT_TRUE(block.value() > last || block.value() == -1) << "blocks in order, the head last";
            last = block.value();
            for (const auto& [group, input] : inputs) input.encode(out[group]);
        }, job);
        return out;
    }

    fs::path entry() const {
        for (const auto& file : fs::recursive_directory_iterator(folder.path() / "store"))
            if (file.path().extension() == ".grams") return file.path();
        return {};
    }

    test::TempFolder folder;
    std::shared_ptr<const Model> model;
    Windows windows;
};

TEST_F(InputWalk, AStoreGivesWhatTheWalkGave) {
    const std::set<int> all = allInputGroups(*model);
    ASSERT_GT(all.size(), 6u);
    for (const GroupInput::Wanted wanted : {GroupInput::Wanted{true, false}, GroupInput::Wanted{true, true}}) {
        const auto fresh = collect(nullptr, all, wanted);
        EXPECT_EQ(fresh.size(), all.size());
        InputStore first = store();
        EXPECT_EQ(collect(&first, all, wanted), fresh);
        EXPECT_EQ(first.counts().kept, 1);
        EXPECT_EQ(first.counts().taken, 0);
        InputStore second = store();
        EXPECT_EQ(collect(&second, all, wanted), fresh);
        EXPECT_EQ(second.counts().taken, 1);
        EXPECT_EQ(second.counts().kept, 0);
        EXPECT_LE(fs::file_size(entry()), inputBytes(*model, {}, wanted) + 4096 + 200 * all.size());
        second.clear();
    }
    InputStore one = store(); // without Gram matrices nothing is kept
    EXPECT_EQ(collect(&one, all, {false, false}).size(), all.size());
    EXPECT_EQ(one.size().entries, 0);
}

TEST_F(InputWalk, AnEntryGrowsByWhatItLacks) {
    const int first = model->findSite("blk.0.attn_q")->inputGroup, second = model->findSite("blk.1.ffn_down")->inputGroup;
    InputStore files = store();
    collect(&files, {first});
    const auto both = collect(&files, {first, second});
    EXPECT_EQ(files.counts().kept, 2);
    collect(&files, {second});
    EXPECT_EQ(files.counts().taken, 1);
    EXPECT_EQ(files.groups(files.key(windows, false)).size(), 2u);
    Windows other = windows;
    other.ids[3] ^= 1;
    EXPECT_TRUE(files.groups(files.key(other, false)).empty());
    EXPECT_EQ(collect(nullptr, {second}).at(second), both.at(second));
}

TEST_F(InputWalk, WhatIsDamagedIsCollectedAnew) {
    const std::set<int> all = allInputGroups(*model);
    InputStore files = store();
    const auto fresh = collect(&files, all);
    std::ifstream in(entry(), std::ios::binary);
    const std::string good{std::istreambuf_iterator<char>(in), {}};
    const fs::path path = entry();
    for (const std::size_t at : {std::size_t{3}, std::size_t{20}, good.size() / 2, good.size() - 5}) {
        std::string bad = good;
        bad[at] = static_cast<char>(bad[at] ^ 0x10);
        std::ofstream(path, std::ios::binary) << bad;
        InputStore again = store();
        EXPECT_EQ(collect(&again, all), fresh) << at;
        EXPECT_EQ(again.counts().kept, 1) << at;
        EXPECT_EQ(again.counts().taken, 0) << at;
        EXPECT_EQ(collect(&again, all), fresh) << at;
        EXPECT_EQ(again.counts().taken, 1) << at;
    }
    std::ofstream(path, std::ios::binary) << good.substr(0, good.size() / 3);
    InputStore again = store();
    EXPECT_EQ(collect(&again, all), fresh);
}

TEST_F(InputWalk, PastTheLimitNothingIsKept) {
    const std::set<int> all = allInputGroups(*model);
    InputStore small = store(1000);
    EXPECT_EQ(collect(&small, all), collect(nullptr, all));
    EXPECT_NE(small.problem().find("limit"), std::string::npos) << small.problem();
    EXPECT_EQ(small.size().entries, 0);
}

TEST_F(InputWalk, OneCalibrationLeavesTheSumsOfAllAndOfSomeWindows) {
    const std::set<int> all = allInputGroups(*model);
    const std::vector<std::int64_t> some{1, 3};
    const Windows fewer = pickWindows(windows, some);
    InputStore files = store();
    InputRecorder whole(*model, &files, windows, all, {}), part(*model, &files, fewer, all, {}, some);
    CalibrateOptions options;
    options.recorders = {&whole, &part};
    JobContext job;
    (void)calibrate(*model, windows, options, job);
    EXPECT_EQ(files.counts().kept, 2);
    EXPECT_EQ(collect(&files, all), collect(nullptr, all));
    windows = fewer;
    EXPECT_EQ(collect(&files, all), collect(nullptr, all));
    EXPECT_EQ(files.counts().taken, 2);
}

} // namespace
} // namespace bw
