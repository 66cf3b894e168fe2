// SPDX-License-Identifier: GPL-3.0-or-later
// The hand-written scanners against the very patterns they stand for, run by PCRE2 on random text.
#include "core/tokenizer/pre_tokenizer.h"

#include "core/tokenizer/gguf_pre_tokenizers.h"
#include "core/tokenizer/scanners.h"
#include "tests/support/cpu_timer.h"
#include "tests/unit/tokenizer/support.h"

#include <gmock/gmock.h>
#include <random>

namespace bw {
namespace {

using Scanner = PreTokenizer::Scanner;

std::vector<std::string> pieces(const PreTokenizer& preTokenizer, std::string_view text) {
    std::vector<std::string> all;
    preTokenizer.split(text, [&](std::string_view piece) { all.emplace_back(piece); });
    return all;
}

PreTokenizer fromGguf(const char* name) {
    return ggufPreTokenizer(name).preTokenizer;
}

PreTokenizer withPattern(std::string_view pattern) {
    return {"regex", {{.scanner = Scanner::regex, .regex = std::make_shared<const SplitRegex>(std::string(pattern))}}};
}

std::string randomText(std::mt19937& rng) {
    static const std::vector<std::string> atoms{
        "a",    "Bc",    "é",      "ſ",      "日",     "अ",      "\u0301",
        "1",    "23",    "٣",      "½",      " ",      "  ",     "\n",
        "\r\n", "\t",    "\u00a0", "\u3000", "\u2028", "\u0085", "\u200b",
        "'",    "'s",    "'S",     "'re",    "'rE",    "'LL",    "'ll",
        "'v",   "'ſ",    ".",      "!?",     "🙂",   "𠀀",     std::string(1, '\0'),
        "_",    "\u1680"};
    std::uniform_int_distribution<std::size_t> atom(0, atoms.size() - 1), length(0, 24);
    std::string text;
    for (std::size_t i = length(rng); i > 0; --i) text += atoms[atom(rng)];
    return text;
}

void expectSamePieces(Scanner scanner, std::string_view pattern) {
    const PreTokenizer byHand("hand", {{.scanner = scanner}});
    const PreTokenizer byRegex = withPattern(pattern);
    std::mt19937 rng(11);
    for (int round = 0; round < 4000; ++round) {
        const std::string text = randomText(rng);
        ASSERT_EQ(pieces(byHand, text), pieces(byRegex, text)) << "round " << round << ": " << text;
    }
}

TEST(PreTokenizer, Gpt2ScannerEqualsItsPattern) {
    expectSamePieces(Scanner::gpt2, kGpt2Pattern);
}
TEST(PreTokenizer, Llama3ScannerEqualsItsPattern) {
    expectSamePieces(Scanner::llama3, kLlama3Pattern);
}
TEST(PreTokenizer, Qwen2ScannerEqualsItsPattern) {
    expectSamePieces(Scanner::qwen2, kQwen2Pattern);
}
TEST(PreTokenizer, DigitScannersEqualTheirPatterns) {
    expectSamePieces(Scanner::digit, R"(\p{N})");
    expectSamePieces(Scanner::digits, R"(\p{N}+)");
}

TEST(PreTokenizer, KnownPatternsGetScanners) {
    EXPECT_EQ(PreTokenizer::stageForPattern(std::string(kGpt2Pattern)).scanner, Scanner::gpt2);
    EXPECT_EQ(PreTokenizer::stageForPattern(std::string(kLlama3Pattern)).scanner, Scanner::llama3);
    EXPECT_EQ(PreTokenizer::stageForPattern(std::string(kQwen2Pattern)).scanner, Scanner::qwen2);
    EXPECT_EQ(PreTokenizer::stageForPattern(std::string(kDeepseek3Pattern)).scanner, Scanner::deepseek3);
    std::string raw(kLlama3Pattern); // with the line ends themselves
    for (std::size_t at = raw.find("\\r\\n"); at != std::string::npos; at = raw.find("\\r\\n"))
        raw.replace(at, 4, "\r\n");
    EXPECT_EQ(PreTokenizer::stageForPattern(raw).scanner, Scanner::llama3);
    EXPECT_EQ(PreTokenizer::stageForPattern("x|y").scanner, Scanner::regex);
}

TEST(PreTokenizer, GgufNames) {
    EXPECT_THAT(pieces(fromGguf("gpt-2"), "ab 12"), testing::ElementsAre("ab", " 12"));
    EXPECT_THAT(pieces(fromGguf("smollm"), "ab 12"), testing::ElementsAre("ab", " ", "1", "2"));
    EXPECT_THAT(pieces(fromGguf("llama-bpe"), "ab 1234"), testing::ElementsAre("ab", " ", "123", "4"));
    EXPECT_THAT(pieces(fromGguf("qwen2"), "ab 12"), testing::ElementsAre("ab", " ", "1", "2"));
    EXPECT_THAT(pieces(fromGguf("default"), "a+=b 12345"), testing::ElementsAre("a", "+=", "b", " ", "123", "45"));
    const Error error = test::errorOf([] { ggufPreTokenizer("grok-9"); });
    EXPECT_EQ(error.code(), ErrorCode::unsupportedTokenizer);
    EXPECT_THAT(error.message(), testing::HasSubstr("grok-9"));
}

TEST(PreTokenizer, Deepseek3ScannerEqualsItsPattern) {
    expectSamePieces(Scanner::deepseek3, kDeepseek3Pattern);
}
TEST(PreTokenizer, TrailingSpaceScannerEqualsItsPattern) {
    expectSamePieces(Scanner::trailingSpace, kTrailingSpacePattern);
}

TEST(PreTokenizer, ClassPatternsEqualTheEngine) {
    std::mt19937 rng(12);
    for (const char* pattern : {R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)", R"(\p{N}{1,3})", R"([^\s\p{L}]+)",
                                "[一-龥\u0800-一]+", " ?[A-Ca-cé'-]+", R"([\p{P}\$\+<=>\^~\|]+)", R"(\s)", "a"}) {
        const auto simple = ClassPattern::parse(pattern);
        ASSERT_TRUE(simple) << pattern;
        const PreTokenizer byHand("hand", {PreTokenizer::stageForPattern(pattern)});
        const PreTokenizer byRegex = withPattern(pattern);
        for (int round = 0; round < 500; ++round) {
            const std::string text = randomText(rng);
            ASSERT_EQ(pieces(byHand, text), pieces(byRegex, text)) << pattern << ": " << text;
        }
    }
    for (const char* pattern : {"", "a.", "ab", "a|b", "[a", "[]", "[a&&b]", "[[a]]", R"(\d)", R"(\p{Lu})", "a{2}",
                                "a{1,", "[z-a]", "(a)", "a*", "\\"})
        EXPECT_FALSE(ClassPattern::parse(pattern)) << pattern;
}

/// Expected pieces are those of tokenizers.pre_tokenizers.Split 0.23.3.
TEST(PreTokenizer, MatchesGoWhereTheBehaviourSays) {
    using Behavior = PreTokenizer::Behavior;
    PreTokenizer::Stage stage = PreTokenizer::stageForPattern("-");
    const auto cut = [&](Behavior behavior, bool invert) {
        stage.behavior = behavior;
        stage.invert = invert;
        return pieces({"x", {stage}}, "-a--b-");
    };
    EXPECT_THAT(cut(Behavior::isolated, false), testing::ElementsAre("-", "a", "-", "-", "b", "-"));
    EXPECT_THAT(cut(Behavior::removed, false), testing::ElementsAre("a", "b"));
    EXPECT_THAT(cut(Behavior::removed, true), testing::ElementsAre("-", "-", "-", "-"));
    EXPECT_THAT(cut(Behavior::contiguous, false), testing::ElementsAre("-", "a", "--", "b", "-"));
    EXPECT_THAT(cut(Behavior::mergedWithPrevious, false), testing::ElementsAre("-", "a-", "-", "b-"));
    EXPECT_THAT(cut(Behavior::mergedWithNext, false), testing::ElementsAre("-a", "-", "-b", "-"));
}

TEST(PreTokenizer, MetaspaceMarksSpacesAndTheBeginning) {
    using Prefix = PreTokenizer::Prefix;
    PreTokenizer::Stage stage{.scanner = Scanner::metaspace};
    const auto marked = [&](Prefix prefix, std::string_view text, bool beginsText) {
        stage.prefix = prefix;
        std::string all;
        PreTokenizer("x", {stage})
            .split(
                text, [&](std::string_view piece) { all += piece; }, beginsText);
        return all;
    };
    EXPECT_EQ(marked(Prefix::always, "a b", false), "▁a▁b");
    EXPECT_EQ(marked(Prefix::always, " a", true), "▁a");
    EXPECT_EQ(marked(Prefix::first, "a", true), "▁a");
    EXPECT_EQ(marked(Prefix::first, "a", false), "a");
    EXPECT_EQ(marked(Prefix::never, "a b", true), "a▁b");
}

TEST(PreTokenizer, PrefixSpaceIsPutOnlyWhereNoneIs) {
    const PreTokenizer spaced("x", {{.scanner = Scanner::prefixSpace}, {.scanner = Scanner::gpt2}});
    EXPECT_THAT(pieces(spaced, "a b"), testing::ElementsAre(" a", " b"));
    EXPECT_THAT(pieces(spaced, " a"), testing::ElementsAre(" a"));
}

TEST(SplitRegex, RunawayPatternsEndInAnError) {
    for (const char* pattern : {"(a+)+$", "(a|aa)+$", "(?:a?){60}a{60}c", "((a*)*)*b"}) {
        const test::CpuTimer timer;
        const Error error = test::errorOf([&] { pieces(withPattern(pattern), std::string(5000, 'a') + "!"); });
        EXPECT_EQ(error.code(), ErrorCode::invalidTokenizer) << pattern;
        EXPECT_THAT(error.message(), testing::HasSubstr("runs away"));
        EXPECT_LT(timer.seconds(), 5.0 * test::kSlowdown) << pattern; // the step limit stops it in about a second
    }
}

TEST(SplitRegex, PatternsThatMoveNowhereStillEnd) {
    EXPECT_THAT(pieces(withPattern("x*"), "axxb"), testing::ElementsAre("a", "xx", "b"));
    EXPECT_EQ(test::errorOf([] { pieces(withPattern(R"((?=ab\K))"), "ab"); }).code(), ErrorCode::invalidTokenizer);
}

TEST(SplitRegex, MistakesArePointedAt) {
    const Error error = test::errorOf([] { SplitRegex regex("a(b"); });
    EXPECT_EQ(error.code(), ErrorCode::invalidTokenizer);
    EXPECT_THAT(error.message(), testing::HasSubstr("byte 3"));
    EXPECT_EQ(test::errorOf([] { SplitRegex regex(std::string(100'000, 'a')); }).code(), ErrorCode::invalidTokenizer);
    EXPECT_EQ(test::errorOf([] { SplitRegex regex("\xFF"); }).code(), ErrorCode::invalidTokenizer);
}

} // namespace
} // namespace bw
