// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/unit/tokenizer/support.h"

#include <gmock/gmock.h>

namespace bw {
namespace {

using test::errorOf;

GgufArray strings(std::vector<std::string> values) {
    GgufArray array;
    array.element = GgufType::string;
    array.strings = std::move(values);
    return array;
}

GgufArray integers(std::vector<std::int64_t> values) {
    GgufArray array;
    array.element = GgufType::i32;
    array.integers = std::move(values);
    return array;
}

GgufMetadata smallMetadata() {
    GgufMetadata metadata;
    metadata.set("tokenizer.ggml.model", test::ggufText("gpt2"));
    metadata.set("tokenizer.ggml.pre", test::ggufText("gpt-2"));
    metadata.set("tokenizer.ggml.tokens", {GgufType::array, strings({"<s>", "a", "b", "ab", "[PAD]", "X y", "[PAD]"})});
    metadata.set("tokenizer.ggml.token_type", {GgufType::array, integers({3, 1, 1, 1, 5, 4, 5})});
    metadata.set("tokenizer.ggml.merges", {GgufType::array, strings({"a b"})});
    return metadata;
}

std::shared_ptr<const Tokenizer> open(const GgufMetadata& metadata) {
    return makeTokenizer(partsFromGguf(metadata, "model.gguf"));
}

TEST(PartsGguf, TypesDecideWhatATokenIs) {
    const auto tokenizer = open(smallMetadata());
    EXPECT_THAT(tokenizer->encode("<s>ab[PAD]X yb", false),
                testing::ElementsAre(0, 3, 5, 2)); // [PAD] has no symbols here
    EXPECT_TRUE(tokenizer->isSpecial(0));
    EXPECT_FALSE(tokenizer->isSpecial(5));
    EXPECT_EQ(tokenizer->tokenText(5), "X y");
    EXPECT_EQ(tokenizer->tokenText(6), "[PAD]");
    EXPECT_EQ(tokenizer->vocabulary(), 7);
    EXPECT_EQ(tokenizer->bos(), -1);
}

TEST(PartsGguf, BosIsAddedWhenTheFileAsksForIt) {
    GgufMetadata metadata = smallMetadata();
    metadata.set("tokenizer.ggml.bos_token_id", test::ggufInteger(0));
    EXPECT_THAT(open(metadata)->encode("a", true), testing::ElementsAre(1));
    metadata.set("tokenizer.ggml.add_bos_token", test::ggufFlag(true));
    EXPECT_THAT(open(metadata)->encode("a", true), testing::ElementsAre(0, 1));
    EXPECT_THAT(open(metadata)->encode("a", false), testing::ElementsAre(1));
}

TEST(PartsGguf, UnsupportedKindsAreNamed) {
    const std::pair<const char*, const char*> cases[] = {{"tokenizer.ggml.model", "rwkv"},
                                                         {"tokenizer.ggml.pre", "kimi-k2"}};
    for (const auto& [key, value] : cases) {
        GgufMetadata metadata = smallMetadata();
        metadata.set(key, test::ggufText(value));
        const Error error = errorOf([&] { open(metadata); });
        EXPECT_EQ(error.code(), ErrorCode::unsupportedTokenizer);
        EXPECT_THAT(error.message(), testing::HasSubstr(value));
    }
    EXPECT_EQ(errorOf([] { open(GgufMetadata{}); }).code(), ErrorCode::unsupportedTokenizer);
}

TEST(PartsGguf, DamagedMetadataAreRefused) {
    const std::pair<const char*, GgufValue> cases[] = {
        {"tokenizer.ggml.token_type", {GgufType::array, integers({1, 1})}},
        {"tokenizer.ggml.token_type", {GgufType::array, integers({3, 1, 1, 1, 5, 99, 5})}},
        {"tokenizer.ggml.token_type", {GgufType::array, integers({3, 1, 1, 1, 1, 4, 1})}}, // two normal "[PAD]"
        {"tokenizer.ggml.tokens", {GgufType::array, integers({1, 2})}},
        {"tokenizer.ggml.merges", {GgufType::array, strings({"a z"})}},
        {"tokenizer.ggml.merges", {GgufType::array, strings({"ab"})}},
        {"tokenizer.ggml.merges", {GgufType::array, strings({" b"})}},
        {"tokenizer.ggml.merges", {GgufType::array, strings({"a "})}},
        {"tokenizer.ggml.bos_token_id", test::ggufInteger(7)},
    };
    for (const auto& [key, value] : cases) {
        GgufMetadata metadata = smallMetadata();
        metadata.set(key, value);
        EXPECT_EQ(errorOf([&] { open(metadata); }).code(), ErrorCode::invalidTokenizer) << key;
    }
}

/// SentencePiece kinds: what is missing has llama.cpp's values, what disagrees is named with both numbers.
TEST(PartsGguf, SentencePieceKinds) {
    GgufMetadata metadata;
    GgufArray scores;
    scores.element = GgufType::f32;
    scores.reals = {0, 0, 0, -1, -2, -3, -0.5, 0};
    metadata.set("tokenizer.ggml.model", test::ggufText("llama"));
    metadata.set("tokenizer.ggml.tokens",
                 {GgufType::array, strings({"<unk>", "<s>", "</s>", "▁", "a", "b", "▁ab", "ab"})});
    metadata.set("tokenizer.ggml.scores", {GgufType::array, scores});
    metadata.set("tokenizer.ggml.token_type", {GgufType::array, integers({2, 3, 3, 1, 1, 1, 1, 1})});
    EXPECT_THAT(open(metadata)->encode("ab<s>b", true), testing::ElementsAre(1, 6, 1, 3, 5)); // a space behind <s> too
    EXPECT_EQ(open(metadata)->decode(std::vector<TokenId>{6, 6}), "ab ab");
    EXPECT_THAT(open(metadata)->encode("x", false), testing::ElementsAre(3, 0)); // no byte tokens here
    metadata.set("tokenizer.ggml.add_space_prefix", test::ggufFlag(false));
    metadata.set("tokenizer.ggml.add_bos_token", test::ggufFlag(false));
    EXPECT_THAT(open(metadata)->encode("ab", true), testing::ElementsAre(7));
    metadata.set("general.name", test::ggufText("Phi-3 Mini"));
    EXPECT_THAT(open(metadata)->encode("</s> a", false), testing::ElementsAre(2, 4)); // its markers take the space
    scores.reals.pop_back();
    metadata.set("tokenizer.ggml.scores", {GgufType::array, scores});
    const Error error = errorOf([&] { open(metadata); });
    EXPECT_EQ(error.code(), ErrorCode::invalidTokenizer);
    EXPECT_THAT(error.message(), testing::HasSubstr("7 numbers for 8 tokens"));
}

} // namespace
} // namespace bw
