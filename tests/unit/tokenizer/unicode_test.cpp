// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/tokenizer/unicode.h"

#include <gtest/gtest.h>

namespace bw {
namespace {

TEST(Unicode, ClassesOfEachKindInsideAndOutsideTheBasicPlane) {
    EXPECT_EQ(unicodeClass(U'a'), kLetter | kWord);
    EXPECT_EQ(unicodeClass(U'日'), kLetter | kWord);
    EXPECT_EQ(unicodeClass(U'𠀀'), kLetter | kWord);
    EXPECT_EQ(unicodeClass(U'7'), kNumber | kWord);
    EXPECT_EQ(unicodeClass(U'½'), kNumber);
    EXPECT_EQ(unicodeClass(U'𝟙'), kNumber | kWord);
    EXPECT_EQ(unicodeClass(U'!'), kPunctuation);
    EXPECT_EQ(unicodeClass(0x0301), kMark | kWord);
    EXPECT_EQ(unicodeClass(U'🙂'), kSymbol);
    EXPECT_EQ(unicodeClass(U'$'), kSymbol);
    EXPECT_EQ(unicodeClass(U'_'), kPunctuation | kWord);
    EXPECT_EQ(unicodeClass(U'ⓐ'), kSymbol | kWord);
    EXPECT_EQ(unicodeClass(0x10FFFF), 0);
    EXPECT_EQ(unicodeClass(0), 0);
}

TEST(Unicode, WhiteSpaceIsThePropertyAndNothingElse) {
    int count = 0;
    for (char32_t c = 0; c < 0x110000; ++c) count += (unicodeClass(c) & kWhiteSpace) != 0;
    EXPECT_EQ(count, 25); // PropList.txt: White_Space has 25 code points
    EXPECT_EQ(unicodeClass(0x85), kWhiteSpace);
    EXPECT_EQ(unicodeClass(0xA0), kWhiteSpace);
    EXPECT_EQ(unicodeClass(0x3000), kWhiteSpace);
    EXPECT_EQ(unicodeClass(0x200B), 0);
    EXPECT_EQ(unicodeClass(0x1C), 0);
}

TEST(Unicode, CodePointsSurviveUtf8) {
    for (const char32_t c : {0x0u, 0x7Fu, 0x80u, 0x7FFu, 0x800u, 0xFFFFu, 0x10000u, 0x10FFFFu}) {
        std::string text;
        appendUtf8(text, c);
        const CodePoint back = codePointAt(text, 0);
        EXPECT_EQ(back.value, c);
        EXPECT_EQ(back.length, text.size());
    }
}

/// Expected texts are what Python 3.11's bytes.decode("utf-8", errors="replace") gives.
TEST(Unicode, IllFormedPiecesBecomeOneReplacementEach) {
    const std::string r = "\xEF\xBF\xBD";
    const std::pair<std::string, std::string> cases[] = {
        {"a\xFFz", "a" + r + "z"},
        {"\xFF\xFE", r + r},
        {"\xE2\x82", r}, // cut inside a character: one
        {"\xE2\x82z", r + "z"},
        {"\xF0\x9F\x99", r},
        {"\xC0\x80", r + r},                 // overlong NUL
        {"\xE0\x80\x80", r + r + r},         // overlong
        {"\xED\xA0\x80", r + r + r},         // lone surrogate
        {"\xF4\x90\x80\x80", r + r + r + r}, // past U+10FFFF
        {"\x80", r},
        {"\xE2\x28\xA1", r + "(" + r},
    };
    for (const auto& [bad, good] : cases) {
        std::string storage;
        EXPECT_EQ(replaceInvalidUtf8(bad, storage), good);
    }
}

TEST(Unicode, ValidTextIsNotCopied) {
    const std::string text = std::string("\xEF\xBB\xBF") + "a\r\n\0é日🙂";
    std::string storage;
    const std::string_view same = replaceInvalidUtf8(text, storage);
    EXPECT_EQ(same.data(), text.data());
    EXPECT_TRUE(storage.empty());
}

} // namespace
} // namespace bw
