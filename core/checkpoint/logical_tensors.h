// SPDX-License-Identifier: GPL-3.0-or-later
// From the tensors of a safetensors checkpoint as they lie in its files to the ones that this program works with: one per
// linear layer, norm or bias, each with its canonical name. Not for: GGUF, whose tensors have that form already.
#pragma once

#include "core/checkpoint/checkpoint.h"

namespace bw {

/// Does all of the following in place, then gives every tensor its canonical name:
/// - a fused stack of experts as transformers 5 keeps it (`mlp.experts.gate_up_proj` {E, 2F, C}, `mlp.experts.down_proj`
///   {E, C, F}) becomes one tensor per expert and linear, with the names of checkpoints that keep experts apart;
/// - norms of single heads (StableLM's `q_layernorm.norms.H`) become one tensor {H, D};
/// - weights of GPT-2's Conv1D are marked as transposed.
/// @param family ModelConfig::family. Tensors of unknown families only get names.
void arrangeTensors(std::vector<TensorInfo>& tensors, const std::string& family);

} // namespace bw
