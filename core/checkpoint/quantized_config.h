// SPDX-License-Identifier: GPL-3.0-or-later
// What a Hugging Face folder says of its quantization: "quantization_config" in config.json, or the older
// quantize_config.json. Only what cannot be told from the tensors is read.
#pragma once

#include "core/base/json.h"

#include <cstdint>
#include <string>

namespace bw {

struct QuantizationConfig {
    std::string method;        ///< quant_method in lower case; empty = none said
    std::string version;       ///< AWQ's kernel layout ("gemm")
    std::int64_t bits = 0;     ///< 0 = not said
    bool mixedBits = false;    ///< GPTQ's "dynamic" overrides: `bits` is what most modules have
    bool zerosMinusOne = true; ///< GPTQ's first generation stores zero points less one
    std::int64_t blockRows = 0, blockCols = 0; ///< fp8 weight_block_size; 0 = not said
    /// Empty when the weights are decoded here, else why not ("quantization method 'quip'…").
    std::string whyNotDecoded;
};

/// @param config config.json (may be null); @param folder where quantize_config.json may lie.
QuantizationConfig readQuantizationConfig(const Json& config, const std::string& folder);

} // namespace bw
