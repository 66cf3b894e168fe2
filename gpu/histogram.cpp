// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/histogram.h"

#include "gpu/shader_code.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

namespace bw::vk {
namespace {

constexpr std::size_t kMostCounters = 4096; ///< as in histogram.comp
constexpr std::size_t kRest = 4;            ///< below, above, NaN, infinite
/// 16 MiB of values take a software device 30 ms; far below any watchdog.
constexpr std::size_t kValuesAtOnce = std::size_t{4} << 20;
constexpr std::size_t kThreads = 256;
/// Each thread counts at least this many values, so that merging the shared counters pays.
constexpr std::size_t kValuesPerThread = 16;
constexpr std::size_t kMostGroups = 1024;
/// Ranges narrower than this are left to the CPU: devices may flush subnormal differences to zero.
constexpr float kNarrowest = 1e-30f;

/// histogram.comp's push constants; the keys are `orderKey` of low and high.
struct Range {
    std::uint32_t count, stride, bins;
    std::uint32_t lowKey, highKey;
    float low, scale;
};

/// Unsigned numbers in the order of the floats they stand for; both zeros are equal. The same as in histogram.comp.
std::uint32_t orderKey(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value == 0 ? 0.0f : value);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

} // namespace

HistogramKernel::HistogramKernel(DeviceContext& context, CommandRunner& runner, std::uint64_t bindingBytes)
    : context_(context), runner_(runner), pipeline_(context, histogramShader(), 2, sizeof(Range)),
      valuesAtOnce_(std::min<std::size_t>(kValuesAtOnce, bindingBytes / sizeof(float))) {}

bool HistogramKernel::takes(const Histogram& histogram) {
    const float width = histogram.high - histogram.low;
    return !histogram.bins.empty() && histogram.bins.size() + kRest <= kMostCounters && std::isfinite(width) &&
           width >= kNarrowest;
}

VkResult HistogramKernel::count(std::span<const float> x, Histogram& into, std::size_t& done) {
    done = 0;
    const std::size_t bins = into.bins.size(), counters = bins + kRest;
    VkResult result = VK_SUCCESS;
    if (counts_.bytes() < counters * sizeof(std::uint32_t))
        result = counts_.create(context_, counters * sizeof(std::uint32_t), Placement::readback);
    const std::size_t most = std::min(x.size(), valuesAtOnce_);
    if (result == VK_SUCCESS && x_.bytes() < most * sizeof(float))
        result = x_.create(context_, most * sizeof(float), Placement::upload);
    if (result != VK_SUCCESS) return result;
    const std::array<VkBuffer, 2> buffers{x_.handle(), counts_.handle()};
    pipeline_.bind(buffers);
    while (done < x.size()) {
        const std::size_t count = std::min(x.size() - done, valuesAtOnce_);
        std::memcpy(x_.mapped(), x.data() + done, count * sizeof(float));
        std::memset(counts_.mapped(), 0, counters * sizeof(std::uint32_t));
        const std::size_t groups = std::clamp<std::size_t>(count / (kThreads * kValuesPerThread), 1, kMostGroups);
        const Range range{static_cast<std::uint32_t>(count),
                          static_cast<std::uint32_t>(groups * kThreads),
                          static_cast<std::uint32_t>(bins),
                          orderKey(into.low),
                          orderKey(into.high),
                          into.low,
                          static_cast<float>(bins) / (into.high - into.low)};
        result = runner_.run([&](VkCommandBuffer commands) {
            pipeline_.record(commands, &range);
            context_.functions().CmdDispatch(commands, static_cast<std::uint32_t>(groups), 1, 1);
        });
        if (result != VK_SUCCESS) return result;
        std::vector<std::uint32_t> counts(counters);
        std::memcpy(counts.data(), counts_.mapped(), counters * sizeof(std::uint32_t));
        for (std::size_t b = 0; b < bins; ++b) into.bins[b] += counts[b];
        into.below += counts[bins];
        into.above += counts[bins + 1];
        into.nan += counts[bins + 2];
        into.infinite += counts[bins + 3];
        done += count;
    }
    return VK_SUCCESS;
}

} // namespace bw::vk
