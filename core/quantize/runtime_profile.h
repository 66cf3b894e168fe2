// SPDX-License-Identifier: GPL-3.0-or-later
// What the kernels of a target do to activations before they multiply, so that a model is judged as that target computes it.
// Not for: schemes that a recipe chooses (activation_scheme.h), what a target can load (profiles.h).
#pragma once

#include "core/quantize/cache_scheme.h"
#include "core/quantize/quantized_model.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace bw {

/// ideal: exact arithmetic on the decoded weights. llamaCppCpu: ggml's CPU kernels, which turn the input of every product
/// into a type that the weight's type chooses, and keep keys and values in f16. w8a8: int8 with a scale for each token.
enum class RuntimeProfile { ideal, llamaCppCpu, w8a8 };

/// "ideal", "llama.cpp-cpu", "w8a8", in the order of the enum.
const std::vector<std::string>& runtimeProfileNames();
std::string_view runtimeProfileName(RuntimeProfile profile);
RuntimeProfile parseRuntimeProfile(std::string_view name); ///< @throws Error(usage) listing the names

/// The type that ggml's CPU kernels turn an input into before a product with weights of this type: f32 (left alone), f16,
/// bf16, q8_0, q8_1 or q8_k; unknown for weights that ggml has no product for. Source: ggml's type traits, ggml 0.25.
StorageType kernelInput(StorageType weight);

/// x ← what a product reads of x as `type`, one of those of kernelInput(). Blocks of 32 and 256 channels as the x86 kernels
/// make them: divided by max|x|/127 unrounded, to the nearest code, ties to even; q8_0 and q8_1 multiply by that step in
/// f16, q8_k in f32. A last block may be short. NaN stays NaN. Left out: the sum of a q8_1 block, which is kept in f16.
void roundAsKernelInput(std::span<float> x, StorageType type);

/// The types of a model's weights as a GGUF file holds them, by SiteId: of what `quantized` replaces (may be null), else of
/// the checkpoint. unknown where no GGUF type holds them (affine groups, packed layouts).
std::vector<StorageType> weightTypes(const Model& model, const QuantizedModel* quantized);

/// Inputs as ggml's CPU kernels round them, keys and values as `cache` says, f16 when it is null. Not simulated: queries
/// and attention weights in f16. @param weights  as weightTypes() gives them.
/// @throws Error(usage) naming the first site whose type ggml has no product for.
std::shared_ptr<const RuntimeRounding> llamaCppCpuRounding(const Model& model, const std::vector<StorageType>& weights, std::shared_ptr<const CacheRounding> cache);

/// Another source's weights, run with a rounding of its own.
class RunWith final : public WeightSource {
public:
    /// @param weights may be null: the checkpoint's; it must outlive this object.
    RunWith(const WeightSource* weights, std::shared_ptr<const RuntimeRounding> rounding) : weights_(weights), rounding_(std::move(rounding)) {}
    void apply(const Site& site, MatrixView<float> weight) const override {
        if (weights_) weights_->apply(site, weight);
    }
    bool replaces(const Site& site) const override { return weights_ && weights_->replaces(site); }
    std::optional<CodedRows> codedRows(const Site& site) const override { return weights_ ? weights_->codedRows(site) : std::nullopt; }
    std::shared_ptr<const RuntimeRounding> rounding() const override { return rounding_; }

private:
    const WeightSource* weights_;
    std::shared_ptr<const RuntimeRounding> rounding_;
};

} // namespace bw
