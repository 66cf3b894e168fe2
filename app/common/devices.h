// SPDX-License-Identifier: GPL-3.0-or-later
// Compute devices by the names people type. Both fronts give `makeDevice` to the Runner, so that core/ never links gpu/.
#pragma once

#include "core/compute/device.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace bw {

/// One line of `bitwright-cli devices`.
struct DeviceRow {
    std::string name;        ///< what --device takes: "cpu", "vulkan:0"
    std::string description; ///< "CPU, 2 threads, AVX-512"
    std::string detail;      ///< type, driver, memory, limits; empty for the CPU
    std::vector<std::string> abilities; ///< of a GPU, that its shaders could use
};

/// Most memory that a GPU opened from now on may take; 0: nine tenths of what it has. Thread safe.
void setGpuMemory(std::uint64_t bytes);

/// @param name "cpu", "vulkan:N", or "auto" (the first discrete or integrated GPU that opens, else the CPU).
/// @throws Error usage (not a device name), deviceUnavailable (with the reason).
std::shared_ptr<Device> makeDevice(const std::string& name);

/// Every device this build can see; the CPU first. `why` (if given) tells why there is no GPU, empty when there is one.
std::vector<DeviceRow> listDevices(std::string* why = nullptr);

} // namespace bw
