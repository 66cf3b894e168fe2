// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/gemm.h"

#include "gpu/shader_code.h"

#include <algorithm>
#include <array>

namespace bw::vk {
namespace {

constexpr std::int64_t kFewRows = 8, kFewOuts = 4; ///< that gemv.comp takes, and columns of y a workgroup of it makes
constexpr std::int64_t kTile = 64; ///< rows and columns of y a workgroup makes, as in both shaders

/// The shaders' push constants (window.glsl).
struct Window {
    std::uint32_t rowBegin, rowEnd, outBegin, outEnd, outOffset, depth, xAt, xStride, yAt, yStride, accumulate;
};

std::int64_t tiles(std::int64_t count) { return (count + kTile - 1) / kTile; }
std::uint32_t u32(std::int64_t value) { return static_cast<std::uint32_t>(value); }

/// Shaders read whole words.
constexpr std::uint64_t words(std::uint64_t bytes) { return (bytes + 3) / 4 * 4; }

template <class Upload>
VkResult uploadParts(DeviceContext& context, std::int64_t rows, std::uint64_t rowBytes, std::vector<WeightPart>& parts, Upload upload) {
    if (rows == 0 || rowBytes == 0 || words(rowBytes) > context.bindingBytes()) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    const auto rowsInPart = static_cast<std::int64_t>((context.bindingBytes() - 3) / rowBytes);
    for (std::int64_t first = 0; first < rows; first += std::max<std::int64_t>(1, rowsInPart)) {
        WeightPart part;
        part.firstRow = first;
        part.rows = std::min(std::max<std::int64_t>(1, rowsInPart), rows - first);
        const std::uint64_t bytes = static_cast<std::uint64_t>(part.rows) * rowBytes;
        VkResult result = part.buffer.create(context, words(bytes), Placement::device);
        if (result == VK_SUCCESS) result = upload(first, part.rows, Slice{part.buffer.handle(), 0, bytes});
        parts.push_back(std::move(part)); // even after a failure: its commands may be recorded
        if (result != VK_SUCCESS) return result;
    }
    return VK_SUCCESS;
}

} // namespace

Bound bound(const DeviceContext& context, const Located& matrix) {
    const std::uint64_t first = matrix.first * sizeof(float), alignment = context.limits().minStorageBufferOffsetAlignment;
    const std::uint64_t start = first / alignment * alignment;
    return {{matrix.buffer, start, first - start + matrix.floats() * sizeof(float)}, static_cast<std::uint32_t>((first - start) / sizeof(float))};
}

std::int64_t rowsInBinding(const DeviceContext& context, const Located& matrix) {
    const std::uint64_t most = context.bindingBytes(), lost = context.limits().minStorageBufferOffsetAlignment;
    const std::uint64_t row = static_cast<std::uint64_t>(matrix.stride) * sizeof(float), own = static_cast<std::uint64_t>(matrix.cols) * sizeof(float);
    if (own + lost > most) return own <= most && matrix.first == 0 ? 1 : 0;
    return 1 + static_cast<std::int64_t>((most - lost - own) / std::max<std::uint64_t>(1, row));
}

VkResult Gemm::upload(DeviceContext& context, Stream& copies, MatrixView<const float> w, std::vector<WeightPart>& parts) {
    return uploadParts(context, w.rows, static_cast<std::uint64_t>(w.cols) * sizeof(float), parts,
                       [&](std::int64_t first, std::int64_t rows, const Slice& to) { return copies.upload(w.middleRows(first, rows), to); });
}

VkResult Gemm::upload(DeviceContext& context, Stream& copies, const StoredWeight& w, std::vector<WeightPart>& parts) {
    const std::uint64_t row = w.bytes.size() / static_cast<std::uint64_t>(std::max<std::int64_t>(1, w.rows));
    return uploadParts(context, w.rows, row, parts, [&](std::int64_t first, std::int64_t rows, const Slice& to) {
        return copies.upload(w.bytes.subspan(static_cast<std::uint64_t>(first) * row, static_cast<std::uint64_t>(rows) * row), to);
    });
}

const Kernel& Gemm::kernel(WeightStorage storage) {
    auto& kernel = kernels_[static_cast<std::size_t>(storage)];
    if (!kernel)
        kernel = std::make_unique<Kernel>(context_, shaderCode(shader_ == Shader::direct ? ShaderName::gemmDirect : ShaderName::gemm, context_.smallTypes()),
                                          std::vector<std::uint32_t>{static_cast<std::uint32_t>(storage)});
    return *kernel;
}

const Kernel* Gemm::fewRowsKernel(WeightStorage storage, std::int64_t rows) {
    if (rows > kFewRows) return nullptr;
    auto& kernel = fewRowsKernels_[static_cast<std::size_t>(storage)];
    if (!kernel)
        kernel = std::make_unique<Kernel>(context_, shaderCode(ShaderName::gemv, context_.smallTypes()), std::vector<std::uint32_t>{static_cast<std::uint32_t>(storage)});
    return kernel.get();
}

VkResult Gemm::runFewRows(const WeightPart& part, const Kernel& kernel, const Located& x, const Located& y, bool accumulate) {
    const Bound from = bound(context_, x), to = bound(context_, y);
    const std::array<Slice, 3> bindings{from.slice, Slice{part.buffer.handle(), 0, part.buffer.bytes()}, to.slice};
    const std::int64_t groups = (part.rows + kFewOuts - 1) / kFewOuts, most = context_.limits().maxComputeWorkGroupCount[0];
    const double groupWork = 2.0 * static_cast<double>(x.rows * kFewOuts * x.cols);
    for (std::int64_t group = 0; group < groups;) {
        const auto affordable = static_cast<std::int64_t>(std::clamp(work_.affordable() / groupWork, 1.0, static_cast<double>(most)));
        const std::int64_t count = std::min(affordable, groups - group);
        const Window window{0, u32(x.rows), u32(group * kFewOuts), u32(std::min(part.rows, (group + count) * kFewOuts)), u32(part.firstRow), u32(x.cols),
                            from.at, u32(x.stride), to.at, u32(y.stride), accumulate ? 1u : 0u};
        const VkResult result = work_.dispatch(kernel, bindings, std::as_bytes(std::span(&window, 1)), u32(count), 1, groupWork * static_cast<double>(count));
        if (result != VK_SUCCESS) return result;
        group += count;
    }
    return VK_SUCCESS;
}

VkResult Gemm::rows(const std::vector<WeightPart>& parts, WeightStorage storage, const Slice& ids, const Located& y) {
    struct Push { std::uint32_t rows, depth, firstRow, rowsHere, yAt, yStride, row0; };
    constexpr std::int64_t kThreads = 64, kMostGroups = 65535;
    constexpr double kPerValue = 20;
    auto& kernel = rowKernels_[static_cast<std::size_t>(storage)];
    if (!kernel) kernel = std::make_unique<Kernel>(context_, shaderCode(ShaderName::rows, context_.smallTypes()), std::vector<std::uint32_t>{static_cast<std::uint32_t>(storage)});
    const std::int64_t inBinding = rowsInBinding(context_, y);
    if (inBinding == 0) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    for (const WeightPart& part : parts)
        for (std::int64_t row = 0, count = 0; row < y.rows; row += count) {
            const double rowWork = kPerValue * static_cast<double>(y.cols);
            count = std::min({static_cast<std::int64_t>(std::clamp(work_.affordable() / rowWork, 1.0, static_cast<double>(kMostGroups))), inBinding, y.rows - row});
            const Bound to = bound(context_, y.middleRows(row, count));
            const Push push{u32(count), u32(y.cols), u32(part.firstRow), u32(part.rows), to.at, u32(y.stride), u32(row)};
            const std::array<Slice, 3> bindings{ids, Slice{part.buffer.handle(), 0, part.buffer.bytes()}, to.slice};
            const VkResult result = work_.dispatch(*kernel, bindings, std::as_bytes(std::span(&push, 1)), u32(std::min((y.cols + kThreads - 1) / kThreads, kMostGroups)),
                                                   u32(count), rowWork * static_cast<double>(count));
            if (result != VK_SUCCESS) return result;
        }
    return VK_SUCCESS;
}

VkResult Gemm::runPart(const WeightPart& part, const Kernel& kernel, const Located& x, const Located& y, bool accumulate) {
    const Bound from = bound(context_, x), to = bound(context_, y);
    const std::array<Slice, 3> bindings{from.slice, Slice{part.buffer.handle(), 0, part.buffer.bytes()}, to.slice};
    const double tileWork = 2.0 * kTile * kTile * static_cast<double>(x.cols);
    const auto* groups = context_.limits().maxComputeWorkGroupCount;
    const std::int64_t rowTiles = tiles(x.rows), outTiles = tiles(part.rows);
    for (std::int64_t row = 0; row < rowTiles;) {
        std::int64_t rowStep = 1;
        for (std::int64_t out = 0; out < outTiles;) {
            const auto affordable = static_cast<std::int64_t>(std::max(1.0, work_.affordable() / tileWork));
            const std::int64_t outStep = std::min({affordable, outTiles - out, std::int64_t{groups[0]}});
            // Rows are taken together only when all of the part's outputs fit one submit.
            if (out == 0 && outStep == outTiles) rowStep = std::max<std::int64_t>(1, std::min({affordable / outTiles, rowTiles - row, std::int64_t{groups[1]}}));
            const Window window{u32(row * kTile), u32(std::min(x.rows, (row + rowStep) * kTile)),
                                u32(out * kTile), u32(std::min(part.rows, (out + outStep) * kTile)),
                                u32(part.firstRow), u32(x.cols), from.at, u32(x.stride), to.at, u32(y.stride), accumulate ? 1u : 0u};
            const VkResult result = work_.dispatch(kernel, bindings, std::as_bytes(std::span(&window, 1)), u32(outStep), u32(rowStep),
                                                   tileWork * static_cast<double>(outStep * rowStep));
            if (result != VK_SUCCESS) return result;
            out += outStep;
        }
        row += rowStep;
    }
    return VK_SUCCESS;
}

VkResult Gemm::multiply(const Located& x, const std::vector<WeightPart>& parts, WeightStorage storage, const Located& y, bool accumulate) {
    if (parts.empty()) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    const Kernel* few = fewRowsKernel(storage, x.rows);
    const Kernel& shader = few != nullptr ? *few : kernel(storage);
    const std::int64_t rowsAtOnce = std::min(rowsInBinding(context_, x), rowsInBinding(context_, y));
    if (rowsAtOnce == 0) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    for (std::int64_t row = 0; row < x.rows; row += rowsAtOnce) {
        const std::int64_t rows = std::min(rowsAtOnce, x.rows - row);
        for (const WeightPart& part : parts)
            if (const VkResult result = few != nullptr ? runFewRows(part, shader, x.middleRows(row, rows), y.middleRows(row, rows), accumulate)
                                                       : runPart(part, shader, x.middleRows(row, rows), y.middleRows(row, rows), accumulate);
                result != VK_SUCCESS)
                return result;
    }
    return VK_SUCCESS;
}

} // namespace bw::vk
