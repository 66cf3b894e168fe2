// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/memory.h"

#include <utility>

namespace bw::vk {
namespace {

constexpr VkMemoryPropertyFlags kHost = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;

/// The first memory type allowed by `bits` that has all of `flags`; −1 when there is none.
int typeWith(const VkPhysicalDeviceMemoryProperties& memory, std::uint32_t bits, VkMemoryPropertyFlags flags) {
    for (std::uint32_t i = 0; i < memory.memoryTypeCount; ++i)
        if ((bits & (1u << i)) && (memory.memoryTypes[i].propertyFlags & flags) == flags) return static_cast<int>(i);
    return -1;
}

int chooseType(const VkPhysicalDeviceMemoryProperties& memory, std::uint32_t bits, Placement placement) {
    VkMemoryPropertyFlags best = kHost;
    if (placement == Placement::device) best = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
    if (placement == Placement::readback) best = kHost | VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    const int type = typeWith(memory, bits, best);
    return type >= 0 ? type : typeWith(memory, bits, placement == Placement::device ? 0 : kHost);
}

} // namespace

Buffer& Buffer::operator=(Buffer&& other) noexcept {
    if (this == &other) return *this;
    release();
    context_ = std::exchange(other.context_, nullptr);
    buffer_ = std::exchange(other.buffer_, VK_NULL_HANDLE);
    memory_ = std::exchange(other.memory_, VK_NULL_HANDLE);
    bytes_ = std::exchange(other.bytes_, 0);
    booked_ = std::exchange(other.booked_, 0);
    heap_ = other.heap_;
    mapped_ = std::exchange(other.mapped_, nullptr);
    return *this;
}

VkResult Buffer::create(DeviceContext& context, std::uint64_t bytes, Placement placement) {
    release();
    context_ = &context;
    VkBufferCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO;
    info.size = bytes;
    info.usage =
        VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
    const std::uint32_t families[2] = {context.queueFamily(QueueUse::work), context.queueFamily(QueueUse::copies)};
    const bool shared = families[0] != families[1];
    info.sharingMode = shared ? VK_SHARING_MODE_CONCURRENT : VK_SHARING_MODE_EXCLUSIVE;
    info.queueFamilyIndexCount = shared ? 2 : 0;
    info.pQueueFamilyIndices = families;
    VkResult result = context.functions().CreateBuffer(context.handle(), &info, nullptr, &buffer_);
    if (result == VK_SUCCESS) result = allocate(placement);
    if (result == VK_SUCCESS)
        bytes_ = bytes;
    else
        release();
    return result;
}

VkResult Buffer::allocate(Placement placement) {
    const Functions& f = context_->functions();
    VkMemoryRequirements needs{};
    f.GetBufferMemoryRequirements(context_->handle(), buffer_, &needs);
    const int type = chooseType(context_->memory(), needs.memoryTypeBits, placement);
    if (type < 0) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    const VkMemoryType& chosen = context_->memory().memoryTypes[type];
    if (!context_->book(chosen.heapIndex, needs.size)) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    heap_ = chosen.heapIndex;
    booked_ = needs.size;
    VkMemoryAllocateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO;
    info.allocationSize = needs.size;
    info.memoryTypeIndex = static_cast<std::uint32_t>(type);
    VkResult result = f.AllocateMemory(context_->handle(), &info, nullptr, &memory_);
    if (result == VK_SUCCESS) result = f.BindBufferMemory(context_->handle(), buffer_, memory_, 0);
    if (result != VK_SUCCESS || (chosen.propertyFlags & kHost) != kHost) return result;
    void* address = nullptr;
    result = f.MapMemory(context_->handle(), memory_, 0, VK_WHOLE_SIZE, 0, &address);
    mapped_ = static_cast<std::byte*>(address);
    return result;
}

void Buffer::release() noexcept {
    if (!context_) return;
    if (!context_->abandoned()) {
        const Functions& f = context_->functions();
        if (buffer_) f.DestroyBuffer(context_->handle(), buffer_, nullptr);
        if (memory_) f.FreeMemory(context_->handle(), memory_, nullptr); // unmaps as well
    }
    if (booked_ > 0) context_->unbook(heap_, booked_);
    context_ = nullptr;
    buffer_ = VK_NULL_HANDLE;
    memory_ = VK_NULL_HANDLE;
    mapped_ = nullptr;
    bytes_ = booked_ = 0;
}

} // namespace bw::vk
