// SPDX-License-Identifier: GPL-3.0-or-later
// The state's text has one length whatever its offset is, so that a plan knows it before anything is rounded.
#include "core/checkpoint/packed_nf4.h"

#include <fmt/format.h>

namespace bw {
namespace {

constexpr std::int64_t kNested = 256; ///< magnitudes that share a scale

std::string stateText(const Nf4Grid& grid, std::int64_t rows, std::int64_t cols, const std::string& dtype, float offset) {
    std::string text = fmt::format(R"({{"quant_type": "nf4", "blocksize": {}, "dtype": "{}", "shape": [{}, {}])", grid.block, dtype, rows, cols);
    // Nine digits name every f32; the sign and two digits of exponent are always there.
    if (grid.doubleQuantized) text += fmt::format(R"(, "nested_blocksize": {}, "nested_dtype": "float32", "nested_offset": {: .8e})", kNested, static_cast<double>(offset));
    return text + "}";
}

template <class Values>
std::vector<std::byte> bytesOf(const Values& values) {
    const auto bytes = std::as_bytes(std::span(values));
    return {bytes.begin(), bytes.end()};
}

} // namespace

std::string nf4Refuses(const Nf4Grid& grid) { return grid.block < 64 ? fmt::format("blocks of {}; bitsandbytes has 64 to 4096", grid.block) : std::string(); }

std::vector<OutputTensor> nf4Tensors(const std::string& module, const Nf4Grid& grid, std::int64_t rows, std::int64_t cols, const std::string& dtype) {
    const std::string weight = module + ".weight";
    const std::int64_t blocks = rows * cols / grid.block;
    std::vector<OutputTensor> tensors{{weight, StorageType::u8, {(rows * cols + 1) / 2, 1}}, {weight + ".absmax", grid.doubleQuantized ? StorageType::u8 : StorageType::f32, {blocks}}, {weight + ".quant_map", StorageType::f32, {16}}};
    if (grid.doubleQuantized) {
        tensors.push_back({weight + ".nested_absmax", StorageType::f32, {(blocks + kNested - 1) / kNested}});
        tensors.push_back({weight + ".nested_quant_map", StorageType::f32, {256}});
    }
    tensors.push_back({weight + ".quant_state.bitsandbytes__nf4", StorageType::u8, {static_cast<std::int64_t>(stateText(grid, rows, cols, dtype, 0).size())}});
    return tensors;
}

std::vector<std::vector<std::byte>> nf4Bytes(const Nf4Format& format, std::span<const std::byte> encoded, std::int64_t rows, std::int64_t cols, const std::string& dtype) {
    const Nf4Codes codes = format.unpack(encoded, rows, cols);
    std::vector<std::byte> packed((codes.codes.size() + 1) / 2);
    for (std::size_t i = 0; i < codes.codes.size(); ++i) packed[i / 2] |= static_cast<std::byte>(i % 2 == 0 ? codes.codes[i] << 4 : codes.codes[i]);
    std::vector<std::vector<std::byte>> parts{std::move(packed), format.grid().doubleQuantized ? bytesOf(codes.absmaxCodes) : bytesOf(codes.absmax), bytesOf(nf4Levels())};
    if (format.grid().doubleQuantized) {
        parts.push_back(bytesOf(codes.nestedAbsmax));
        parts.push_back(bytesOf(dynamicMap()));
    }
    parts.push_back(bytesOf(stateText(format.grid(), rows, cols, dtype, codes.offset)));
    return parts;
}

std::string nf4Name(const Nf4Grid& grid) { return fmt::format("nf4:b{}{}", grid.block, grid.doubleQuantized ? ":nested" : ""); }

} // namespace bw
