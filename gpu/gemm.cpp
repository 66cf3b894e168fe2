// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/gemm.h"

#include "gpu/shader_code.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace bw::vk {
namespace {

constexpr std::int64_t kTile = 64; ///< rows and columns of y a workgroup makes, as in both shaders
/// A submit is sized for this; drivers give up after 2 s at the earliest, and a window stays smooth below 200 ms.
constexpr double kSubmitSeconds = 0.1;
/// Assumed until measured: the slowest device met, a software one, makes about 2e9.
constexpr double kFirstRate = 1e9;
/// Activations pass in blocks of at most this many bytes, so that long inputs do not fill the device.
constexpr std::uint64_t kBlockBytes = 64ull << 20;

/// gemm.comp's push constants.
struct Window {
    std::uint32_t rowBegin, rowEnd, outBegin, outEnd, outOffset, depth, yStride, accumulate;
};

void pack(MatrixView<const float> from, std::byte* to) {
    const auto rowBytes = static_cast<std::size_t>(from.cols) * sizeof(float);
    for (std::int64_t r = 0; r < from.rows; ++r)
        std::memcpy(to + static_cast<std::size_t>(r) * rowBytes, from.row(r), rowBytes);
}

std::uint64_t bytesOf(std::int64_t rows, std::int64_t cols) {
    return static_cast<std::uint64_t>(rows) * static_cast<std::uint64_t>(cols) * sizeof(float);
}

VkResult atLeast(DeviceContext& context, Buffer& buffer, std::uint64_t bytes, Placement placement) {
    return buffer.bytes() >= bytes ? VK_SUCCESS : buffer.create(context, bytes, placement);
}

std::int64_t tiles(std::int64_t count) {
    return (count + kTile - 1) / kTile;
}

} // namespace

GemmKernel::GemmKernel(DeviceContext& context, CommandRunner& runner, std::uint64_t bindingBytes, Shader shader)
    : context_(context), runner_(runner),
      pipeline_(context, shader == Shader::direct ? gemmDirectShader() : gemmShader(), 3, sizeof(Window)),
      bindingBytes_(bindingBytes), rate_(kFirstRate) {}

VkResult GemmKernel::fill(Buffer& buffer, MatrixView<const float> from) {
    if (buffer.mapped()) {
        pack(from, buffer.mapped());
        return VK_SUCCESS;
    }
    const std::int64_t rowsAtOnce =
        static_cast<std::int64_t>(std::max<std::uint64_t>(1, kBlockBytes / bytesOf(1, from.cols)));
    for (std::int64_t first = 0; first < from.rows; first += rowsAtOnce) {
        const auto slice = from.middleRows(first, std::min(rowsAtOnce, from.rows - first));
        const VkBufferCopy copy{0, bytesOf(first, from.cols), bytesOf(slice.rows, from.cols)};
        VkResult result = atLeast(context_, staging_, copy.size, Placement::upload);
        if (result != VK_SUCCESS) return result;
        pack(slice, staging_.mapped());
        result = runner_.run([&](VkCommandBuffer commands) {
            context_.functions().CmdCopyBuffer(commands, staging_.handle(), buffer.handle(), 1, &copy);
        });
        if (result != VK_SUCCESS) return result;
    }
    return VK_SUCCESS;
}

VkResult GemmKernel::upload(MatrixView<const float> w, std::vector<WeightPart>& parts) {
    if (w.empty() || bytesOf(1, w.cols) > bindingBytes_) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    const auto rowsInPart = static_cast<std::int64_t>(bindingBytes_ / bytesOf(1, w.cols));
    for (std::int64_t first = 0; first < w.rows; first += rowsInPart) {
        WeightPart part;
        part.firstRow = first;
        part.rows = std::min(rowsInPart, w.rows - first);
        VkResult result = part.buffer.create(context_, bytesOf(part.rows, w.cols), Placement::device);
        if (result == VK_SUCCESS) result = fill(part.buffer, w.middleRows(first, part.rows));
        if (result != VK_SUCCESS) return result;
        parts.push_back(std::move(part));
    }
    return VK_SUCCESS;
}

