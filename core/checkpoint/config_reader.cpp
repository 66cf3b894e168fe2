// SPDX-License-Identifier: GPL-3.0-or-later
// Each reader collects what is wrong; the first reason found becomes whyNot.
#include "core/checkpoint/config_reader.h"

#include "core/base/error.h"
#include "core/base/mapped_file.h"
#include "core/base/text.h"

#include <cmath>
#include <filesystem>
#include <optional>

namespace bw {
namespace {

constexpr std::int64_t kMaximumDimension = std::int64_t{1} << 24; ///< of width, vocabulary …: far above real models, products stay in 63 bits

void refuse(ModelConfig& config, const std::string& why) {
    config.forwardSupported = false;
    if (config.whyNot.empty()) config.whyNot = why;
}

/// Typed access to a JSON object that remembers the first thing of a wrong type.
class JsonFields {
public:
    JsonFields(const Json& object, ModelConfig& config) : object_(object), config_(config) {}

    bool has(const char* key) const { return object_.contains(key) && !object_.at(key).is_null(); }
    std::optional<std::int64_t> integer(const char* key) {
        if (!has(key)) return std::nullopt;
        const Json& value = object_.at(key);
        if (value.is_number_integer() && !(value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)))
            return value.get<std::int64_t>();
        wrong(key, "a whole number");
        return std::nullopt;
    }
    std::optional<double> real(const char* key) {
        if (!has(key)) return std::nullopt;
        if (object_.at(key).is_number()) return object_.at(key).get<double>();
        wrong(key, "a number");
        return std::nullopt;
    }
    std::optional<bool> flag(const char* key) {
        if (!has(key)) return std::nullopt;
        if (object_.at(key).is_boolean()) return object_.at(key).get<bool>();
        wrong(key, "true or false");
        return std::nullopt;
    }
    std::optional<std::string> text(const char* key) {
        if (!has(key)) return std::nullopt;
        if (object_.at(key).is_string()) return object_.at(key).get<std::string>();
        wrong(key, "a string");
        return std::nullopt;
    }
    /// An id, or the first of a list of ids (several end tokens).
    std::int64_t id(const char* key) {
        if (has(key) && object_.at(key).is_array() && !object_.at(key).empty() && object_.at(key).at(0).is_number_integer())
            return object_.at(key).at(0).get<std::int64_t>();
        return integer(key).value_or(-1);
    }

private:
    void wrong(const char* key, const char* wanted) {
        refuse(config_, std::string("config.json: ") + key + " is " + escapeForDisplay(object_.at(key).dump(), 40) + ", not " + wanted);
    }
    const Json& object_;
    ModelConfig& config_;
};

/// Shape and number checks that both sources share.
void checkNumbers(ModelConfig& config, const char* source) {
    const auto positive = [&](std::int64_t value, const char* what, std::int64_t limit) {
        if (value < 1 || value > limit)
            refuse(config, std::string(source) + ": " + what + " is " + std::to_string(value) + "; 1 to " + std::to_string(limit) + " is possible");
    };
    positive(config.blocks, "the number of blocks", kMaximumBlocks);
    positive(config.width, "the hidden size", kMaximumDimension);
    positive(config.feedForward, "the feed-forward size", kMaximumDimension);
    positive(config.heads, "the number of attention heads", 65536);
    positive(config.kvHeads, "the number of key-value heads", 65536);
    positive(config.vocabulary, "the vocabulary size", kMaximumDimension);
    positive(config.headDim, "the head size", 65536);
    if (config.heads > 0 && config.kvHeads > 0 && config.heads % config.kvHeads != 0)
        refuse(config, std::string(source) + ": " + std::to_string(config.heads) + " attention heads are no multiple of " + std::to_string(config.kvHeads) + " key-value heads");
    if (config.headDim % 2 != 0) refuse(config, std::string(source) + ": the head size " + std::to_string(config.headDim) + " is odd");
    if (!(config.normEpsilon >= 0 && config.normEpsilon < 1)) refuse(config, std::string(source) + ": the norm's epsilon is " + std::to_string(config.normEpsilon));
    if (!(config.ropes.front().theta > 0 && std::isfinite(config.ropes.front().theta))) refuse(config, std::string(source) + ": the rotary base is " + std::to_string(config.ropes.front().theta));
}

void deriveHeadDim(ModelConfig& config, const char* source) {
    if (config.headDim != 0 || config.heads <= 0) return;
    if (config.width % config.heads != 0)
        refuse(config, std::string(source) + ": " + std::to_string(config.heads) + " heads do not divide the hidden size " + std::to_string(config.width));
    config.headDim = config.width / config.heads;
}

/// transformers 4 keeps rope_theta beside rope_scaling, transformers 5 puts both into rope_parameters.
void readRope(JsonFields& fields, const Json& json, ModelConfig& config) {
    config.ropes.front().theta = fields.real("rope_theta").value_or(10000.0);
    for (const char* key : {"rope_parameters", "rope_scaling"}) {
        if (!fields.has(key)) continue;
        const Json& rope = json.at(key);
        if (!rope.is_object()) {
            refuse(config, std::string("config.json: ") + key + " is no object");
            continue;
        }
        JsonFields inner(rope, config);
        if (const auto theta = inner.real("rope_theta")) config.ropes.front().theta = *theta;
        const auto type = inner.has("rope_type") ? inner.text("rope_type") : inner.text("type");
        if (type.value_or("default") != "default")
            refuse(config, "rotary embedding of type '" + escapeForDisplay(*type, 40) + "' is not implemented; only 'default' is");
        if (inner.real("partial_rotary_factor").value_or(1.0) != 1.0) refuse(config, "partial rotary embedding is not implemented");
    }
    if (fields.real("partial_rotary_factor").value_or(1.0) != 1.0) refuse(config, "partial rotary embedding is not implemented");
}

void readQuantization(const Json& json, ModelConfig& config) {
    if (!json.contains("quantization_config") || json.at("quantization_config").is_null()) return;
    const Json& quantization = json.at("quantization_config");
    const auto text = [&](const char* key) {
        return quantization.is_object() && quantization.contains(key) && quantization.at(key).is_string() ? quantization.at(key).get<std::string>() : std::string();
    };
    const std::string method = text("quant_method"), format = text("format");
    if (method == "compressed-tensors" && format == "pack-quantized") return;
    refuse(config, "the weights are quantized by '" + escapeForDisplay(method, 40) + "' (format '" + escapeForDisplay(format, 40) +
                       "'); only compressed-tensors' pack-quantized is read");
}

} // namespace

