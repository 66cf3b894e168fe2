// SPDX-License-Identifier: GPL-3.0-or-later
// config.json or GGUF metadata → ModelConfig. Impossible or unsupported values never stop a checkpoint from opening:
// they clear forwardSupported and say why. Not for: tensors; their shapes are held against the config afterwards.
#pragma once

#include "core/base/json.h"
#include "core/checkpoint/gguf_metadata.h"
#include "core/checkpoint/model_config.h"

#include <string>
#include <vector>

namespace bw {

/// Reads both spellings of config.json (transformers 4: rope_theta, rope_scaling; 5: rope_parameters).
ModelConfig configFromHuggingFace(const Json& config);

/// Does the tokenizer of a Hugging Face folder put a BOS in front? From tokenizer_config.json, else from the template in
/// tokenizer.json. Unreadable files count as no; the tokenizer itself will say what is wrong with them.
bool tokenizerAddsBos(const std::string& folder);

/// Never throws for missing or odd values; wrong types are said in whyNot.
/// @param embeddingRows the vocabulary where no key names it; 0 = no embedding.
ModelConfig configFromGguf(const GgufMetadata& metadata, std::int64_t embeddingRows);

/// Shapes of the family's tensors that `config` asks for; used to name disagreements (X07).
struct ExpectedShape {
    std::string canonical;
    std::vector<std::int64_t> shape;
};
std::vector<ExpectedShape> expectedShapes(const ModelConfig& config);

/// Most blocks that are believed; the largest published models have 126.
inline constexpr std::int64_t kMaximumBlocks = 4096;

} // namespace bw
