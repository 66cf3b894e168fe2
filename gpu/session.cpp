// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/session.h"

#include "gpu/byte_product.h"

namespace bw::vk {

bool isOutOfMemory(VkResult result) {
    return result == VK_ERROR_OUT_OF_DEVICE_MEMORY || result == VK_ERROR_OUT_OF_HOST_MEMORY ||
           result == VK_ERROR_TOO_MANY_OBJECTS || result == VK_ERROR_MEMORY_MAP_FAILED;
}

Session::~Session() {
    const bool abandoned = context && context->abandoned();
    copies.reset();
    work.reset();
    context.reset();
    // A hung device still uses the instance, so both are left to the end of the process.
    if (abandoned) static_cast<void>(instance.release());
}

void Session::noteFailure(VkResult result) {
    if (result == VK_SUCCESS || isOutOfMemory(result) || lost) return;
    lossReason = resultName(result);
    work->giveUp();
    copies->giveUp();
    // What is under way uses buffers that are given up from now on.
    if (!context->abandoned()) context->functions().DeviceWaitIdle(context->handle());
    context->distrust();
    lost = true;
}

VulkanWeight::VulkanWeight(std::shared_ptr<Session> owner, DeviceWeightPtr exact) : session_(std::move(owner)), cpu_(std::move(exact)) {
    rows = cpu_->rows;
    cols = cpu_->cols;
    values = cpu_->values;
}

VulkanWeight::VulkanWeight(std::shared_ptr<Session> owner, const StoredWeight& stored, std::function<Matrix()> decode)
    : storage(stored.storage), bytes(ByteProduct::takes(stored)), session_(std::move(owner)), decode_(std::move(decode)) {
    rows = stored.rows;
    cols = stored.cols;
}

VulkanWeight::~VulkanWeight() {
    if (parts.empty() || session_->lost) return;
    {
        const std::lock_guard lock(session_->copyMutex);
        if (!session_->copies->reached(copied)) static_cast<void>(session_->copies->waitFor(copied));
    }
    const std::lock_guard lock(session_->workMutex);
    if (!session_->work->reached(used)) static_cast<void>(session_->work->finish());
    parts.clear();
}

void VulkanWeight::load(const std::function<VkResult()>& upload) {
    if (session_->lost) return;
    VkResult result = VK_SUCCESS;
    {
        const std::lock_guard lock(session_->copyMutex);
        result = upload();
        if (result == VK_SUCCESS || isOutOfMemory(result)) {
            const VkResult sent = session_->copies->submit(); // what is recorded uses the parts
            if (sent != VK_SUCCESS) result = sent;
        }
        copied = session_->copies->end();
        if (isOutOfMemory(result) && session_->copies->finish() == VK_SUCCESS) parts.clear();
    }
    if (result == VK_SUCCESS) return;
    const std::lock_guard lock(session_->workMutex);
    session_->noteFailure(result);
    if (session_->lost) parts.clear();
}

const DeviceWeight& VulkanWeight::onCpu(Device& cpu) const {
    const std::lock_guard lock(decodeMutex_);
    if (!cpu_) {
        decoded_ = decode_();
        cpu_ = cpu.prepare(std::as_const(decoded_).view());
    }
    return *cpu_;
}

} // namespace bw::vk
