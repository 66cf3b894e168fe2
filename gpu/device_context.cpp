// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/device_context.h"

#include <algorithm>
#include <array>

namespace bw::vk {

DeviceContext::DeviceContext(const Candidate& candidate, const Functions& functions, const VulkanOptions& options)
    : candidate_(candidate), functions_(functions), options_(options), bindingBytes_(candidate.properties.limits.maxStorageBufferRange) {
    if (options.bindingBytes > 0) bindingBytes_ = std::min(bindingBytes_, options.bindingBytes);
    const std::array<float, 2> priorities{1.0f, 0.5f};
    const bool oneFamily = candidate_.copyFamily == candidate_.queueFamily;
    const bool twoQueues = oneFamily && candidate_.queuesInFamily > 1;
    std::array<VkDeviceQueueCreateInfo, 2> queues{};
    for (VkDeviceQueueCreateInfo& queue : queues) {
        queue.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO;
        queue.queueCount = 1;
        queue.pQueuePriorities = priorities.data();
    }
    queues[0].queueFamilyIndex = candidate_.queueFamily;
    queues[0].queueCount = twoQueues ? 2 : 1;
    queues[1].queueFamilyIndex = candidate_.copyFamily;
    VkPhysicalDeviceVulkan12Features features{};
    features.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
    features.timelineSemaphore = VK_TRUE;
    VkPhysicalDevice16BitStorageFeatures halves{};
    halves.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES;
    halves.storageBuffer16BitAccess = features.storageBuffer8BitAccess = candidate_.smallTypes ? VK_TRUE : VK_FALSE;
    features.pNext = &halves;
    using DotProducts = VulkanOptions::DotProducts;
    // A device on the processor gains although it emulates them: there the fewer reads count.
    const bool gains = candidate_.fastDotProducts || (candidate_.dotProducts && candidate_.info.type == "cpu");
    dotProducts_ = options.dotProducts == DotProducts::whereFast ? gains : options.dotProducts == DotProducts::wherePossible && candidate_.dotProducts;
    VkPhysicalDeviceShaderIntegerDotProductFeatures dots{};
    dots.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES;
    dots.shaderIntegerDotProduct = VK_TRUE;
    const char* const dotExtension = VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME;
    if (dotProducts_) halves.pNext = &dots;
    VkDeviceCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO;
    info.pNext = &features;
    info.queueCreateInfoCount = oneFamily ? 1 : 2;
    info.pQueueCreateInfos = queues.data();
    info.enabledExtensionCount = dotProducts_ ? 1 : 0;
    info.ppEnabledExtensionNames = &dotExtension;
    require(functions_.CreateDevice(candidate_.handle, &info, nullptr, &handle_), "opening the Vulkan device");
    loadDeviceFunctions(functions_, handle_);
    functions_.GetDeviceQueue(handle_, candidate_.queueFamily, 0, &queues_[0]);
    functions_.GetDeviceQueue(handle_, candidate_.copyFamily, twoQueues ? 1 : 0, &queues_[1]);
    try {
        makeLayouts();
        pipelines_ = std::make_unique<PipelineCache>(functions_, handle_, candidate_.properties, options_.cacheFolder);
    } catch (...) {
        if (pipelineLayout_) functions_.DestroyPipelineLayout(handle_, pipelineLayout_, nullptr);
        if (setLayout_) functions_.DestroyDescriptorSetLayout(handle_, setLayout_, nullptr);
        functions_.DestroyDevice(handle_, nullptr);
        throw;
    }
}

void DeviceContext::makeLayouts() {
    std::array<VkDescriptorSetLayoutBinding, kBindings> bindings{};
    for (std::uint32_t i = 0; i < kBindings; ++i) {
        bindings[i].binding = i;
        bindings[i].descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
        bindings[i].descriptorCount = 1;
        bindings[i].stageFlags = VK_SHADER_STAGE_COMPUTE_BIT;
    }
    VkDescriptorSetLayoutCreateInfo set{};
    set.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO;
    set.bindingCount = kBindings;
    set.pBindings = bindings.data();
    require(functions_.CreateDescriptorSetLayout(handle_, &set, nullptr, &setLayout_), "describing bindings");
    const VkPushConstantRange push{VK_SHADER_STAGE_COMPUTE_BIT, 0, kPushBytes};
    VkPipelineLayoutCreateInfo layout{};
    layout.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO;
    layout.setLayoutCount = 1;
    layout.pSetLayouts = &setLayout_;
    layout.pushConstantRangeCount = 1;
    layout.pPushConstantRanges = &push;
    require(functions_.CreatePipelineLayout(handle_, &layout, nullptr, &pipelineLayout_), "describing pipelines");
}

DeviceContext::~DeviceContext() {
    if (!handle_) return;
    if (abandoned_) {
        static_cast<void>(pipelines_.release()); // left to the end of the process, as all of it
        return;
    }
    functions_.DeviceWaitIdle(handle_);
    if (!distrusted_) pipelines_->save();
    pipelines_.reset();
    functions_.DestroyPipelineLayout(handle_, pipelineLayout_, nullptr);
    functions_.DestroyDescriptorSetLayout(handle_, setLayout_, nullptr);
    functions_.DestroyDevice(handle_, nullptr);
}

VkResult DeviceContext::submit(QueueUse use, const VkSubmitInfo& info) {
    const std::lock_guard lock(submitMutex_); // both uses may share a queue
    if (submits_++ == options_.loseAfterSubmits) return VK_ERROR_DEVICE_LOST;
    return functions_.QueueSubmit(queues_[static_cast<int>(use)], 1, &info, VK_NULL_HANDLE);
}

std::uint64_t DeviceContext::most(std::uint32_t heap) const {
    // A tenth stays free for the driver and other programs.
    const std::uint64_t own = candidate_.memory.memoryHeaps[heap].size / 10 * 9;
    return options_.memoryBytes > 0 ? std::min(own, options_.memoryBytes) : own;
}

std::uint64_t DeviceContext::budget() const {
    std::uint64_t largest = 0;
    for (std::uint32_t heap = 0; heap < candidate_.memory.memoryHeapCount; ++heap)
        if (candidate_.memory.memoryHeaps[heap].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) largest = std::max(largest, most(heap));
    return largest;
}

bool DeviceContext::book(std::uint32_t heap, std::uint64_t bytes) {
    const std::uint64_t limit = most(heap);
    if (bytes > limit || booked_[heap] > limit - bytes) return false;
    // Half of the allocations that a driver can count stay for others.
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
