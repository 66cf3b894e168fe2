// SPDX-License-Identifier: GPL-3.0-or-later
// Canonical (llama.cpp's) names of tensors in Hugging Face checkpoints, as one table for all families. Not for: what a
// name means to a forward pass (core/model), or where a tensor lies.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bw {

/// "model.layers.3.self_attn.q_proj.weight" → "blk.3.attn_q.weight", "….mlp.experts.5.up_proj.weight" →
/// "blk.3.ffn_up.e5.weight"; empty when the table does not know the name.
/// @param family ModelConfig::family: the same name means different things in some families (post_attention_layernorm).
std::string canonicalTensorName(std::string_view huggingFaceName, std::string_view family = {});

/// The way back, in the spelling that the family's own checkpoints have; empty when unknown.
std::string huggingFaceTensorName(std::string_view canonicalName, std::string_view family = {});

/// A name of the form "blk.N.rest" in its parts; empty for every other name.
struct BlockName {
    std::int64_t block = 0;
    std::string_view rest; ///< "attn_q.weight"; points into the argument
};
std::optional<BlockName> parseBlockName(std::string_view canonicalName);

/// One expert's tensor in a checkpoint that keeps experts apart: "blk.3.ffn_up.e5.weight" is expert 5 of the stack
/// "blk.3.ffn_up_exps.weight". Empty for every other name.
struct ExpertName {
    std::string stack;
    std::int64_t expert = 0;
};
std::optional<ExpertName> parseExpertName(std::string_view canonicalName);

} // namespace bw
