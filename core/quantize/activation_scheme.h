// SPDX-License-Identifier: GPL-3.0-or-later
// Rounding of what enters linears, as runtimes do it: grids per token, per group, per tensor or per channel, dynamic or with
// scales from calibration, some channels left alone. The simulation is exact: decode(encode(x)). Not for: keys and values
// (cache_scheme.h), what stays 16-bit in weights (outlier_split.h).
#pragma once

#include "core/calibrate/observers.h"
#include "core/model/runtime_rounding.h"
#include "core/quantize/runtime_grid.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace bw {

/// "none", or GRID[:SCOPE][:CALIBRATOR][:asym].
/// GRID: a8 … a2 (or int8 … int2) · fp8 (E4M3) · fp8_e5m2 · q8_0 and q8_k alone (blocks of 32 and 256, what llama.cpp's CPU
/// kernels compute with). SCOPE: token (default, a scale for every token found at run time) · g128 (the same for every 128
/// channels of a token, the last group takes what remains) · tensor · channel (static).
/// CALIBRATOR of static scopes: minmax (default) · average · percentile[=99.9] · kl · mse; the last two for integers.
/// asym: integer codes with a zero point.
struct ActivationScheme {
    enum class Grid { none, integer, e4m3, e5m2, q8_0, q8_k } grid = Grid::none;
    enum class Scope { token, group, tensor, channel, block } scope = Scope::token;
    int bits = 8;
    bool symmetric = true;
    std::int64_t group = 0;            ///< channels of a group
    std::string calibrator = "minmax"; ///< of static scopes
    double percentile = 99.9;
    bool empty() const { return grid == Grid::none; }
    bool isStatic() const { return scope == Scope::tensor || scope == Scope::channel; }
    /// Servers keep the output matrix and its input in 16 bits (their lists of what to leave alone name lm_head); llama.cpp
    /// rounds the input of every product. Nothing is multiplied in the embedding's look-up.
    bool roundsHead() const { return scope == Scope::block; }
    RuntimeGrid runtimeGrid() const;
    std::string text() const; ///< canonical: equal schemes, equal strings
};
ActivationScheme parseActivationScheme(std::string_view text); ///< @throws Error(usage)

/// What one input group is rounded with.
struct InputScales {
    std::vector<float> scales;             ///< of static scopes: one (tensor) or I (channel); 0 where nothing but 0 was seen
    std::vector<float> zeros;              ///< integer zero points beside them; empty for symmetric codes
    std::vector<std::int32_t> keptColumns; ///< channels that are not rounded, rising; they widen no scale
};

/// The scheme with its fitted scales: what evaluation simulates and exports write as input_scale.
class ActivationRounding {
public:
    /// @param statistics  from calibration of this model; may be null for dynamic schemes. Schemes per channel with percentile, kl
    /// or mse need CalibrateOptions::perChannel. An expert that no token reached gets the widest of its layer's other experts.
    /// @param kept  for each input group the channels that are left alone; empty = none.
    /// @throws Error(usage) for a group that no calibration token reached.
    static std::shared_ptr<const ActivationRounding> fit(const Model& model, const ActivationScheme& scheme, const CalibrationResult* statistics,
                                                         const std::vector<std::vector<std::int32_t>>& kept = {});
    const ActivationScheme& scheme() const { return scheme_; }
    const InputScales& of(int inputGroup) const;
    bool roundsInput(int inputGroup) const;
    void roundInput(int inputGroup, MatrixView<float> x) const; ///< as RuntimeRounding::roundInput
    bool roundsToBytes(int inputGroup) const;                   ///< as RuntimeRounding::roundsToBytes
    const std::vector<std::string>& notes() const { return notes_; } ///< groups whose scales come from others

private:
    void roundRow(const InputScales& scales, std::span<float> row) const;
    ActivationScheme scheme_;
    std::vector<InputScales> groups_;
    std::vector<bool> rounds_;
    std::vector<std::string> notes_;
};

} // namespace bw
