// SPDX-License-Identifier: GPL-3.0-or-later
// What GGUF is told about tokenizers; the byte-level kind also stands in gguf_writer_test.cpp.
#include "core/checkpoint/hf_tokenizer_files.h"

#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bw {
namespace {

using Type = HfTokenizerFiles::TokenType;

/// A SentencePiece vocabulary as the fast tokenizers of Llama 2 and Gemma hold it.
Json pieces() {
    return Json::parse(R"({"version": "1.0",
        "added_tokens": [{"id": 0, "content": "<unk>", "special": true}, {"id": 1, "content": "<s>", "special": true}, {"id": 9, "content": "\n\n", "special": false}],
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
        "pre_tokenizer": null,
        "model": {"type": "BPE", "byte_fallback": true, "unk_token": "<unk>",
                  "vocab": {"<unk>": 0, "<s>": 1, "<0x0A>": 2, "▁": 3, "a": 4, "b": 5, "▁a": 6, "ab": 7, "▁ab": 8},
                  "merges": [["▁", "a"], ["a", "b"], ["▁a", "b"], ["▁", "ab"]]}})");
}

HfTokenizerFiles open(const test::TempFolder& folder, const Json& json) {
    folder.write("tokenizer.json", json.dump());
    return HfTokenizerFiles(folder.path().string());
}

TEST(HfTokenizerFiles, sentencePieceScoresFollowTheMerges) {
    const test::TempFolder folder;
    const auto files = open(folder, pieces());
    EXPECT_EQ(files.modelName(), "llama");
    EXPECT_EQ(files.preTokenizerName(), "default");
    EXPECT_TRUE(files.addsSpacePrefix());
    const auto tokens = files.tokens(11);
    std::vector<Type> types;
    for (const auto& token : tokens) types.push_back(token.type);
    EXPECT_THAT(types, testing::ElementsAre(Type::unknown, Type::control, Type::byte, Type::normal, Type::normal, Type::normal, Type::normal, Type::normal, Type::normal, Type::userDefined,
                                            Type::unused));
    // "▁a" is merged before "ab", and both ways to "▁ab" come last.
    EXPECT_THAT(files.scores(tokens), testing::ElementsAre(0, 0, 0, 0, 0, 0, 0, -1, -2, 0, 0));
}

TEST(HfTokenizerFiles, gemmaHasNoSpacePrefix) {
    const test::TempFolder folder;
    Json json = pieces();
    json["normalizer"] = json["normalizer"]["normalizers"][1];
    json["pre_tokenizer"] = {{"type", "Split"}, {"pattern", {{"String", " "}}}, {"behavior", "MergedWithPrevious"}, {"invert", false}};
    const auto files = open(folder, json);
    EXPECT_EQ(files.preTokenizerName(), "default");
    EXPECT_FALSE(files.addsSpacePrefix());
}

/// Scores that would merge in another order than the ranks do are not invented.
TEST(HfTokenizerFiles, refusesWhatScoresCannotSay) {
    const test::TempFolder folder;
    Json torn = pieces();
    torn["model"]["merges"] = Json::parse(R"([["▁", "a"], ["▁a", "b"], ["a", "b"], ["▁", "ab"]])");
    const auto interrupted = open(folder, torn);
    test::expectError(ErrorCode::unsupportedTokenizer, [&] { interrupted.scores(interrupted.tokens(11)); });
    Json orphan = pieces();
    orphan["model"]["vocab"]["ba"] = 10;
    const auto unmade = open(folder, orphan);
    EXPECT_THAT(test::expectError(ErrorCode::unsupportedTokenizer, [&] { unmade.scores(unmade.tokens(11)); }).message(), testing::HasSubstr("'ba'"));
    Json oneWay = pieces();
    oneWay["model"]["merges"].erase(3); // "▁" and "ab" are pieces, and their union is one
    const auto partly = open(folder, oneWay);
    EXPECT_THAT(test::expectError(ErrorCode::unsupportedTokenizer, [&] { partly.scores(partly.tokens(11)); }).message(), testing::HasSubstr("1 merges make where 2 pairs"));
    Json stray = pieces();
    stray["model"]["merges"].push_back(Json::parse(R"(["b", "b"])"));
    const auto nowhere = open(folder, stray);
    test::expectError(ErrorCode::invalidTokenizer, [&] { nowhere.scores(nowhere.tokens(11)); });
    Json normalized = pieces();
    normalized["normalizer"] = {{"type", "NFKC"}};
    test::expectError(ErrorCode::unsupportedTokenizer, [&] { open(folder, normalized).preTokenizerName(); });
}

/// Llama 3's rules with merges inside whole tokens are another name's.
TEST(HfTokenizerFiles, ignoredMergesArePartOfTheName) {
    const test::TempFolder folder;
    const Json split = {{"type", "Split"},
                        {"pattern", {{"Regex", R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"}}},
                        {"behavior", "Isolated"},
                        {"invert", false}};
    const Json bytes = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
    Json json = {{"model", {{"type", "BPE"}, {"vocab", {{"a", 0}}}, {"merges", Json::array()}, {"ignore_merges", true}}},
                 {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", {split, bytes}}}}};
    EXPECT_EQ(open(folder, json).preTokenizerName(), "llama-bpe");
    json["model"]["ignore_merges"] = false;
    EXPECT_EQ(open(folder, json).preTokenizerName(), "smaug-bpe");
}

} // namespace
} // namespace bw
