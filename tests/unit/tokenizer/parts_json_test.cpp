// SPDX-License-Identifier: GPL-3.0-or-later
// tokenizer.json: each part that is read, each that is refused by name, and damaged files.
#include "tests/unit/tokenizer/support.h"

#include <gmock/gmock.h>

namespace bw {
namespace {

using test::errorOf;
using test::fromJson;

/// Letters a, b, c and space with the merges a+b → ab, Ġ+ab → Ġab; one special token.
Json smallJson() {
    return parseJson(R"({"added_tokens":[{"id":6,"content":"<s>","special":true}],
        "pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"use_regex":true},
        "model":{"type":"BPE","vocab":{"a":0,"b":1,"c":2,"Ġ":3,"ab":4,"Ġab":5},"merges":["a b",["Ġ","ab"]]}})",
                     "test");
}

void expectRefused(const Json& json, ErrorCode code, const std::string& named) {
    const Error error = errorOf([&] { fromJson(json); });
    EXPECT_EQ(error.code(), code) << error.message();
    EXPECT_THAT(error.message(), testing::HasSubstr(named));
}

TEST(PartsJson, BothSpellingsOfMergesAreRead) {
    const auto tokenizer = fromJson(smallJson());
    EXPECT_THAT(tokenizer->encode("ab ab<s>c", false), testing::ElementsAre(4, 5, 6, 2));
    EXPECT_EQ(tokenizer->vocabulary(), 7);
    EXPECT_TRUE(tokenizer->isSpecial(6));
    EXPECT_FALSE(tokenizer->isSpecial(5));
    EXPECT_EQ(tokenizer->tokenText(5), " ab");
    EXPECT_EQ(tokenizer->description(), "byte-level BPE, 7 tokens, gpt2 pre-tokenizer");
}

TEST(PartsJson, BytesWithoutSymbolAreDroppedAndNeighboursMerge) {
    EXPECT_THAT(fromJson(smallJson())->encode("axb", false), testing::ElementsAre(4));
    Json json = smallJson();
    json["model"]["unk_token"] = "c";
    EXPECT_THAT(fromJson(json)->encode("axxb", false), testing::ElementsAre(0, 2, 2, 1));
    json["model"]["fuse_unk"] = true;
    EXPECT_THAT(fromJson(json)->encode("axxb", false), testing::ElementsAre(0, 2, 1));
    json["model"]["unk_token"] = "nowhere";
    expectRefused(json, ErrorCode::invalidTokenizer, "nowhere");
}

TEST(PartsJson, IgnoreMergesTakesWholePieces) {
    Json json = smallJson();
    json["model"]["vocab"]["abc"] = 7;
    EXPECT_THAT(fromJson(json)->encode("abc", false), testing::ElementsAre(4, 2));
    json["model"]["ignore_merges"] = true;
    EXPECT_THAT(fromJson(json)->encode("abc", false), testing::ElementsAre(7));
}

TEST(PartsJson, TemplateGoesAroundTheText) {
    Json json = smallJson();
    json["post_processor"] =
        parseJson(R"({"type":"Sequence","processors":[{"type":"ByteLevel"},{"type":"TemplateProcessing",
        "single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"<s>","type_id":0}}],
        "special_tokens":{"<s>":{"id":"<s>","ids":[6],"tokens":["<s>"]}}}]})",
                  "test");
    EXPECT_THAT(fromJson(json)->encode("c", true), testing::ElementsAre(6, 2, 6));
    EXPECT_THAT(fromJson(json)->encode("c", false), testing::ElementsAre(2));
    json["post_processor"]["processors"][1]["special_tokens"]["<s>"]["ids"] = {99};
    expectRefused(json, ErrorCode::invalidTokenizer, "99");
}

TEST(PartsJson, ConfigNamesBosAndEos) {
    const Json config = parseJson(R"({"bos_token":{"content":"<s>"},"eos_token":"c","add_bos_token":true})", "test");
    const auto tokenizer = fromJson(smallJson(), config);
    EXPECT_EQ(tokenizer->bos(), 6);
    EXPECT_EQ(tokenizer->eos(), 2);
    EXPECT_THAT(tokenizer->encode("c", true), testing::ElementsAre(6, 2));
    EXPECT_EQ(fromJson(smallJson())->bos(), -1);
}

TEST(PartsJson, DecodeLeavesOutSpecialAndUnknownIds) {
    const auto tokenizer = fromJson(smallJson());
    const std::vector<TokenId> ids{6, 0, 99, -1, 5};
    EXPECT_EQ(tokenizer->decode(ids), "<s>a ab");
    EXPECT_EQ(tokenizer->decode(ids, false), "a ab");
    EXPECT_EQ(tokenizer->tokenText(99), "");
}

TEST(PartsJson, UnsupportedPartsAreNamed) {
    const std::pair<const char*, const char*> parts[] = {
        {"/pre_tokenizer", R"({"type":"BertPreTokenizer"})"},
        {"/pre_tokenizer", R"({"type":"Sequence","pretokenizers":[{"type":"ByteLevel"},{"type":"Digits"}]})"},
        {"/pre_tokenizer", R"({"type":"Split","pattern":{"Regex":"x"},"behavior":"Sideways"})"},
        {"/normalizer", R"({"type":"BertNormalizer"})"},
        {"/decoder", R"({"type":"WordPiece"})"},
        {"/post_processor", R"({"type":"OddProcessing"})"},
        {"/model/type", R"("WordPiece")"},
        {"/model/byte_fallback", "true"},
        {"/model/dropout", "0.5"},
        {"/model/end_of_word_suffix", R"("</w>")"},
    };
    const char* names[] = {"BertPreTokenizer", "after ByteLevel",   "Sideways",  "BertNormalizer",
                           "WordPiece",        "OddProcessing",     "WordPiece", "byte_fallback",
                           "dropout",          "end_of_word_suffix"};
    for (std::size_t i = 0; i < std::size(parts); ++i) {
        Json json = smallJson();
        json[Json::json_pointer(parts[i].first)] = parseJson(parts[i].second, "test");
        expectRefused(json, ErrorCode::unsupportedTokenizer, names[i]);
    }
}