ModelConfig configFromHuggingFace(const Json& json) {
    ModelConfig config;
    config.forwardSupported = true;
    if (!json.is_object()) {
        refuse(config, "config.json is no object");
        return config;
    }
    JsonFields fields(json, config);
    config.family = fields.text("model_type").value_or("");
    if (config.family != "llama")
        refuse(config, config.family.empty() ? "config.json names no model_type" : "the architecture '" + escapeForDisplay(config.family, 60) + "' has no forward pass here; 'llama' has");
    config.blocks = fields.integer("num_hidden_layers").value_or(0);
    config.width = fields.integer("hidden_size").value_or(0);
    config.feedForward = fields.integer("intermediate_size").value_or(0);
    config.heads = fields.integer("num_attention_heads").value_or(0);
    config.kvHeads = fields.integer("num_key_value_heads").value_or(config.heads);
    config.headDim = fields.integer("head_dim").value_or(0);
    config.vocabulary = fields.integer("vocab_size").value_or(0);
    config.context = fields.integer("max_position_embeddings").value_or(2048);
    config.normEpsilon = fields.real("rms_norm_eps").value_or(1e-6);
    config.tiedHead = fields.flag("tie_word_embeddings").value_or(false);
    config.bosId = fields.id("bos_token_id");
    config.eosId = fields.id("eos_token_id");
    config.padId = fields.id("pad_token_id");
    readRope(fields, json, config);
    readQuantization(json, config);
    for (const char* key : {"attention_bias", "mlp_bias"})
        if (fields.flag(key).value_or(false)) refuse(config, std::string("linears with a bias (") + key + ") are not implemented");
    if (const auto activation = fields.text("hidden_act").value_or("silu"); activation != "silu")
        refuse(config, "the activation '" + escapeForDisplay(activation, 40) + "' is not implemented; 'silu' is");
    deriveHeadDim(config, "config.json");
    checkNumbers(config, "config.json");
    return config;
}

