// SPDX-License-Identifier: GPL-3.0-or-later
// A compute pipeline made from one of the built-in shaders and the constants it is specialised with.
#pragma once

#include "gpu/device_context.h"

#include <cstdint>
#include <span>
#include <vector>

namespace bw::vk {

class Kernel {
public:
    /// @param constants values of constant_id 0, 1, … @param context must outlive the kernel.
    /// @throws Error deviceUnavailable.
    Kernel(DeviceContext& context, std::span<const std::uint32_t> code, const std::vector<std::uint32_t>& constants = {});
    ~Kernel();
    Kernel(const Kernel&) = delete;
    Kernel& operator=(const Kernel&) = delete;
    VkPipeline handle() const { return pipeline_; }

private:
    DeviceContext& context_;
    VkPipeline pipeline_ = VK_NULL_HANDLE;
};

} // namespace bw::vk
