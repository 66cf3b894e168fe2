// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/mirrors.h"

#include <algorithm>
#include <cassert>

namespace bw::vk {

Interval Interval::hull(const Interval& other) const {
    if (empty()) return other;
    if (other.empty()) return *this;
    return {std::min(begin, other.begin), std::max(end, other.end)};
}

Interval Interval::without(const Interval& other) const {
    if (!overlaps(other)) return *this;
    if (other.covers(*this)) return {};
    if (other.begin <= begin) return {other.end, end};
    if (other.end >= end) return {begin, other.begin};
    return *this;
}

VkResult Mirrors::lend(std::span<float> memory) {
    const std::uint64_t bytes = memory.size_bytes();
    Mirror mirror;
    mirror.host = memory.data();
    mirror.count = memory.size();
    // The smallest free one that is large enough, unless it is much too large.
    auto best = free_.end();
    for (auto it = free_.begin(); it != free_.end(); ++it)
        if (it->bytes() >= bytes && it->bytes() <= 4 * bytes + 65536 && (best == free_.end() || it->bytes() < best->bytes())) best = it;
    if (best != free_.end()) {
        mirror.buffer = std::move(*best);
        free_.erase(best);
    } else {
        VkResult result = mirror.buffer.create(context_, std::max<std::uint64_t>(bytes, 256), Placement::device);
        if (result != VK_SUCCESS && !free_.empty() && trim() == VK_SUCCESS)
            result = mirror.buffer.create(context_, std::max<std::uint64_t>(bytes, 256), Placement::device);
        if (result != VK_SUCCESS) return result;
    }
    mirrors_[memory.data()] = std::move(mirror);
    return VK_SUCCESS;
}

void Mirrors::reclaim(const float* memory) {
    const auto it = mirrors_.find(memory);
    if (it == mirrors_.end()) return;
    free_.push_back(std::move(it->second.buffer));
    mirrors_.erase(it);
    if (free_.size() > kKeptBuffers) static_cast<void>(trim());
}

VkResult Mirrors::trim() {
    const VkResult result = stream_.finish();
    if (result == VK_SUCCESS) free_.clear();
    return result;
}

Mirror* Mirrors::find(const float* first, std::uint64_t count) {
    auto it = mirrors_.upper_bound(first);
    if (it == mirrors_.begin()) return nullptr;
    Mirror& mirror = std::prev(it)->second;
    const auto at = static_cast<std::uint64_t>(first - mirror.host);
    return at + count <= mirror.count ? &mirror : nullptr;
}

VkResult Mirrors::toDevice(Mirror& mirror, const Interval& range) {
    if (!mirror.onlyHost.overlaps(range)) return VK_SUCCESS;
    const Interval part = mirror.onlyHost;
    const VkResult result = stream_.upload(std::as_bytes(std::span<const float>(mirror.host + part.begin, part.end - part.begin)),
                                           {mirror.buffer.handle(), part.begin * sizeof(float), (part.end - part.begin) * sizeof(float)});
    if (result == VK_SUCCESS) mirror.onlyHost = {};
    return result;
}

VkResult Mirrors::toHost(Mirror& mirror, const Interval& range, bool& touched) {
    if (!mirror.onlyDevice.overlaps(range)) return VK_SUCCESS;
    Interval part{std::max(range.begin, mirror.onlyDevice.begin), std::min(range.end, mirror.onlyDevice.end)};
    // A hole in what is newer would need two intervals: all of it comes instead.
    if (mirror.onlyDevice.begin < part.begin && part.end < mirror.onlyDevice.end) part = mirror.onlyDevice;
    const VkResult result = stream_.download({mirror.buffer.handle(), part.begin * sizeof(float), (part.end - part.begin) * sizeof(float)},
                                             std::as_writable_bytes(std::span<float>(mirror.host + part.begin, part.end - part.begin)), touched);
    if (result == VK_SUCCESS) {
        mirror.onlyDevice = mirror.onlyDevice.without(part);
        bytesToHost_ += (part.end - part.begin) * sizeof(float);
    }
    return result;
}

VkResult Mirrors::written(Mirror& mirror, const Interval& range) {
    const Interval hull = mirror.onlyDevice.hull(range);
    const VkResult result = toDevice(mirror, hull); // what the host alone has between two parts
    mirror.onlyDevice = hull;
    return result;
}

VkResult Mirrors::hostWrote(Mirror& mirror, const Interval& range) {
    mirror.onlyDevice = mirror.onlyDevice.without(range);
    assert(!mirror.onlyDevice.overlaps(range) && "the host must have what it writes a part of");
    if (!mirror.onlyDevice.overlaps(mirror.onlyHost.hull(range))) {
        mirror.onlyHost = mirror.onlyHost.hull(range);
        return VK_SUCCESS;
    }
    const VkResult result = toDevice(mirror, mirror.onlyHost); // the device alone has something between two parts
    mirror.onlyHost = range;
    return result;
}

} // namespace bw::vk