bool tokenizerAddsBos(const std::string& folder) {
    if (folder.empty()) return false;
    const std::filesystem::path base(folder);
    try {
        if (std::filesystem::is_regular_file(base / "tokenizer_config.json")) {
            const Json json = readJsonFile((base / "tokenizer_config.json").string());
            if (json.is_object() && json.contains("add_bos_token") && json.at("add_bos_token").is_boolean()) return json.at("add_bos_token").get<bool>();
        }
        if (!std::filesystem::is_regular_file(base / "tokenizer.json")) return false;
        // Only a template can add a token; looking for its name first saves parsing megabytes of vocabulary.
        const std::string text = readTextFile((base / "tokenizer.json").string(), 256ull << 20);
        if (text.find("\"TemplateProcessing\"") == std::string::npos) return false;
        const Json json = parseJson(text, "tokenizer.json");
        const Json& post = json.at("post_processor");
        const auto startsWithSpecial = [](const Json& processor) {
            return processor.is_object() && processor.value("type", "") == "TemplateProcessing" && processor.at("single").is_array() &&
                   !processor.at("single").empty() && processor.at("single").at(0).contains("SpecialToken");
        };
        if (startsWithSpecial(post)) return true;
        if (post.is_object() && post.contains("processors"))
            for (const Json& processor : post.at("processors"))
                if (startsWithSpecial(processor)) return true;
    } catch (const Error&) {
    } catch (const nlohmann::json::exception&) {
    } catch (const std::filesystem::filesystem_error&) {
    }
    return false;
}

