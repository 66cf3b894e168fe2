// SPDX-License-Identifier: GPL-3.0-or-later
// Norms, rotations, elementwise work and attention on matrices that lie on the device.
#pragma once

#include "gpu/gemm.h"
#include "gpu/shader_code.h"

#include <map>
#include <memory>
#include <vector>

namespace bw::vk {

/// What map.comp does; the numbers are its constant.
enum class Map { add, copy, fill, softCap, silu, geluTanh, geluErf };
Map mapOf(Activation f);

/// Not thread safe. Every operation is recorded, not waited for. Results of out of memory mean that it does not fit, others that
/// the device failed. @throws Error deviceUnavailable when a shader can't be built.
class Operations {
public:
    Operations(DeviceContext& context, Stream& work) : context_(context), work_(work) {}

    /// @param bias empty: none; @param layer false: RMS norm. y may be x.
    VkResult norm(const Located& x, std::span<const float> weight, std::span<const float> bias, bool layer, float epsilon, const Located& y);
    VkResult rope(const Located& x, const RopeShape& shape, std::int64_t position0);
    /// x ← f(x, y). @param y null where the map needs none. @param value of fill and softCap.
    VkResult map(Map f, const Located& x, const Located* y, float value = 0);
    /// Every row of x += bias.
    VkResult addRow(const Located& x, std::span<const float> row);
    /// Heads of more than kMostChannels, and keys that do not fit a binding, are out of memory.
    VkResult attention(const Located& q, const Located& k, const Located& v, const AttentionShape& shape, const Located& out);
    static constexpr std::int64_t kMostChannels = 256;
    /// Per row, kScoreWords words: the largest logit, the sum of exponentials below it, the target's logit, ids in order.
    /// `targets` and `words` lie on the device, from their first row on.
    static constexpr std::int64_t kScoreWords = 3 + static_cast<std::int64_t>(RowScore::kLargest);
    VkResult score(const Located& logits, const Slice& targets, const Slice& words);
    /// Of each row the values at its columns, as many for all; both lie on the device, from their first row on.
    VkResult pick(const Located& x, std::int64_t each, const Slice& columns, const Slice& values);
    /// Per row three sums (divergence.comp).
    static constexpr std::int64_t kDivergenceWords = 1;
    VkResult divergence(const Located& base, const Located& other, const Slice& sums);
    /// The lower triangle of g ← xᵀx; above it anything.
    VkResult gram(const Located& x, const Located& g);

private:
    struct RopeTable {
        std::vector<float> frequencies;
        float scale = 1;
        std::int64_t positions = 0;
        Buffer buffer;
    };
    VkResult ropeTable(const RopeShape& shape, std::int64_t positions, const RopeTable*& table);
    VkResult mapRows(Map f, const Located& x, const Slice& other, std::uint32_t yAt, std::uint32_t yStride, bool multiplies, float value);
    const Kernel& kernel(ShaderName name, std::uint32_t constant = 0);

    DeviceContext& context_;
    Stream& work_;
    std::map<std::pair<ShaderName, std::uint32_t>, std::unique_ptr<Kernel>> kernels_;
    std::vector<std::unique_ptr<RopeTable>> ropes_;
};

} // namespace bw::vk
