// SPDX-License-Identifier: GPL-3.0-or-later
// Warnings about calibration sets: each is given when it should and only then, with the passages that overlap.
#include "core/calibrate/data_warnings.h"

#include "core/checkpoint/checkpoint.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace bw {
namespace {

struct Texts {
    std::shared_ptr<const Tokenizer> tokenizer;
    TextData calibProse, calibCode, evalProse, evalCode;
};

const Texts& texts() {
    static const Texts made = [] {
        Texts t;
        JobContext job;
        t.tokenizer = Tokenizer::open(*Checkpoint::open(BW_RESOURCES "/demo"));
        const auto load = [&](const char* name) { return loadText(std::string(BW_RESOURCES "/texts/") + name, *t.tokenizer, 0, job); };
        t.calibProse = load("calib_prose.txt");
        t.calibCode = load("calib_code.txt");
        t.evalProse = load("eval_prose.txt");
        t.evalCode = load("eval_code.txt");
        return t;
    }();
    return made;
}

bool has(const std::vector<DataWarning>& warnings, const std::string& kind) {
    return std::any_of(warnings.begin(), warnings.end(), [&](const DataWarning& w) { return w.kind == kind; });
}

TEST(DataWarnings, TellFewAndShortSamples) {
    Windows windows{63, 511, std::vector<TokenId>(63 * 511)};
    const std::vector<DataWarning> few = checkCalibration(windows, {}, nullptr);
    ASSERT_EQ(few.size(), 2u);
    EXPECT_EQ(few[0].kind, "few-samples");
    EXPECT_NE(few[0].seen.find("only 63"), std::string::npos);
    EXPECT_EQ(few[1].kind, "short-samples");
    for (const DataWarning& warning : few)
        EXPECT_FALSE(warning.why.empty() || warning.remedy.empty());
    windows = {128, 512, std::vector<TokenId>(128 * 512)};
    EXPECT_TRUE(checkCalibration(windows, {}, nullptr).empty());
}

TEST(DataWarnings, ShowThePassagesThatOverlap) {
    const Windows windows = calibrationWindows({texts().calibProse}, 8, 128);
    EXPECT_EQ(findOverlap(windows, texts().evalProse.ids, texts().tokenizer.get()).share, 0.0);
    std::vector<TokenId> evaluation = texts().evalProse.ids;
    const auto window = windows.window(5);
    evaluation.insert(evaluation.begin() + 100, window.begin() + 20, window.begin() + 50); // 30 tokens: 18 sequences of 13
    evaluation.insert(evaluation.begin() + 900, window.begin() + 60, window.begin() + 72); // 12 tokens: none
    const Overlap overlap = findOverlap(windows, evaluation, texts().tokenizer.get());
    EXPECT_DOUBLE_EQ(overlap.share, 18.0 / (8 * 116));
    ASSERT_EQ(overlap.longest.size(), 1u);
    EXPECT_EQ(overlap.longest[0].window, 5);
    EXPECT_EQ(overlap.longest[0].tokens, 30);
    const std::string passage = texts().tokenizer->decode(window.subspan(20, 30));
    EXPECT_EQ(overlap.longest[0].text.substr(0, 12), passage.substr(0, 12));
    const std::vector<DataWarning> warnings = checkCalibration(windows, evaluation, texts().tokenizer.get());
    const auto found = std::find_if(warnings.begin(), warnings.end(), [](const DataWarning& w) { return w.kind == "overlap"; });
    ASSERT_NE(found, warnings.end());
    ASSERT_EQ(found->details.size(), 1u);
    EXPECT_NE(found->details[0].find(passage.substr(0, 12)), std::string::npos);
}

TEST(DataWarnings, TellProseFromCode) {
    const Windows prose = calibrationWindows({texts().calibProse}, 1000, 64), code = calibrationWindows({texts().calibCode}, 1000, 64);
    const Tokenizer* tokenizer = texts().tokenizer.get();
    EXPECT_FALSE(has(checkCalibration(prose, texts().evalProse.ids, tokenizer), "domain"));
    EXPECT_FALSE(has(checkCalibration(code, texts().evalCode.ids, tokenizer), "domain"));
    EXPECT_TRUE(has(checkCalibration(prose, texts().evalCode.ids, tokenizer), "domain"));
    EXPECT_TRUE(has(checkCalibration(code, texts().evalProse.ids, tokenizer), "domain"));
    // A short text shows its subject rather than its domain.
    EXPECT_FALSE(has(checkCalibration(prose, std::span(texts().evalCode.ids).first(500), tokenizer), "domain"));
}

TEST(DataWarnings, DivergenceIsZeroForOneTextAndForNone) {
    EXPECT_EQ(domainDivergence("", ""), 0.0);
    EXPECT_EQ(domainDivergence("ab", "some other text"), 0.0);
    const std::string text = texts().tokenizer->decode(texts().calibProse.ids);
    EXPECT_EQ(domainDivergence(text, text), 0.0);
}

} // namespace
} // namespace bw
