// SPDX-License-Identifier: GPL-3.0-or-later
// Names to devices. The Vulkan part is there only when the build has it; without it the names are refused with a reason.
#include "app/common/devices.h"

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/compute/cpu_device.h"

#if defined(BW_WITH_VULKAN)
#include "gpu/vulkan_device.h"
#endif

#include <atomic>
#include <charconv>
#include <cstdlib>
#include <optional>

namespace bw {
namespace {

std::atomic<std::uint64_t> gpuMemory{0};

constexpr std::string_view kVulkanPrefix = "vulkan:";

std::optional<int> vulkanIndex(std::string_view name) {
    if (name == "vulkan")
        return 0;
    if (!name.starts_with(kVulkanPrefix))
        return std::nullopt;
    name.remove_prefix(kVulkanPrefix.size());
    int index = -1;
    const auto [end, failure] = std::from_chars(name.data(), name.data() + name.size(), index);
    if (failure != std::errc{} || end != name.data() + name.size() || index < 0)
        return std::nullopt;
    return index;
}

#if defined(BW_WITH_VULKAN)
/// $XDG_CACHE_HOME/bitwright/vulkan, else ~/.cache/bitwright/vulkan; empty when there is no home.
std::string shaderCache() {
    if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache && *cache == '/') return std::string(cache) + "/bitwright/vulkan";
    const char* home = std::getenv("HOME");
    return home && *home ? std::string(home) + "/.cache/bitwright/vulkan" : std::string();
}

std::shared_ptr<Device> openVulkan(int index) {
    VulkanOptions options;
    options.memoryBytes = gpuMemory;
    options.cacheFolder = shaderCache();
    const char* unchecked = std::getenv("BITWRIGHT_GPU_UNCHECKED");
    options.trustWrongResults = unchecked != nullptr && std::string_view(unchecked) == "1";
    return makeVulkanDevice(index, options);
}

/// A software rasterizer calls itself a CPU: slower than our own CPU device, so "auto" passes it over.
bool isRealGpu(const VulkanDeviceInfo& info) { return info.type == "discrete" || info.type == "integrated"; }

std::shared_ptr<Device> firstGpu() {
    for (const VulkanDeviceInfo& info : vulkanDevices()) {
        if (!isRealGpu(info))
            continue;
        try {
            return openVulkan(info.index);
        } catch (const Error&) {
            continue; // a GPU that fails its own start test is no reason to stop: the CPU is always there
        }
    }
    return nullptr;
}
#else
std::shared_ptr<Device> openVulkan(int) {
    throw Error(ErrorCode::deviceUnavailable, "this build has no Vulkan device",
                "use --device cpu, or build with -DBITWRIGHT_VULKAN=ON");
}
std::shared_ptr<Device> firstGpu() { return nullptr; }
#endif

} // namespace

void setGpuMemory(std::uint64_t bytes) { gpuMemory = bytes; }

std::shared_ptr<Device> makeDevice(const std::string& name) {
    if (name == "cpu")
        return makeCpuDevice();
    if (name == "auto") {
        std::shared_ptr<Device> gpu = firstGpu();
        return gpu ? gpu : std::shared_ptr<Device>(makeCpuDevice());
    }
    if (const std::optional<int> index = vulkanIndex(name))
        return openVulkan(*index);
    throw Error(ErrorCode::usage, "there is no device called '" + escapeForDisplay(name) + "'",
                "use auto, cpu or vulkan:N; 'bitwright-cli devices' lists them");
}

std::vector<DeviceRow> listDevices(std::string* why) {
    std::vector<DeviceRow> rows;
    rows.push_back({"cpu", makeCpuDevice()->description(), {}, {}});
    if (why)
        why->clear();
#if defined(BW_WITH_VULKAN)
    for (const VulkanDeviceInfo& info : vulkanDevices(why))
        rows.push_back({"vulkan:" + std::to_string(info.index), info.name,
                        info.type + ", Vulkan " + info.apiVersion + ", driver " + info.driver + ", " + formatBytes(info.memoryBytes) +
                            ", bindings of " + formatBytes(info.maxBufferBytes) + ", subgroups of " + std::to_string(info.subgroupSize),
                        info.abilities});
#else
    if (why)
        *why = "this build has no Vulkan device";
#endif
    return rows;
}

} // namespace bw
