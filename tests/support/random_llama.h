// SPDX-License-Identifier: GPL-3.0-or-later
// Writes a Llama checkpoint of any shape with seeded random weights as a Hugging Face folder (f32 or bf16 safetensors),
// so that tests and benchmarks need no stored model. Not for: anything with a tokenizer.
#pragma once

#include "core/base/random.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace bw::test {

struct RandomLlama {
    std::int64_t blocks = 2, width = 24, feedForward = 40, heads = 4, kvHeads = 2, headDim = 6, vocabulary = 50;
    std::int64_t context = 64;
    bool tied = true;  ///< config's flag; an untied model also gets lm_head.weight
    bool bf16 = false; ///< half the bytes, and faster to make: only 512 different values
    std::uint64_t seed = 1;
    /// Last touch before writing; tensors by HF name, shape, values (f32).
    struct Tensor {
        std::string name;
        std::vector<std::int64_t> shape;
        std::vector<float> values;
    };
    std::function<void(nlohmann::json& config)> editConfig;
    /// Returning false leaves the tensor out.
    std::function<bool(Tensor& tensor)> editTensor;

    /// Creates config.json and model.safetensors in `folder` (which must exist).
    void write(const std::filesystem::path& folder) const {
        nlohmann::json config{{"architectures", {"LlamaForCausalLM"}},
                              {"model_type", "llama"},
                              {"hidden_act", "silu"},
                              {"hidden_size", width},
                              {"intermediate_size", feedForward},
                              {"num_hidden_layers", blocks},
                              {"num_attention_heads", heads},
                              {"num_key_value_heads", kvHeads},
                              {"head_dim", headDim},
                              {"vocab_size", vocabulary},
                              {"max_position_embeddings", context},
                              {"rms_norm_eps", 1e-5},
                              {"rope_theta", 10000.0},
                              {"tie_word_embeddings", tied}};
        if (editConfig) editConfig(config);
        std::ofstream(folder / "config.json") << config.dump(1);

        nlohmann::json header = nlohmann::json::object();
        std::string data;
        Random random(seed);
        const auto add = [&](const std::string& name, std::vector<std::int64_t> shape) {
            Tensor tensor{name, shape, {}};
            std::int64_t count = 1;
            for (const auto n : shape) count *= n;
            // Norms near one; linears keep the size of what passes through.
            const double scale = shape.size() == 1 ? 0.1 : 1.0 / std::sqrt(static_cast<double>(shape.back()));
            const double offset = shape.size() == 1 ? 1.0 : 0.0;
            std::vector<float> table(512);
            for (float& v : table) v = static_cast<float>(offset + scale * random.normal());
            tensor.values.resize(static_cast<std::size_t>(count));
            for (float& v : tensor.values)
                v = bf16 ? table[random.next() >> 55] : static_cast<float>(offset + scale * random.normal());
            if (editTensor && !editTensor(tensor)) return;
            const std::size_t begin = data.size();
            append(data, tensor.values);
            header[tensor.name] = {
                {"dtype", bf16 ? "BF16" : "F32"}, {"shape", tensor.shape}, {"data_offsets", {begin, data.size()}}};
        };
        add("model.embed_tokens.weight", {vocabulary, width});
        for (std::int64_t b = 0; b < blocks; ++b) {
            const std::string prefix = "model.layers." + std::to_string(b) + ".";
            add(prefix + "input_layernorm.weight", {width});
            add(prefix + "self_attn.q_proj.weight", {heads * headDim, width});
            add(prefix + "self_attn.k_proj.weight", {kvHeads * headDim, width});
            add(prefix + "self_attn.v_proj.weight", {kvHeads * headDim, width});
            add(prefix + "self_attn.o_proj.weight", {width, heads * headDim});
            add(prefix + "post_attention_layernorm.weight", {width});
            add(prefix + "mlp.gate_proj.weight", {feedForward, width});
            add(prefix + "mlp.up_proj.weight", {feedForward, width});
            add(prefix + "mlp.down_proj.weight", {width, feedForward});
        }
        add("model.norm.weight", {width});
        if (!tied) add("lm_head.weight", {vocabulary, width});
        std::string text = header.dump();
        text.append((8 - text.size() % 8) % 8, ' ');
        const std::uint64_t length = text.size();
        std::ofstream file(folder / "model.safetensors", std::ios::binary);
        file.write(reinterpret_cast<const char*>(&length), sizeof length);
        file << text << data;
    }

private:
    void append(std::string& data, const std::vector<float>& values) const {
        const std::size_t begin = data.size();
        if (!bf16) {
            data.resize(begin + values.size() * 4);
            std::memcpy(data.data() + begin, values.data(), values.size() * 4);
            return;
        }
        data.resize(begin + values.size() * 2);
        for (std::size_t i = 0; i < values.size(); ++i) {
            std::uint32_t bits = 0;
            std::memcpy(&bits, &values[i], 4);
            const auto half = static_cast<std::uint16_t>(bits >> 16); // cut off: any bf16 near the value will do
            std::memcpy(data.data() + begin + 2 * i, &half, 2);
        }
    }
};

} // namespace bw::test
