// SPDX-License-Identifier: GPL-3.0-or-later
// GGUF metadata for an output: the input's own when it is GGUF, else made from config.json and the tokenizer's files in
// the order and with the types that llama.cpp's converter uses. What would be a guess is refused.
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/checkpoint/family.h"
#include "core/checkpoint/folder_files.h"
#include "core/checkpoint/gguf_model_keys.h"
#include "core/checkpoint/hf_tokenizer_files.h"
#include "core/checkpoint/writer.h"

namespace bw {
namespace {

/// GGML_QNT_VERSION: the layout generation of the quantized blocks.
constexpr std::int64_t kQuantizationVersion = 2;

GgufValue u32(std::int64_t value) { return {GgufType::u32, value}; }
GgufValue flag(bool value) { return {GgufType::boolean, value}; }
GgufValue text(std::string value) { return {GgufType::string, std::move(value)}; }

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

void addTokenizer(GgufMetadata& metadata, const HfTokenizerFiles& files, const ModelConfig& config) {
    GgufArray tokens, types, merges;
    tokens.element = merges.element = GgufType::string;
    types.element = GgufType::i32;
    const auto list = files.tokens(config.vocabulary);
    const bool pieces = files.modelName() == "llama";
    for (const auto& token : list) {
        tokens.strings.push_back(token.text);
        types.integers.push_back(static_cast<std::int64_t>(token.type));
    }
    metadata.set("tokenizer.ggml.add_space_prefix", flag(pieces && files.addsSpacePrefix()));
    metadata.set("tokenizer.ggml.model", text(files.modelName()));
    metadata.set("tokenizer.ggml.pre", text(files.preTokenizerName()));
    metadata.set("tokenizer.ggml.tokens", {GgufType::array, std::move(tokens)});
    metadata.set("tokenizer.ggml.token_type", {GgufType::array, std::move(types)});
    if (pieces) {
        GgufArray scores;
        scores.element = GgufType::f32;
        scores.reals = files.scores(list);
        metadata.set("tokenizer.ggml.scores", {GgufType::array, std::move(scores)});
    } else {
        merges.strings = files.merges();
        metadata.set("tokenizer.ggml.merges", {GgufType::array, std::move(merges)});
    }
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
    // llama.cpp reads no output matrix for these architectures, and refuses tensors that it has no use for.
    if (const Family* family = familyNamed(source.config().family); family != nullptr && family->gemmaNorms && !source.config().tiedHead)
        throw Error(ErrorCode::unsupportedModel,
                    escapeForDisplay(source.path()) + " cannot be written as GGUF: its head is a matrix of its own, and programs that read GGUF take this architecture's embedding for it",
                    "Leave the rotation out, or write a safetensors folder.");
    if (source.kind() == CheckpointKind::gguf) return fromGguf(source.metadata(), fileType);
    const ModelConfig& config = source.config();
    if (const std::string why = ggufObstacle(config); !why.empty())
        throw Error(ErrorCode::unsupportedModel, escapeForDisplay(source.path()) + " cannot be written as GGUF: " + why,
                    "Write a safetensors folder instead, or convert it with llama.cpp's own converter.");
    GgufMetadata metadata;
    addModelKeys(metadata, source);
    addTokenizer(metadata, HfTokenizerFiles(source.folder()), config);
    metadata.set("general.quantization_version", u32(kQuantizationVersion));
    metadata.set("general.file_type", u32(fileType));
    return metadata;
}

} // namespace bw
