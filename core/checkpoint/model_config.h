// SPDX-License-Identifier: GPL-3.0-or-later
// What a transformer looks like, read from config.json or GGUF metadata and checked for impossible values. Everything
// the forward pass needs to know is here, so that it never asks which family it runs (that is family.h's business).
#pragma once

#include "core/base/types.h"

#include <cstdint>
#include <string>
#include <vector>

namespace bw {

enum class NormKind {
    rms,   ///< x / sqrt(mean(x²) + ε) · w
    layer, ///< (x − mean) / sqrt(variance + ε) · w + b
};

/// How queries and keys are normalized before they are rotated.
enum class QkNorm {
    none,
    head,    ///< each head of D channels, one weight of D for all heads
    perHead, ///< each head of D channels, a weight of D for every head: tensor {H, D}
    width,   ///< all H·D channels as one vector
};

enum class RopeScaling { none, linear, llama3, yarn, longrope };

/// Does a linear of this role have a bias?
enum class Bias {
    none,
    required, ///< the configuration says so
    asStored, ///< when the checkpoint holds one (GGUF says it nowhere else)
};

/// One way of rotating queries and keys; rope_frequencies.h turns it into numbers.
struct RopeConfig {
    double theta = 10000.0;
    std::int64_t dims = 0;             ///< rotated channels, the first ones of each head; even, ≤ headDim
    RopeScaling scaling = RopeScaling::none;
    double factor = 1.0;               ///< linear, llama3, yarn; longrope: context / originalContext
    std::int64_t originalContext = 0;  ///< tokens before scaling: llama3, yarn, longrope
    double lowFrequencyFactor = 1.0, highFrequencyFactor = 4.0; ///< llama3
    double betaFast = 32.0, betaSlow = 1.0;                     ///< yarn: rotations at which the ramp starts and ends
    bool truncate = true;              ///< yarn: the ramp's ends are whole channels
    double attentionFactor = 1.0;      ///< multiplies cosines and sines (yarn, longrope); derived ones are resolved
    /// Divisors of the frequencies, dims/2 each or empty; `longFactors` hold for sequences past originalContext.
    /// From longrope's lists and from GGUF's tensors rope_freqs, rope_factors_short and rope_factors_long.
    std::vector<double> factors, longFactors;
};

/// What differs from block to block.
struct BlockConfig {
    std::int64_t window = 0; ///< newest keys that a token sees, its own included; 0 = all
    int rope = 0;            ///< index into ModelConfig::ropes; −1 = positions are not rotated in
    bool experts = false;    ///< a mixture of experts instead of one feed-forward
};

/// Shape letters: C = width, F = feedForward, H = heads, D = headDim, V = vocabulary, E = experts.
struct ModelConfig {
    std::string family;            ///< name of the row in family.h: "llama", "qwen2" …; as in the file when unknown
    std::string name;              ///< for people
    bool forwardSupported = false; ///< false: tensors, histograms and weight-only work only
    std::string whyNot;            ///< reason when forwardSupported is false
    std::int64_t blocks = 0;
    std::int64_t width = 0;
    std::int64_t feedForward = 0;  ///< of the blocks without experts
    std::int64_t heads = 0;
    std::int64_t kvHeads = 0;
    std::int64_t headDim = 0;
    std::int64_t vocabulary = 0;
    std::int64_t context = 0;

    NormKind norm = NormKind::rms;
    double normEpsilon = 1e-5;
    /// Added to every stored norm weight: 1 for Gemma's Hugging Face checkpoints, where (1+w) is meant; GGUF stores 1+w.
    double normOffset = 0.0;
    Activation activation = Activation::silu;
    bool gated = true;             ///< down(act(gate)·up), else down(act(up))
    bool fusedQkv = false;         ///< one tensor attn_qkv, rows Q then K then V
    bool fusedGateUp = false;      ///< ffn_up holds 2F rows, the gate's first
    bool parallelResidual = false; ///< attention and feed-forward read the same norm and are both added to x
    bool postNorms = false;        ///< post_attention_norm and post_ffw_norm before each residual addition
    bool learnedPositions = false; ///< position_embd {context, C} is added to the embedding; no rope
    QkNorm qkNorm = QkNorm::none;
    Bias qkvBias = Bias::none, outputBias = Bias::none, feedForwardBias = Bias::none;
    double embeddingScale = 1.0;   ///< the embedding's rows are multiplied by this (not the tied head's)
    double attentionScale = 0.0;   ///< of q·k; 0 = 1/√D
    double attentionSoftCap = 0.0; ///< scores become cap·tanh(score/cap); 0 = none
    double headSoftCap = 0.0;      ///< the same for the logits
    std::vector<RopeConfig> ropes{RopeConfig{}}; ///< never empty; the first is the main one
    std::vector<BlockConfig> layers;             ///< one per block when forwardSupported

    // Mixtures of experts; experts = 0 when there are none.
    std::int64_t experts = 0, expertsUsed = 0;
    std::int64_t expertFeedForward = 0;
    std::int64_t sharedFeedForward = 0;     ///< width of the expert that every token passes; 0 = none
    bool renormalizeExperts = false;        ///< the chosen experts' probabilities are divided by their sum

    bool tiedHead = false;         ///< the head is token_embd
    std::int64_t bosId = -1, eosId = -1, padId = -1;
    bool addBos = false;           ///< the tokenizer asks for a BOS in front

    std::int64_t queryWidth() const { return heads * headDim; }
    std::int64_t kvWidth() const { return kvHeads * headDim; }
};

} // namespace bw