VkResult GemmKernel::runPart(const WeightPart& part, const Block& block) {
    const std::array<VkBuffer, 3> buffers{x_.handle(), part.buffer.handle(), y_.handle()};
    pipeline_.bind(buffers);
    const double tileWork = 2.0 * kTile * kTile * static_cast<double>(block.depth);
    const auto* groups = context_.limits().maxComputeWorkGroupCount;
    const std::int64_t rowTiles = tiles(block.rows), outTiles = tiles(part.rows);
    for (std::int64_t row = 0; row < rowTiles;) {
        std::int64_t rowStep = 1;
        for (std::int64_t out = 0; out < outTiles;) {
            const auto affordable = static_cast<std::int64_t>(std::max(1.0, rate_ * kSubmitSeconds / tileWork));
            const std::int64_t outStep = std::min({affordable, outTiles - out, std::int64_t{groups[0]}});
            // Rows are taken together only when all of the part's outputs fit one submit.
            if (out == 0 && outStep == outTiles)
                rowStep = std::min({affordable / outTiles, rowTiles - row, std::int64_t{groups[1]}});
            const auto u32 = [](std::int64_t value) { return static_cast<std::uint32_t>(value); };
            const Window window{u32(row * kTile),   u32(std::min(block.rows, (row + rowStep) * kTile)),
                                u32(out * kTile),   u32(std::min(part.rows, (out + outStep) * kTile)),
                                u32(part.firstRow), u32(block.depth),
                                u32(block.outputs), block.accumulate ? 1u : 0u};
            const VkResult result = runner_.run([&](VkCommandBuffer commands) {
                pipeline_.record(commands, &window);
                context_.functions().CmdDispatch(commands, u32(outStep), u32(rowStep), 1);
            });
            if (result != VK_SUCCESS) return result;
            // The first runs compile the shader and small ones measure the queue: growth is at most twofold a submit.
            const double work = tileWork * static_cast<double>(outStep * rowStep);
            rate_ = std::clamp(work / std::max(1e-9, runner_.lastSeconds()), rate_ / 8, rate_ * 2);
            longest_ = std::max(longest_, runner_.lastSeconds());
            out += outStep;
        }
        row += rowStep;
    }
    return VK_SUCCESS;
}

VkResult GemmKernel::multiply(MatrixView<const float> x, const std::vector<WeightPart>& parts, MatrixView<float> y,
                              bool accumulate, std::int64_t& rowsDone) {
    rowsDone = 0;
    const std::uint64_t most = std::min(bindingBytes_, kBlockBytes), widest = bytesOf(1, std::max(x.cols, y.cols));
    if (widest > most) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    const auto rowsAtOnce = static_cast<std::int64_t>(most / widest);
    while (rowsDone < x.rows) {
        const Block block{std::min(rowsAtOnce, x.rows - rowsDone), x.cols, y.cols, accumulate};
        const MatrixView<float> target = y.middleRows(rowsDone, block.rows);
        VkResult result = atLeast(context_, x_, bytesOf(block.rows, x.cols), Placement::upload);
        if (result == VK_SUCCESS) result = atLeast(context_, y_, bytesOf(block.rows, y.cols), Placement::readback);
        if (result != VK_SUCCESS) return result;
        pack(x.middleRows(rowsDone, block.rows), x_.mapped());
        if (accumulate) pack(target, y_.mapped());
        for (const WeightPart& part : parts)
            if (result = runPart(part, block); result != VK_SUCCESS) return result;
        const auto rowBytes = static_cast<std::size_t>(bytesOf(1, y.cols));
        for (std::int64_t r = 0; r < block.rows; ++r)
            std::memcpy(target.row(r), y_.mapped() + static_cast<std::size_t>(r) * rowBytes, rowBytes);
        rowsDone += block.rows;
    }
    return VK_SUCCESS;
}

} // namespace bw::vk
