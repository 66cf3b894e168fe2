// SPDX-License-Identifier: GPL-3.0-or-later
// The driver's compiled shaders, kept on disk from one run to the next: a file for each device and driver version, which is
// read whole and checked before the driver sees it. Whatever is wrong with it makes it a miss. Not for: being needed.
#pragma once

#include "gpu/instance.h"

#include <cstdint>
#include <string>

namespace bw::vk {

class PipelineCache {
public:
    /// @param folder made when needed; empty: nothing is read or written. Never throws: without a cache shaders are compiled anew.
    PipelineCache(const Functions& functions, VkDevice device, const VkPhysicalDeviceProperties& properties, const std::string& folder);
    ~PipelineCache();
    PipelineCache(const PipelineCache&) = delete;
    PipelineCache& operator=(const PipelineCache&) = delete;

    VkPipelineCache handle() const { return handle_; } ///< may be null
    const std::string& path() const { return path_; }
    /// Was there a file that fits?
    bool loaded() const { return !loaded_.empty(); }
    /// Writes what has come since, whole or not at all; a full or read-only disk changes nothing. Not after the device failed.
    void save() noexcept;

private:
    const Functions& functions_;
    VkDevice device_;
    VkPipelineCache handle_ = VK_NULL_HANDLE;
    std::string path_, loaded_; ///< loaded_: the driver's bytes as they were read or written last
};

/// What stands in a file: a line that names its kind, the digest of the rest, the driver's bytes.
std::string pipelineFile(const std::string& driverBytes);

} // namespace bw::vk
