// SPDX-License-Identifier: GPL-3.0-or-later
// The device's copies of lent host memory, and which of the two is newer where. Copies are made when an operation or the
// host needs them, not before.
#pragma once

#include "gpu/stream.h"

#include <atomic>
#include <map>
#include <span>
#include <vector>

namespace bw::vk {

/// [begin, end) in floats of a mirror; empty when begin == end.
struct Interval {
    std::uint64_t begin = 0, end = 0;
    bool empty() const { return begin == end; }
    bool overlaps(const Interval& other) const { return begin < other.end && other.begin < end; }
    bool covers(const Interval& other) const { return begin <= other.begin && other.end <= end; }
    Interval hull(const Interval& other) const;
    /// What is left of this without `other`; a hole in the middle stays.
    Interval without(const Interval& other) const;
};

/// A device's copy of [host, host + count).
struct Mirror {
    float* host = nullptr;
    std::uint64_t count = 0;
    Buffer buffer;
    Interval onlyDevice, onlyHost; ///< where one is newer than the other; they never overlap
};

/// Not thread safe. Results of other than VK_SUCCESS leave everything as it was.
class Mirrors {
public:
    Mirrors(DeviceContext& context, Stream& stream) : context_(context), stream_(stream) {}

    /// Nothing is copied: what the memory holds counts for nothing until hostWrote(). @returns out of memory, too.
    VkResult lend(std::span<float> memory);
    /// The device's copy is forgotten, with what stands only there.
    void reclaim(const float* memory);
    /// Null for memory that is not lent whole.
    Mirror* find(const float* first, std::uint64_t count);
    bool empty() const { return mirrors_.empty(); }
    std::uint64_t bytesToHost() const { return bytesToHost_; } ///< so far
    void forgetBytes() { bytesToHost_ = 0; }

    /// Before an operation reads, or writes a part of, `range`.
    VkResult toDevice(Mirror& mirror, const Interval& range);
    /// After an operation has been recorded that writes `range`.
    VkResult written(Mirror& mirror, const Interval& range);
    /// @param touched as Stream::download().
    VkResult toHost(Mirror& mirror, const Interval& range, bool& touched);
    VkResult hostWrote(Mirror& mirror, const Interval& range);
    /// Frees what nobody uses, once the device has finished.
    VkResult trim();

private:
    static constexpr std::size_t kKeptBuffers = 24;
    DeviceContext& context_;
    Stream& stream_;
    std::atomic<std::uint64_t> bytesToHost_{0};
    std::map<const float*, Mirror> mirrors_;
    std::vector<Buffer> free_; ///< their old commands come before new ones in the stream
};

} // namespace bw::vk
