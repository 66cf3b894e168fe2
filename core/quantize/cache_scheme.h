// SPDX-License-Identifier: GPL-3.0-or-later
// Rounding of cached keys and values: each with bits, scope and groups of its own, the newest tokens kept in 16 bits.
#pragma once

#include "core/model/runtime_rounding.h"
#include "core/model/model.h"

#include <string>
#include <string_view>

namespace bw {

/// "none" · "kv8:token" · "kv4:token:g64" · "k4:channel:g32,v4:token:g64,recent=64" · "fp8:token" · "q8_0" · "q4_0".
struct CacheScheme {
    enum class Grid { none, integer, fp8, ggml } ;
    struct Part {
        Grid grid = Grid::none;
        int bits = 8;
        bool perChannel = false;   ///< scales along tokens, for each channel of a group of tokens; else along the channels of a token
        std::int64_t group = 0;    ///< channels (per token) or tokens (per channel) that share a scale; 0 = a head's D, or 32 tokens
        StorageType type = StorageType::unknown; ///< Grid::ggml
    } keys, values;
    std::int64_t recent = 0;       ///< newest tokens that stay in 16 bits
    std::string text() const;
    /// Bytes of one token's keys and values in all blocks, scales included, far from the recent window.
    double bytesPerToken(const ModelConfig& config) const;
};
CacheScheme parseCacheScheme(std::string_view text); ///< @throws Error(usage)

/// In place, for one block's keys and values; see RuntimeRounding::roundCache.
void roundCache(const CacheScheme& scheme, std::int64_t headDim, MatrixView<float> keys, MatrixView<float> values, std::int64_t position0);

} // namespace bw
