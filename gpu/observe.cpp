// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/observe.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cfloat>
#include <cmath>

namespace bw::vk {
namespace {

constexpr std::int64_t kChannelGroup = 32, kBinGroup = 8; ///< channels of a workgroup, as in channels.comp and bins.comp
constexpr std::uint64_t kChannelWords = 8, kTokenWords = 3;
constexpr std::int64_t kMostCounters = 2048; ///< of a workgroup, as in bins.comp
constexpr std::int64_t kMostGroups = 65535;  ///< that every device can do
/// Operations that a value counts for in a submit's work.
constexpr double kSumWork = 20, kTokenWork = 12, kBinWork = 20;

std::uint32_t u32(std::int64_t value) { return static_cast<std::uint32_t>(value); }

std::int64_t affordable(const Stream& work, double each) {
    return static_cast<std::int64_t>(std::clamp(work.affordable() / each, 1.0, static_cast<double>(kMostGroups)));
}

/// The float that an order key stands for.
float ofKey(std::uint32_t key) { return std::bit_cast<float>((key & 0x80000000u) != 0 ? key & 0x7fffffffu : ~key); }

/// The exponent of what a sum was divided by, from the exponent bits of the largest magnitude.
int exponentOf(std::uint32_t bits) { return static_cast<int>(std::min(bits, 253u)) - 127; }

InputSums::Channel channelOf(const std::uint32_t* words) {
    const int exponent = exponentOf(words[7]);
    const auto sum = [&](int i, int power) { return std::ldexp(static_cast<double>(std::bit_cast<float>(words[i])), power * exponent); };
    InputSums::Channel out{sum(0, 1), sum(1, 1), sum(2, 2), sum(3, 3), sum(4, 4), FLT_MAX, -FLT_MAX};
    if (words[5] <= words[6]) {
        out.low = ofKey(words[5]);
        out.high = ofKey(words[6]);
    }
    return out;
}

InputSums::Row rowOf(const std::uint32_t* words) {
    if (words[0] == 0 || words[0] >= 0x7f800000u) return {};
    const int twice = 2 * exponentOf(words[0] >> 23);
    return {std::ldexp(static_cast<double>(std::bit_cast<float>(words[1])), twice), std::ldexp(static_cast<double>(std::bit_cast<float>(words[2])), twice)};
}

} // namespace

const Kernel& Observers::kernel(ShaderName name) {
    auto& kernel = kernels_[name];
    if (!kernel) kernel = std::make_unique<Kernel>(context_, shaderCode(name));
    return *kernel;
}

VkResult Observers::room(Buffer& buffer, std::uint64_t words) {
    const std::uint64_t bytes = words * sizeof(std::uint32_t);
    if (bytes > context_.bindingBytes()) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    if (buffer.bytes() >= bytes) return VK_SUCCESS;
    const VkResult result = work_.finish(); // the old one may be in use
    return result == VK_SUCCESS ? buffer.create(context_, bytes, Placement::device) : result;
}

VkResult Observers::inputSums(const Located& x, InputSums& out) {
    struct ChannelPush { std::uint32_t rows, cols, xAt, xStride, firstGroup; };
    struct TokenPush { std::uint32_t rows, cols, xAt, xStride, row0; };
    if (rowsInBinding(context_, x) < x.rows) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    const Kernel &channelKernel = kernel(ShaderName::channels), &tokenKernel = kernel(ShaderName::tokens);
    const std::uint64_t channelWords = kChannelWords * static_cast<std::uint64_t>(x.cols), tokenWords = kTokenWords * static_cast<std::uint64_t>(x.rows);
    const std::uint64_t alignment = context_.limits().minStorageBufferOffsetAlignment, tokensAt = (channelWords * 4 + alignment - 1) / alignment * alignment;
    std::vector<std::uint32_t> made(tokensAt / 4 + tokenWords);
    VkResult result = room(sums_, made.size());
    const Bound at = bound(context_, x);
    const Slice channels{sums_.handle(), 0, channelWords * 4}, tokens{sums_.handle(), tokensAt, tokenWords * 4};
    const std::int64_t groups = (x.cols + kChannelGroup - 1) / kChannelGroup;
    const double groupWork = kSumWork * static_cast<double>(kChannelGroup * x.rows), rowWork = kTokenWork * static_cast<double>(x.cols);
    for (std::int64_t group = 0, count = 0; result == VK_SUCCESS && group < groups; group += count) {
        count = std::min(affordable(work_, groupWork), groups - group);
        const ChannelPush push{u32(x.rows), u32(x.cols), at.at, u32(x.stride), u32(group)};
        result = work_.dispatch(channelKernel, std::array{at.slice, channels}, std::as_bytes(std::span(&push, 1)), u32(count), 1, groupWork * static_cast<double>(count));
    }
    for (std::int64_t row = 0, count = 0; result == VK_SUCCESS && row < x.rows; row += count) {
        count = std::min(affordable(work_, rowWork), x.rows - row);
        const Bound part = bound(context_, x.middleRows(row, count));
        const TokenPush push{u32(count), u32(x.cols), part.at, u32(x.stride), u32(row)};
        result = work_.dispatch(tokenKernel, std::array{part.slice, tokens}, std::as_bytes(std::span(&push, 1)), u32(count), 1, rowWork * static_cast<double>(count));
    }
    bool touched = false;
    if (result == VK_SUCCESS) result = work_.download({sums_.handle(), 0, made.size() * 4}, std::as_writable_bytes(std::span(made)), touched);
    if (result != VK_SUCCESS) return result;
    out.channels.resize(static_cast<std::size_t>(x.cols));
    out.rows.resize(static_cast<std::size_t>(x.rows));
    for (std::size_t c = 0; c < out.channels.size(); ++c) out.channels[c] = channelOf(made.data() + c * kChannelWords);
    for (std::size_t t = 0; t < out.rows.size(); ++t) out.rows[t] = rowOf(made.data() + tokensAt / 4 + t * kTokenWords);
    return VK_SUCCESS;
}

VkResult Observers::logHistograms(const Located& x, std::span<const std::int32_t> least, std::int32_t side, std::span<std::uint32_t> counts) {
    struct Push { std::uint32_t rows, cols, xAt, xStride, firstGroup, side; };
    const std::int64_t bins = 2 * std::int64_t{side} + 1;
    if (rowsInBinding(context_, x) < x.rows || kBinGroup * bins > kMostCounters) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    const Kernel& shader = kernel(ShaderName::bins);
    VkResult result = room(least_, least.size());
    if (result == VK_SUCCESS) result = room(counts_, counts.size());
    const Slice lowest{least_.handle(), 0, least.size_bytes()}, made{counts_.handle(), 0, counts.size_bytes()};
    if (result == VK_SUCCESS) result = work_.upload(std::as_bytes(least), lowest);
    const Bound at = bound(context_, x);
    const std::int64_t groups = (x.cols + kBinGroup - 1) / kBinGroup;
    const double groupWork = kBinWork * static_cast<double>(kBinGroup * x.rows);
    for (std::int64_t group = 0, count = 0; result == VK_SUCCESS && group < groups; group += count) {
        count = std::min(affordable(work_, groupWork), groups - group);
        const Push push{u32(x.rows), u32(x.cols), at.at, u32(x.stride), u32(group), static_cast<std::uint32_t>(side)};
        result = work_.dispatch(shader, std::array{at.slice, lowest, made}, std::as_bytes(std::span(&push, 1)), u32(count), 1, groupWork * static_cast<double>(count));
    }
    std::vector<std::uint32_t> counted(counts.size());
    bool touched = false;
    if (result == VK_SUCCESS) result = work_.download(made, std::as_writable_bytes(std::span(counted)), touched);
    for (std::size_t i = 0; result == VK_SUCCESS && i < counts.size(); ++i) counts[i] += counted[i];
    return result;
}

} // namespace bw::vk
