// SPDX-License-Identifier: GPL-3.0-or-later
// What is done with every tokenizer that opens: a text with something of everything there and back. The tokenizer's file
// lies in folder() beside a checkpoint whose embedding says nothing about the number of tokens.
#pragma once

#include "core/checkpoint/checkpoint.h"
#include "core/tokenizer/tokenizer.h"
#include "tests/fuzz/fuzz_file.h"
#include "tests/support/bytes.h"

namespace bw::fuzz {

inline int useTokenizer() {
    static const auto checkpoint = [] {
        const std::string config = R"({"model_type":"llama","hidden_size":8,"intermediate_size":16,"num_hidden_layers":1,"num_attention_heads":2,"vocab_size":4096,"rms_norm_eps":1e-5})";
        const std::string weights = test::safetensorsBytes("{" + test::f32Entry("a", 0, 1) + "}", std::string(4, '\0'));
        writeInput("config.json", reinterpret_cast<const std::uint8_t*>(config.data()), config.size());
        return Checkpoint::open(writeInput("model.safetensors", reinterpret_cast<const std::uint8_t*>(weights.data()), weights.size()));
    }();
    return expectOnlyErrors([&] {
        const auto tokenizer = Tokenizer::open(*checkpoint);
        const auto ids = tokenizer->encode("The 3 quick foxes' den.\n\tNa\xc3\xafve caf\xc3\xa9 \xe2\x80\x94 <s> [INST] \xff\xf0\x9f\x98\x80!!", true);
        (void)tokenizer->decode(ids);
        for (const TokenId id : ids) (void)tokenizer->tokenText(id);
    });
}

} // namespace bw::fuzz
