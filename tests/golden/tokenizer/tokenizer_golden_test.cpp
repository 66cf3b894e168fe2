// SPDX-License-Identifier: GPL-3.0-or-later
// Ids, decoded text and pieces against those of the `tokenizers` library 0.23.3 (see make_vectors.py; demo.json and
// smollm2.json: Tokenizer.from_file(...).encode(text, add_special_tokens=False)).
#include "core/base/hash.h"
#include "core/checkpoint/writer.h"
#include "core/tokenizer/unicode.h"
#include "tests/unit/tokenizer/support.h"

#include <fstream>
#include <sstream>

namespace bw {
namespace {

Json data(const std::string& name) {
    return readJsonFile(std::string(BW_TEST_DATA) + "/tokenizer/" + name);
}

std::string unhex(const std::string& hex) {
    std::string bytes;
    for (std::size_t i = 0; i < hex.size(); i += 2)
        bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
    return bytes;
}

/// The reference decodes to text, in which bytes of cut characters are U+FFFD.
std::string replaced(const std::string& bytes) {
    std::string storage;
    return std::string(replaceInvalidUtf8(bytes, storage));
}

void expectVectors(const Tokenizer& tokenizer, const std::string& file) {
    const Json vectors = data(file)["vectors"];
    ASSERT_EQ(vectors.size(), 81u);
    for (const Json& vector : vectors) {
        const std::string text = unhex(vector["utf8_hex"].get<std::string>());
        const auto ids = vector["ids"].get<std::vector<TokenId>>();
        EXPECT_EQ(tokenizer.encode(text, false), ids) << text;
        EXPECT_EQ(replaced(tokenizer.decode(ids)), vector["decoded"].get<std::string>()) << text;
        EXPECT_EQ(replaced(tokenizer.decode(ids, false)), vector["decoded_skip_special"].get<std::string>()) << text;
    }
}

TEST(TokenizerGolden, DemoFromJson) {
    expectVectors(*test::fromJson(test::demoJson(), test::demoConfig()), "demo.json");
}
TEST(TokenizerGolden, Smollm2FromJson) {
    expectVectors(*test::fromJson(test::smollm2Json()), "smollm2.json");
}
TEST(TokenizerGolden, DemoFromGguf) {
    expectVectors(*makeTokenizer(partsFromGguf(test::ggufFromJson(test::demoJson(), "gpt-2"), "x.gguf")), "demo.json");
}
TEST(TokenizerGolden, Smollm2FromGguf) {
    expectVectors(*makeTokenizer(partsFromGguf(test::ggufFromJson(test::smollm2Json(), "smollm"), "x.gguf")),
                  "smollm2.json");
}

/// Through the checkpoint: a folder as it is, and a GGUF whose metadata this program made.
TEST(TokenizerGolden, DemoFromItsFolder) {
    const auto checkpoint = Checkpoint::open(std::string(BW_RESOURCES) + "/demo");
    const auto tokenizer = Tokenizer::open(*checkpoint);
    expectVectors(*tokenizer, "demo.json");
    EXPECT_EQ(tokenizer->vocabulary(), checkpoint->config().vocabulary);
    EXPECT_TRUE(tokenizer->warnings().empty());
    EXPECT_EQ(tokenizer->bos(), 0);
    EXPECT_EQ(tokenizer->eos(), 1);
    EXPECT_EQ(tokenizer->encode("a", true), tokenizer->encode("a", false)); // the demo model asks for no BOS
    const auto again = makeTokenizer(partsFromGguf(ggufMetadataFor(*checkpoint, 0), "made.gguf"));
    expectVectors(*again, "demo.json");
    EXPECT_EQ(again->bos(), 0);
    EXPECT_EQ(again->eos(), 1);
}

TEST(TokenizerGolden, PiecesOfManyPreTokenizers) {
    const Json cases = data("pieces.json")["cases"];
    ASSERT_EQ(cases.size(), 10u);
    for (const Json& item : cases) {
        ASSERT_EQ(item["vectors"].size(), 120u);
        Json json = test::demoJson();
        json["pre_tokenizer"] = item["pre_tokenizer"];
        const PreTokenizer preTokenizer = partsFromJson(json, Json(), "test").preTokenizer;
        for (const Json& vector : item["vectors"]) {
            std::vector<std::string> pieces;
            preTokenizer.split(vector[0].get<std::string>(),
                               [&](std::string_view piece) { pieces.emplace_back(piece); });
            EXPECT_EQ(pieces, vector[1].get<std::vector<std::string>>()) << item["name"] << ": " << vector[0];
        }
    }
}

TEST(TokenizerGolden, WholeFiles) {
    const Json texts = data("texts.json")["texts"];
    ASSERT_EQ(texts.size(), 4u);
    for (const Json& entry : texts) {
        const auto tokenizer = test::fromJson(entry["tokenizer"] == "demo" ? test::demoJson() : test::smollm2Json());
        std::ifstream file(std::string(BW_RESOURCES) + "/texts/" + entry["file"].get<std::string>(), std::ios::binary);
        std::stringstream text;
        text << file.rdbuf();
        const std::vector<TokenId> ids = tokenizer->encode(text.str(), false);
        EXPECT_EQ(ids.size(), entry["count"].get<std::size_t>());
        std::string joined;
        for (const TokenId id : ids) joined += (joined.empty() ? "" : ",") + std::to_string(id);
        EXPECT_EQ(sha256Hex(joined), entry["sha256"].get<std::string>()) << entry["file"];
    }
}

} // namespace
} // namespace bw
