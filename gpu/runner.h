// SPDX-License-Identifier: GPL-3.0-or-later
// How an operation comes to run on the device or on the CPU: where its matrices lie, what is brought there before and what has
// changed after, what counts as too little memory and what as the end of the device. Not for: what operations do.
#pragma once

#include "gpu/mirrors.h"
#include "gpu/session.h"

#include <array>
#include <atomic>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>

namespace bw::vk {

enum Operation {
    kMultiply, kBytes, kNorm, kRope, kAttention, kActivation, kAdd, kCopy, kSoftCap, kHistogram, kGram, kScore, kObserve, kLookUp, kRound, kReverse, kOperations
};

/// A matrix that an operation reads, writes or both.
struct Operand {
    float* data;
    std::int64_t rows, cols, stride;
    bool reads, writes;
    std::uint64_t floats() const { return static_cast<std::uint64_t>((rows - 1) * stride + cols); }
};
inline Operand reads(MatrixView<const float> m) { return {const_cast<float*>(m.data), m.rows, m.cols, m.stride, true, false}; }
inline Operand writes(MatrixView<float> m) { return {m.data, m.rows, m.cols, m.stride, false, true}; }
inline Operand changes(MatrixView<float> m) { return {m.data, m.rows, m.cols, m.stride, true, true}; }
inline Interval intervalOf(const Mirror& mirror, const Operand& operand) {
    const auto begin = static_cast<std::uint64_t>(operand.data - mirror.host);
    return {begin, begin + operand.floats()};
}

/// Thread safe but for what says that it is called under workMutex, as all that is recorded is.
class Runner {
public:
    static constexpr std::size_t kMostOperands = 4;
    /// Records an operation on its operands, in the order they were given. Out of memory means that it does not fit.
    using Record = std::function<VkResult(std::span<const Located>)>;

    explicit Runner(std::shared_ptr<Session> session);

    /// Runs an operation on the device when one of its operands lies there, or when `worthIt`; else, or when it does not fit,
    /// `onHost`. @throws DeviceLost.
    void run(Operation operation, std::initializer_list<Operand> operands, bool worthIt, const Record& record, const std::function<void()>& onHost);
    /// Work on weights of the host, which it can do as well; what a failure leaves behind is written anew. @returns whether it is done.
    bool runOwn(Operation operation, const std::function<VkResult()>& record);
    /// Runs what may have to build a shader. A shader that can't be built is left to the CPU from then on. Under workMutex.
    VkResult build(Operation operation, const std::function<VkResult()>& record);

    void lend(std::span<float> memory);
    void reclaim(std::span<float> memory);
    /// @throws DeviceLost.
    void toHost(MatrixView<const float> values);
    void hostWrote(MatrixView<const float> values);

    Mirrors& mirrors() { return mirrors_; }
    std::uint64_t bytesToHost() const { return mirrors_.bytesToHost(); }
    /// The host gets what `operand` covers. Under workMutex. @throws DeviceLost.
    void fetch(const Operand& operand);
    /// Makes the buffer as large as that. Under workMutex.
    VkResult atLeast(Buffer& buffer, std::uint64_t bytes);

    void count(Operation operation, bool onDevice) { ++(onDevice ? onDevice_ : onCpu_)[operation]; }
    std::uint64_t countOnDevice(Operation operation) const { return onDevice_[operation]; }
    void forgetCounts();
    Device::Counts countsOf(Operation operation) const { return {onDevice_[operation], onCpu_[operation]}; }
    void setCounts(Operation operation, const Device::Counts& counts) {
        onDevice_[operation] = counts.onDevice;
        onCpu_[operation] = counts.onCpu;
    }
    std::map<std::string, Device::Counts> counts() const;

private:
    bool tryDevice(Operation operation, std::initializer_list<Operand> operands, bool worthIt, const Record& record);
    /// The host has written what `operand` covers. Under workMutex.
    void hostHas(const Operand& operand);

    std::shared_ptr<Session> session_;
    DeviceContext& context_;
    Mirrors mirrors_;
    std::array<bool, kOperations> unusable_{}; ///< under workMutex
    std::array<std::atomic<std::uint64_t>, kOperations> onDevice_{}, onCpu_{};
};

} // namespace bw::vk
