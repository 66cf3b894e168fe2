// SPDX-License-Identifier: GPL-3.0-or-later
// Commands in order: recorded one after the other, submitted when enough work has come together, waited for only when the
// host needs a result. A ring of command buffers, each with its descriptors and staging memory, keeps the device busy while
// the host records and copies.
#pragma once

#include "gpu/kernel.h"
#include "gpu/memory.h"

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <span>

namespace bw::vk {

/// A range of a buffer.
struct Slice {
    VkBuffer buffer = VK_NULL_HANDLE;
    std::uint64_t offset = 0, bytes = 0;
};

/// Not thread safe. Every function returns VK_SUCCESS or the failure, after which nothing more may be recorded.
class Stream {
public:
    /// @throws Error deviceUnavailable.
    Stream(DeviceContext& context, QueueUse use);
    ~Stream();
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    /// @param work floating-point operations, about: a submit holds what takes a tenth of a second.
    VkResult dispatch(const Kernel& kernel, std::span<const Slice> bindings, std::span<const std::byte> push, std::uint32_t groupsX,
                      std::uint32_t groupsY, double work);
    /// The rows of `from`, one behind the other, to `to`. They are read before the call returns.
    VkResult upload(MatrixView<const float> from, const Slice& to) { return uploadRows(from, to); }
    VkResult upload(std::span<const std::byte> from, const Slice& to);
    /// Numbers that only the next dispatch reads, in host memory that the device can see; at most kConstantBytes.
    VkResult constants(std::span<const float> values, Slice& where);
    static constexpr std::uint64_t kConstantBytes = 1 << 20;
    VkResult zero(const Slice& slice);
    /// Waits for all that was recorded and copies the slice out. @param touched set once `to` has been written to.
    VkResult download(const Slice& from, std::span<std::byte> to, bool& touched);

    /// Nothing more is submitted: every call fails from now on. Any thread.
    void giveUp() { failed_ = true; }
    VkResult submit();
    /// Submits, and waits for all; a device that takes over 60 s is given up for lost.
    VkResult finish();
    /// The next submit starts after `value` of the other stream.
    void after(const Stream& other, std::uint64_t value);
    /// Which value the stream's clock has when all that is recorded so far is done.
    std::uint64_t end() const { return submitted_ + (slot().open ? 1 : 0); }
    /// Is `value` reached? Asks the device.
    bool reached(std::uint64_t value) const;
    VkResult waitFor(std::uint64_t value);
    /// Operations a second, as measured; sizes the submits.
    double rate() const { return rate_; }
    /// Work of one submit at that rate.
    double affordable() const;
    /// The most that a submit was estimated to take, in seconds.
    double longest() const { return longest_; }
    std::uint64_t dispatches() const { return dispatches_; }

private:
    struct Slot {
        VkCommandPool pool = VK_NULL_HANDLE;
        VkCommandBuffer commands = VK_NULL_HANDLE;
        VkDescriptorPool descriptors = VK_NULL_HANDLE;
        Buffer staging;
        std::uint64_t stagingUsed = 0, value = 0;
        std::uint32_t sets = 0;
        double work = 0;
        bool open = false;
    };
    using Clock = std::chrono::steady_clock;
    const Slot& slot() const { return slots_[current_]; }
    Slot& slot() { return slots_[current_]; }
    VkResult uploadRows(MatrixView<const float> from, const Slice& to);
    template <class Pack>
    VkResult stage(std::uint64_t bytes, const Slice& to, Pack pack);
    VkResult open();
    VkResult reserve(std::uint64_t bytes, std::uint64_t& at);
    void barrier() const;
    VkResult bind(std::span<const Slice> bindings);
    void makeSlot(Slot& slot);
    void destroy() noexcept;

    DeviceContext& context_;
    QueueUse use_;
    std::array<Slot, 3> slots_;
    std::size_t current_ = 0;
    VkSemaphore clock_ = VK_NULL_HANDLE;
    std::uint64_t submitted_ = 0, finished_ = 0, dispatches_ = 0;
    const Stream* other_ = nullptr;
    std::uint64_t otherValue_ = 0, otherWaited_ = 0;
    std::atomic<bool> failed_{false};
    Buffer readback_;
    double rate_, workUnderWay_ = 0, longest_ = 0;
    Clock::time_point started_{};
};

} // namespace bw::vk
