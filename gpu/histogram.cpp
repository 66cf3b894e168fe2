// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/histogram.h"

#include "gpu/shader_code.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <vector>

namespace bw::vk {
namespace {

constexpr std::size_t kMostCounters = 4096; ///< as in histogram.comp
constexpr std::size_t kRest = 4;            ///< below, above, NaN, infinite
/// 16 MiB of values take a software device 30 ms; far below any watchdog.
constexpr std::size_t kValuesAtOnce = std::size_t{4} << 20;
/// Operations that a value counts for in a submit's work.
constexpr double kWorkPerValue = 20;
constexpr std::size_t kThreads = 256;
/// Each thread counts at least this many values, so that merging the shared counters pays.
constexpr std::size_t kValuesPerThread = 16;
constexpr std::size_t kMostGroups = 1024;
/// Ranges narrower than this are left to the CPU: devices may flush subnormal differences to zero.
constexpr float kNarrowest = 1e-30f;

/// histogram.comp's push constants; the keys are `orderKey` of low and high.
struct Range {
    std::uint32_t first, count, stride, bins;
    std::uint32_t lowKey, highKey;
    float low, scale;
};

/// Unsigned numbers in the order of the floats they stand for; both zeros are equal. The same as in histogram.comp.
std::uint32_t orderKey(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value == 0 ? 0.0f : value);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

} // namespace

bool HistogramKernel::takes(const Histogram& histogram) {
    const float width = histogram.high - histogram.low;
    return !histogram.bins.empty() && histogram.bins.size() + kRest <= kMostCounters && std::isfinite(width) &&
           width >= kNarrowest;
}

VkResult HistogramKernel::count(std::span<const float> x, const Slice& onDevice, Histogram& into) {
    if (!kernel_) kernel_ = std::make_unique<Kernel>(context_, shaderCode(ShaderName::histogram));
    const std::size_t bins = into.bins.size(), counters = bins + kRest;
    const std::uint64_t alignment = context_.limits().minStorageBufferOffsetAlignment;
    const std::size_t atOnce = std::min<std::size_t>(kValuesAtOnce, (context_.bindingBytes() - alignment) / sizeof(float));
    VkResult result = VK_SUCCESS;
    if (counts_.bytes() < counters * sizeof(std::uint32_t)) {
        result = work_.finish(); // the old ones may be in use
        if (result == VK_SUCCESS) result = counts_.create(context_, kMostCounters * sizeof(std::uint32_t), Placement::device);
    }
    const std::size_t most = std::min(x.size(), atOnce);
    const bool copies = onDevice.buffer == VK_NULL_HANDLE;
    if (result == VK_SUCCESS && copies && x_.bytes() < most * sizeof(float)) {
        result = work_.finish();
        if (result == VK_SUCCESS) result = x_.create(context_, most * sizeof(float), Placement::device);
    }
    const Slice counts{counts_.handle(), 0, counters * sizeof(std::uint32_t)};
    if (result == VK_SUCCESS) result = work_.zero(counts);
    for (std::size_t done = 0; done < x.size() && result == VK_SUCCESS; done += atOnce) {
        const std::size_t count = std::min(x.size() - done, atOnce);
        Slice values{x_.handle(), 0, count * sizeof(float)};
        if (copies)
            result = work_.upload(std::as_bytes(x.subspan(done, count)), values);
        else
            values = {onDevice.buffer, onDevice.offset + done * sizeof(float), count * sizeof(float)};
        if (result != VK_SUCCESS) break;
        const std::uint64_t start = values.offset / alignment * alignment;
        const std::uint32_t first = static_cast<std::uint32_t>((values.offset - start) / sizeof(float));
        values.bytes += values.offset - start;
        values.offset = start;
        const std::size_t groups = std::clamp<std::size_t>(count / (kThreads * kValuesPerThread), 1, kMostGroups);
        const Range range{first,
                          static_cast<std::uint32_t>(count),
                          static_cast<std::uint32_t>(groups * kThreads),
                          static_cast<std::uint32_t>(bins),
                          orderKey(into.low),
                          orderKey(into.high),
                          into.low,
                          static_cast<float>(bins) / (into.high - into.low)};
        const std::array<Slice, 2> bindings{values, counts};
        result = work_.dispatch(*kernel_, bindings, std::as_bytes(std::span(&range, 1)), static_cast<std::uint32_t>(groups), 1,
                                static_cast<double>(count) * kWorkPerValue);
    }
    if (result != VK_SUCCESS) return result;
    std::vector<std::uint32_t> made(counters);
    bool touched = false;
    if (result = work_.download(counts, std::as_writable_bytes(std::span(made)), touched); result != VK_SUCCESS) return result;
    for (std::size_t b = 0; b < bins; ++b) into.bins[b] += made[b];
    into.below += made[bins];
    into.above += made[bins + 1];
    into.nan += made[bins + 2];
    into.infinite += made[bins + 3];
    return VK_SUCCESS;
}

} // namespace bw::vk
