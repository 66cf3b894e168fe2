// SPDX-License-Identifier: GPL-3.0-or-later
// Rounding of cached keys and values: each with a grid, a scope and groups of its own, the newest tokens kept in 16 bits. And
// the RuntimeRounding that joins them with what enters linears.
#pragma once

#include "core/base/job.h"
#include "core/format/storage_type.h"
#include "core/model/walk.h"
#include "core/quantize/activation_scheme.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace bw {

/// "none", or PART[,PART][,recent=N]. A part is (kv|k|v)GRID[:SCOPE][:gN][:sym]; without a prefix it is of both.
/// GRID: 8 … 2 (bits, "kv8") · fp8 (E4M3) · fp8_e5m2 · q8_0 q5_1 q5_0 q4_1 q4_0 iq4_nl f16 bf16 (llama.cpp's cache types).
/// SCOPE: token (default; a scale for every head of a token, or for gN channels) · channel (keys: a scale for a channel of gN
/// tokens, 32 by default; tokens wait in 16 bits until their group is full) · tensor (static, one scale for a block's
/// keys and one for its values) · unit (fp8 alone, no scale, what "fp8" means by itself: servers' default).
/// Integers have a minimum beside the scale unless :sym (always with tensor). Scales and minima are f16 and used as stored.
struct CacheScheme {
    enum class Grid { none, integer, e4m3, e5m2, stored };
    enum class Scope { token, channel, tensor, unit };
    struct Part {
        Grid grid = Grid::none;
        Scope scope = Scope::token;
        int bits = 8;
        bool symmetric = false;
        std::int64_t group = 0; ///< channels (token) or tokens (channel) that share a scale; 0 = a head's
        StorageType type = StorageType::unknown;
        /// May a token be rounded as soon as it comes? Else it waits in 16 bits.
        bool immediate() const { return scope != Scope::channel; }
        friend bool operator==(const Part&, const Part&) = default;
    } keys, values;
    std::int64_t recent = 0; ///< newest tokens that stay in 16 bits
    bool empty() const { return keys.grid == Grid::none && values.grid == Grid::none; }
    bool isStatic() const { return keys.scope == Scope::tensor || values.scope == Scope::tensor; }
    std::string text() const; ///< canonical
    /// Bytes of one token's keys and values in all blocks, scales included: of a cache that holds `length` tokens, or far from
    /// the 16-bit window (0).
    double bytesPerToken(const ModelConfig& config, std::int64_t length = 0) const;
};
CacheScheme parseCacheScheme(std::string_view text); ///< @throws Error(usage)

/// Largest magnitudes of each block's keys (after norm and rotation) and values.
struct CacheRanges { std::vector<float> keys, values; };
/// One walk over calibration windows. @throws as walkBlocks().
CacheRanges cacheRanges(const Model& model, const Windows& windows, JobContext& job);

/// Keys and values of one model under a scheme; the members are as those of RuntimeRounding.
class CacheRounding {
public:
    /// @param ranges  of static schemes; may be empty for others. @throws Error(usage) when a cache type's blocks do not
    /// divide the width of this model's keys (names both), or static ranges are missing.
    CacheRounding(const ModelConfig& config, const CacheScheme& scheme, CacheRanges ranges = {});
    const CacheScheme& scheme() const { return scheme_; }
    const CacheRanges& ranges() const { return ranges_; }
    std::int64_t run(std::int64_t seen, std::int64_t most) const;
    void round(BlockIndex block, MatrixView<float> keys, MatrixView<float> values, std::int64_t seen) const;

private:
    /// Rows of a cache of `length` that have left 16 bits for good.
    std::int64_t settled(const CacheScheme::Part& part, std::int64_t length) const;
    void roundPart(const CacheScheme::Part& part, float largest, MatrixView<float> rows, std::int64_t seen) const;
    CacheScheme scheme_;
    CacheRanges ranges_;
};

/// For QuantizedModel::setRounding(): both may be null. Null when nothing is rounded.
std::shared_ptr<const RuntimeRounding> makeRuntimeRounding(std::shared_ptr<const ActivationRounding> activations, std::shared_ptr<const CacheRounding> cache);

/// A checkpoint's own weights, run with a rounding.
class RoundedAtRunTime final : public WeightSource {
public:
    explicit RoundedAtRunTime(std::shared_ptr<const RuntimeRounding> rounding) : rounding_(std::move(rounding)) {}
    void apply(const Site&, MatrixView<float>) const override {}
    bool replaces(const Site&) const override { return false; }
    std::shared_ptr<const RuntimeRounding> rounding() const override { return rounding_; }

private:
    std::shared_ptr<const RuntimeRounding> rounding_;
};

} // namespace bw
