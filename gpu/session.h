// SPDX-License-Identifier: GPL-3.0-or-later
// What outlives a VulkanDevice: the opened device with its streams, and the weights that were prepared on it.
#pragma once

#include "core/compute/device.h"
#include "gpu/gemm.h"

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace bw::vk {

/// Running out of memory concerns one operation; any other failure ends the use of the device.
bool isOutOfMemory(VkResult result);

/// Instance, device and its two streams; shared, because weights may outlive the Device that prepared them.
struct Session {
    std::unique_ptr<Instance> instance;
    std::unique_ptr<DeviceContext> context;
    std::mutex workMutex, copyMutex; ///< of the streams; never both at once but in that order
    std::unique_ptr<Stream> work, copies;
    std::atomic<bool> lost{false};
    std::string lossReason; ///< under workMutex

    ~Session();
    /// Ends the use of the device unless the result is that it lacks memory. Under workMutex.
    void noteFailure(VkResult result);
};

/// A weight on the device, and what the CPU needs to do without.
class VulkanWeight final : public DeviceWeight {
public:
    VulkanWeight(std::shared_ptr<Session> owner, DeviceWeightPtr exact);
    VulkanWeight(std::shared_ptr<Session> owner, const StoredWeight& stored, std::function<Matrix()> decode);
    /// The device may still be copying or using the parts.
    ~VulkanWeight() override;
    /// Copies it to the device by `upload`; without room it stays on the CPU.
    void load(const std::function<VkResult()>& upload);
    /// For the CPU; decodes at the first call.
    const DeviceWeight& onCpu(Device& cpu) const;
    WeightStorage storage = WeightStorage::f32;
    bool bytes = false; ///< ByteProduct takes it
    std::uint64_t copied = 0;       ///< when its copies are done, on the copies' clock
    mutable std::uint64_t used = 0; ///< its last use, on the work's clock; under workMutex

private:
    std::shared_ptr<Session> session_; ///< before the parts, so that it goes after them
    std::function<Matrix()> decode_;
    mutable std::mutex decodeMutex_;
    mutable Matrix decoded_;
    mutable DeviceWeightPtr cpu_;

public:
    std::vector<WeightPart> parts; ///< empty: on the CPU only
};

} // namespace bw::vk
