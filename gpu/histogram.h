// SPDX-License-Identifier: GPL-3.0-or-later
// Histograms on the device, count for count what the CPU counts.
#pragma once

#include "core/compute/device.h"
#include "gpu/command.h"
#include "gpu/memory.h"
#include "gpu/pipeline.h"

namespace bw::vk {

/// Not thread safe: one call at a time on one CommandRunner.
class HistogramKernel {
public:
    /// @throws Error deviceUnavailable.
    HistogramKernel(DeviceContext& context, CommandRunner& runner, std::uint64_t bindingBytes);

    /// Bins fit shared memory and the range is wide enough that no step of the arithmetic falls below normal numbers.
    static bool takes(const Histogram& histogram);
    /// Adds counts of x's values to `into`. @param done values counted; on a failure the rest is not counted yet.
    VkResult count(std::span<const float> x, Histogram& into, std::size_t& done);

private:
    DeviceContext& context_;
    CommandRunner& runner_;
    Pipeline pipeline_;
    std::size_t valuesAtOnce_;
    Buffer x_, counts_;
};

} // namespace bw::vk
