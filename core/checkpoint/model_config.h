// SPDX-License-Identifier: GPL-3.0-or-later
// What a transformer looks like, read from config.json or GGUF metadata and checked for impossible values.
#pragma once

#include <cstdint>
#include <string>

namespace bw {

/// Shape letters: C = width, F = feedForward, H = heads, D = headDim, V = vocabulary.
struct ModelConfig {
    std::string family;            ///< "llama" …; as written in the file when unknown
    std::string name;              ///< for people
    bool forwardSupported = false; ///< false: tensors, histograms and weight-only work only
    std::string whyNot;            ///< reason when forwardSupported is false
    std::int64_t blocks = 0;
    std::int64_t width = 0;
    std::int64_t feedForward = 0;
    std::int64_t heads = 0;
    std::int64_t kvHeads = 0;
    std::int64_t headDim = 0;
    std::int64_t vocabulary = 0;
    std::int64_t context = 0;
    double ropeTheta = 10000.0;
    double normEpsilon = 1e-5;
    bool tiedHead = false;         ///< the head is token_embd
    std::int64_t bosId = -1, eosId = -1, padId = -1;
    bool addBos = false;           ///< the tokenizer asks for a BOS in front
};

} // namespace bw