namespace {

/// head_count and the like may be one number or one per block; lists with differing entries have no forward pass here.
std::int64_t uniform(const GgufMetadata& metadata, const std::string& key, std::int64_t fallback, ModelConfig& config) {
    const GgufValue* value = metadata.find(key);
    if (!value) return fallback;
    const auto* array = std::get_if<GgufArray>(&value->value);
    if (!array) return metadata.integer(key).value_or(fallback);
    if (array->integers.empty()) {
        refuse(config, "GGUF metadata: " + key + " is a list without numbers");
        return fallback;
    }
    for (const auto entry : array->integers)
        if (entry != array->integers.front()) refuse(config, "blocks of different shape (" + key + ") are not implemented");
    return array->integers.front();
}

void readGgufNumbers(const GgufMetadata& metadata, ModelConfig& config) {
    const std::string arch = config.family + ".";
    config.blocks = metadata.integer(arch + "block_count").value_or(0);
    config.width = metadata.integer(arch + "embedding_length").value_or(0);
    config.feedForward = uniform(metadata, arch + "feed_forward_length", 0, config);
    config.heads = uniform(metadata, arch + "attention.head_count", 0, config);
    config.kvHeads = uniform(metadata, arch + "attention.head_count_kv", config.heads, config);
    config.headDim = metadata.integer(arch + "attention.key_length").value_or(0);
    config.context = metadata.integer(arch + "context_length").value_or(2048);
    config.normEpsilon = metadata.real(arch + "attention.layer_norm_rms_epsilon").value_or(1e-5);
    config.ropes.front().theta = metadata.real(arch + "rope.freq_base").value_or(10000.0);
    deriveHeadDim(config, "GGUF metadata");
    if (const auto length = metadata.integer(arch + "attention.value_length").value_or(config.headDim); length != config.headDim)
        refuse(config, "keys of " + std::to_string(config.headDim) + " and values of " + std::to_string(length) + " channels are not implemented");
    if (const auto rotary = metadata.integer(arch + "rope.dimension_count").value_or(config.headDim); rotary != config.headDim)
        refuse(config, "partial rotary embedding (" + std::to_string(rotary) + " of " + std::to_string(config.headDim) + ") is not implemented");
    if (metadata.integer(arch + "expert_count").value_or(0) > 0) refuse(config, "mixtures of experts have no forward pass here");
    if (const auto type = metadata.text(arch + "rope.scaling.type").value_or("none"); type != "none")
        refuse(config, "rotary embedding of type '" + escapeForDisplay(type, 40) + "' is not implemented");
    config.vocabulary = metadata.integer(arch + "vocab_size").value_or(0);
}

void readGgufTokens(const GgufMetadata& metadata, ModelConfig& config, std::int64_t embeddingRows) {
    if (config.vocabulary == 0) config.vocabulary = embeddingRows;
    if (config.vocabulary == 0)
        if (const GgufArray* tokens = metadata.array("tokenizer.ggml.tokens")) config.vocabulary = static_cast<std::int64_t>(tokens->size());
    config.bosId = metadata.integer("tokenizer.ggml.bos_token_id").value_or(-1);
    config.eosId = metadata.integer("tokenizer.ggml.eos_token_id").value_or(-1);
    config.padId = metadata.integer("tokenizer.ggml.padding_token_id").value_or(-1);
    // Where the key is missing llama.cpp adds a BOS for SentencePiece vocabularies and for Llama 3's.
    const std::string model = metadata.text("tokenizer.ggml.model").value_or(""), pre = metadata.text("tokenizer.ggml.pre").value_or("");
    const bool usual = model == "llama" || pre == "llama-bpe" || pre == "llama3" || pre == "llama-v3";
    config.addBos = metadata.flag("tokenizer.ggml.add_bos_token").value_or(usual);
}

} // namespace

ModelConfig configFromGguf(const GgufMetadata& metadata, std::int64_t embeddingRows) {
    ModelConfig config;
    config.forwardSupported = true;
    try {
        config.family = metadata.text("general.architecture").value_or("");
        config.name = metadata.text("general.name").value_or("");
        if (config.family != "llama")
            refuse(config, config.family.empty() ? "the GGUF metadata name no architecture" : "the architecture '" + escapeForDisplay(config.family, 60) + "' has no forward pass here; 'llama' has");
        readGgufNumbers(metadata, config);
        readGgufTokens(metadata, config, embeddingRows);
    } catch (const Error& error) {
        refuse(config, error.message());
    }
    checkNumbers(config, "GGUF metadata");
    return config;
}

std::vector<ExpectedShape> expectedShapes(const ModelConfig& config) {
    const std::int64_t c = config.width, q = config.heads * config.headDim, kv = config.kvHeads * config.headDim, f = config.feedForward;
    std::vector<ExpectedShape> shapes{{"token_embd.weight", {config.vocabulary, c}}, {"output_norm.weight", {c}}, {"output.weight", {config.vocabulary, c}}};
    for (std::int64_t block = 0; block < config.blocks; ++block) {
        const std::string prefix = "blk." + std::to_string(block) + ".";
        const std::vector<ExpectedShape> inBlock{{"attn_norm.weight", {c}},       {"attn_q.weight", {q, c}},   {"attn_k.weight", {kv, c}},
                                                 {"attn_v.weight", {kv, c}},      {"attn_output.weight", {c, q}}, {"ffn_norm.weight", {c}},
                                                 {"ffn_gate.weight", {f, c}},     {"ffn_up.weight", {f, c}},   {"ffn_down.weight", {c, f}}};
        for (const auto& [name, shape] : inBlock) shapes.push_back({prefix + name, shape});
    }
    return shapes;
}

} // namespace bw
