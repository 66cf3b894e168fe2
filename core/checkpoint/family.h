// SPDX-License-Identifier: GPL-3.0-or-later
// Architecture families as data: one row of facts each, read by the config reader, the tensor-name tables and the GGUF
// writer. What config.json or GGUF metadata say themselves goes before the row's defaults. Not for: numbers of one model.
#pragma once

#include "core/checkpoint/model_config.h"

#include <span>
#include <string_view>

namespace bw {

/// Which blocks have a sliding window, where the checkpoint only names the window's size.
enum class WindowPattern {
    none,        ///< a window in the file is ignored by the family
    all,         ///< every block (Mistral, Mixtral, Phi-3)
    upper,       ///< blocks from max_window_layers on (Qwen)
    alternating, ///< blocks 0, 2, 4 … (Gemma 2)
    fiveOfSix,   ///< all but every sixth (Gemma 3), or by sliding_window_pattern
    unrotated,   ///< the blocks without rope (SmolLM3)
};

struct Family {
    std::string_view name = {};        ///< ModelConfig::family; also config.json's model_type
    std::string_view otherModelType = {};   ///< a second model_type of the same architecture; may be empty
    std::string_view ggufArchitecture = {}; ///< general.architecture, the prefix of the metadata keys
    bool permutesQk = false;           ///< GGUF stores the rows of attn_q and attn_k in interleaved order
    bool conv1d = false;               ///< Hugging Face stores the block's linears as {I, O}
    bool gemmaNorms = false;           ///< Hugging Face stores w where (1+w) is meant

    NormKind norm = NormKind::rms;
    Activation activation = Activation::silu; ///< where the file names none
    bool gated = true, fusedQkv = false, fusedGateUp = false, postNorms = false, learnedPositions = false;
    bool scaledEmbedding = false;      ///< by √C
    QkNorm qkNorm = QkNorm::none;
    Bias qkvBias = Bias::none, outputBias = Bias::none, feedForwardBias = Bias::none; ///< of Hugging Face checkpoints
    WindowPattern window = WindowPattern::none;
    bool switchedWindow = false;       ///< only when use_sliding_window is set
    bool variants = false;             ///< use_parallel_residual and qk_layernorm choose among forms of the block
    bool experts = false, sharedExpert = false;
    bool renormalizeExperts = false;   ///< where the file does not say (GGUF never does)

    // Defaults of config.json for keys that are left out.
    std::string_view epsilonKey = "rms_norm_eps";
    double epsilon = 1e-6, theta = 10000.0, rotaryPart = 1.0;
    std::int64_t headDim = 0;          ///< 0 = C/H
    std::int64_t heads = 0, kvHeads = 0, vocabulary = 0; ///< kvHeads: 0 = as many as heads
    std::int64_t context = 2048, windowSize = 0;
    double attentionSoftCap = 0, headSoftCap = 0;
    double queryScalar = 0;            ///< scores are divided by its root; 0 = by that of the head size
    bool tiedHead = false;
};

std::span<const Family> families();
/// By config.json's model_type; nullptr = unknown.
const Family* familyOfModelType(std::string_view modelType);
/// By general.architecture; Llama with experts is Mixtral. nullptr = unknown.
const Family* familyOfGguf(std::string_view architecture, bool experts);
/// By ModelConfig::family; nullptr for a config of an unknown architecture.
const Family* familyNamed(std::string_view name);

} // namespace bw
