// SPDX-License-Identifier: GPL-3.0-or-later
// Ids of 2,000 tricky strings in every family of tokenizers against the reference libraries' (see make_families.py).
#include "core/base/mapped_file.h"
#include "core/tokenizer/unicode.h"
#include "tests/unit/tokenizer/support.h"

#include <algorithm>
#include <fmt/format.h>

namespace bw {
namespace {

const Json& familyData(const char* name) {
    static std::map<std::string, Json> files;
    const auto [at, isNew] = files.emplace(name, Json());
    if (isNew) at->second = readJsonFile(std::string(BW_TEST_DATA) + "/tokenizer/families/" + name + ".json");
    return at->second;
}

/// FNV-1a folded to 24 bits.
std::uint32_t hash24(std::string_view bytes) {
    std::uint32_t value = 0x811C9DC5;
    for (const char c : bytes) value = (value ^ static_cast<unsigned char>(c)) * 0x01000193u;
    return (value >> 24) ^ (value & 0xFFFFFFu);
}

std::string joined(const std::vector<TokenId>& ids) {
    std::string text;
    for (const TokenId id : ids) text += (text.empty() ? "" : ",") + std::to_string(id);
    return text;
}

/// Compares each string's ids; shows the first few that differ.
void expectIds(const Tokenizer& tokenizer, const std::string& hashes, const Json& first, bool addSpecial) {
    const Json& strings = familyData("strings");
    ASSERT_EQ(strings.size(), 2000u);
    ASSERT_EQ(hashes.size(), strings.size() * 6);
    for (std::size_t i = 0; i < first.size(); ++i)
        EXPECT_EQ(tokenizer.encode(strings[i].get<std::string>(), addSpecial), first[i].get<std::vector<TokenId>>())
            << strings[i];
    int shown = 0;
    for (std::size_t i = 0; i < strings.size() && shown < 5; ++i) {
        const std::vector<TokenId> ids = tokenizer.encode(strings[i].get<std::string>(), addSpecial);
        if (fmt::format("{:06x}", hash24(joined(ids))) == hashes.substr(i * 6, 6)) continue;
        ADD_FAILURE() << "string " << i << " " << strings[i] << " became " << joined(ids);
        ++shown;
    }
}

class Families : public testing::TestWithParam<std::size_t> {
protected:
    static const Json& family() { return familyData("families")["families"][GetParam()]; }
    static std::shared_ptr<const Tokenizer> tokenizer() {
        Json json = familyData("bases")[family()["base"].get<std::string>()];
        for (const auto& [key, value] : family()["patch"].items()) {
            if (key == "model")
                json[key].update(value);
            else
                json[key] = value;
        }
        return test::fromJson(json);
    }
};

TEST_P(Families, IdsAreTheReferences) {
    expectIds(*tokenizer(), family()["ids"].get<std::string>(), family()["first"], true);
}

TEST_P(Families, DecodedTextIsTheReferences) {
    const auto opened = tokenizer();
    const std::string hashes = family()["decoded"].get<std::string>();
    const Json& strings = familyData("strings");
    int shown = 0;
    for (std::size_t i = 0; i < strings.size() && shown < 5; ++i) {
        std::string storage;
        const std::string text = opened->decode(opened->encode(strings[i].get<std::string>(), true));
        // The reference decodes to text, in which bytes of cut characters are U+FFFD.
        const std::string_view valid = replaceInvalidUtf8(text, storage);
        if (fmt::format("{:04x}", hash24(valid) & 0xFFFF) == hashes.substr(i * 4, 4)) continue;
        ADD_FAILURE() << "string " << i << " " << strings[i] << " came back as " << valid;
        ++shown;
    }
}

std::string familyName(const testing::TestParamInfo<std::size_t>& info) {
    std::string name = familyData("families")["families"][info.param]["name"].get<std::string>();
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
}

INSTANTIATE_TEST_SUITE_P(All, Families, testing::Range(std::size_t{0}, familyData("families")["families"].size()),
                         familyName);

/// Families with a token for every byte that change nothing.
std::vector<std::size_t> promisingFamilies() {
    std::vector<std::size_t> list;
    const Json& all = familyData("families")["families"];
    for (std::size_t i = 0; i < all.size(); ++i) {
        const std::string name = all[i]["name"].get<std::string>();
        const bool bytes = all[i]["base"] == "bytes" && !all[i]["patch"].contains("normalizer");
        if ((bytes && name != "gpt2-prefix" && name != "words") || name == "llama2" || name == "gemma")
            list.push_back(i);
    }
    return list;
}

class PromisingFamilies : public Families {};

/// Strings with tokens that take white space with them, or that spell out a byte token, are not asked.
TEST_P(PromisingFamilies, TextComesBack) {
    const std::string name = family()["name"].get<std::string>();
    const auto opened = tokenizer();
    int asked = 0;
    for (const Json& entry : familyData("strings")) {
        const std::string text = entry.get<std::string>();
        const bool marked = text.find('<') != std::string::npos || text.find("▁") != std::string::npos;
        // A space in front of a text behind an added token is not told from the one the normalizer puts there.
        if (marked ||
            (name == "llama2" && (text.find("Word") != std::string::npos || text.find("\n\n") != std::string::npos ||
                                  text.find("Day") != std::string::npos || text.find("  ") != std::string::npos)))
            continue;
        ++asked;
        ASSERT_EQ(opened->decode(opened->encode(text, false)), text);
    }
    EXPECT_GT(asked, 900);
}

INSTANTIATE_TEST_SUITE_P(All, PromisingFamilies, testing::ValuesIn(promisingFamilies()), familyName);

TEST(SentencePieceFiles, IdsAreTheLibrarys) {
    for (const char* kind : {"bpe", "unigram"}) {
        SCOPED_TRACE(kind);
        const std::string path = std::string(BW_TEST_DATA) + "/tokenizer/families/sp_" + kind + ".model";
        // The library reads no control tokens out of a text; here they are recognised, so they are taken away.
        TokenizerParts parts = partsFromSentencePiece(readTextFile(path, 1 << 24), Json(), path);
        parts.added.clear();
        const Json& expected = familyData("families")["sentencepiece"][kind];
        expectIds(*makeTokenizer(std::move(parts)), expected["ids"].get<std::string>(), expected["first"], false);
    }
}

/// GGUF metadata of the SentencePiece vocabularies, and what llama.cpp makes of the strings with them.
GgufMetadata unigramMetadata() {
    const Json& vocabulary = familyData("bases")["unigram"]["model"]["vocab"];
    GgufArray tokens, scores, types, map;
    tokens.element = GgufType::string;
    scores.element = GgufType::f32;
    types.element = GgufType::i32;
    map.element = GgufType::i8;
    for (const Json& entry : vocabulary) {
        const std::string text = entry[0].get<std::string>();
        tokens.strings.push_back(text);
        scores.reals.push_back(static_cast<double>(entry[1].get<float>()));
        types.integers.push_back(text == "<unk>"                   ? 2
                                 : text == "<s>" || text == "</s>" ? 3
                                 : text == "<tool>"                ? 4
                                 : text.starts_with("<0x")         ? 6
                                                                   : 1);
    }
    const std::string hex = familyData("llama_cpp")["charsmap"].get<std::string>();
    for (std::size_t i = 0; i < hex.size(); i += 2) map.integers.push_back(std::stoi(hex.substr(i, 2), nullptr, 16));
    GgufMetadata metadata;
    metadata.set("tokenizer.ggml.model", test::ggufText("t5"));
    metadata.set("tokenizer.ggml.tokens", {GgufType::array, tokens});
    metadata.set("tokenizer.ggml.scores", {GgufType::array, scores});
    metadata.set("tokenizer.ggml.token_type", {GgufType::array, types});
    metadata.set("tokenizer.ggml.precompiled_charsmap", {GgufType::array, map});
    metadata.set("tokenizer.ggml.add_space_prefix", test::ggufFlag(true));
    metadata.set("tokenizer.ggml.remove_extra_whitespaces", test::ggufFlag(true));
    metadata.set("tokenizer.ggml.unknown_token_id", test::ggufInteger(0));
    return metadata;
}

/// From the .model file: the pieces with their scores, user-defined ones with spaces, as llama.cpp's converter writes.
GgufMetadata scoredMetadata(bool prefix) {
    const std::string path = std::string(BW_TEST_DATA) + "/tokenizer/families/sp_bpe.model";
    const TokenizerParts parts = partsFromSentencePiece(readTextFile(path, 1 << 24), Json(), path);
    GgufArray tokens, scores, types;
    tokens.element = GgufType::string;
    scores.element = GgufType::f32;
    types.element = GgufType::i32;
    for (std::size_t i = 0; i < parts.vocabulary.size(); ++i) {
        std::string text = parts.vocabulary[i].first;
        const bool userDefined = parts.frozen && parts.frozen->longestPrefix(text).size() == text.size();
        const bool byte = text.size() == 6 && text.starts_with("<0x");
        types.integers.push_back(i == 0 ? 2 : i < 3 ? 3 : userDefined ? 4 : byte ? 6 : 1);
        for (std::size_t at = text.find("▁"); userDefined && at != std::string::npos; at = text.find("▁"))
            text.replace(at, 3, " ");
        tokens.strings.push_back(text);
        scores.reals.push_back(parts.scores[i]);
    }
    GgufMetadata metadata;
    metadata.set("tokenizer.ggml.model", test::ggufText("llama"));
    metadata.set("tokenizer.ggml.tokens", {GgufType::array, tokens});
    metadata.set("tokenizer.ggml.scores", {GgufType::array, scores});
    metadata.set("tokenizer.ggml.token_type", {GgufType::array, types});
    metadata.set("tokenizer.ggml.add_space_prefix", test::ggufFlag(prefix));
    return metadata;
}

/// White space beyond ASCII.
bool hasOddSpace(const std::string& text) {
    for (std::size_t at = 0; at < text.size(); at += codePointAt(text, at).length) {
        const char32_t c = codePointAt(text, at).value;
        if (c >= 0x80 && (unicodeClass(c) & kWhiteSpace) != 0) return true;
    }
    return false;
}

TEST(LlamaCpp, IdsOfGgufVocabulariesAreItsOwn) {
    const Json& data = familyData("llama_cpp");
    const Json& strings = familyData("strings");
    const std::size_t group = data["strings_per_hash"].get<std::size_t>();
    ASSERT_EQ(data["cases"].size(), 20u);
    for (const Json& item : data["cases"]) {
        SCOPED_TRACE(item["model"].get<std::string>() + " " + item["rules"].get<std::string>());
        const std::string rules = item["rules"].get<std::string>(), hashes = item["ids"].get<std::string>();
        const GgufMetadata metadata = item["model"] == "gpt2" ? test::ggufFromJson(familyData("bases")["bytes"], rules)
                                      : item["model"] == "llama" ? scoredMetadata(rules == "prefix")
                                                                 : unigramMetadata();
        const auto tokenizer = makeTokenizer(partsFromGguf(metadata, "made.gguf"));
        ASSERT_EQ(hashes.size(), strings.size() / group * 6);
        int shown = 0;
        for (std::size_t at = 0; at < strings.size() && shown < 3; at += group) {
            std::string all;
            for (std::size_t i = at; i < at + group; ++i) {
                const std::string text = strings[i].get<std::string>();
                // Where llama.cpp cuts otherwise than DeepSeek's own tokenizer, the latter is followed.
                const bool skipped = rules.starts_with("deepseek") && hasOddSpace(text);
                all += (i > at ? "|" : "") + (skipped ? "" : joined(tokenizer->encode(text, false)));
            }
            if (fmt::format("{:06x}", hash24(all)) == hashes.substr(at / group * 6, 6)) continue;
            ADD_FAILURE() << "strings from " << at << " became " << all;
            ++shown;
        }
    }
}

} // namespace
} // namespace bw
