// SPDX-License-Identifier: GPL-3.0-or-later
// SentencePiece tokenizers on their way from a Hugging Face folder into GGUF metadata and back: the same ids.
#include "core/checkpoint/writer.h"
#include "core/tokenizer/unicode.h"
#include "tests/support/random_llama.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/tokenizer/support.h"

#include <gmock/gmock.h>

namespace bw {
namespace {

Json familyData(const char* name) {
    return readJsonFile(std::string(BW_TEST_DATA) + "/tokenizer/families/" + name + ".json");
}

Json familyJson(const std::string& name) {
    const Json families = familyData("families");
    for (const Json& family : families["families"]) {
        if (family["name"] != name) continue;
        Json json = familyData("bases")[family["base"].get<std::string>()];
        for (const auto& [key, value] : family["patch"].items()) {
            if (key == "model")
                json[key].update(value);
            else
                json[key] = value;
        }
        return json;
    }
    return {};
}

constexpr std::int64_t kRows = 1510;

/// A small Llama with this tokenizer.
std::shared_ptr<const Checkpoint> checkpointWith(const test::TempFolder& folder, const Json& tokenizer) {
    test::RandomLlama model;
    model.vocabulary = kRows;
    model.write(folder.path());
    folder.write("tokenizer.json", tokenizer.dump());
    folder.write("tokenizer_config.json", R"({"bos_token":"<s>","eos_token":"</s>","unk_token":"<unk>"})");
    return Checkpoint::open(folder.path().string());
}

/// Prefixes and white space around added tokens follow other rules in GGUF files, so strings with them are not asked.
bool holdsAddedToken(const Json& tokenizer, const std::string& text) {
    for (const Json& added : tokenizer["added_tokens"])
        if (text.find(added["content"].get<std::string>()) != std::string::npos) return true;
    return false;
}

void expectSameIds(const std::string& family) {
    SCOPED_TRACE(family);
    Json json = familyJson(family);
    json["model"].erase("ignore_merges");
    const bool prefix = family != "gemma";
    if (prefix) {
        // Runs of spaces as user-defined tokens and a space in front of a text do not go together in GGUF.
        Json& added = json["added_tokens"];
        for (std::size_t i = added.size(); i-- > 0;)
            if (added[i]["content"].get<std::string>().starts_with("▁")) {
                json["model"]["vocab"].erase(added[i]["content"].get<std::string>());
                added.erase(i);
            }
    }
    const test::TempFolder folder;
    const auto checkpoint = checkpointWith(folder, json);
    const auto before = Tokenizer::open(*checkpoint);
    const GgufMetadata metadata = ggufMetadataFor(*checkpoint, 0);
    EXPECT_EQ(metadata.text("tokenizer.ggml.model"), "llama");
    EXPECT_EQ(metadata.flag("tokenizer.ggml.add_space_prefix"), prefix);
    const auto after = makeTokenizer(partsFromGguf(metadata, "made.gguf"));
    EXPECT_EQ(after->bos(), 1);
    EXPECT_EQ(after->eos(), 2);
    int asked = 0;
    for (const Json& entry : familyData("strings")) {
        const std::string text = entry.get<std::string>();
        if (holdsAddedToken(json, text)) continue;
        // Metaspace puts no mark in front of one that is there, readers of GGUF do.
        if (family == "mistral" && (text.starts_with(" ") || text.starts_with("▁"))) continue;
        ++asked;
        const std::vector<TokenId> ids = before->encode(text, false);
        ASSERT_EQ(after->encode(text, false), ids) << text;
        if (family == "llama2" && text.find("▁") == std::string::npos && text.find("<0x") == std::string::npos) {
            ASSERT_EQ(after->decode(ids), text);
        }
    }
    EXPECT_GT(asked, 1000);
}

TEST(TokenizerExport, SentencePieceBpeKeepsItsIds) {
    for (const char* family : {"llama2", "mistral", "gemma"}) expectSameIds(family);
}

/// llama.cpp has a name for DeepSeek's rules; for deepseek-llm it leaves runs of digits together.
TEST(TokenizerExport, DeepSeekKeepsItsIds) {
    for (const std::string family : {"deepseek-llm", "deepseek-coder", "deepseek-v3"}) {
        SCOPED_TRACE(family);
        Json json = familyJson(family);
        json["normalizer"] = parseJson(R"({"type":"Sequence","normalizers":[]})", "test");
        const test::TempFolder folder;
        const auto checkpoint = checkpointWith(folder, json);
        const auto before = Tokenizer::open(*checkpoint);
        const GgufMetadata metadata = ggufMetadataFor(*checkpoint, 0);
        EXPECT_EQ(metadata.text("tokenizer.ggml.pre"), family);
        const auto after = makeTokenizer(partsFromGguf(metadata, "made.gguf"));
        int asked = 0;
        for (const Json& entry : familyData("strings")) {
            const std::string text = entry.get<std::string>();
            bool number = false;
            for (std::size_t at = 0; at < text.size(); at += codePointAt(text, at).length)
                number |= (unicodeClass(codePointAt(text, at).value) & kNumber) != 0;
            if (holdsAddedToken(json, text) || (number && family == "deepseek-llm")) continue;
            ++asked;
            ASSERT_EQ(after->encode(text, false), before->encode(text, false)) << text;
        }
        EXPECT_GT(asked, 700);
    }
}

/// Runs of spaces that are tokens of their own are spaces in GGUF, where they are looked for in the text itself.
TEST(TokenizerExport, UserDefinedSpacesAreFoundAgain) {
    Json json = familyJson("gemma");
    json["model"].erase("ignore_merges");
    const test::TempFolder folder;
    const auto checkpoint = checkpointWith(folder, json);
    const auto before = Tokenizer::open(*checkpoint);
    const auto after = makeTokenizer(partsFromGguf(ggufMetadataFor(*checkpoint, 0), "made.gguf"));
    for (const std::string text : {"a  b", "    x", "a   b     c", "\n\n\n", "x \n\n  y"}) {
        EXPECT_EQ(after->encode(text, false), before->encode(text, false)) << text;
        EXPECT_EQ(after->decode(after->encode(text, false)), text);
    }
}

/// Merges whose order a score for each token cannot say, or that leave out a pair which scores would join.
TEST(TokenizerExport, MergesThatScoresCannotSayAreRefused) {
    Json json = familyJson("llama2");
    json["model"]["merges"].erase(json["model"]["merges"].size() / 2);
    const test::TempFolder folder;
    const auto checkpoint = checkpointWith(folder, json);
    EXPECT_EQ(test::errorOf([&] { ggufMetadataFor(*checkpoint, 0); }).code(), ErrorCode::unsupportedTokenizer);
}

} // namespace
} // namespace bw
