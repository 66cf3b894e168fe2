// SPDX-License-Identifier: GPL-3.0-or-later
// The cache of rounded tensors: the same bytes with and without it, whatever happens to its files.
#include "core/quantize/tensor_cache.h"

#include "core/base/io_ops.h"
#include "tests/support/failing_io.h"
#include "tests/unit/quantize/demo_model.h"

#include <gmock/gmock.h>

#include <chrono>
#include <cstring>
#include <fstream>
#include <sys/stat.h>
#include <thread>

namespace bw {
namespace {

namespace fs = std::filesystem;
using test::codeOf;
using test::demoModel;
using test::TempFolder;

const std::vector<FormatRule> kMix{{"blk.*.attn_k", "q4_0"}, {"blk.*.attn_v", "int4:g64"}, {"blk.1.ffn_up", "q8_0"}};
const std::vector<FormatRule> kTwo{{"blk.0.attn_k", "q4_0"}, {"blk.1.attn_v", "int4:g64"}};

std::shared_ptr<QuantizedModel> build(TensorCache* cache, const std::vector<FormatRule>& rules = kMix) {
    JobContext job;
    return QuantizedModel::build(demoModel(), resolveFormats(demoModel(), "keep", "", rules), {}, {false, false}, job, cache);
}

/// Sites of the demo model, its tensors' bytes and both figures, as one comparable value.
std::vector<std::tuple<std::string, std::vector<std::byte>, double, double>> contents(const QuantizedModel& model) {
    std::vector<std::tuple<std::string, std::vector<std::byte>, double, double>> all;
    for (const Site& site : demoModel().sites())
        if (const QuantizedTensor* t = model.find(site.id)) all.emplace_back(site.name, t->bytes, t->relativeError, t->uniformNoise);
    return all;
}

TensorCache cacheIn(const TempFolder& folder, std::optional<std::uint64_t> limit = 1 << 30) { return {{folder / "cache", limit, 0}, "digest", "program"}; }

std::vector<fs::path> filesIn(const std::string& folder) {
    std::vector<fs::path> files;
    if (fs::exists(folder))
        for (const auto& entry : fs::recursive_directory_iterator(folder))
            if (!entry.is_directory()) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    return files;
}

std::string textOf(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

void writeText(const fs::path& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

void setAge(const fs::path& path, int hours) {
    fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::hours(hours));
}

TEST(TensorCache, givesTheSameModelFromDiskWithoutRoundingAgain) {
    const TempFolder folder;
    const auto plain = contents(*build(nullptr));
    ASSERT_GT(plain.size(), 4u);
    TensorCache first = cacheIn(folder);
    EXPECT_EQ(contents(*build(&first)), plain);
    EXPECT_EQ(first.counts().kept, static_cast<std::int64_t>(plain.size()));
    EXPECT_EQ(first.counts().taken, 0);
    TensorCache second = cacheIn(folder);
    JobContext job;
    EXPECT_EQ(contents(*QuantizedModel::build(demoModel(), resolveFormats(demoModel(), "keep", "", kMix), {}, {false, false}, job, &second)), plain);
    EXPECT_EQ(second.counts().taken, static_cast<std::int64_t>(plain.size()));
    EXPECT_EQ(second.counts().kept, 0);
    EXPECT_EQ(job.snapshot().done, job.snapshot().total);
    EXPECT_EQ(second.size().entries, static_cast<std::int64_t>(plain.size()));
    EXPECT_EQ(second.problem(), "");
}

TEST(TensorCache, missesWhenAnyFactDiffers) {
    const TempFolder folder;
    const Site& site = *demoModel().findSite("blk.1.attn_k");
    const FormatPtr format = parseFormat("int4:g64");
    std::vector<float> importance(static_cast<std::size_t>(site.cols), 1.0f);
    const RounderOptions rounder{true, true};
    TensorCache cache = cacheIn(folder);
    const std::string key = cache.key(site, format, importance, rounder);
    cache.keep(key, site, quantizeSite(site, demoModel().siteWeight(site).view(), format, importance, rounder));
    ASSERT_TRUE(cache.find(key, site, format));

    const auto misses = [&](TensorCache& other, const Site& s, const FormatPtr& f, std::span<const float> columns, const RounderOptions& r) {
        return !other.find(other.key(s, f, columns, r), s, f);
    };
    EXPECT_FALSE(misses(cache, site, format, importance, rounder));
    EXPECT_TRUE(misses(cache, *demoModel().findSite("blk.2.attn_k"), format, importance, rounder));
    EXPECT_TRUE(misses(cache, site, parseFormat("int4:g64:sym"), importance, rounder));
    EXPECT_TRUE(misses(cache, site, format, {}, rounder)) << "rounded without importance";
    EXPECT_TRUE(misses(cache, site, format, importance, {false, true})) << "not weighted";
    EXPECT_TRUE(misses(cache, site, format, importance, {true, false})) << "no clip search";
    EXPECT_TRUE(misses(cache, site, format, importance, {true, true, BlockSearch::reference}));
    importance[7] = std::nextafter(1.0f, 2.0f);
    EXPECT_TRUE(misses(cache, site, format, importance, rounder)) << "one bit of one column's importance";
    importance[7] = 1.0f;
    TensorCache otherCheckpoint({folder / "cache", {}, 0}, "digest of another", "program"), otherProgram({folder / "cache", {}, 0}, "digest", "another build");
    EXPECT_TRUE(misses(otherCheckpoint, site, format, importance, rounder));
    EXPECT_TRUE(misses(otherProgram, site, format, importance, rounder));
    EXPECT_EQ(cache.counts().damaged, 0);
    // What nobody looks at makes no difference: plain rounding is shared by all calibrations.
    EXPECT_EQ(cache.key(site, format, importance, {false, true}), cache.key(site, format, {}, {false, true}));
}

TEST(TensorCache, dropsDamagedEntriesAndMakesThemAnew) {
    const auto plain = contents(*build(nullptr));
    const TempFolder folder;
    TensorCache first = cacheIn(folder);
    build(&first);
    const fs::path victim = filesIn(folder / "cache").front();
    const std::string good = textOf(victim);
    const auto flipped = [&](std::size_t at) {
        std::string text = good;
        text[at] = static_cast<char>(text[at] ^ 0x10);
        return text;
    };
    std::string hugeKey = good, hugeTensor = good;
    const std::uint64_t huge = UINT64_MAX - 50;
    std::memcpy(hugeKey.data() + 8, &huge, 8);
    std::memcpy(hugeTensor.data() + 16, &huge, 8);
    const std::vector<std::string> damages{"", good.substr(0, 20), good.substr(0, good.size() - 1), good + "x", std::string(good.size(), '\0'), hugeKey, hugeTensor,
                                           flipped(0), flipped(9), flipped(17), flipped(26), flipped(33), flipped(60), flipped(good.size() / 2), flipped(good.size() - 1)};
    for (std::size_t i = 0; i < damages.size(); ++i) {
        writeText(victim, damages[i]);
        TensorCache cache = cacheIn(folder);
        EXPECT_EQ(contents(*build(&cache)), plain) << "damage " << i;
        EXPECT_EQ(cache.counts().damaged, 1) << "damage " << i;
        EXPECT_EQ(cache.counts().kept, 1) << "damage " << i;
        EXPECT_EQ(textOf(victim), good) << "damage " << i;
    }
    // Things that are no files are neither followed nor waited for.
    const fs::path elsewhere = folder / "elsewhere";
    writeText(elsewhere, good);
    fs::remove(victim);
    fs::create_symlink(elsewhere, victim);
    TensorCache linked = cacheIn(folder);
    EXPECT_EQ(contents(*build(&linked)), plain);
    EXPECT_EQ(linked.counts().damaged, 1);
    EXPECT_EQ(textOf(elsewhere), good);
    fs::remove(victim);
    ASSERT_EQ(::mkfifo(victim.c_str(), 0600), 0);
    TensorCache piped = cacheIn(folder);
    EXPECT_EQ(contents(*build(&piped)), plain);
    fs::remove(victim);
    fs::create_directory(victim);
    TensorCache blocked = cacheIn(folder);
    EXPECT_EQ(contents(*build(&blocked)), plain);
    EXPECT_NE(blocked.problem(), "");
}

TEST(TensorCache, neverFailsTheWorkWhenTheDiskDoes) {
    const auto plain = contents(*build(nullptr, kTwo));
    for (const int err : {ENOSPC, EIO}) {
        bool failed = true;
        int k = 0;
        while (failed && ++k < 200) {
            const TempFolder folder;
            TensorCache cache = cacheIn(folder);
            {
                const test::FailingIo io(k, err);
                EXPECT_EQ(contents(*build(&cache, kTwo)), plain) << "call " << k;
                failed = io.failed();
            }
            for (const fs::path& file : filesIn(folder / "cache")) EXPECT_EQ(file.extension(), ".tensor") << "left behind at call " << k;
            TensorCache after = cacheIn(folder);
            EXPECT_EQ(contents(*build(&after, kTwo)), plain) << "call " << k;
            EXPECT_EQ(after.counts().damaged, 0) << "call " << k;
        }
        EXPECT_FALSE(failed);
        EXPECT_GT(k, 3 * static_cast<int>(plain.size())) << "creating, writing and renaming each";
    }
    const TempFolder folder;
    writeText(folder / "cache", "a file where the folder should be");
    TensorCache cache = cacheIn(folder);
    EXPECT_EQ(contents(*build(&cache, kTwo)), contents(*build(nullptr, kTwo)));
    EXPECT_THAT(cache.problem(), testing::HasSubstr("not kept"));
    EXPECT_EQ(cache.counts().kept, 0);
}

TEST(TensorCache, keepsToItsLimitAndRemovesWhatWasNotUsedForLongest) {
    const TempFolder folder;
    TensorCache first = cacheIn(folder);
    build(&first);
    const std::vector<fs::path> files = filesIn(folder / "cache");
    for (std::size_t i = 0; i < files.size(); ++i) setAge(files[i], static_cast<int>(100 - i)); // the first is the oldest
    const std::uint64_t all = first.size().bytes;

    // One more tensor that does not fit: the oldest go, down to nine tenths of the limit.
    const Site& site = *demoModel().findSite("blk.0.attn_k");
    const FormatPtr format = parseFormat("q4_1");
    const QuantizedTensor tensor = quantizeSite(site, demoModel().siteWeight(site).view(), format, {}, {});
    TensorCache small = cacheIn(folder, all);
    const std::string key = small.key(site, format, {}, {});
    small.keep(key, site, tensor);
    EXPECT_EQ(small.counts().kept, 1);
    EXPECT_LE(small.size().bytes, all - all / 10);
    EXPECT_FALSE(fs::exists(files.front()));
    EXPECT_TRUE(fs::exists(files.back()));
    EXPECT_TRUE(small.find(key, site, format));

    // Reading makes an entry young.
    const std::vector<fs::path> left = filesIn(folder / "cache");
    for (const fs::path& file : left) setAge(file, 50);
    TensorCache reader = cacheIn(folder);
    ASSERT_TRUE(reader.find(key, site, format));
    TensorCache tight = cacheIn(folder, reader.size().bytes);
    const FormatPtr other = parseFormat("q5_0");
    tight.keep(tight.key(site, other, {}, {}), site, quantizeSite(site, demoModel().siteWeight(site).view(), other, {}, {}));
    EXPECT_TRUE(reader.find(key, site, format));

    // Larger than the whole limit: not kept, nothing removed for it.
    const auto before = filesIn(folder / "cache");
    TensorCache tiny = cacheIn(folder, 100);
    tiny.keep(tiny.key(site, parseFormat("q8_0"), {}, {}), site, tensor);
    EXPECT_EQ(filesIn(folder / "cache"), before);
    EXPECT_EQ(tiny.problem(), "");
    TensorCache readOnly = cacheIn(folder, 0);
    EXPECT_TRUE(readOnly.find(key, site, format));
    const std::uint64_t chosen = cacheIn(folder, {}).size().limit; // by the free space, which others change meanwhile
    EXPECT_LE(chosen, 4ull << 30);
    EXPECT_GT(chosen, 0u);
}

TEST(TensorCache, aModelLargerThanTheLimitKeepsItsFirstTensors) {
    const TempFolder folder;
    TensorCache whole = cacheIn(folder);
    const auto plain = contents(*build(&whole));
    const std::uint64_t all = whole.size().bytes;
    EXPECT_EQ(whole.clear(), static_cast<std::int64_t>(plain.size()));
    EXPECT_EQ(whole.size().entries, 0);
    std::int64_t kept = 0;
    for (int turn = 0; turn < 2; ++turn) { // the second time they are all there again: nothing was pushed out by the rest
        TensorCache half = cacheIn(folder, all / 2);
        EXPECT_EQ(contents(*build(&half)), plain);
        EXPECT_LE(half.size().bytes, all / 2);
        if (turn == 0) kept = half.counts().kept;
        EXPECT_GE(turn == 0 ? half.counts().kept : half.counts().taken, std::max<std::int64_t>(kept, 3));
    }
}

TEST(TensorCache, leavesTheRoomThatAnExportNeeds) {
    const TempFolder folder;
    fs::create_directories(folder / "cache");
    const auto available = static_cast<std::uint64_t>(ioOps().freeBytes(folder / "cache"));
    TensorCache cache({folder / "cache", 1 << 30, 2 * available}, "digest", "program");
    build(&cache);
    EXPECT_EQ(cache.counts().kept, 0);
    EXPECT_THAT(cache.problem(), testing::HasSubstr("needed"));
}

TEST(TensorCache, twoWritersDoNotDisturbEachOther) {
    const auto plain = contents(*build(nullptr));
    TempFolder folder;
    TensorCache probe = cacheIn(folder);
    build(&probe);
    const std::uint64_t all = probe.size().bytes;
    for (const std::uint64_t limit : {2 * all, all / 2}) { // with room for all, and with pruning under each other's hands
        probe.clear();
        std::vector<std::thread> writers;
        std::vector<char> right(2, 0);
        std::vector<std::string> problems(2);
        for (std::size_t w = 0; w < 2; ++w)
            writers.emplace_back([&, w] {
                for (int turn = 0; turn < 5; ++turn) {
                    TensorCache own({folder / "cache", limit, 0}, "digest", "program");
                    right[w] = contents(*build(&own)) == plain && own.counts().damaged == 0;
                    problems[w] = own.problem();
                    if (!right[w] || !problems[w].empty()) break;
                }
            });
        for (std::thread& writer : writers) writer.join();
        EXPECT_TRUE(right[0] && right[1]) << limit;
        EXPECT_EQ(problems[0] + problems[1], "") << limit;
    }
}

TEST(TensorCache, isOffUntilSetAndForRepetitions) {
    EXPECT_EQ(tensorCache().folder, "");
    setTensorCache({"/somewhere", 5, 0});
    EXPECT_EQ(tensorCache().folder, "/somewhere");
    {
        const WithoutTensorCache outer, inner;
        EXPECT_EQ(tensorCache().folder, "");
    }
    EXPECT_EQ(tensorCache().folder, "/somewhere");
    setTensorCache({});
}

TEST(TensorCache, stopsWhenAskedAndClearsOnlyItsOwnFiles) {
    const TempFolder folder;
    TensorCache cache = cacheIn(folder);
    build(&cache);
    JobContext job;
    job.requestStop();
    EXPECT_EQ(codeOf([&] { QuantizedModel::build(demoModel(), resolveFormats(demoModel(), "keep", "", kMix), {}, {}, job, &cache); }), ErrorCode::cancelled);

    const fs::path entry = filesIn(folder / "cache").front();
    writeText(entry.parent_path() / "notes.txt", "a person's");
    writeText(entry.string() + ".partial-99999999-0", "of a writer that was killed");
    EXPECT_GT(cache.clear(), 0);
    ASSERT_EQ(filesIn(folder / "cache").size(), 1u);
    EXPECT_EQ(filesIn(folder / "cache").front().filename(), "notes.txt");
}

} // namespace
} // namespace bw
