// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/runner.h"

#include "core/base/error.h"

#include <algorithm>
#include <fmt/format.h>

namespace bw::vk {
namespace {

constexpr std::array<const char*, kOperations> kOperationNames{
    "multiply", "bytes", "norm", "rope", "attention", "activation", "add", "copy", "softCap", "histogram", "gram", "score", "observe", "lookup", "round", "reverse"};

} // namespace

Runner::Runner(std::shared_ptr<Session> session) : session_(std::move(session)), context_(*session_->context), mirrors_(context_, *session_->work) {}

void Runner::forgetCounts() {
    mirrors_.forgetBytes();
    for (auto* counts : {&onDevice_, &onCpu_})
        for (auto& count : *counts) count = 0;
}

std::map<std::string, Device::Counts> Runner::counts() const {
    std::map<std::string, Device::Counts> all;
    for (std::size_t i = 0; i < kOperations; ++i)
        if (onDevice_[i] + onCpu_[i] > 0) all[kOperationNames[i]] = {onDevice_[i], onCpu_[i]};
    return all;
}

void Runner::lend(std::span<float> memory) {
    if (memory.empty()) return;
    const std::lock_guard lock(session_->workMutex);
    if (!session_->lost) session_->noteFailure(mirrors_.lend(memory));
}

void Runner::reclaim(std::span<float> memory) {
    if (memory.empty()) return;
    const std::lock_guard lock(session_->workMutex);
    mirrors_.reclaim(memory.data());
}

void Runner::toHost(MatrixView<const float> values) {
    if (values.empty()) return;
    const std::lock_guard lock(session_->workMutex);
    fetch(reads(values));
}

void Runner::hostWrote(MatrixView<const float> values) {
    if (values.empty()) return;
    const std::lock_guard lock(session_->workMutex);
    hostHas(reads(values));
}

VkResult Runner::build(Operation operation, const std::function<VkResult()>& record) {
    if (unusable_[operation]) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    try {
        if (context_.options().failShader == kOperationNames[operation])
            throw Error(ErrorCode::deviceUnavailable, "building a compute pipeline: refused for a test");
        return record();
    } catch (const Error&) {
        unusable_[operation] = true;
        return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    }
}

void Runner::fetch(const Operand& operand) {
    Mirror* mirror = mirrors_.find(operand.data, operand.floats());
    if (!mirror) return;
    const Interval range = intervalOf(*mirror, operand);
    if (!mirror->onlyDevice.overlaps(range)) return;
    bool touched = false;
    const VkResult result = session_->lost ? VK_ERROR_DEVICE_LOST : mirrors_.toHost(*mirror, range, touched);
    if (result == VK_SUCCESS) return;
    // Out of memory here is final, too: the values can't be had.
    if (isOutOfMemory(result)) session_->noteFailure(VK_ERROR_DEVICE_LOST);
    session_->noteFailure(result);
    const std::string what = fmt::format("{} failed with {}", context_.info().name, session_->lossReason);
    if (touched) throw Error(ErrorCode::deviceUnavailable, what, "start the work again with --device cpu");
    throw DeviceLost(ErrorCode::deviceUnavailable, what, "use --device cpu");
}

void Runner::hostHas(const Operand& operand) {
    Mirror* mirror = mirrors_.find(operand.data, operand.floats());
    if (!mirror) return;
    const Interval range = intervalOf(*mirror, operand);
    if (session_->lost)
        mirror->onlyDevice = mirror->onlyDevice.without(range);
    else
        session_->noteFailure(mirrors_.hostWrote(*mirror, range));
}

void Runner::run(Operation operation, std::initializer_list<Operand> operands, bool worthIt, const Record& record, const std::function<void()>& onHost) {
    const bool empty = std::any_of(operands.begin(), operands.end(), [](const Operand& o) { return o.rows == 0 || o.cols == 0; });
    if (empty) return onHost();
    {
        const std::lock_guard lock(session_->workMutex);
        if (tryDevice(operation, operands, worthIt, record)) return static_cast<void>(++onDevice_[operation]);
        ++onCpu_[operation];
        for (const Operand& operand : operands) {
            const Mirror* mirror = mirrors_.find(operand.data, operand.floats());
            const bool replaced = mirror && operand.stride == operand.cols && intervalOf(*mirror, operand).covers(mirror->onlyDevice);
            if (operand.reads || !replaced) fetch(operand);
        }
    }
    onHost();
    const std::lock_guard lock(session_->workMutex);
    for (const Operand& operand : operands)
        if (operand.writes) hostHas(operand);
}

bool Runner::tryDevice(Operation operation, std::initializer_list<Operand> operands, bool worthIt, const Record& record) {
    if (session_->lost || unusable_[operation]) return false;
    std::array<Mirror*, kMostOperands> mirrors{};
    std::size_t n = 0;
    bool any = worthIt;
    for (const Operand& operand : operands) any |= (mirrors[n++] = mirrors_.find(operand.data, operand.floats())) != nullptr;
    if (!any) return false;
    // Memory that nobody lent is lent for this operation.
    std::vector<const float*> borrowed;
    VkResult result = VK_SUCCESS;
    const auto giveBack = [&] {
        for (const float* memory : borrowed) mirrors_.reclaim(memory);
    };
    n = 0;
    for (const Operand& operand : operands) {
        Mirror*& mirror = mirrors[n++];
        if (mirror == nullptr) {
            mirror = mirrors_.find(operand.data, operand.floats()); // the same memory twice
            if (mirror == nullptr) {
                result = mirrors_.lend({operand.data, operand.floats()});
                if (result != VK_SUCCESS) break;
                borrowed.push_back(operand.data);
                mirror = mirrors_.find(operand.data, operand.floats());
                result = mirrors_.hostWrote(*mirror, intervalOf(*mirror, operand));
            }
        }
        const Interval range = intervalOf(*mirror, operand);
        // What is written whole need not be brought.
        if (!operand.reads && operand.stride == operand.cols && range.covers(mirror->onlyHost)) mirror->onlyHost = {};
        if (result = mirrors_.toDevice(*mirror, range); result != VK_SUCCESS) break;
    }
    std::array<Located, kMostOperands> located{};
    n = 0;
    if (result == VK_SUCCESS) {
        for (const Operand& operand : operands) {
            const Interval range = intervalOf(*mirrors[n], operand);
            located[n] = {mirrors[n]->buffer.handle(), range.begin, operand.rows, operand.cols, operand.stride};
            ++n;
        }
        const std::uint64_t before = session_->work->dispatches();
        result = build(operation, [&] { return record(std::span<const Located>(located.data(), n)); });
        // Given up half-way: what it writes is neither what it was nor what it should be.
        if (isOutOfMemory(result) && session_->work->dispatches() != before) result = VK_ERROR_DEVICE_LOST;
    }
    if (result == VK_SUCCESS) {
        n = 0;
        for (const Operand& operand : operands) {
            if (operand.writes && result == VK_SUCCESS) result = mirrors_.written(*mirrors[n], intervalOf(*mirrors[n], operand));
            ++n;
        }
        bool touched = false;
        for (const float* memory : borrowed) {
            Mirror* mirror = mirrors_.find(memory, 1);
            if (result == VK_SUCCESS) result = mirrors_.toHost(*mirror, mirror->onlyDevice, touched);
        }
        if (result != VK_SUCCESS && touched) {
            session_->noteFailure(VK_ERROR_DEVICE_LOST);
            giveBack();
            throw Error(ErrorCode::deviceUnavailable, fmt::format("{} failed with {}", context_.info().name, resultName(result)),
                        "start the work again with --device cpu");
        }
    }
    giveBack();
    session_->noteFailure(result);
    return result == VK_SUCCESS;
}

bool Runner::runOwn(Operation operation, const std::function<VkResult()>& record) {
    const std::lock_guard lock(session_->workMutex);
    if (session_->lost) return false;
    const VkResult result = build(operation, record);
    session_->noteFailure(result);
    count(operation, result == VK_SUCCESS);
    return result == VK_SUCCESS;
}

VkResult Runner::atLeast(Buffer& buffer, std::uint64_t bytes) {
    if (buffer.bytes() >= bytes) return VK_SUCCESS;
    const VkResult result = session_->work->finish(); // the old one may be in use
    return result == VK_SUCCESS ? buffer.create(context_, bytes, Placement::device) : result;
}

} // namespace bw::vk
