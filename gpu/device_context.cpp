// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/device_context.h"

namespace bw::vk {

DeviceContext::DeviceContext(const Candidate& candidate, const Functions& functions)
    : candidate_(candidate), functions_(functions) {
    const float priority = 1;
    VkDeviceQueueCreateInfo queue{};
    queue.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO;
    queue.queueFamilyIndex = candidate_.queueFamily;
    queue.queueCount = 1;
    queue.pQueuePriorities = &priority;
    VkDeviceCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO;
    info.queueCreateInfoCount = 1;
    info.pQueueCreateInfos = &queue;
    require(functions_.CreateDevice(candidate_.handle, &info, nullptr, &handle_), "opening the Vulkan device");
    loadDeviceFunctions(functions_, handle_);
    functions_.GetDeviceQueue(handle_, candidate_.queueFamily, 0, &queue_);
}

DeviceContext::~DeviceContext() {
    if (!handle_ || abandoned_) return;
    functions_.DeviceWaitIdle(handle_);
    functions_.DestroyDevice(handle_, nullptr);
}

bool DeviceContext::book(std::uint32_t heap, std::uint64_t bytes) {
    // A tenth stays free for the driver and other programs; half of the allocation count likewise.
    const std::uint64_t most = candidate_.memory.memoryHeaps[heap].size / 10 * 9;
    if (bytes > most || booked_[heap] > most - bytes) return false;
    if (allocations_ >= candidate_.properties.limits.maxMemoryAllocationCount / 2) return false;
    booked_[heap] += bytes;
    ++allocations_;
    return true;
}

void DeviceContext::unbook(std::uint32_t heap, std::uint64_t bytes) {
    booked_[heap] -= bytes;
    --allocations_;
}

} // namespace bw::vk
