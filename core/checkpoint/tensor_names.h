// SPDX-License-Identifier: GPL-3.0-or-later
// Canonical (GGUF-style) names of tensors in Hugging Face checkpoints, as a table. Not for: what a name means to a
// forward pass (core/model).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bw {

/// "model.layers.3.self_attn.q_proj.weight" → "blk.3.attn_q.weight"; empty when the table does not know the name.
std::string canonicalTensorName(std::string_view huggingFaceName);

/// The way back for names of the table ("blk.3.attn_q" + ".weight"); empty when unknown.
std::string huggingFaceTensorName(std::string_view canonicalName);

/// A name of the form "blk.N.rest" in its parts; empty for every other name.
struct BlockName {
    std::int64_t block = 0;
    std::string_view rest; ///< "attn_q.weight"; points into the argument
};
std::optional<BlockName> parseBlockName(std::string_view canonicalName);

} // namespace bw
