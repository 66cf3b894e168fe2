// SPDX-License-Identifier: GPL-3.0-or-later
// The Vulkan instance, its validation messages, and the list of devices that can compute.
#pragma once

#include "gpu/loader.h"
#include "gpu/vulkan_device.h"

#include <vector>

namespace bw::vk {

/// A device that has a compute queue and speaks Vulkan 1.2 with timeline semaphores.
struct Candidate {
    VkPhysicalDevice handle = VK_NULL_HANDLE;
    std::uint32_t queueFamily = 0, queuesInFamily = 1;
    std::uint32_t copyFamily = 0; ///< one for copies alone where there is one, else queueFamily
    VkPhysicalDeviceProperties properties{};
    VkPhysicalDeviceMemoryProperties memory{};
    bool smallTypes = false; ///< shaders may read bytes and halves from buffers as such
    bool dotProducts = false, fastDotProducts = false; ///< of four bytes in a word: there at all; made by the hardware as such
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
    VulkanOptions masks_; ///< what tests hide of devices
    Functions functions_;
    VkInstance handle_ = VK_NULL_HANDLE;
    VkDebugUtilsMessengerEXT messenger_ = VK_NULL_HANDLE;
};

} // namespace bw::vk
