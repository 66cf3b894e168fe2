// SPDX-License-Identifier: GPL-3.0-or-later
// Files of other programs, and what yet other programs read from them. Origin: tests/data/checkpoint/*.json, "origin".
#include "file_facts.h"

#include "core/base/json.h"
#include "core/checkpoint/writer.h"

namespace bw::test {
namespace {

const std::string kData = BW_TEST_DATA "/checkpoint/";

TEST(GoldenFiles, ggufOfLlamaCpp) {
    const Json facts = readJsonFile(kData + "demo-llama-part.Q8_0.gguf.json");
    const auto checkpoint = Checkpoint::open(kData + "demo-llama-part.Q8_0.gguf");
    const Compared compared = expectFacts(*checkpoint, facts);
    EXPECT_EQ(compared.tensors, 8);
    EXPECT_EQ(compared.decoded, 8);
    const ModelConfig& config = checkpoint->config();
    EXPECT_EQ(config.family, "llama");
    EXPECT_EQ(config.blocks, 6);
    EXPECT_EQ(config.width, 192);
    EXPECT_EQ(config.feedForward, 512);
    EXPECT_EQ(config.heads, 6);
    EXPECT_EQ(config.kvHeads, 2);
    EXPECT_EQ(config.headDim, 32);
    EXPECT_EQ(config.vocabulary, 2048);
    EXPECT_EQ(config.ropes.front().theta, 10000.0);
    EXPECT_TRUE(config.tiedHead);
    EXPECT_FALSE(config.addBos);
    EXPECT_EQ(checkpoint->displayName(), "demo-llama-part.Q8_0");
}

/// The rows of q and k in the GGUF, read in the order of the Hugging Face folder that it was made from.
TEST(GoldenFiles, permutedRowsComeBackInTheFirstOrder) {
    const Json facts = readJsonFile(kData + "demo-llama-part.Q8_0.gguf.json");
    const auto checkpoint = Checkpoint::open(kData + "demo-llama-part.Q8_0.gguf");
    for (const auto& [name, rows] : facts.at("hugging_face_rows").items()) {
        const TensorInfo& tensor = checkpoint->require(name);
        std::vector<float> row(static_cast<std::size_t>(tensor.cols()));
        for (const auto& [number, values] : rows.items()) {
            checkpoint->readRows(tensor, std::stoll(number), {row.data(), 1, tensor.cols()});
            double largest = 0;
            for (const auto& value : values) largest = std::max(largest, std::fabs(value.get<double>()));
            // q8_0: half a step of largest/127 by rounding, and the step itself is an fp16 (2^-11).
            for (std::size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(row[i], values[i].get<double>(), largest / 127 * 0.5 + largest * 0x1p-10) << name << " row " << number;
        }
    }
}

TEST(GoldenFiles, safetensorsOfTheDemoModel) {
    const auto checkpoint = Checkpoint::open(BW_RESOURCES "/demo");
    const Compared compared = expectFacts(*checkpoint, readJsonFile(kData + "demo.model.safetensors.json"));
    EXPECT_EQ(compared.tensors, 56);
    EXPECT_EQ(compared.decoded, 56);
    EXPECT_EQ(checkpoint->tensors().size(), 56u);
    EXPECT_TRUE(checkpoint->warnings().empty());
    EXPECT_TRUE(checkpoint->config().forwardSupported);
    EXPECT_EQ(checkpoint->bitsPerWeight(), 16.0);
}

/// Every key that llama.cpp's converter writes for the same kind of folder is written here too, with the same type.
TEST(GoldenFiles, metadataHasTheKeysOfLlamaCppsConverter) {
    const Json facts = readJsonFile(kData + "demo-llama-part.Q8_0.gguf.json");
    const GgufMetadata metadata = ggufMetadataFor(*Checkpoint::open(BW_RESOURCES "/demo"), 7);
    for (const auto& [key, fact] : facts.at("kv").items()) {
        if (key.starts_with("GGUF.")) continue;
        const GgufValue* value = metadata.find(key);
        ASSERT_NE(value, nullptr) << key;
        EXPECT_EQ(static_cast<int>(value->type), fact.at("types")[0].get<int>()) << key;
    }
    // The two models share their tokenizer: all of it must be equal.
    Json tokenizer = Json::object();
    for (const auto& [key, fact] : facts.at("kv").items())
        if (key.starts_with("tokenizer.")) tokenizer[key] = fact;
    EXPECT_EQ(tokenizer.size(), 11u);
    expectMetadata(metadata, tokenizer);
    const auto reference = Checkpoint::open(kData + "demo-llama-part.Q8_0.gguf");
    for (const char* key : {"tokenizer.ggml.tokens", "tokenizer.ggml.merges"}) EXPECT_EQ(metadata.array(key)->strings, reference->metadata().array(key)->strings);
    EXPECT_EQ(metadata.array("tokenizer.ggml.token_type")->integers, reference->metadata().array("tokenizer.ggml.token_type")->integers);
}

} // namespace
} // namespace bw::test
