// SPDX-License-Identifier: GPL-3.0-or-later
// quantization_config of each layout, as loaders want it: which modules are quantized how, and which are not. Private to
// core/quantize.
#pragma once

#include "core/base/json.h"
#include "core/checkpoint/packed_weights.h"

#include <string>
#include <vector>

namespace bw {

struct PackedModule {
    std::string module;      ///< "model.layers.0.mlp.up_proj"
    FormatPtr format;
    Packing packing = Packing::packQuantized;
    std::int64_t rows = 0, cols = 0;
    int inputGroup = -1;     ///< modules of one group may be fused by loaders
};

/// How the inputs of quantized linears are rounded where the model is served.
struct ServedInputs {
    int bits = 0;         ///< 0 = not at all
    bool perToken = true; ///< a scale is found for each token
    bool floats = false;  ///< to E4M3, not to integers
    std::int64_t group = 0; ///< channels of a token that share a scale; 0 = all
};

/// How keys and values are kept.
struct ServedCache {
    bool fp8 = false;     ///< E4M3 with one scale for the keys of a block and one for its values
    bool fitted = false;  ///< by calibration; else 1
};

struct ConfigRequest {
    std::vector<PackedModule> modules;
    std::vector<std::string> ignored; ///< leaf linears that are not quantized
    ServedInputs inputs;
    ServedCache cache;
    std::string computeType = "bfloat16"; ///< the checkpoint's own, for layouts that name one
};

/// quantization_config of compressed-tensors: one group per format with its modules by name, "mixed-precision" above several
/// formats, since loaders take the top one for all.
Json compressedTensorsConfig(const ConfigRequest& request);

/// GPTQ: what most modules have at the top, others as "dynamic" overrides, unquantized ones as "-:" patterns. Patterns of
/// modules that loaders fuse match the fused names too (qkv_proj, gate_up_proj). @param secondGeneration gptq_v2.
Json gptqConfig(const ConfigRequest& request, bool secondGeneration);

Json awqConfig(const ConfigRequest& request);          ///< all modules alike
Json fp8Config(const ConfigRequest& request);          ///< a scale per 128×128 block or per tensor, all modules alike
Json bitsAndBytesConfig(const ConfigRequest& request); ///< LLM.int8 or NF4

/// By the modules' packing. Null when there are none. @param secondGeneration of GPTQ.
Json quantizationConfig(const std::string& layout, const ConfigRequest& request, bool secondGeneration);

} // namespace bw
