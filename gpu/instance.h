// SPDX-License-Identifier: GPL-3.0-or-later
// The Vulkan instance, its validation messages, and the list of devices that can compute.
#pragma once

#include "gpu/loader.h"
#include "gpu/vulkan_device.h"

#include <vector>

namespace bw::vk {

/// A device that has a compute queue and speaks Vulkan 1.1.
struct Candidate {
    VkPhysicalDevice handle = VK_NULL_HANDLE;
    std::uint32_t queueFamily = 0;
    VkPhysicalDeviceProperties properties{};
    VkPhysicalDeviceMemoryProperties memory{};
    VulkanDeviceInfo info;
};

class Instance {
public:
    /// @throws Error deviceUnavailable: no loader, no driver, or no validation layer when it was asked for.
    explicit Instance(const VulkanOptions& options);
    ~Instance();
    Instance(const Instance&) = delete;
    Instance& operator=(const Instance&) = delete;

    const Functions& functions() const { return functions_; }
    /// In the loader's order; `info.index` counts only those listed.
    std::vector<Candidate> candidates() const;

private:
    Functions functions_;
    VkInstance handle_ = VK_NULL_HANDLE;
    VkDebugUtilsMessengerEXT messenger_ = VK_NULL_HANDLE;
};

} // namespace bw::vk
