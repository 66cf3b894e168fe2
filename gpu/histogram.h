// SPDX-License-Identifier: GPL-3.0-or-later
// Histograms on the device, count for count what the CPU counts.
#pragma once

#include "core/compute/device.h"
#include "gpu/stream.h"

#include <memory>

namespace bw::vk {

/// Not thread safe.
class HistogramKernel {
public:
    HistogramKernel(DeviceContext& context, Stream& work) : context_(context), work_(work) {}

    /// Bins fit shared memory and the range is wide enough that no step of the arithmetic falls below normal numbers.
    static bool takes(const Histogram& histogram);
    /// Adds counts of x's values to `into`; on a failure none is counted. @param onDevice where x lies on the device, or no buffer.
    /// @throws Error deviceUnavailable when the shader can't be built.
    VkResult count(std::span<const float> x, const Slice& onDevice, Histogram& into);

private:
    DeviceContext& context_;
    Stream& work_;
    std::unique_ptr<Kernel> kernel_;
    Buffer x_, counts_;
};

} // namespace bw::vk
