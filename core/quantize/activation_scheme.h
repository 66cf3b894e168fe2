// SPDX-License-Identifier: GPL-3.0-or-later
// Rounding of what enters linears, as runtimes do it: grids per token, per tensor or per channel, static or dynamic, with
// outlier channels kept apart (LLM.int8). And the outlier split of weights. The simulation is exact: decode(encode(x)).
#pragma once

#include "core/calibrate/observers.h"
#include "core/model/runtime_rounding.h"
#include "core/quantize/quantized_model.h"
#include "core/quantize/transform.h"

namespace bw {

/// "none" · "a8:token" · "a4:token" · "a8:tensor[:minmax|average|percentile=99.9|kl|mse]" · "a8:channel[:…]" ·
/// "fp8:token" · "fp8:tensor[:…]" · "q8_0" and "q8_k" (what llama.cpp's CPU kernels do: blocks of 32 and of 256).
struct ActivationScheme {
    enum class Grid { none, integer, fp8, q8_0, q8_k } grid = Grid::none;
    enum class Scope { token, tensor, channel, block } scope = Scope::token;
    int bits = 8;
    std::string calibrator = "minmax"; ///< of static scopes
    double percentile = 99.9;
    bool dynamic() const { return scope == Scope::token || scope == Scope::block; }
    std::string text() const;
};
ActivationScheme parseActivationScheme(std::string_view text); ///< @throws Error(usage)

/// Scales of one input group: one (tensor), I (channel) or none (dynamic). x̂ = scale·clamp(rne(x/scale)).
struct InputScales {
    std::vector<float> scales;
    std::vector<std::int32_t> keptColumns; ///< outlier channels that are not rounded
};

/// The scheme with its fitted scales: what evaluation simulates and exports write as input_scale.
class ActivationRounding {
public:
    /// @param statistics from calibration; may be null for dynamic schemes without static outliers.
    static std::shared_ptr<const ActivationRounding> fit(const Model& model, const ActivationScheme& scheme,
                                                         const TransformSpec& transform, const CalibrationResult* statistics);
    const ActivationScheme& scheme() const { return scheme_; }
    const InputScales& of(int inputGroup) const;
    bool roundsInput(int inputGroup) const;
    void roundInput(int inputGroup, MatrixView<float> x) const;

private:
    ActivationScheme scheme_;
    std::vector<InputScales> groups_;
};

} // namespace bw
