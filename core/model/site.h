// SPDX-License-Identifier: GPL-3.0-or-later
// Sites: the linear layers that can be quantized, with canonical GGUF-style names.
#pragma once

#include "core/base/types.h"

#include <string>
#include <string_view>

namespace bw {

enum class SiteKind { tokenEmbedding, attnQ, attnK, attnV, attnOutput, ffnGate, ffnUp, ffnDown, output };

/// "attn_q", "ffn_down", "token_embd" …
std::string_view siteKindName(SiteKind kind);

/// One linear layer, O×I. Sites with the same `inputGroup` read the same activations (q/k/v; gate/up) and share
/// calibration statistics and transforms.
struct Site {
    SiteId id;
    std::string name;   ///< "blk.7.ffn_down", "token_embd", "output"
    std::string tensor; ///< canonical tensor name, name + ".weight"
    SiteKind kind = SiteKind::attnQ;
    BlockIndex block{-1}; ///< −1 for token_embd and output
    std::int64_t rows = 0, cols = 0; ///< O, I
    int inputGroup = -1;  ///< index into Model::inputGroups(); −1 for the embedding look-up
};

} // namespace bw
