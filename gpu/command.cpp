// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/command.h"

#include <chrono>

namespace bw::vk {
namespace {

using Clock = std::chrono::steady_clock;

/// Thousandfold what a submit is sized for; past it the device is taken for hung.
constexpr std::uint64_t kPatienceNanoseconds = 60'000'000'000ull;

void memoryBarrier(const Functions& f, VkCommandBuffer commands, VkPipelineStageFlags from, VkAccessFlags written,
                   VkPipelineStageFlags to, VkAccessFlags read) {
    VkMemoryBarrier barrier{};
    barrier.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER;
    barrier.srcAccessMask = written;
    barrier.dstAccessMask = read;
    f.CmdPipelineBarrier(commands, from, to, 0, 1, &barrier, 0, nullptr, 0, nullptr);
}

constexpr VkPipelineStageFlags kWork = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
constexpr VkAccessFlags kReads = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_TRANSFER_READ_BIT;
constexpr VkAccessFlags kWrites = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;

} // namespace

CommandRunner::CommandRunner(DeviceContext& context, int loseAfterSubmits)
    : context_(context), loseAfterSubmits_(loseAfterSubmits) {
    const Functions& f = context_.functions();
    VkCommandPoolCreateInfo pool{};
    pool.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
    pool.queueFamilyIndex = context_.queueFamily();
    require(f.CreateCommandPool(context_.handle(), &pool, nullptr, &pool_), "making a command pool");
    VkCommandBufferAllocateInfo buffer{};
    buffer.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
    buffer.commandPool = pool_;
    buffer.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
    buffer.commandBufferCount = 1;
    VkFenceCreateInfo fence{};
    fence.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO;
    VkResult result = f.AllocateCommandBuffers(context_.handle(), &buffer, &commands_);
    if (result == VK_SUCCESS) result = f.CreateFence(context_.handle(), &fence, nullptr, &fence_);
    if (result != VK_SUCCESS) f.DestroyCommandPool(context_.handle(), pool_, nullptr);
    require(result, "making a command buffer");
}

CommandRunner::~CommandRunner() {
    if (context_.abandoned()) return;
    context_.functions().DestroyFence(context_.handle(), fence_, nullptr);
    context_.functions().DestroyCommandPool(context_.handle(), pool_, nullptr);
}

void CommandRunner::barrier(VkCommandBuffer commands) const {
    memoryBarrier(context_.functions(), commands, kWork, kWrites, kWork, kReads | kWrites);
}

VkResult CommandRunner::run(const std::function<void(VkCommandBuffer)>& record) {
    const Functions& f = context_.functions();
    if (submits_++ == loseAfterSubmits_) return VK_ERROR_DEVICE_LOST;
    VkResult result = f.ResetCommandPool(context_.handle(), pool_, 0);
    if (result != VK_SUCCESS) return result;
    VkCommandBufferBeginInfo begin{};
    begin.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
    begin.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
    if (result = f.BeginCommandBuffer(commands_, &begin); result != VK_SUCCESS) return result;
    memoryBarrier(f, commands_, VK_PIPELINE_STAGE_HOST_BIT | kWork, VK_ACCESS_HOST_WRITE_BIT | kWrites, kWork,
                  kReads | kWrites);
    record(commands_);
    memoryBarrier(f, commands_, kWork, kWrites, VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_READ_BIT);
    if (result = f.EndCommandBuffer(commands_); result != VK_SUCCESS) return result;
    if (result = f.ResetFences(context_.handle(), 1, &fence_); result != VK_SUCCESS) return result;
    VkSubmitInfo submit{};
    submit.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO;
    submit.commandBufferCount = 1;
    submit.pCommandBuffers = &commands_;
    const auto started = Clock::now();
    if (result = f.QueueSubmit(context_.queue(), 1, &submit, fence_); result != VK_SUCCESS) return result;
    result = f.WaitForFences(context_.handle(), 1, &fence_, VK_TRUE, kPatienceNanoseconds);
    lastSeconds_ = std::chrono::duration<double>(Clock::now() - started).count();
    if (result == VK_TIMEOUT) context_.abandon();
    return result;
}

} // namespace bw::vk
