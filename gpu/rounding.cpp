// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/rounding.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

namespace bw::vk {
namespace {

/// Values that pass through at once: far less memory than a block's weights, and enough to keep a device busy.
constexpr std::int64_t kValuesAtOnce = std::int64_t{4} << 20;
constexpr std::int64_t kMostGroups = 65535; ///< that every device can do
/// Operations that a value counts for in a submit's work.
constexpr double kExtremeWork = 5, kRoundWork = 30;

std::uint32_t u32(std::int64_t value) { return static_cast<std::uint32_t>(value); }

/// The float that an order key (extremes.comp) stands for.
float ofKey(std::uint32_t key) { return std::bit_cast<float>((key & 0x80000000u) != 0 ? key & 0x7fffffffu : ~key); }

/// Rounds to nearest, halves to even: |v| ≤ 2^22.
float nearestEven(float v) { return (v + 12582912.0f) - 12582912.0f; }

struct Rounded {
    std::uint8_t code = 0;
    float value = 0;
};

Rounded toWhole(float x, float scale, float zero, const RoundingGrid& grid) {
    if (!(scale > 0)) return {static_cast<std::uint8_t>(zero), 0};
    const float code = std::clamp(nearestEven(std::clamp(x / scale, -512.0f, 512.0f)), grid.lowest - zero, grid.highest - zero);
    return {static_cast<std::uint8_t>(static_cast<int>(code) + static_cast<int>(zero)), code * scale};
}

Rounded toSmallFloat(float x, float scale, const RoundingGrid& grid) {
    if (!(scale > 0)) return {};
    const std::int32_t least = (128 - grid.bias) << 23, raise = (23 - grid.mantissaBits) << 23;
    const float magnitude = std::min(std::abs(x / scale), grid.largest);
    const std::int32_t exponent = std::max(std::bit_cast<std::int32_t>(magnitude) & 0x7f800000, least);
    const float shift = std::bit_cast<float>(exponent + raise), sum = magnitude + shift, value = sum - shift;
    const std::int32_t code = (std::bit_cast<std::int32_t>(sum) - (exponent + raise)) + (((exponent - least) >> 23) << grid.mantissaBits);
    const std::uint32_t sign = std::signbit(x) ? 1u << (grid.bits - 1) : 0u;
    return {static_cast<std::uint8_t>(static_cast<std::uint32_t>(code) | sign), std::copysign(value, x) * scale};
}

/// A row as the CPU rounds it. Only the rules that divide can be in doubt.
double roundRow(std::span<const float> row, std::int64_t cellRow, const RoundingGrid& grid, std::uint8_t* codes) {
    double error = 0;
    for (std::size_t c = 0; c < row.size(); ++c) {
        const std::size_t cell = static_cast<std::size_t>(cellRow) + c / static_cast<std::size_t>(grid.cellCols);
        const float scale = grid.scales[cell];
        const Rounded made = grid.rule == RoundingGrid::Rule::whole ? toWhole(row[c], scale, grid.zeros[cell], grid) : toSmallFloat(row[c], scale, grid);
        codes[c] = made.code;
        const auto e = static_cast<double>(row[c] - made.value);
        error += e * e;
    }
    return error;
}

} // namespace

VkResult Rounding::room(Buffer& buffer, std::uint64_t words) {
    const std::uint64_t bytes = words * sizeof(std::uint32_t);
    if (bytes > context_.bindingBytes()) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    if (buffer.bytes() >= bytes) return VK_SUCCESS;
    const VkResult result = work_.finish(); // the old one may be in use
    return result == VK_SUCCESS ? buffer.create(context_, bytes, Placement::device) : result;
}

std::int64_t Rounding::rowsAtOnce(std::int64_t cols, double valueWork) const {
    const auto inBinding = static_cast<std::int64_t>(context_.bindingBytes() / sizeof(float));
    const auto affordable = static_cast<std::int64_t>(std::max(1.0, work_.affordable() / (valueWork * static_cast<double>(cols))));
    if (cols > inBinding) return 0;
    return std::clamp<std::int64_t>(std::min(kValuesAtOnce, inBinding) / cols, 1, std::min(affordable, kMostGroups));
}

VkResult Rounding::extremes(MatrixView<const float> w, std::int64_t group, std::span<Extremes> out) {
    struct Push { std::uint32_t rows, cols, group, row0; };
    const std::int64_t groups = (w.cols + group - 1) / group, atOnce = rowsAtOnce(w.cols, kExtremeWork);
    if (atOnce == 0 || groups > kMostGroups) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    if (!extremes_) extremes_ = std::make_unique<Kernel>(context_, shaderCode(ShaderName::extremes));
    const auto words = static_cast<std::uint64_t>(groups * 3);
    std::vector<std::uint32_t> made(words * static_cast<std::uint64_t>(std::min(atOnce, w.rows)));
    VkResult result = room(weights_, static_cast<std::uint64_t>(std::min(atOnce, w.rows) * w.cols));
    if (result == VK_SUCCESS) result = room(made_, made.size());
    for (std::int64_t row = 0; result == VK_SUCCESS && row < w.rows; row += atOnce) {
        const std::int64_t rows = std::min(atOnce, w.rows - row);
        const Slice weights{weights_.handle(), 0, static_cast<std::uint64_t>(rows * w.cols) * sizeof(float)};
        const Slice results{made_.handle(), 0, words * static_cast<std::uint64_t>(rows) * sizeof(std::uint32_t)};
        result = work_.upload(w.middleRows(row, rows), weights);
        const Push push{u32(rows), u32(w.cols), u32(group), 0};
        if (result == VK_SUCCESS)
            result = work_.dispatch(*extremes_, std::array{weights, results}, std::as_bytes(std::span(&push, 1)), u32(groups), u32(rows),
                                    kExtremeWork * static_cast<double>(rows * w.cols));
        bool touched = false;
        if (result == VK_SUCCESS) result = work_.download(results, std::as_writable_bytes(std::span(made)).first(results.bytes), touched);
        for (std::int64_t i = 0; result == VK_SUCCESS && i < rows * groups; ++i) {
            const std::uint32_t* three = made.data() + i * 3;
            out[static_cast<std::size_t>(row * groups + i)] = {ofKey(three[0]), ofKey(three[1]), std::bit_cast<float>(three[2])};
        }
    }
    return result;
}

VkResult Rounding::roundToGrid(MatrixView<const float> w, const RoundingGrid& grid, std::span<std::uint8_t> codes, std::span<double> errors) {
    struct Push {
        std::uint32_t rows, cols, row0, cellRows, cellCols, cellsPerRow;
        float lowest, highest;
        std::uint32_t mantissaBits, signShift;
        std::int32_t least, raise;
        float largest;
    };
    const auto rule = static_cast<std::size_t>(grid.rule);
    const std::int64_t cellsPerRow = (w.cols + grid.cellCols - 1) / grid.cellCols, words = (w.cols + 3) / 4, atOnce = rowsAtOnce(w.cols, kRoundWork);
    if (atOnce == 0) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    if (!rounds_[rule]) rounds_[rule] = std::make_unique<Kernel>(context_, shaderCode(ShaderName::round), std::vector<std::uint32_t>{static_cast<std::uint32_t>(rule)});
    std::vector<float> cells(grid.scales.size() * 4, 0.0f);
    for (std::size_t i = 0; i < grid.scales.size(); ++i) {
        cells[i * 4] = grid.scales[i];
        if (!grid.inverses.empty()) cells[i * 4 + 1] = grid.inverses[i];
        if (!grid.zeros.empty()) cells[i * 4 + 2] = grid.zeros[i];
    }
    const std::int64_t most = std::min(atOnce, w.rows);
    VkResult result = room(weights_, static_cast<std::uint64_t>(most * w.cols));
    if (result == VK_SUCCESS) result = room(cells_, cells.size());
    if (result == VK_SUCCESS) result = room(codes_, static_cast<std::uint64_t>(most * words));
    if (result == VK_SUCCESS) result = room(made_, static_cast<std::uint64_t>(most) * 2);
    const Slice cellSlice{cells_.handle(), 0, cells.size() * sizeof(float)};
    if (result == VK_SUCCESS) result = work_.upload(std::as_bytes(std::span<const float>(cells)), cellSlice);
    std::vector<std::uint32_t> packed(static_cast<std::size_t>(most * words)), lost(static_cast<std::size_t>(most) * 2);
    for (std::int64_t row = 0; result == VK_SUCCESS && row < w.rows; row += atOnce) {
        const std::int64_t rows = std::min(atOnce, w.rows - row);
        const Slice weights{weights_.handle(), 0, static_cast<std::uint64_t>(rows * w.cols) * sizeof(float)};
        const Slice codeSlice{codes_.handle(), 0, static_cast<std::uint64_t>(rows * words) * sizeof(std::uint32_t)};
        const Slice lostSlice{made_.handle(), 0, static_cast<std::uint64_t>(rows) * 2 * sizeof(std::uint32_t)};
        result = work_.upload(w.middleRows(row, rows), weights);
        const Push push{u32(rows), u32(w.cols), u32(row), u32(grid.cellRows), u32(grid.cellCols), u32(cellsPerRow), grid.lowest, grid.highest,
                        u32(grid.mantissaBits), u32(32 - grid.bits), (128 - grid.bias) << 23, (23 - grid.mantissaBits) << 23, grid.largest};
        if (result == VK_SUCCESS)
            result = work_.dispatch(*rounds_[rule], std::array{weights, cellSlice, codeSlice, lostSlice}, std::as_bytes(std::span(&push, 1)), u32(rows), 1,
                                    kRoundWork * static_cast<double>(rows * w.cols));
        bool touched = false;
        if (result == VK_SUCCESS) result = work_.download(codeSlice, std::as_writable_bytes(std::span(packed)).first(codeSlice.bytes), touched);
        if (result == VK_SUCCESS) result = work_.download(lostSlice, std::as_writable_bytes(std::span(lost)).first(lostSlice.bytes), touched);
        for (std::int64_t r = 0; result == VK_SUCCESS && r < rows; ++r) {
            std::uint8_t* to = codes.data() + (row + r) * w.cols;
            double& error = errors[static_cast<std::size_t>(row + r)];
            if (lost[static_cast<std::size_t>(r) * 2 + 1] != 0) {
                error = roundRow(w.rowSpan(row + r), (row + r) / grid.cellRows * cellsPerRow, grid, to);
                continue;
            }
            std::memcpy(to, packed.data() + r * words, static_cast<std::size_t>(w.cols));
            error = static_cast<double>(std::bit_cast<float>(lost[static_cast<std::size_t>(r) * 2]));
        }
    }
    return result;
}

} // namespace bw::vk
