// SPDX-License-Identifier: GPL-3.0-or-later
// What calibration asks of activations that lie on the device: sums and extremes of channels, what rows lose on grids of their
// own, histograms of channels. Sums are made in an order that follows from the shape alone.
#pragma once

#include "gpu/gemm.h"
#include "gpu/shader_code.h"

#include <map>
#include <memory>
#include <span>
#include <vector>

namespace bw::vk {

/// Not thread safe. Results as those of Operations; each call waits for its results.
class Observers {
public:
    Observers(DeviceContext& context, Stream& work) : context_(context), work_(work) {}

    /// Device::inputSums() of x, which must fit one binding.
    VkResult inputSums(const Located& x, InputSums& out);
    /// Device::logHistograms().
    VkResult logHistograms(const Located& x, std::span<const std::int32_t> least, std::int32_t side, std::span<std::uint32_t> counts);

private:
    const Kernel& kernel(ShaderName name);
    /// A buffer of the device for `words` words of results.
    VkResult room(Buffer& buffer, std::uint64_t words);

    DeviceContext& context_;
    Stream& work_;
    std::map<ShaderName, std::unique_ptr<Kernel>> kernels_;
    Buffer sums_, least_, counts_;
};

} // namespace bw::vk
