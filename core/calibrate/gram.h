// SPDX-License-Identifier: GPL-3.0-or-later
// Gram matrices G = Σ xᵀx of what enters a group of sites: with them the output error of any change A of a weight is
// tr(A·G·Aᵀ), however many tokens there were. GPTQ's Hessian is 2/n·G. One per input group, collected while a block is walked.
#pragma once

#include "core/base/job.h"
#include "core/base/matrix.h"
#include "core/model/model.h"

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace bw {

/// I×I, f32 accumulated over blocks of tokens in a fixed order, so that results don't depend on threads.
class Gram {
public:
    Gram() = default;
    explicit Gram(std::int64_t width) : width_(width) {}
    std::int64_t width() const { return width_; }
    std::int64_t tokens() const { return tokens_; }
    /// Adds x, T×I; of 128 tokens and more rounded to bf16 where the CPU multiplies these: 2⁻⁹ of each value, of either sign. T·I² flops.
    /// @param device  has x, and does it in f32 if it is a GPU; null: the CPU. @throws DeviceLost with nothing added.
    void add(MatrixView<const float> x, Device* device = nullptr);
    /// The sums of both; exact but for f32 rounding. @throws Error(usage) for different widths.
    void merge(const Gram& other);
    /// Both triangles, I×I; zeros before the first add().
    Matrix full() const;
    /// Σ x_j², I values.
    std::vector<float> diagonal() const;
    /// tr(A·G·Aᵀ) = Σ over tokens of ‖A·x‖², A O×I; never negative. Cost O·I² flops; some MiB of scratch.
    double quadratic(MatrixView<const float> a, JobContext& job) const;
    void clear();
    /// Bytes for a store: one triangle, as it is. decode() takes them off the front of `in`, or nothing that could not be such bytes.
    void encode(std::string& out) const;
    static std::optional<Gram> decode(std::string_view& in, std::int64_t width);

private:
    std::int64_t width_ = 0, tokens_ = 0;
    Matrix lower_; ///< above the diagonal stands nothing of use
};

/// Collects the Gram matrices of the groups it is told of; hand it to a walk as its observer.
class GramObserver final : public ActivationObserver {
public:
    explicit GramObserver(const Model& model) : model_(model) {}
    /// Groups to collect from now on; what was collected is forgotten.
    void watch(const std::vector<int>& inputGroups);
    void onInput(int inputGroup, std::int64_t window, MatrixView<const float> x) override;
    bool readsOnDevice() const override { return true; }
    /// A device gives back the sums of each call: one call for many windows.
    bool readsWholePasses() const override { return model_.device().keepsResults(); }
    /// Empty (0 tokens) for an expert that saw none. @throws Error(usage) for a group that is not watched.
    const Gram& of(int inputGroup) const;

private:
    const Model& model_;
    std::map<int, Gram> grams_; ///< by input group
};

} // namespace bw
