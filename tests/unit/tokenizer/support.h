// SPDX-License-Identifier: GPL-3.0-or-later
// Small tokenizers made in code, and the two real ones, for the tokenizer tests.
#pragma once

#include "core/base/error.h"
#include "core/base/json.h"
#include "core/tokenizer/byte_level.h"
#include "core/tokenizer/parts.h"

#include <functional>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <string>

namespace bw::test {

inline Json demoJson() {
    return readJsonFile(std::string(BW_RESOURCES) + "/demo/tokenizer.json");
}
inline Json demoConfig() {
    return readJsonFile(std::string(BW_RESOURCES) + "/demo/tokenizer_config.json");
}
inline Json smollm2Json() {
    return readJsonFile(std::string(BW_TEST_DATA) + "/tokenizer/smollm2-tokenizer.json");
}

inline std::shared_ptr<const Tokenizer> fromJson(const Json& json, const Json& config = {}) {
    return makeTokenizer(partsFromJson(json, config, "tokenizer.json"));
}

inline GgufValue ggufText(std::string text) {
    return {GgufType::string, std::move(text)};
}
inline GgufValue ggufInteger(std::int64_t value) {
    return {GgufType::u32, value};
}
inline GgufValue ggufFlag(bool value) {
    return {GgufType::boolean, value};
}

/// The metadata llama.cpp's converter makes of a tokenizer.json: types 3 (control) for special tokens, 1 for the rest.
inline GgufMetadata ggufFromJson(const Json& json, const std::string& pre) {
    std::map<std::int64_t, std::string> tokenOfId;
    for (const auto& [token, id] : json["model"]["vocab"].items()) tokenOfId[id.get<std::int64_t>()] = token;
    for (const Json& added : json["added_tokens"])
        tokenOfId[added["id"].get<std::int64_t>()] = added["content"].get<std::string>();
    GgufArray tokens, types, merges;
    tokens.element = merges.element = GgufType::string;
    types.element = GgufType::i32;
    for (const auto& [id, token] : tokenOfId) {
        tokens.strings.push_back(token);
        types.integers.push_back(1);
    }
    for (const Json& added : json["added_tokens"]) types.integers[added["id"].get<std::size_t>()] = 3;
    for (const Json& merge : json["model"]["merges"])
        merges.strings.push_back(merge.is_string() ? merge.get<std::string>()
                                                   : merge[0].get<std::string>() + " " + merge[1].get<std::string>());
    GgufMetadata metadata;
    metadata.set("tokenizer.ggml.model", ggufText("gpt2"));
    metadata.set("tokenizer.ggml.pre", ggufText(pre));
    metadata.set("tokenizer.ggml.tokens", {GgufType::array, tokens});
    metadata.set("tokenizer.ggml.token_type", {GgufType::array, types});
    metadata.set("tokenizer.ggml.merges", {GgufType::array, merges});
    return metadata;
}

/// All 256 bytes (ids 0…255), no merges, GPT-2 pieces: the smallest tokenizer that loses nothing.
inline TokenizerParts byteParts() {
    TokenizerParts parts;
    parts.source = "test";
    for (int byte = 0; byte < 256; ++byte)
        parts.vocabulary.emplace_back(byteSymbol(static_cast<unsigned char>(byte)), byte);
    parts.preTokenizer = PreTokenizer("gpt2", {{.scanner = PreTokenizer::Scanner::gpt2}});
    parts.decoder = Decoder({{.kind = Decoder::Kind::byteLevel}});
    return parts;
}

/// The Error that `body` throws; a test failure when there is none.
inline Error errorOf(const std::function<void()>& body) {
    try {
        body();
    } catch (const Error& e) {
        return e;
    }
    ADD_FAILURE() << "no error was thrown";
    return Error(ErrorCode::internal, "no error was thrown");
}

} // namespace bw::test
