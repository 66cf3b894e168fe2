// SPDX-License-Identifier: GPL-3.0-or-later
// Protocols, windows, the spread of calibration samples, and overlap between texts.
#include "core/base/error.h"
#include "core/base/random.h"
#include "core/calibrate/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

namespace bw {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Only what cutting windows asks of a tokenizer: whether it puts a BOS in front.
class BosTokenizer final : public Tokenizer {
public:
    explicit BosTokenizer(bool adds) : adds_(adds) {}
    std::vector<TokenId> encode(std::string_view, bool addSpecial) const override {
        return adds_ && addSpecial ? std::vector<TokenId>{99} : std::vector<TokenId>{};
    }
    std::string decode(std::span<const TokenId>, bool) const override { return {}; }
    std::string tokenText(TokenId) const override { return {}; }
    std::int64_t vocabulary() const override { return 100; }
    std::int64_t bos() const override { return 99; }
    std::int64_t eos() const override { return -1; }
    bool isSpecial(TokenId id) const override { return id == 99; }
    const std::vector<std::string>& warnings() const override { return warnings_; }
    std::string description() const override { return "ids for a test"; }

private:
    bool adds_;
    std::vector<std::string> warnings_;
};

TextData numbered(std::int64_t tokens, TokenId first = 0) {
    TextData text;
    text.name = "numbers.txt";
    text.ids.resize(static_cast<std::size_t>(tokens));
    std::iota(text.ids.begin(), text.ids.end(), first);
    return text;
}

template <class Call>
Error thrown(Call call) {
    try {
        call();
    } catch (const Error& e) {
        return e;
    }
    return Error(ErrorCode::internal, "nothing was thrown");
}

TEST(ProtocolTest, ParsesItsOwnName) {
    for (const char* name : {"windows:256", "llama.cpp:512", "windows:4"})
        EXPECT_EQ(parseProtocol(name).name(), name);
    for (const char* bad : {"", "windows", "windows:", "windows:3", "windows:-1", "windows:12x", "strided:256", "llama.cpp:99999999"})
        EXPECT_EQ(thrown([&] { parseProtocol(bad); }).code(), ErrorCode::usage) << bad;
}

TEST(CutWindows, DropsTheTailAndKeepsWithinTheLimit) {
    const BosTokenizer plain(false);
    const Windows all = cutWindows(numbered(11), parseProtocol("windows:4"), plain, 0);
    EXPECT_EQ(all.count, 2);
    EXPECT_THAT(all.ids, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
    EXPECT_EQ(cutWindows(numbered(11), parseProtocol("windows:4"), plain, 7).count, 1);
    EXPECT_EQ(cutWindows(numbered(11), parseProtocol("llama.cpp:4"), plain, 0).ids, all.ids);
}

TEST(CutWindows, WritesBosWhereLlamaCppDoes) {
    const BosTokenizer withBos(true);
    EXPECT_THAT(cutWindows(numbered(11), parseProtocol("windows:4"), withBos, 0).ids, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
    EXPECT_THAT(cutWindows(numbered(11), parseProtocol("llama.cpp:4"), withBos, 0).ids, ElementsAre(99, 0, 1, 2, 99, 4, 5, 6, 99, 8, 9, 10));
}

TEST(CutWindows, SaysHowShortATextIs) {
    const Error e = thrown([] { cutWindows(numbered(3), parseProtocol("windows:4"), BosTokenizer(false), 0); });
    EXPECT_EQ(e.code(), ErrorCode::textTooShort);
    EXPECT_THAT(e.message(), HasSubstr("numbers.txt"));
    EXPECT_THAT(e.message(), HasSubstr("3 tokens"));
    EXPECT_THAT(e.message(), HasSubstr("window of 4"));
    EXPECT_EQ(thrown([] { cutWindows(numbered(9), parseProtocol("windows:4"), BosTokenizer(false), 3); }).code(), ErrorCode::usage);
}

TEST(CalibrationWindows, SpreadOverAllTextsInProportion) {
    const std::vector<TextData> texts{numbered(300, 0), numbered(100, 1000)};
    const Windows windows = calibrationWindows(texts, 8, 10);
    ASSERT_EQ(windows.count, 8);
    int second = 0;
    for (std::int64_t w = 0; w < windows.count; ++w) {
        const auto ids = windows.window(w);
        for (std::size_t i = 1; i < ids.size(); ++i)
            EXPECT_EQ(ids[i], ids[i - 1] + 1) << "no window crosses from one text into the next";
        second += ids[0] >= 1000 ? 1 : 0;
        if (w > 0 && ids[0] < 1000) {
            EXPECT_EQ(ids[0] - windows.window(w - 1)[0], 50);
        }
    }
    EXPECT_EQ(second, 2);
}

TEST(CalibrationWindows, NeverRepeatsTokens) {
    const Windows windows = calibrationWindows({numbered(95)}, 128, 10);
    EXPECT_EQ(windows.count, 9);
    std::vector<TokenId> sorted = windows.ids;
    std::sort(sorted.begin(), sorted.end());
    EXPECT_EQ(std::adjacent_find(sorted.begin(), sorted.end()), sorted.end());
    EXPECT_EQ(calibrationWindows({numbered(5), numbered(12)}, 4, 10).count, 1) << "a text that is too short is left out";
    EXPECT_EQ(thrown([] { calibrationWindows({numbered(5), numbered(9)}, 4, 10); }).code(), ErrorCode::textTooShort);
    EXPECT_EQ(thrown([] { calibrationWindows({numbered(5)}, 0, 10); }).code(), ErrorCode::usage);
}

TEST(Overlap, CountsSharedThirteenGrams) {
    Windows calibration;
    calibration.count = 1;
    calibration.length = 100;
    calibration.ids = numbered(100).ids;
    EXPECT_DOUBLE_EQ(overlapShare(calibration, numbered(100).ids), 1.0);
    EXPECT_DOUBLE_EQ(overlapShare(calibration, numbered(100, 1000).ids), 0.0);
    // 13 shared tokens make one of the 88 grams; 12 make none.
    EXPECT_DOUBLE_EQ(overlapShare(calibration, numbered(13, 40).ids), 1.0 / 88.0);
    EXPECT_DOUBLE_EQ(overlapShare(calibration, numbered(12, 40).ids), 0.0);
}

TEST(Warnings, SpeakUpForFewShortOrSharedSamples) {
    Windows windows;
    windows.count = 128;
    windows.length = 512;
    windows.ids.assign(128 * 512, 0);
    Random random(4);
    for (TokenId& id : windows.ids)
        id = static_cast<TokenId>(random.below(50000));
    EXPECT_TRUE(calibrationWarnings(windows, {}).empty());
    windows.count = 100;
    EXPECT_THAT(calibrationWarnings(windows, {}), ElementsAre(HasSubstr("128 or more")));
    windows.count = 63;
    EXPECT_THAT(calibrationWarnings(windows, {}), ElementsAre(HasSubstr("only 63")));
    EXPECT_THAT(calibrationWarnings(windows, windows.window(3)), ElementsAre(HasSubstr("only 63"), HasSubstr("share")));
    windows.count = 128;
    windows.length = 511;
    EXPECT_THAT(calibrationWarnings(windows, {}), ElementsAre(HasSubstr("511 tokens")));
}

} // namespace
} // namespace bw
