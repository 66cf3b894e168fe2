// SPDX-License-Identifier: GPL-3.0-or-later
// A compute::Device on Vulkan, opened at run time: the loader library is dlopened, so that a program built with it runs
// on machines without Vulkan. Operations without a shader run on the CPU device inside and are counted as such.
#pragma once

#include "core/compute/device.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace bw {

/// What the loader library is called on Linux.
inline constexpr const char* kVulkanLibrary = "libvulkan.so.1";

struct VulkanDeviceInfo {
    int index = 0;
    std::string name, type, apiVersion, driver; ///< type: "discrete", "integrated", "cpu" …
    std::uint64_t memoryBytes = 0, maxBufferBytes = 0;
    int subgroupSize = 0;
    /// What it could do faster, of which nothing is required: "float16", "int8 dot product", "cooperative matrix" …
    std::vector<std::string> abilities;
};

/// Empty when there is no loader, no driver or no device; `why` (if given) says which.
std::vector<VulkanDeviceInfo> vulkanDevices(std::string* why = nullptr, const std::string& library = kVulkanLibrary);

struct VulkanOptions {
    bool validation = false;              ///< enable VK_LAYER_KHRONOS_validation (tests)
    std::string library = kVulkanLibrary; ///< what is dlopened
    std::string cacheFolder;              ///< where compiled shaders are kept from run to run; empty: nowhere
    bool trustWrongResults = false;       ///< use a device that fails the known-answer test at start all the same
    std::uint64_t memoryBytes = 0;        ///< most that is taken of the device's memory; 0: nine tenths of it
    int loseAfterSubmits = -1;            ///< tests: the submit of this number reports a lost device; < 0 never
    std::uint64_t bindingBytes = 0;       ///< tests: largest range of one binding; 0 = the device's own limit
    double assumedRate = 0;               ///< tests: operations a second that submits are sized for; 0 = as measured
    bool noMemory = false;                ///< tests: the driver reports heaps of 0 bytes
    bool plainStorage = false;            ///< tests: a device without 8- and 16-bit storage
    enum class DotProducts { whereFast, wherePossible, never } dotProducts = DotProducts::whereFast; ///< tests: of bytes, by the instruction for it
    bool wrongResults = false;            ///< tests: the product at start comes out wrong
    bool wrongByteProducts = false;       ///< tests: the product of bytes before the first one comes out wrong
    bool sharedMemoryGemm = false;        ///< tests: the shader made for GPUs on a software device too
    std::string failShader;               ///< tests: building this operation's shader fails ("norm", "attention" …)
};
/// The forward pass runs on the device and its results stay there while the memory is lent; the CPU takes over what does not
/// fit, what has no shader (reverse mode), and everything once the device is lost (description() then says so). The f32 data
/// of weights must stay valid for that. Thread safe: weights are copied beside work, operations take turns.
/// Products of bytes are tested likewise before the first one, and where they come out wrong are made from values.
/// @throws Error(deviceUnavailable) with the reason. A known-answer GEMM runs at start; wrong results disable the
/// device, unless they are to be trusted; description() tells then.
std::unique_ptr<Device> makeVulkanDevice(int index, const VulkanOptions& options = {});
/// Validation messages of severity error since start (tests read it after devices are destroyed).
int vulkanValidationErrors();

} // namespace bw
