// SPDX-License-Identifier: GPL-3.0-or-later
// A compute::Device on Vulkan, opened at run time: the loader library is dlopened, so that a program built with it runs
// on machines without Vulkan. Operations without a shader run on the CPU device inside and are counted as such.
#pragma once

#include "core/compute/device.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace bw {

/// What the loader library is called on Linux.
inline constexpr const char* kVulkanLibrary = "libvulkan.so.1";

struct VulkanDeviceInfo {
    int index = 0;
    std::string name, type, apiVersion, driver; ///< type: "discrete", "integrated", "cpu" …
    std::uint64_t memoryBytes = 0, maxBufferBytes = 0;
};

/// Empty when there is no loader, no driver or no device; `why` (if given) says which.
std::vector<VulkanDeviceInfo> vulkanDevices(std::string* why = nullptr, const std::string& library = kVulkanLibrary);

struct VulkanOptions {
    bool validation = false;              ///< enable VK_LAYER_KHRONOS_validation (tests)
    std::string library = kVulkanLibrary; ///< what is dlopened
    int loseAfterSubmits = -1;            ///< tests: the submit of this number reports a lost device; < 0 never
    std::uint64_t bindingBytes = 0;       ///< tests: largest range of one binding; 0 = the device's own limit
    bool sharedMemoryGemm = false;        ///< tests: the shader made for GPUs on a software device too
};
/// Multiplications and histograms run on the device, the rest on the CPU inside; weights are copied to the device by
/// prepare(), but their f32 data must stay valid: the CPU takes over for a weight that does not fit, and for everything
/// once the device is lost (description() then says so). Thread safe; calls from several threads take turns.
/// @throws Error(deviceUnavailable) with the reason. A known-answer GEMM runs at start; wrong results disable the
/// device.
std::unique_ptr<Device> makeVulkanDevice(int index, const VulkanOptions& options = {});
/// Validation messages of severity error since start (tests read it after devices are destroyed).
int vulkanValidationErrors();

} // namespace bw
