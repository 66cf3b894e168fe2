// SPDX-License-Identifier: GPL-3.0-or-later
// Writing side of quantized_scaled.cpp and of NVFP4 in quantized_float4.cpp.
#include "core/checkpoint/packed_floats.h"

#include "core/format/half.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace bw {
namespace {

constexpr std::int64_t kBlock = 128;

std::vector<std::int64_t> scaleShape(const FloatGrid& grid, std::int64_t rows, std::int64_t cols) {
    switch (grid.scope) {
    case FloatScope::tensor: return {1};
    case FloatScope::channel: return {rows, 1};
    case FloatScope::block128: return {(rows + kBlock - 1) / kBlock, (cols + kBlock - 1) / kBlock};
    default: return {rows, cols / grid.group};
    }
}

std::vector<std::byte> bytesOf(std::span<const std::uint8_t> values) {
    const auto bytes = std::as_bytes(values);
    return {bytes.begin(), bytes.end()};
}

std::vector<std::byte> pairs(std::span<const std::uint8_t> codes) {
    std::vector<std::byte> out(codes.size() / 2);
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::byte>(codes[2 * i] | codes[2 * i + 1] << 4);
    return out;
}

/// f32, or bf16 where the format has no more.
std::vector<std::byte> floatScales(const FloatGrid& grid, const std::vector<float>& scales) {
    if (grid.scope != FloatScope::group) {
        const auto bytes = std::as_bytes(std::span(scales));
        return {bytes.begin(), bytes.end()};
    }
    std::vector<std::uint16_t> halves(scales.size());
    std::transform(scales.begin(), scales.end(), halves.begin(), half::bf16FromFloat);
    const auto bytes = std::as_bytes(std::span(halves));
    return {bytes.begin(), bytes.end()};
}

const char* scaleName(Packing packing, const FloatGrid& grid) { return packing == Packing::fp8 && grid.scope == FloatScope::block128 ? ".weight_scale_inv" : ".weight_scale"; }

} // namespace

std::string floatRefuses(Packing packing, const FloatGrid& grid) {
    const bool scaled = grid.scope != FloatScope::mx && grid.scope != FloatScope::nv;
    switch (packing) {
    case Packing::floatQuantized: return grid.code == FloatCode::e4m3 && scaled ? "" : "float-quantized is fp8_e4m3 with scales per tensor, channel, 128×128 block or group";
    case Packing::fp8:
        if (grid.code == FloatCode::e4m3 && (grid.scope == FloatScope::block128 || grid.scope == FloatScope::tensor)) return {};
        return grid.code == FloatCode::e4m3 && scaled ? "fp8 files have a scale per 128×128 block or per tensor; the compressed-tensors layout has channels and groups"
                                                      : "fp8 files hold fp8_e4m3:block128 or fp8_e4m3:tensor";
    case Packing::mxfp8: return grid.code == FloatCode::e4m3 && grid.scope == FloatScope::mx ? "" : "mxfp8-quantized is mxfp8_e4m3";
    case Packing::nvfp4: return grid.scope == FloatScope::nv ? "" : "nvfp4-pack-quantized is nvfp4";
    default: return "the layout holds no small floats of this kind";
    }
}

std::vector<OutputTensor> floatTensors(Packing packing, const std::string& module, const FloatGrid& grid, std::int64_t rows, std::int64_t cols) {
    const std::vector<std::int64_t> scales = scaleShape(grid, rows, cols);
    if (packing == Packing::nvfp4)
        return {{module + ".weight_packed", StorageType::u8, {rows, cols / 2}}, {module + ".weight_scale", StorageType::f8e4m3, scales}, {module + ".weight_global_scale", StorageType::f32, {1}}};
    const StorageType type = packing == Packing::mxfp8 ? StorageType::u8 : grid.scope == FloatScope::group ? StorageType::bf16 : StorageType::f32;
    return {{module + ".weight", StorageType::f8e4m3, {rows, cols}}, {module + scaleName(packing, grid), type, scales}};
}

std::vector<std::vector<std::byte>> floatBytes(Packing packing, const FloatFormat& format, std::span<const std::byte> encoded, std::int64_t rows, std::int64_t cols) {
    const FloatCodes codes = format.unpack(encoded, rows, cols);
    if (packing == Packing::nvfp4) {
        std::vector<std::byte> global(sizeof codes.globalScale);
        std::memcpy(global.data(), &codes.globalScale, global.size());
        return {pairs(codes.codes), bytesOf(codes.scaleBytes), std::move(global)};
    }
    return {bytesOf(codes.codes), packing == Packing::mxfp8 ? bytesOf(codes.scaleBytes) : floatScales(format.grid(), codes.scales)};
}

std::string floatName(const FloatFormat& format, std::int64_t rows, std::int64_t cols) {
    const FloatGrid& grid = format.grid();
    if (grid.scope == FloatScope::mx || grid.scope == FloatScope::nv) return format.name();
    const std::vector<std::int64_t> shape = scaleShape(grid, rows, cols);
    const std::int64_t scaleRows = shape[0], scaleCols = shape.size() > 1 ? shape[1] : 1;
    if (scaleRows == 1 && scaleCols == 1) return "fp8_e4m3:tensor";
    const std::int64_t high = scaleRows == 1 ? rows : scaleRows == rows ? 1 : kBlock;
    const std::int64_t wide = scaleCols == 1 ? cols : scaleCols == cols ? 1 : grid.scope == FloatScope::block128 ? kBlock : grid.group;
    if (high == 1 && scaleCols == 1) return "fp8_e4m3:channel";
    return high == 1 ? fmt::format("fp8_e4m3:g{}", wide) : fmt::format("fp8_e4m3:block{}x{}", high, wide);
}

} // namespace bw
