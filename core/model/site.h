// SPDX-License-Identifier: GPL-3.0-or-later
// Sites: the linear layers that can be quantized, with canonical GGUF-style names.
#pragma once

#include "core/base/types.h"

#include <string>
#include <string_view>

namespace bw {

/// Named after llama.cpp's tensors. attnQkv is the fused projection; ffnUp of a fused feed-forward holds gate and up.
enum class SiteKind {
    tokenEmbedding, attnQ, attnK, attnV, attnQkv, attnOutput, ffnGate, ffnUp, ffnDown,
    ffnGateExperts, ffnUpExperts, ffnDownExperts, ///< one expert's share; Site::expert says which
    ffnGateShared, ffnUpShared, ffnDownShared,    ///< of the expert that every token passes
    output,
    other, ///< a weight matrix of an architecture that is not known
};

/// "attn_q", "ffn_down", "ffn_up_exps", "ffn_up_shexp", "token_embd" …: the name of the tensor within its block.
std::string_view siteKindName(SiteKind kind);

/// One linear layer, O×I. Sites with the same `inputGroup` read the same activations (q/k/v; gate/up) and share
/// calibration statistics and transforms.
struct Site {
    SiteId id;
    std::string name;   ///< "blk.7.ffn_down", "blk.3.ffn_up.e5" (expert 5), "blk.3.ffn_up_shexp", "token_embd", "output"
    /// Canonical name of the tensor that holds it: name + ".weight", or "blk.3.ffn_up_exps.weight" when the checkpoint
    /// stacks its experts in one tensor.
    std::string tensor;
    SiteKind kind = SiteKind::attnQ;
    BlockIndex block{-1}; ///< −1 for token_embd, output and what lies outside the blocks
    std::int64_t rows = 0, cols = 0; ///< O, I
    int inputGroup = -1;  ///< index into Model::inputGroups(); −1 for the embedding look-up
    int expert = -1;      ///< 0 … E−1 for the share of an expert
    std::int64_t firstRow = 0; ///< of `tensor` seen as rows×I: expert·O in a stacked tensor, else 0
};

} // namespace bw
