// SPDX-License-Identifier: GPL-3.0-or-later
// config.json or GGUF metadata → ModelConfig. Impossible or unsupported values never stop a checkpoint from opening:
// they clear forwardSupported and say why. Not for: tensors; their shapes are held against the config afterwards.
#pragma once

#include "core/base/json.h"
#include "core/checkpoint/gguf_metadata.h"
#include "core/checkpoint/model_config.h"

#include <functional>
#include <string>

namespace bw {

/// Reads both spellings of config.json (transformers 4: rope_theta, rope_scaling; 5: rope_parameters, layer_types).
ModelConfig configFromHuggingFace(const Json& config);

/// Does the tokenizer of a Hugging Face folder put a BOS in front? From tokenizer_config.json, else from the template in
/// tokenizer.json. Unreadable files count as no; the tokenizer itself will say what is wrong with them.
bool tokenizerAddsBos(const std::string& folder);

/// Never throws for missing or odd values; wrong types are said in whyNot.
/// @param embeddingRows the vocabulary where no key names it; 0 = no embedding.
/// @param has whether a tensor of this name is there: optional norms and blocks with experts have no key.
ModelConfig configFromGguf(const GgufMetadata& metadata, std::int64_t embeddingRows,
                           const std::function<bool(const std::string&)>& has = [](const std::string&) { return false; });

/// Most blocks that are believed; the largest published models have 126.
inline constexpr std::int64_t kMaximumBlocks = 4096;

} // namespace bw
