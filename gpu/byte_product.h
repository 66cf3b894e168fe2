// SPDX-License-Identifier: GPL-3.0-or-later
// Products of codes of 8 bits, whose sums are exact: rows rounded to their own symmetric grids times weights coded in 8 bits.
#pragma once

#include "gpu/gemm.h"
#include "gpu/shader_code.h"

#include <memory>
#include <vector>

namespace bw::vk {

/// Not thread safe. Results as those of Operations.
class ByteProduct {
public:
    ByteProduct(DeviceContext& context, Stream& work) : context_(context), work_(work) {}

    /// Is the weight coded in 8 bits with zero points of 128 and groups that are whole words, and narrow enough for sums of 32 bits?
    static bool takes(const StoredWeight& weight);
    /// Fewer rows are left to Gemm: reading the weight is then all that counts.
    static constexpr std::int64_t kFewestRows = 9;

    /// Device::roundToBytes().
    VkResult round(const Located& x);
    /// y = x·wᵀ, or y += with `accumulate`, of rows that lie on such grids and of a weight that takes() says yes to.
    VkResult multiply(const Located& x, const std::vector<WeightPart>& parts, const Located& y, bool accumulate);

private:
    VkResult room(Buffer& buffer, std::uint64_t bytes);
    VkResult encode(const Located& x, const Slice& codes, const Slice& scales);
    VkResult runPart(const WeightPart& part, std::int64_t depth, const Slice& codes, const Slice& scales, const Located& y, bool accumulate);

    DeviceContext& context_;
    Stream& work_;
    std::unique_ptr<Kernel> encodes_, rounds_, multiplies_;
    Buffer codes_, scales_;
};

} // namespace bw::vk
