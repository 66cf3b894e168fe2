// SPDX-License-Identifier: GPL-3.0-or-later
// Bit packing of affine codes and the shapes of the parts. Reading them again is in quantized_affine.cpp.
#include "core/checkpoint/packed_affine.h"

#include "core/base/parallel.h"
#include "core/checkpoint/packed_bits.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace bw {
namespace {

/// Rows × columns of the scale tensor: one, one per row, or one per group.
std::pair<std::int64_t, std::int64_t> scaleShape(const AffineGrid& grid, std::int64_t rows, std::int64_t cols) {
    if (grid.scope == AffineScope::tensor) return {1, 1};
    return {rows, grid.scope == AffineScope::channel ? 1 : cols / grid.group};
}

} // namespace

std::vector<OutputTensor> packedAffineTensors(const std::string& module, const AffineFormat& format, std::int64_t rows, std::int64_t cols) {
    const AffineGrid& grid = format.grid();
    const auto [scaleRows, scaleCols] = scaleShape(grid, rows, cols);
    std::vector<OutputTensor> tensors;
    tensors.push_back({module + ".weight_packed", StorageType::i32, {rows, packedWords(cols, grid.bits)}});
    tensors.push_back({module + ".weight_scale", StorageType::f16, grid.scope == AffineScope::tensor ? std::vector<std::int64_t>{1} : std::vector<std::int64_t>{scaleRows, scaleCols}});
    if (!grid.symmetric) tensors.push_back({module + ".weight_zero_point", StorageType::i32, {packedWords(scaleRows, grid.bits), scaleCols}});
    tensors.push_back({module + ".weight_shape", StorageType::i64, {2}});
    return tensors;
}

std::vector<std::vector<std::byte>> packedAffineBytes(const AffineFormat& format, std::span<const std::byte> encoded, std::int64_t rows, std::int64_t cols) {
    const AffineCodes codes = format.unpack(encoded, rows, cols);
    const AffineGrid& grid = format.grid();
    const std::int64_t rowBytes = packedWords(cols, grid.bits) * 4;
    std::vector<std::vector<std::byte>> parts;
    std::vector<std::byte> packed(static_cast<std::size_t>(rows * rowBytes));
    parallelFor(rows, std::max<std::int64_t>(1, (1 << 16) / cols), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r)
            for (std::int64_t c = 0; c < cols; ++c)
                setBitsAt(packed.data() + r * rowBytes, c, grid.bits, codes.codes[static_cast<std::size_t>(r * cols + c)]);
    });
    parts.push_back(std::move(packed));
    std::vector<std::byte> scales(codes.scales.size() * sizeof(std::uint16_t));
    std::memcpy(scales.data(), codes.scales.data(), scales.size());
    parts.push_back(std::move(scales));
    if (!grid.symmetric) {
        const auto [scaleRows, scaleCols] = scaleShape(grid, rows, cols);
        const std::int64_t words = packedWords(scaleRows, grid.bits);
        std::vector<std::byte> zeros(static_cast<std::size_t>(words * scaleCols * 4));
        std::vector<std::byte> column(static_cast<std::size_t>(words * 4));
        for (std::int64_t g = 0; g < scaleCols; ++g) { // each column is a bit stream of its own, one word per row
            std::fill(column.begin(), column.end(), std::byte{0});
            for (std::int64_t r = 0; r < scaleRows; ++r) setBitsAt(column.data(), r, grid.bits, codes.zeros[static_cast<std::size_t>(r * scaleCols + g)]);
            for (std::int64_t w = 0; w < words; ++w) std::memcpy(zeros.data() + (w * scaleCols + g) * 4, column.data() + w * 4, 4);
        }
        parts.push_back(std::move(zeros));
    }
    const std::array<std::int64_t, 2> shape{rows, cols};
    std::vector<std::byte> shapeBytes(sizeof shape);
    std::memcpy(shapeBytes.data(), shape.data(), sizeof shape);
    parts.push_back(std::move(shapeBytes));
    return parts;
}

} // namespace bw
