// SPDX-License-Identifier: GPL-3.0-or-later
// A storage buffer with its own memory.
#pragma once

#include "gpu/device_context.h"

#include <cstddef>
#include <memory>

namespace bw::vk {

enum class Placement {
    device,   ///< weights: fastest for the device; may or may not be visible to the host
    upload,   ///< written by the host, read by the device
    readback, ///< written by the device, read by the host
};

class Buffer {
public:
    Buffer() = default;
    ~Buffer() { release(); }
    Buffer(Buffer&& other) noexcept { *this = std::move(other); }
    Buffer& operator=(Buffer&& other) noexcept;

    /// Gives up what it held and makes a new one. @param context must outlive the buffer.
    /// @returns VK_SUCCESS, or an out-of-memory result; then the buffer is empty.
    VkResult create(DeviceContext& context, std::uint64_t bytes, Placement placement);
    VkBuffer handle() const { return buffer_; }
    std::uint64_t bytes() const { return bytes_; }
    /// Mapped and coherent memory, or null (`Placement::device` on a discrete GPU).
    std::byte* mapped() const { return mapped_; }

private:
    void release() noexcept;
    VkResult allocate(Placement placement);
    DeviceContext* context_ = nullptr;
    VkBuffer buffer_ = VK_NULL_HANDLE;
    VkDeviceMemory memory_ = VK_NULL_HANDLE;
    std::uint64_t bytes_ = 0, booked_ = 0;
    std::uint32_t heap_ = 0;
    std::byte* mapped_ = nullptr;
};

} // namespace bw::vk
