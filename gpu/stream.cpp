// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/stream.h"

#include <algorithm>
#include <cstring>

namespace bw::vk {
namespace {

/// A submit is sized for this; drivers give up after 2 s at the earliest, and a window stays smooth below 200 ms.
constexpr double kSubmitSeconds = 0.1;
/// Assumed until measured: the slowest device met, a software one, makes about 2e9.
constexpr double kFirstRate = 1e9;
/// Less work than this says nothing about the rate.
constexpr double kMeasurable = 2e7;
/// Thousandfold what a submit is sized for; past it the device is taken for hung.
constexpr std::uint64_t kPatienceNanoseconds = 60'000'000'000ull;
constexpr std::uint32_t kSets = 256;
constexpr std::uint64_t kStagingBytes = 8ull << 20, kReadbackBytes = 128ull << 20;

constexpr VkPipelineStageFlags kWork = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
constexpr VkAccessFlags kReads = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_TRANSFER_READ_BIT;
constexpr VkAccessFlags kWrites = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;

/// A queue for copies alone has no compute stage.
VkPipelineStageFlags stagesOf(QueueUse use) {
    return use == QueueUse::work ? kWork : VkPipelineStageFlags{VK_PIPELINE_STAGE_TRANSFER_BIT};
}
VkAccessFlags only(QueueUse use, VkAccessFlags access) {
    return use == QueueUse::work ? access : access & (VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT);
}

void memoryBarrier(const Functions& f, VkCommandBuffer commands, VkPipelineStageFlags from, VkAccessFlags written, VkPipelineStageFlags to,
                   VkAccessFlags read) {
    VkMemoryBarrier barrier{};
    barrier.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER;
    barrier.srcAccessMask = written;
    barrier.dstAccessMask = read;
    f.CmdPipelineBarrier(commands, from, to, 0, 1, &barrier, 0, nullptr, 0, nullptr);
}

/// `bytes` of the packed rows from `first` on.
void packRows(MatrixView<const float> from, std::uint64_t first, std::uint64_t bytes, std::byte* to) {
    const std::uint64_t row = static_cast<std::uint64_t>(from.cols) * sizeof(float);
    while (bytes > 0) {
        const std::uint64_t inside = first % row, piece = std::min(bytes, row - inside);
        std::memcpy(to, reinterpret_cast<const std::byte*>(from.row(static_cast<std::int64_t>(first / row))) + inside, piece);
        first += piece;
        to += piece;
        bytes -= piece;
    }
}

} // namespace

Stream::Stream(DeviceContext& context, QueueUse use) : context_(context), use_(use), rate_(context.options().assumedRate > 0 ? context.options().assumedRate : kFirstRate) {
    try {
        VkSemaphoreTypeCreateInfo type{};
        type.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO;
        type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
        VkSemaphoreCreateInfo info{};
        info.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO;
        info.pNext = &type;
        require(context_.functions().CreateSemaphore(context_.handle(), &info, nullptr, &clock_), "making a timeline");
        for (Slot& slot : slots_) makeSlot(slot);
    } catch (...) {
        destroy();
        throw;
    }
}

void Stream::makeSlot(Slot& slot) {
    const Functions& f = context_.functions();
    VkCommandPoolCreateInfo pool{};
    pool.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
    pool.queueFamilyIndex = context_.queueFamily(use_);
    require(f.CreateCommandPool(context_.handle(), &pool, nullptr, &slot.pool), "making a command pool");
    VkCommandBufferAllocateInfo buffer{};
    buffer.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
    buffer.commandPool = slot.pool;
    buffer.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
    buffer.commandBufferCount = 1;
    require(f.AllocateCommandBuffers(context_.handle(), &buffer, &slot.commands), "making a command buffer");
    const VkDescriptorPoolSize size{VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, kSets * DeviceContext::kBindings};
    VkDescriptorPoolCreateInfo descriptors{};
    descriptors.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO;
    descriptors.maxSets = kSets;
    descriptors.poolSizeCount = 1;
    descriptors.pPoolSizes = &size;
    require(f.CreateDescriptorPool(context_.handle(), &descriptors, nullptr, &slot.descriptors), "making descriptors");
}

Stream::~Stream() {
    static_cast<void>(finish());
    destroy();
}

void Stream::destroy() noexcept {
    if (context_.abandoned()) return;
    const Functions& f = context_.functions();
    // After a loss commands may still be listed as under way; idle means done or dead.
    f.DeviceWaitIdle(context_.handle());
    for (Slot& slot : slots_) {
        if (slot.descriptors) f.DestroyDescriptorPool(context_.handle(), slot.descriptors, nullptr);
        if (slot.pool) f.DestroyCommandPool(context_.handle(), slot.pool, nullptr);
    }
    if (clock_) f.DestroySemaphore(context_.handle(), clock_, nullptr);
}

double Stream::affordable() const {
    return rate_ * kSubmitSeconds;
}

bool Stream::reached(std::uint64_t value) const {
    if (value <= finished_) return true;
    std::uint64_t now = 0;
    return context_.functions().GetSemaphoreCounterValue(context_.handle(), clock_, &now) == VK_SUCCESS && now >= value;
}

VkResult Stream::waitFor(std::uint64_t value) {
    if (value <= finished_) return VK_SUCCESS;
    if (failed_) return VK_ERROR_DEVICE_LOST;
    VkSemaphoreWaitInfo info{};
    info.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO;
    info.semaphoreCount = 1;
    info.pSemaphores = &clock_;
    info.pValues = &value;
    const VkResult result = context_.functions().WaitSemaphores(context_.handle(), &info, kPatienceNanoseconds);
    if (result == VK_TIMEOUT) context_.abandon();
    if (result != VK_SUCCESS) failed_ = true;
    if (result == VK_SUCCESS) finished_ = std::max(finished_, value);
    return result;
}

VkResult Stream::open() {
    if (failed_) return VK_ERROR_DEVICE_LOST;
    Slot& s = slot();
    if (s.open) return VK_SUCCESS;
    const Functions& f = context_.functions();
    VkResult result = waitFor(s.value);
    if (result == VK_SUCCESS) result = f.ResetCommandPool(context_.handle(), s.pool, 0);
    if (result == VK_SUCCESS) result = f.ResetDescriptorPool(context_.handle(), s.descriptors, 0);
    VkCommandBufferBeginInfo begin{};
    begin.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
    begin.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
    if (result == VK_SUCCESS) result = f.BeginCommandBuffer(s.commands, &begin);
    if (result != VK_SUCCESS) return result;
    memoryBarrier(f, s.commands, VK_PIPELINE_STAGE_HOST_BIT | stagesOf(use_), VK_ACCESS_HOST_WRITE_BIT | only(use_, kWrites), stagesOf(use_),
                  only(use_, kReads | kWrites));
    s.open = true;
    s.sets = 0;
    s.stagingUsed = 0;
    s.work = 0;
    return VK_SUCCESS;
}

void Stream::barrier() const {
    memoryBarrier(context_.functions(), slot().commands, stagesOf(use_), only(use_, kWrites), stagesOf(use_), only(use_, kReads | kWrites));
}

VkResult Stream::submit() {
    if (failed_) return VK_ERROR_DEVICE_LOST;
    Slot& s = slot();
    if (!s.open) return VK_SUCCESS;
    const Functions& f = context_.functions();
    memoryBarrier(f, s.commands, stagesOf(use_), only(use_, kWrites), VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_READ_BIT);
    s.open = false;
    VkResult result = f.EndCommandBuffer(s.commands);
    if (result != VK_SUCCESS) return result;
    const std::uint64_t value = submitted_ + 1;
    const bool waits = other_ != nullptr && otherValue_ > otherWaited_;
    VkTimelineSemaphoreSubmitInfo timeline{};
    timeline.sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO;
    timeline.signalSemaphoreValueCount = 1;
    timeline.pSignalSemaphoreValues = &value;
    timeline.waitSemaphoreValueCount = waits ? 1 : 0;
    timeline.pWaitSemaphoreValues = &otherValue_;
    const VkPipelineStageFlags stages = stagesOf(use_);
    VkSubmitInfo info{};
    info.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO;
    info.pNext = &timeline;
    info.commandBufferCount = 1;
    info.pCommandBuffers = &s.commands;
    info.signalSemaphoreCount = 1;
    info.pSignalSemaphores = &clock_;
    info.waitSemaphoreCount = waits ? 1 : 0;
    info.pWaitSemaphores = waits ? &other_->clock_ : nullptr;
    info.pWaitDstStageMask = &stages;
    if (submitted_ == finished_) {
        started_ = Clock::now();
        workUnderWay_ = 0;
    }
    result = context_.submit(use_, info);
    if (result != VK_SUCCESS) {
        failed_ = true;
        return result;
    }
    if (waits) otherWaited_ = otherValue_;
    longest_ = std::max(longest_, s.work / rate_);
    workUnderWay_ += s.work;
    submitted_ = s.value = value;
    current_ = (current_ + 1) % slots_.size();
    return VK_SUCCESS;
}

VkResult Stream::finish() {
    VkResult result = submit();
    const bool waited = result == VK_SUCCESS && submitted_ > finished_;
    if (result == VK_SUCCESS) result = waitFor(submitted_);
    if (waited && result == VK_SUCCESS && workUnderWay_ > kMeasurable && context_.options().assumedRate <= 0) {
        // The first runs compile the shader: changes are bounded.
        const double seconds = std::max(1e-9, std::chrono::duration<double>(Clock::now() - started_).count());
        rate_ = std::clamp(workUnderWay_ / seconds, rate_ / 4, rate_ * 4);
    }
    return result;
}

void Stream::after(const Stream& other, std::uint64_t value) {
    other_ = &other;
    otherValue_ = std::max(otherValue_, value);
}

VkResult Stream::bind(std::span<const Slice> bindings) {
    Slot& s = slot();
    const VkDescriptorSetLayout layout = context_.setLayout();
    VkDescriptorSetAllocateInfo allocate{};
    allocate.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO;
    allocate.descriptorPool = s.descriptors;
    allocate.descriptorSetCount = 1;
    allocate.pSetLayouts = &layout;
    VkDescriptorSet set = VK_NULL_HANDLE;
    if (const VkResult result = context_.functions().AllocateDescriptorSets(context_.handle(), &allocate, &set); result != VK_SUCCESS)
        return result;
    ++s.sets;
    std::array<VkDescriptorBufferInfo, DeviceContext::kBindings> infos{};
    std::array<VkWriteDescriptorSet, DeviceContext::kBindings> writes{};
    for (std::size_t i = 0; i < bindings.size(); ++i) {
        infos[i] = {bindings[i].buffer, bindings[i].offset, bindings[i].bytes};
        writes[i].sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET;
        writes[i].dstSet = set;
        writes[i].dstBinding = static_cast<std::uint32_t>(i);
        writes[i].descriptorCount = 1;
        writes[i].descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
        writes[i].pBufferInfo = &infos[i];
    }
    context_.functions().UpdateDescriptorSets(context_.handle(), static_cast<std::uint32_t>(bindings.size()), writes.data(), 0, nullptr);
    context_.functions().CmdBindDescriptorSets(s.commands, VK_PIPELINE_BIND_POINT_COMPUTE, context_.pipelineLayout(), 0, 1, &set, 0, nullptr);
    return VK_SUCCESS;
}

VkResult Stream::dispatch(const Kernel& kernel, std::span<const Slice> bindings, std::span<const std::byte> push, std::uint32_t groupsX,
                          std::uint32_t groupsY, double work) {
    if (const VkResult result = open(); result != VK_SUCCESS) return result;
    const Functions& f = context_.functions();
    if (const VkResult result = bind(bindings); result != VK_SUCCESS) return result;
    barrier();
    f.CmdBindPipeline(slot().commands, VK_PIPELINE_BIND_POINT_COMPUTE, kernel.handle());
    f.CmdPushConstants(slot().commands, context_.pipelineLayout(), VK_SHADER_STAGE_COMPUTE_BIT, 0, static_cast<std::uint32_t>(push.size()),
                       push.data());
    f.CmdDispatch(slot().commands, groupsX, groupsY, 1);
    slot().work += work;
    ++dispatches_;
    return slot().work >= affordable() || slot().sets == kSets ? submit() : VK_SUCCESS;
}

VkResult Stream::reserve(std::uint64_t bytes, std::uint64_t& at) {
    VkResult result = open();
    const std::uint64_t alignment = std::max<std::uint64_t>(16, context_.limits().minStorageBufferOffsetAlignment);
    const auto place = [&] { return (slot().stagingUsed + alignment - 1) / alignment * alignment; };
    if (result == VK_SUCCESS && place() + bytes > kStagingBytes) {
        result = submit();
        if (result == VK_SUCCESS) result = open();
    }
    if (result == VK_SUCCESS && slot().staging.bytes() == 0) result = slot().staging.create(context_, kStagingBytes, Placement::upload);
    if (result != VK_SUCCESS) return result;
    at = place();
    slot().stagingUsed = at + bytes;
    return VK_SUCCESS;
}

template <class Pack>
VkResult Stream::stage(std::uint64_t bytes, const Slice& to, Pack pack) {
    for (std::uint64_t done = 0; done < bytes;) {
        const std::uint64_t piece = std::min(bytes - done, kStagingBytes / 2);
        std::uint64_t at = 0;
        if (const VkResult result = reserve(piece, at); result != VK_SUCCESS) return result;
        pack(done, piece, slot().staging.mapped() + at);
        barrier();
        const VkBufferCopy copy{at, to.offset + done, piece};
        context_.functions().CmdCopyBuffer(slot().commands, slot().staging.handle(), to.buffer, 1, &copy);
        done += piece;
    }
    return VK_SUCCESS;
}

VkResult Stream::uploadRows(MatrixView<const float> from, const Slice& to) {
    return stage(static_cast<std::uint64_t>(from.size()) * sizeof(float), to,
                 [&](std::uint64_t first, std::uint64_t bytes, std::byte* place) { packRows(from, first, bytes, place); });
}

VkResult Stream::upload(std::span<const std::byte> from, const Slice& to) {
    return stage(from.size(), to, [&](std::uint64_t first, std::uint64_t bytes, std::byte* place) { std::memcpy(place, from.data() + first, bytes); });
}

VkResult Stream::constants(std::span<const float> values, Slice& where) {
    std::uint64_t at = 0;
    if (values.size_bytes() > kConstantBytes) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    if (const VkResult result = reserve(values.size_bytes(), at); result != VK_SUCCESS) return result;
    std::memcpy(slot().staging.mapped() + at, values.data(), values.size_bytes());
    where = {slot().staging.handle(), at, values.size_bytes()};
    return VK_SUCCESS;
}

VkResult Stream::zero(const Slice& slice) {
    if (const VkResult result = open(); result != VK_SUCCESS) return result;
    barrier();
    context_.functions().CmdFillBuffer(slot().commands, slice.buffer, slice.offset, slice.bytes, 0);
    return VK_SUCCESS;
}

VkResult Stream::download(const Slice& from, std::span<std::byte> to, bool& touched) {
    for (std::uint64_t done = 0; done < to.size();) {
        const std::uint64_t piece = std::min<std::uint64_t>(to.size() - done, kReadbackBytes);
        VkResult result = open();
        if (result == VK_SUCCESS && readback_.bytes() < piece) {
            result = finish(); // the old one may be in use
            if (result == VK_SUCCESS) result = readback_.create(context_, piece, Placement::readback);
            if (result == VK_SUCCESS) result = open();
        }
        if (result != VK_SUCCESS) return result;
        barrier();
        const VkBufferCopy copy{from.offset + done, 0, piece};
        context_.functions().CmdCopyBuffer(slot().commands, from.buffer, readback_.handle(), 1, &copy);
        if (result = finish(); result != VK_SUCCESS) return result;
        touched = true;
        std::memcpy(to.data() + done, readback_.mapped(), piece);
        done += piece;
    }
    return VK_SUCCESS;
}

} // namespace bw::vk
