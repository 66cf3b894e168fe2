// SPDX-License-Identifier: GPL-3.0-or-later
// An opened device with its one compute queue, its limits, and the books of what was allocated on it.
#pragma once

#include "gpu/instance.h"

#include <atomic>

namespace bw::vk {

class DeviceContext {
public:
    /// @throws Error deviceUnavailable.
    DeviceContext(const Candidate& candidate, const Functions& functions);
    /// Waits for the device first, unless it was abandoned: then nothing of it is touched any more.
    ~DeviceContext();
    DeviceContext(const DeviceContext&) = delete;
    DeviceContext& operator=(const DeviceContext&) = delete;

    const Functions& functions() const { return functions_; }
    VkDevice handle() const { return handle_; }
    VkQueue queue() const { return queue_; }
    std::uint32_t queueFamily() const { return candidate_.queueFamily; }
    const VkPhysicalDeviceLimits& limits() const { return candidate_.properties.limits; }
    const VkPhysicalDeviceMemoryProperties& memory() const { return candidate_.memory; }
    const VulkanDeviceInfo& info() const { return candidate_.info; }

    /// Books an allocation, since drivers do not keep to their own heap sizes and counts. @returns false when full.
    bool book(std::uint32_t heap, std::uint64_t bytes);
    void unbook(std::uint32_t heap, std::uint64_t bytes);

    /// A submit did not come back in time: its buffers may still be in use, so nothing is freed from now on.
    void abandon() { abandoned_ = true; }
    bool abandoned() const { return abandoned_; }

private:
    Candidate candidate_;
    Functions functions_;
    VkDevice handle_ = VK_NULL_HANDLE;
    VkQueue queue_ = VK_NULL_HANDLE;
    std::atomic<std::uint64_t> booked_[VK_MAX_MEMORY_HEAPS] = {};
    std::atomic<std::uint32_t> allocations_{0};
    std::atomic<bool> abandoned_{false};
};

} // namespace bw::vk
