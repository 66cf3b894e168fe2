// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/tokenizer/added_tokens.h"

#include "tests/unit/tokenizer/support.h"

#include <gmock/gmock.h>

namespace bw {
namespace {

AddedToken token(std::string content, TokenId id) {
    AddedToken added;
    added.content = std::move(content);
    added.id = id;
    return added;
}

/// "id:text" for each part.
std::vector<std::string> parts(const AddedTokens& tokens, std::string_view text) {
    std::vector<std::string> all;
    for (const auto& part : tokens.split(text)) all.push_back(std::to_string(part.id).append(":").append(part.text));
    return all;
}

TEST(AddedTokens, LongestWinsAtTheLeftmostPlace) {
    const AddedTokens tokens({token("<a", 1), token("<a>", 2), token("<ab>", 3), token("b>", 4)});
    EXPECT_THAT(parts(tokens, "x<ab>y<a>z<a"), testing::ElementsAre("-1:x", "3:<ab>", "-1:y", "2:<a>", "-1:z", "1:<a"));
    EXPECT_THAT(parts(tokens, "<abb>"), testing::ElementsAre("1:<a", "-1:b", "4:b>"));
    EXPECT_THAT(parts(tokens, ""), testing::IsEmpty());
}

TEST(AddedTokens, StrippingTakesWhiteSpaceButNeverAnotherToken) {
    AddedToken both = token("M", 1);
    both.stripLeft = both.stripRight = true;
    const AddedTokens tokens({both});
    EXPECT_THAT(parts(tokens, "a \xC2\xA0M\n b"), testing::ElementsAre("-1:a", "1: \xC2\xA0M\n ", "-1:b"));
    EXPECT_THAT(parts(tokens, "M M"), testing::ElementsAre("1:M ", "1:M"));
}

TEST(AddedTokens, SingleWordsStandAlone) {
    AddedToken word = token("cat", 1);
    word.singleWord = true;
    const AddedTokens tokens({word});
    EXPECT_THAT(parts(tokens, "cat cats _cat écat cat!"),
                testing::ElementsAre("1:cat", "-1: cats _cat écat ", "1:cat", "-1:!"));
}

TEST(AddedTokens, NormalizedOnesComeSecond) {
    AddedToken later = token("<long", 1);
    later.normalized = true;
    const AddedTokens tokens({later, token("g>", 2)});
    EXPECT_THAT(parts(tokens, "<long>"), testing::ElementsAre("-1:<lon", "2:g>"));
    EXPECT_EQ(tokens.splitNormalized("x<long>").size(), 3u);
    const AddedTokens lower({later}, [](std::string_view text) { return std::string(text) + "?"; });
    EXPECT_EQ(lower.splitNormalized("<long").front().id, -1);
    EXPECT_EQ(lower.splitNormalized("<long?").front().id, 1);
}

TEST(AddedTokens, BadListsAreRefused) {
    EXPECT_EQ(test::errorOf([] { AddedTokens tokens({token("", 1)}); }).code(), ErrorCode::invalidTokenizer);
    EXPECT_EQ(test::errorOf([] { AddedTokens tokens({token(std::string(2000, 'a'), 1)}); }).code(),
              ErrorCode::invalidTokenizer);
    EXPECT_EQ(test::errorOf([] {
                  AddedTokens tokens({token("a", 1), token("a", 1)});
              }).code(),
              ErrorCode::invalidTokenizer);
}

} // namespace
} // namespace bw
