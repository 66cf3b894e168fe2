// SPDX-License-Identifier: GPL-3.0-or-later
// A compute::Device on Vulkan, opened at run time: the loader library is dlopened, so that a program built with it runs
// on machines without Vulkan. Operations without a shader run on the CPU device inside and are counted as such.
#pragma once

#include "core/compute/device.h"

#include <memory>
#include <string>
#include <vector>

namespace bw {

struct VulkanDeviceInfo {
    int index = 0;
    std::string name, type, apiVersion, driver; ///< type: "discrete", "integrated", "cpu" …
    std::uint64_t memoryBytes = 0, maxBufferBytes = 0;
};

/// Empty when there is no loader, no driver or no device; `why` (if given) says which.
std::vector<VulkanDeviceInfo> vulkanDevices(std::string* why = nullptr);

struct VulkanOptions {
    bool validation = false; ///< enable VK_LAYER_KHRONOS_validation (tests)
};
/// @throws Error(deviceUnavailable) with the reason. A known-answer GEMM runs at start; wrong results disable the device.
std::unique_ptr<Device> makeVulkanDevice(int index, const VulkanOptions& options = {});
/// Validation messages of severity error since start (tests read it after devices are destroyed).
int vulkanValidationErrors();

} // namespace bw
