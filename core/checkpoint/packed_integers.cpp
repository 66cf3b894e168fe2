// SPDX-License-Identifier: GPL-3.0-or-later
// Writing side of the integers in quantized_scaled.cpp. Scales are stored in f32: they hold f16 values exactly, and loaders
// that decode in the scale's type then lose nothing.
#include "core/checkpoint/packed_integers.h"

#include <algorithm>
#include <cstring>

namespace bw {
namespace {

std::vector<std::byte> signedBytes(std::span<const std::uint8_t> codes, int bits) {
    std::vector<std::byte> out(codes.size());
    const int middle = 1 << (bits - 1);
    std::transform(codes.begin(), codes.end(), out.begin(), [&](std::uint8_t code) { return static_cast<std::byte>(static_cast<std::int8_t>(code - middle)); });
    return out;
}

std::vector<std::byte> floatScales(const AffineCodes& codes, float factor) {
    std::vector<float> values(codes.scales.size());
    std::transform(codes.scales.begin(), codes.scales.end(), values.begin(), [&](std::uint16_t bits) { return halfToFloat(bits) * factor; });
    const auto bytes = std::as_bytes(std::span(values));
    return {bytes.begin(), bytes.end()};
}

std::vector<std::int64_t> scaleShape(const AffineGrid& grid, std::int64_t rows, std::int64_t cols) {
    if (grid.scope == AffineScope::tensor) return {1};
    return {rows, grid.scope == AffineScope::channel ? 1 : cols / grid.group};
}

} // namespace

std::vector<OutputTensor> integerTensors(const std::string& module, const AffineGrid& grid, std::int64_t rows, std::int64_t cols) {
    std::vector<OutputTensor> tensors{{module + ".weight", StorageType::i8, {rows, cols}}, {module + ".weight_scale", StorageType::f32, scaleShape(grid, rows, cols)}};
    if (!grid.symmetric) tensors.push_back({module + ".weight_zero_point", StorageType::i8, scaleShape(grid, rows, cols)});
    return tensors;
}

std::vector<std::vector<std::byte>> integerBytes(const AffineFormat& format, std::span<const std::byte> encoded, std::int64_t rows, std::int64_t cols) {
    const AffineCodes codes = format.unpack(encoded, rows, cols);
    std::vector<std::vector<std::byte>> parts{signedBytes(codes.codes, format.grid().bits), floatScales(codes, 1.0f)};
    if (!format.grid().symmetric) parts.push_back(signedBytes(codes.zeros, format.grid().bits));
    return parts;
}

std::vector<OutputTensor> llmInt8Tensors(const std::string& module, std::int64_t rows, std::int64_t cols) {
    return {{module + ".weight", StorageType::i8, {rows, cols}}, {module + ".SCB", StorageType::f32, {rows}}, {module + ".weight_format", StorageType::u8, {}}};
}

std::vector<std::vector<std::byte>> llmInt8Bytes(const AffineFormat& format, std::span<const std::byte> encoded, std::int64_t rows, std::int64_t cols) {
    const AffineCodes codes = format.unpack(encoded, rows, cols);
    return {signedBytes(codes.codes, format.grid().bits), floatScales(codes, 127.0f), {std::byte{0}}};
}

} // namespace bw
