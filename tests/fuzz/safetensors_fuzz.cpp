// SPDX-License-Identifier: GPL-3.0-or-later
// Any bytes as model.safetensors beside a right config.json.
#include "tests/fuzz/checkpoint_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const bool config = [] {
        const std::string text = R"({"model_type":"llama","hidden_size":8,"intermediate_size":16,"num_hidden_layers":1,"num_attention_heads":2,"vocab_size":16,"rms_norm_eps":1e-5})";
        bw::fuzz::writeInput("config.json", reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
        return true;
    }();
    (void)config;
    const std::string path = bw::fuzz::writeInput("model.safetensors", data, size);
    return bw::fuzz::expectOnlyErrors([&] { bw::fuzz::useCheckpoint(path); });
}
