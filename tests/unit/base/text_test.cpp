// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/text.h"

#include "core/base/checked.h"
#include "tests/support/expect_error.h"

using namespace bw;
using namespace bw::test;

TEST(EscapeForDisplay, NeutralisesControlAndDirection) {
    EXPECT_EQ("a\\x0ab\\x1b[31m", escapeForDisplay("a\nb\x1b[31m"));
    EXPECT_EQ("x\\u{202e}y", escapeForDisplay("x\u202ey"));
    EXPECT_EQ("\\xff ok é 漢 😀", escapeForDisplay("\xff ok é 漢 😀"));
    EXPECT_LT(escapeForDisplay(std::string(100'000, 'a')).size(), 300u);
}

TEST(Utf8, AcceptsOnlyShortestFormsOfScalars) {
    EXPECT_TRUE(isValidUtf8("aé漢😀"));
    for (const char* bad : {"\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80", "\xe2\x82"}) EXPECT_FALSE(isValidUtf8(bad));
}

TEST(FormatForPeople, BytesAndSeconds) {
    EXPECT_EQ("512 B", formatBytes(512));
    EXPECT_EQ("76.4 MiB", formatBytes(80111206));
    EXPECT_EQ("850 ms", formatSeconds(0.85));
    EXPECT_EQ("2 min 10 s", formatSeconds(130.2));
    EXPECT_EQ("unknown", formatSeconds(-1));
}

TEST(ParseByteSize, UnitsAndNonsense) {
    EXPECT_EQ(1288490189u, parseByteSize("1.2GiB"));
    EXPECT_EQ(2147483648u, parseByteSize("2G"));
    EXPECT_EQ(900000000u, parseByteSize("900MB"));
    EXPECT_EQ(123456u, parseByteSize("123456B"));
    for (const char* bad : {"", "x", "-1", "1.5furlongs", "nan", "1e30GiB"}) expectError(ErrorCode::usage, [&] { parseByteSize(bad); });
}

TEST(GlobMatches, StarsAndQuestionMarks) {
    EXPECT_TRUE(globMatches("blk.*.attn_v", "blk.12.attn_v"));
    EXPECT_FALSE(globMatches("blk.*.attn_v", "blk.12.attn_vx"));
    EXPECT_TRUE(globMatches("*", ""));
    EXPECT_TRUE(globMatches("a?c*", "abc"));
    EXPECT_FALSE(globMatches("", "a"));
    EXPECT_FALSE(globMatches(std::string(50, '*') + "b", std::string(5000, 'a'))); // no exponential backtracking
}

TEST(Checked, OverflowIsAnError) {
    EXPECT_EQ(6u, checkedMul(2, 3, "x"));
    expectError(ErrorCode::validationOverflow, [] { checkedMul(1ull << 40, 1ull << 40, "size"); });
    expectError(ErrorCode::validationOverflow, [] { checkedAdd(~0ull, 1, "size"); });
}

TEST(Errors, OneLineHoldsEverythingEscaped) {
    Error e(ErrorCode::invalidTensor, "bad\nname", "fix it");
    e.add("tensor", "blk\x1b");
    EXPECT_EQ("bad\\x0aname [tensor: blk\\x1b] — fix it", e.oneLine());
    EXPECT_STREQ("invalidTensor", errorCodeName(e.code()));
}
