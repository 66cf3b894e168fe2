// SPDX-License-Identifier: GPL-3.0-or-later
// Which windows are taken: shares by weight, draws by a seed, repeats left out; always the same for the same question.
#include "core/base/random.h"
#include "core/calibrate/data_warnings.h"
#include "core/calibrate/dataset.h"
#include "tests/support/expect_error.h"

#include <gtest/gtest.h>

#include <map>
#include <numeric>

namespace bw::test {
namespace {

TextData randomText(const std::string& name, std::int64_t tokens, std::uint64_t seed) {
    TextData text;
    text.name = name;
    Random random(seed);
    for (std::int64_t i = 0; i < tokens; ++i)
        text.ids.push_back(static_cast<TokenId>(random.below(30'000)));
    return text;
}

std::map<std::size_t, int> byText(const SampledWindows& sampled) {
    std::map<std::size_t, int> out;
    for (const WindowOrigin& origin : sampled.origins)
        ++out[origin.text];
    return out;
}

struct Texts {
    TextData prose = randomText("prose", 6400, 1), code = randomText("code", 3200, 2), tiny = randomText("tiny", 10, 3);
    std::vector<const TextData*> two{&prose, &code}, three{&prose, &code, &tiny};
    JobContext job;
};

TEST(SampleWindows, GivesEachTextItsShare) {
    Texts t;
    Sampling s{40, 64, {1.0, 0.25}};
    EXPECT_EQ(byText(sampleWindows(t.two, s, t.job)), (std::map<std::size_t, int>{{0, 32}, {1, 8}}));
    s.weights = {0.0, 2.0};
    EXPECT_EQ(byText(sampleWindows(t.two, s, t.job)), (std::map<std::size_t, int>{{1, 40}})) << "nothing of a text of weight 0";
    s.weights = {1.0, 9.0};
    s.samples = 100; // code has only 50 windows: prose makes up for them
    EXPECT_EQ(byText(sampleWindows(t.two, s, t.job)), (std::map<std::size_t, int>{{0, 50}, {1, 50}}));
    s.samples = 1000;
    EXPECT_EQ(sampleWindows(t.two, s, t.job).windows.count, 150) << "all there are";
    s = {3, 64, {1.0, 1.0}};
    EXPECT_EQ(sampleWindows(t.two, s, t.job).windows.count, 3) << "the odd one goes somewhere";
}

TEST(SampleWindows, WindowsAreThoseOfTheirOrigins) {
    Texts t;
    for (const bool random : {false, true}) {
        const SampledWindows sampled = sampleWindows(t.three, {25, 64, {}, random, 11}, t.job);
        EXPECT_EQ(sampled.shortTexts, std::vector<std::string>{"tiny"});
        ASSERT_EQ(sampled.origins.size(), 25u);
        for (std::int64_t w = 0; w < sampled.windows.count; ++w) {
            const WindowOrigin& origin = sampled.origins[static_cast<std::size_t>(w)];
            EXPECT_TRUE(std::equal(sampled.windows.window(w).begin(), sampled.windows.window(w).end(), t.three[origin.text]->ids.begin() + origin.start)) << w;
            EXPECT_EQ(origin.start % 64, 0) << "windows never overlap";
        }
    }
}

TEST(SampleWindows, TheSeedDecidesADrawAndNothingElseDoes) {
    Texts t;
    const auto drawn = [&](bool random, std::uint64_t seed) { return sampleWindows(t.two, {30, 64, {}, random, seed}, t.job).windows.ids; };
    EXPECT_EQ(drawn(true, 7), drawn(true, 7));
    EXPECT_NE(drawn(true, 7), drawn(true, 8));
    EXPECT_NE(drawn(true, 7), drawn(false, 7));
    EXPECT_EQ(drawn(false, 7), drawn(false, 8));
}

TEST(SampleWindows, LeavesOutWhatRepeats) {
    Texts t;
    TextData twice = randomText("twice", 1280, 4);
    const std::vector<TokenId> once = twice.ids;
    twice.ids.insert(twice.ids.end(), once.begin(), once.end());
    const std::vector<const TextData*> all{&twice, &t.code};
    Sampling s{1000, 64};
    const SampledWindows kept = sampleWindows(all, s, t.job);
    EXPECT_EQ(kept.windows.count, 90);
    std::vector<std::string> kinds;
    for (const DataWarning& warning : checkReading(all, kept))
        kinds.push_back(warning.kind + ": " + warning.seen);
    EXPECT_EQ(kinds, std::vector<std::string>{"duplicates: 20 of 90 calibration samples repeat passages of others"});
    s.deduplicate = true;
    const SampledWindows clean = sampleWindows(all, s, t.job);
    EXPECT_EQ(clean.windows.count, 70);
    EXPECT_EQ(clean.duplicates, 20);
    EXPECT_TRUE(checkReading(all, clean).empty());
}

TEST(SampleWindows, RefusesWhatMakesNoSet) {
    Texts t;
    const Error e = expectError(ErrorCode::textTooShort, [&] { sampleWindows({&t.tiny}, {4, 64}, t.job); });
    EXPECT_NE(e.oneLine().find("'tiny' has 10 tokens, fewer than one window of 64"), std::string::npos) << e.oneLine();
    expectError(ErrorCode::usage, [&] { sampleWindows(t.two, {0, 64}, t.job); });
    expectError(ErrorCode::usage, [&] { sampleWindows(t.two, {4, 64, {1.0}}, t.job); });
    expectError(ErrorCode::usage, [&] { sampleWindows(t.two, {4, 64, {1.0, -1.0}}, t.job); });
}

} // namespace
} // namespace bw::test
