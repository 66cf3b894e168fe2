// SPDX-License-Identifier: GPL-3.0-or-later
// GGUF metadata for an output: the input's own when it is GGUF, else made from config.json and the tokenizer's files in
// the order and with the types that llama.cpp's converter uses. What would be a guess is refused.
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/checkpoint/folder_files.h"
#include "core/checkpoint/hf_tokenizer_files.h"
#include "core/checkpoint/writer.h"

#include <fmt/format.h>

#include <array>

namespace bw {
namespace {

/// GGML_QNT_VERSION: the layout generation of the quantized blocks.
constexpr std::int64_t kQuantizationVersion = 2;

GgufValue u32(std::int64_t value) { return {GgufType::u32, value}; }
GgufValue f32(double value) { return {GgufType::f32, static_cast<double>(static_cast<float>(value))}; }
GgufValue flag(bool value) { return {GgufType::boolean, value}; }
GgufValue text(std::string value) { return {GgufType::string, std::move(value)}; }

/// "2.8M", "135M", "1.2B": three figures at most, as in published file names.
std::string sizeLabel(std::int64_t parameters) {
    const auto count = static_cast<double>(parameters);
    struct Unit {
        double size;
        char letter;
    };
    for (const Unit unit : {Unit{1e12, 'T'}, Unit{1e9, 'B'}, Unit{1e6, 'M'}}) {
        if (count < unit.size * 0.99995) continue;
        const double scaled = count / unit.size;
        return scaled < 10 ? fmt::format("{:.1f}{}", scaled, unit.letter) : fmt::format("{:.0f}{}", scaled, unit.letter);
    }
    return fmt::format("{:.0f}K", count / 1e3);
}

GgufMetadata fromGguf(const GgufMetadata& source, std::int64_t fileType) {
    GgufMetadata metadata;
    for (const auto& entry : source.entries) {
        // The writer aligns by its own rule; importance data of an earlier quantization do not describe this one.
        if (entry.first == "general.alignment" || entry.first.starts_with("split.") || entry.first.starts_with("quantize.imatrix.")) continue;
        metadata.entries.push_back(entry);
    }
    metadata.set("general.quantization_version", u32(kQuantizationVersion));
    metadata.set("general.file_type", u32(fileType));
    return metadata;
}

void addModel(GgufMetadata& metadata, const Checkpoint& source) {
    const ModelConfig& config = source.config();
    metadata.set("general.architecture", text("llama"));
    metadata.set("general.type", text("model"));
    metadata.set("general.name", text(source.displayName()));
    metadata.set("general.size_label", text(sizeLabel(source.parameters())));
    metadata.set("llama.block_count", u32(config.blocks));
    metadata.set("llama.context_length", u32(config.context));
    metadata.set("llama.embedding_length", u32(config.width));
    metadata.set("llama.feed_forward_length", u32(config.feedForward));
    metadata.set("llama.attention.head_count", u32(config.heads));
    metadata.set("llama.attention.head_count_kv", u32(config.kvHeads));
    metadata.set("llama.rope.freq_base", f32(config.ropes.front().theta));
    metadata.set("llama.attention.layer_norm_rms_epsilon", f32(config.normEpsilon));
    metadata.set("llama.attention.key_length", u32(config.headDim));
    metadata.set("llama.attention.value_length", u32(config.headDim));
    metadata.set("llama.vocab_size", u32(config.vocabulary));
    metadata.set("llama.rope.dimension_count", u32(config.headDim));
}

void addTokenizer(GgufMetadata& metadata, const HfTokenizerFiles& files, const ModelConfig& config) {
    GgufArray tokens, types, merges;
    tokens.element = merges.element = GgufType::string;
    types.element = GgufType::i32;
    for (const auto& token : files.tokens(config.vocabulary)) {
        tokens.strings.push_back(token.text);
        types.integers.push_back(static_cast<std::int64_t>(token.type));
    }
    merges.strings = files.merges();
    metadata.set("tokenizer.ggml.add_space_prefix", flag(false));
    metadata.set("tokenizer.ggml.model", text("gpt2"));
    metadata.set("tokenizer.ggml.pre", text(files.preTokenizerName()));
    metadata.set("tokenizer.ggml.tokens", {GgufType::array, std::move(tokens)});
    metadata.set("tokenizer.ggml.token_type", {GgufType::array, std::move(types)});
    metadata.set("tokenizer.ggml.merges", {GgufType::array, std::move(merges)});
    struct IdKey {
        const char* role;
        const char* key;
        std::int64_t fromConfig;
    };
    for (const IdKey& id : {IdKey{"bos_token", "bos_token_id", config.bosId}, IdKey{"eos_token", "eos_token_id", config.eosId},
                            IdKey{"unk_token", "unknown_token_id", -1}, IdKey{"pad_token", "padding_token_id", config.padId}}) {
        const std::int64_t value = files.specialId(id.role).value_or(id.fromConfig);
        if (value >= 0 && value < config.vocabulary) metadata.set(std::string("tokenizer.ggml.") + id.key, u32(value));
    }
    metadata.set("tokenizer.ggml.add_bos_token", flag(config.addBos));
    metadata.set("tokenizer.ggml.add_eos_token", flag(files.addsEos()));
    for (const auto& [key, value] : files.chatTemplates()) metadata.set(key, text(value));
}

} // namespace

GgufMetadata ggufMetadataFor(const Checkpoint& source, std::int64_t fileType) {
    if (source.kind() == CheckpointKind::gguf) return fromGguf(source.metadata(), fileType);
    const ModelConfig& config = source.config();
    if (!config.forwardSupported)
        throw Error(ErrorCode::unsupportedModel, escapeForDisplay(source.path()) + " cannot be written as GGUF: " + config.whyNot,
                    "Write a safetensors folder instead, or convert it with llama.cpp's own converter.");
    GgufMetadata metadata;
    addModel(metadata, source);
    addTokenizer(metadata, HfTokenizerFiles(source.folder()), config);
    metadata.set("general.quantization_version", u32(kQuantizationVersion));
    metadata.set("general.file_type", u32(fileType));
    return metadata;
}

} // namespace bw
