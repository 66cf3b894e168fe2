// SPDX-License-Identifier: GPL-3.0-or-later
// What GGUF says about a model's architecture, from its configuration: the keys and the extra tensors that llama.cpp's
// converter writes, and what it has no words for. Not for: the tokenizer's keys (gguf_from_checkpoint.cpp).
#pragma once

#include "core/checkpoint/checkpoint.h"

namespace bw {

/// Why llama.cpp would compute something else from a GGUF of this model than its config.json says; empty = it would not.
/// GGUF has no key for these choices: the reader takes the architecture's usual one.
std::string ggufObstacle(const ModelConfig& config);

/// general.architecture, general.* and {arch}.* of a checkpoint of a known family that has no obstacle.
void addModelKeys(GgufMetadata& metadata, const Checkpoint& source);

} // namespace bw
