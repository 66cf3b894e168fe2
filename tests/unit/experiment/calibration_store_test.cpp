// SPDX-License-Identifier: GPL-3.0-or-later
// The store of calibration statistics: what was written comes back bit for bit, and what was damaged is a miss.
#include "core/experiment/calibration_store.h"

#include "core/base/job.h"
#include "tests/support/failing_io.h"
#include "tests/unit/quantize/demo_model.h"

#include <gtest/gtest.h>

#include <fstream>

namespace bw {
namespace {
namespace fs = std::filesystem;
using test::demoModel;
using test::TempFolder;

struct Collected {
    std::vector<GroupPass> passes;
    std::vector<InputStatistics> inputs;
};

/// Two windows through the demo model, once for all tests.
const Collected& collected() {
    static const Collected all = [] {
        Collected out;
        CalibrateOptions options;
        options.perChannel = options.channelHistograms = options.weightFacts = true;
        options.onPass = [&](const GroupPass& pass, const InputStatistics& input) {
            out.passes.push_back(pass);
            out.inputs.push_back(input);
        };
        JobContext job;
        calibrate(demoModel(), test::someWindows(demoModel().config().vocabulary), options, job);
        return out;
    }();
    return all;
}

CalibrationStore storeIn(const TempFolder& folder, std::optional<std::uint64_t> limit = 1ull << 30) { return CalibrationStore({folder / "store", limit, 0}); }

std::string write(CalibrationStore& store, const std::string& key) {
    CalibrationStore::Writer writer(store, key);
    for (std::size_t i = 0; i < collected().passes.size(); ++i) writer.add(collected().passes[i], {"site of " + collected().passes[i].group()}, 7, collected().inputs[i]);
    writer.commit();
    return writer.problem();
}

/// Groups that came before the end of the entry or its damage; nothing for a miss.
std::optional<std::size_t> read(CalibrationStore& store, const std::string& key) {
    std::size_t groups = 0;
    JobContext job;
    if (!store.read(CalibrationStore::idOf(key), key, job, [&](StoredInput&&) { ++groups; })) return {};
    return groups;
}

std::string encoded(const GroupPass& pass) {
    std::string out;
    pass.encode(out);
    return out;
}

TEST(CalibrationStore, givesBackWhatWasCollected) {
    const TempFolder folder;
    CalibrationStore store = storeIn(folder);
    EXPECT_FALSE(read(store, "a key"));
    ASSERT_GT(collected().passes.size(), 4u);
    ASSERT_EQ(write(store, "a key"), "");
    std::size_t at = 0;
    JobContext job;
    CalibrationStore other = storeIn(folder);
    ASSERT_TRUE(other.read(CalibrationStore::idOf("a key"), "a key", job, [&](StoredInput&& stored) {
        EXPECT_EQ(encoded(stored.pass), encoded(collected().passes[at]));
        EXPECT_EQ(stored.weightMax, collected().inputs[at].weightMax);
        EXPECT_EQ(stored.weightSquares, collected().inputs[at].weightSquares);
        EXPECT_EQ(stored.rows, 7);
        EXPECT_EQ(stored.sites, std::vector<std::string>{"site of " + collected().passes[at].group()});
        ++at;
    }));
    EXPECT_EQ(at, collected().passes.size());
    const std::string id = CalibrationStore::idOf("a key");
    EXPECT_EQ(other.groups(id).size(), at);
    const auto one = other.group(id, collected().passes[3].group(), job);
    ASSERT_TRUE(one);
    EXPECT_EQ(encoded(one->pass), encoded(collected().passes[3]));
    EXPECT_FALSE(other.group(id, "no such group", job));
    EXPECT_FALSE(read(other, "another key"));
    EXPECT_FALSE(other.read("../../etc/passwd", "", job, [](StoredInput&&) {}));
    EXPECT_FALSE(storeIn(TempFolder()).has(id));
    EXPECT_EQ(other.size().entries, 1);
    EXPECT_EQ(other.clear(), 1);
}

TEST(CalibrationStore, whatIsDamagedIsAMiss) {
    const TempFolder folder;
    CalibrationStore store = storeIn(folder);
    ASSERT_EQ(write(store, "key"), "");
    const fs::path file = folder / ("store/" + CalibrationStore::idOf("key").substr(0, 2) + "/" + CalibrationStore::idOf("key") + ".calibration");
    std::ifstream in(file, std::ios::binary);
    const std::string good{std::istreambuf_iterator<char>(in), {}};
    ASSERT_GT(good.size(), 1000u);
    std::vector<std::string> damages{"", good.substr(0, 9), good.substr(0, good.size() / 2), good.substr(0, good.size() - 1), good + "x"};
    for (const std::size_t at : {std::size_t{0}, std::size_t{9}, std::size_t{17}, std::size_t{25}, good.size() / 3, good.size() - 70, good.size() - 1}) {
        damages.push_back(good);
        damages.back()[at] = static_cast<char>(damages.back()[at] ^ 0x40);
    }
    for (std::size_t i = 0; i < damages.size(); ++i) {
        std::ofstream(file, std::ios::binary) << damages[i];
        EXPECT_FALSE(read(store, "key")) << "damage " << i;
        EXPECT_FALSE(fs::exists(file)) << "damage " << i;
    }
    // One group is read without the rest: damage elsewhere is not seen, its own is.
    std::string text = good;
    const std::size_t first = text.find(collected().passes[0].group());
    text[first + collected().passes[0].group().size() + 20] ^= 1;
    std::ofstream(file, std::ios::binary) << text;
    JobContext job;
    EXPECT_FALSE(store.group(CalibrationStore::idOf("key"), collected().passes[0].group(), job));
    EXPECT_TRUE(store.group(CalibrationStore::idOf("key"), collected().passes[1].group(), job));
}

TEST(CalibrationStore, neverFailsTheWorkWhenTheDiskDoes) {
    bool failed = true;
    int call = 0;
    while (failed && ++call < 100) {
        const TempFolder folder;
        CalibrationStore store = storeIn(folder);
        std::string problem;
        {
            const test::FailingIo io(call);
            problem = write(store, "key");
            failed = io.failed();
        }
        EXPECT_EQ(problem.empty(), read(store, "key").has_value()) << "call " << call;
    }
    EXPECT_FALSE(failed);
    EXPECT_GT(call, 2);
}

TEST(CalibrationStore, keepsToItsLimit) {
    const TempFolder folder;
    CalibrationStore store = storeIn(folder);
    ASSERT_EQ(write(store, "one"), "");
    const std::uint64_t bytes = store.size().bytes;
    CalibrationStore small = storeIn(folder, bytes / 2);
    EXPECT_NE(write(small, "two").find("the limit of the store"), std::string::npos);
    EXPECT_FALSE(small.has(CalibrationStore::idOf("two")));
    CalibrationStore two = storeIn(folder, bytes * 3 / 2);
    EXPECT_EQ(write(two, "three"), "");
    EXPECT_FALSE(two.has(CalibrationStore::idOf("one"))) << "the older one made room";
    EXPECT_TRUE(two.has(CalibrationStore::idOf("three")));
}

} // namespace
} // namespace bw
