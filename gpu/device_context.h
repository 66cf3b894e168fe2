// SPDX-License-Identifier: GPL-3.0-or-later
// An opened device: its queue for work and its queue for copies (which may be one), its limits, the layouts that all
// shaders share, and the books of what was allocated on it.
#pragma once

#include "gpu/instance.h"
#include "gpu/pipeline_cache.h"

#include <atomic>
#include <memory>
#include <mutex>

namespace bw::vk {

enum class QueueUse { work, copies };

class DeviceContext {
public:
    /// Every shader has this many storage buffers at most, the fewest that Vulkan guarantees, and push constants of this size.
    static constexpr std::uint32_t kBindings = 4, kPushBytes = 128;

    /// @throws Error deviceUnavailable.
    DeviceContext(const Candidate& candidate, const Functions& functions, const VulkanOptions& options = {});
    /// Waits for the device first, unless it was abandoned: then nothing of it is touched any more.
    ~DeviceContext();
    DeviceContext(const DeviceContext&) = delete;
    DeviceContext& operator=(const DeviceContext&) = delete;

    const Functions& functions() const { return functions_; }
    VkDevice handle() const { return handle_; }
    std::uint32_t queueFamily(QueueUse use) const { return use == QueueUse::work ? candidate_.queueFamily : candidate_.copyFamily; }
    const VkPhysicalDeviceLimits& limits() const { return candidate_.properties.limits; }
    const VkPhysicalDeviceMemoryProperties& memory() const { return candidate_.memory; }
    const VulkanDeviceInfo& info() const { return candidate_.info; }
    VkDescriptorSetLayout setLayout() const { return setLayout_; }
    VkPipelineLayout pipelineLayout() const { return pipelineLayout_; }
    VkPipelineCache pipelineCache() const { return pipelines_ ? pipelines_->handle() : VK_NULL_HANDLE; }
    const PipelineCache* pipelines() const { return pipelines_.get(); }
    /// Was it opened for shaders that read bytes and halves as such?
    bool smallTypes() const { return candidate_.smallTypes; }
    /// Was it opened for shaders that multiply four bytes in one instruction?
    bool dotProducts() const { return dotProducts_; }
    /// Largest range of one binding.
    std::uint64_t bindingBytes() const { return bindingBytes_; }
    const VulkanOptions& options() const { return options_; }

    /// Thread safe. Submits are numbered; tests have one of them report a lost device.
    VkResult submit(QueueUse use, const VkSubmitInfo& info);
    int submits() const { return submits_; }

    /// Books an allocation, since drivers do not keep to their own heap sizes and counts. @returns false when full.
    bool book(std::uint32_t heap, std::uint64_t bytes);
    void unbook(std::uint32_t heap, std::uint64_t bytes);
    /// Bytes that may be booked in the heap of device memory.
    std::uint64_t budget() const;

    /// A submit did not come back in time: its buffers may still be in use, so nothing is freed from now on.
    void abandon() { abandoned_ = true; }
    /// It failed: what it compiled is not kept.
    void distrust() { distrusted_ = true; }
    bool abandoned() const { return abandoned_; }

private:
    void makeLayouts();
    std::uint64_t most(std::uint32_t heap) const;
    Candidate candidate_;
    Functions functions_;
    VulkanOptions options_;
    std::uint64_t bindingBytes_ = 0;
    bool dotProducts_ = false;
    VkDevice handle_ = VK_NULL_HANDLE;
    VkQueue queues_[2] = {VK_NULL_HANDLE, VK_NULL_HANDLE}; ///< by QueueUse
    VkDescriptorSetLayout setLayout_ = VK_NULL_HANDLE;
    VkPipelineLayout pipelineLayout_ = VK_NULL_HANDLE;
    std::unique_ptr<PipelineCache> pipelines_;
    std::mutex submitMutex_;
    std::atomic<std::uint64_t> booked_[VK_MAX_MEMORY_HEAPS] = {};
    std::atomic<std::uint32_t> allocations_{0};
    std::atomic<int> submits_{0};
    std::atomic<bool> abandoned_{false}, distrusted_{false};
};

} // namespace bw::vk
