// SPDX-License-Identifier: GPL-3.0-or-later
// One command buffer that is recorded, submitted and waited for, again and again. Not thread safe.
#pragma once

#include "gpu/device_context.h"

#include <functional>

namespace bw::vk {

class CommandRunner {
public:
    /// @param loseAfterSubmits tests: the submit of this number reports a lost device; < 0 never.
    /// @throws Error deviceUnavailable.
    CommandRunner(DeviceContext& context, int loseAfterSubmits);
    ~CommandRunner();
    CommandRunner(const CommandRunner&) = delete;
    CommandRunner& operator=(const CommandRunner&) = delete;

    /// Records with `record`, submits, waits. What the host wrote before is seen by the device, what the device wrote
    /// is seen by the host after. @returns VK_SUCCESS or the failure; a submit that takes over 60 s is given up for
    /// lost.
    VkResult run(const std::function<void(VkCommandBuffer)>& record);
    /// Makes what a dispatch or copy wrote visible to the next command of the same recording.
    void barrier(VkCommandBuffer commands) const;
    /// Seconds the last run took, from submit to its end.
    double lastSeconds() const { return lastSeconds_; }
    int submits() const { return submits_; }

private:
    DeviceContext& context_;
    VkCommandPool pool_ = VK_NULL_HANDLE;
    VkCommandBuffer commands_ = VK_NULL_HANDLE;
    VkFence fence_ = VK_NULL_HANDLE;
    int loseAfterSubmits_, submits_ = 0;
    double lastSeconds_ = 0;
};

} // namespace bw::vk