TEST(PartsJson, DamagedFilesAreRefused) {
    const std::tuple<const char*, const char*, const char*> cases[] = {
        {"/model/vocab/a", "-1", "'a'"},
        {"/model/vocab/a", "99999999", "99999999"},
        {"/model/vocab/a", "18446744073709551615", "18446744073709551615"},
        {"/model/vocab/a", "1.5", "1.5"},
        {"/model/vocab/a", "1", "id 1 is used by"},
        {"/model/vocab", "[]", "model.vocab"},
        {"/model/merges", R"(["a z"])", "'z'"},
        {"/model/merges", R"(["c c"])", "'cc'"},
        {"/model/merges", R"(["abc"])", "merge 0"},
        {"/model/merges", R"(["a b c"])", "merge 0"},
        {"/model/merges", R"([["","a"]])", "empty side"},
        {"/model/merges", "{}", "model.merges"},
        {"/model", "null", "'model'"},
        {"/added_tokens/0/id", "5", "id 5 is used by"},
        {"/added_tokens/0/content", R"("ab")", "'ab'"},
        {"/added_tokens/0/content", "3", "content"},
        {"/added_tokens", "3", "added_tokens"},
    };
    for (const auto& [where, value, named] : cases) {
        SCOPED_TRACE(std::string(where) + " = " + value);
        Json json = smallJson();
        json[Json::json_pointer(where)] = parseJson(value, "test");
        expectRefused(json, ErrorCode::invalidTokenizer, named);
    }
    expectRefused(Json::array(), ErrorCode::invalidTokenizer, "top level");
}

TEST(PartsJson, MoreMergesThanAnyoneNeedsAreRefusedUnread) {
    Json json = smallJson();
    json["model"]["merges"] = Json::array_t(kMaxMerges + 1);
    expectRefused(json, ErrorCode::invalidTokenizer, std::to_string(kMaxMerges + 1) + " merges");
}

TEST(PartsJson, UnigramVocabulariesAreChecked) {
    const Json good = parseJson(R"({"model":{"type":"Unigram","unk_id":0,"vocab":[["<unk>",0],["a",-1],["▁a",-1.5]]},
        "pre_tokenizer":{"type":"Metaspace","replacement":"▁"},"decoder":{"type":"Metaspace","replacement":"▁"}})",
                                "test");
    EXPECT_THAT(fromJson(good)->encode("a axa", false), testing::ElementsAre(2, 2, 0, 1));
    EXPECT_EQ(fromJson(good)->decode(std::vector<TokenId>{2, 1, 2}), "aa a");
    const std::tuple<const char*, const char*, const char*> cases[] = {
        {"/model/vocab/1", R"(["a"])", "entry 1"},
        {"/model/vocab/1", R"(["a","b"])", "entry 1"},
        {"/model/vocab/1/0", R"("▁a")", "listed twice"},
        {"/model/unk_id", "3", "unk_id is 3"},
        {"/model/unk_id", "-1", "-1"},
        {"/model/vocab", "{}", "no array"},
    };
    for (const auto& [where, value, named] : cases) {
        Json json = good;
        json[Json::json_pointer(where)] = parseJson(value, "test");
        expectRefused(json, ErrorCode::invalidTokenizer, named);
    }
    Json bytes = good;
    bytes["pre_tokenizer"] = parseJson(R"({"type":"ByteLevel"})", "test");
    expectRefused(bytes, ErrorCode::unsupportedTokenizer, "unigram");
}

TEST(PartsJson, HostilePatternOfAFileNamesTheFileAndEnds) {
    Json json = smallJson();
    json["pre_tokenizer"] = parseJson(R"({"type":"Sequence","pretokenizers":[
        {"type":"Split","pattern":{"Regex":"(a+)+$"},"behavior":"Isolated"},{"type":"ByteLevel","add_prefix_space":false}]})",
                                      "test");
    const auto tokenizer = fromJson(json);
    EXPECT_EQ(errorOf([&] { tokenizer->encode(std::string(10'000, 'a') + "b", false); }).code(),
              ErrorCode::invalidTokenizer);
}

TEST(PartsJson, EmbeddingRowsAreComparedWithIds) {
    TokenizerParts parts = test::byteParts();
    parts.embeddingRows = 256;
    EXPECT_TRUE(makeTokenizer(parts)->warnings().empty());
    parts.embeddingRows = 320;
    const auto padded = makeTokenizer(parts);
    ASSERT_EQ(padded->warnings().size(), 1u);
    EXPECT_THAT(padded->warnings()[0], testing::HasSubstr("320 rows"));
    parts.embeddingRows = 255;
    EXPECT_EQ(errorOf([&] { makeTokenizer(parts); }).code(), ErrorCode::vocabularyMismatch);
}

} // namespace
} // namespace bw
