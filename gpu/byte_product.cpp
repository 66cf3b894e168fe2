// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/byte_product.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace bw::vk {
namespace {

constexpr std::int64_t kTile = 64;          ///< rows and columns of y a workgroup makes
constexpr std::int64_t kMostColumns = 65536; ///< sums stay within 65536·127·128, half of 2^31
constexpr std::int64_t kMostGroups = 65535; ///< that every device can do
constexpr double kPerValue = 20;            ///< operations that rounding a value counts for
constexpr float kMiddle = 128;              ///< the zero point that leaves signed bytes

std::uint32_t u32(std::int64_t value) { return static_cast<std::uint32_t>(value); }
std::int64_t wordsOf(std::int64_t cols) { return (cols + 3) / 4; }

/// What of `rows` one submit should do at a time.
std::int64_t affordable(const Stream& work, double rowWork, std::int64_t rows) {
    return std::min(rows, static_cast<std::int64_t>(std::clamp(work.affordable() / std::max(1.0, rowWork), 1.0, static_cast<double>(kMostGroups))));
}

struct Shape { std::uint32_t rows, cols, xAt, xStride; };

} // namespace

bool ByteProduct::takes(const StoredWeight& weight) {
    if (weight.storage != WeightStorage::int8 || weight.rows == 0 || weight.cols == 0 || weight.cols > kMostColumns) return false;
    const auto wordAt = [&](std::size_t index) {
        std::uint32_t word = 0;
        std::memcpy(&word, weight.bytes.data() + index * sizeof word, sizeof word);
        return word;
    };
    const std::size_t rowWords = weight.bytes.size() / sizeof(std::uint32_t) / static_cast<std::size_t>(weight.rows);
    const auto group = static_cast<std::int64_t>(wordAt(0));
    if (group == 0 || (group != weight.cols && group % 4 != 0)) return false;
    for (std::size_t row = 0; row < static_cast<std::size_t>(weight.rows); ++row)
        for (std::size_t g = 0; g < static_cast<std::size_t>(weight.cols / group); ++g)
            if (std::bit_cast<float>(wordAt(row * rowWords + 2 + 2 * g)) != kMiddle) return false;
    return true;
}

VkResult ByteProduct::room(Buffer& buffer, std::uint64_t bytes) {
    if (buffer.bytes() >= bytes) return VK_SUCCESS;
    const VkResult result = work_.finish(); // the old one may be in use
    return result == VK_SUCCESS ? buffer.create(context_, bytes, Placement::device) : result;
}

VkResult ByteProduct::round(const Located& x) {
    if (!rounds_) rounds_ = std::make_unique<Kernel>(context_, shaderCode(ShaderName::bytes), std::vector<std::uint32_t>{1});
    const std::int64_t inBinding = rowsInBinding(context_, x);
    if (inBinding == 0) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    const double rowWork = kPerValue * static_cast<double>(x.cols);
    for (std::int64_t row = 0, count = 0; row < x.rows; row += count) {
        count = affordable(work_, rowWork, std::min(inBinding, x.rows - row));
        const Bound at = bound(context_, x.middleRows(row, count));
        const Shape push{u32(count), u32(x.cols), at.at, u32(x.stride)};
        const VkResult result = work_.dispatch(*rounds_, std::array{at.slice, at.slice, at.slice}, std::as_bytes(std::span(&push, 1)), u32(count), 1, rowWork * static_cast<double>(count));
        if (result != VK_SUCCESS) return result;
    }
    return VK_SUCCESS;
}

VkResult ByteProduct::encode(const Located& x, const Slice& codes, const Slice& scales) {
    if (!encodes_) encodes_ = std::make_unique<Kernel>(context_, shaderCode(ShaderName::bytes), std::vector<std::uint32_t>{0});
    const Bound at = bound(context_, x);
    const Shape push{u32(x.rows), u32(x.cols), at.at, u32(x.stride)};
    return work_.dispatch(*encodes_, std::array{at.slice, codes, scales}, std::as_bytes(std::span(&push, 1)), u32(std::min(x.rows, kMostGroups)), 1,
                          kPerValue * static_cast<double>(x.rows * x.cols));
}

VkResult ByteProduct::runPart(const WeightPart& part, std::int64_t depth, const Slice& codes, const Slice& scales, const Located& y, bool accumulate) {
    struct Window { std::uint32_t rowBegin, rowEnd, outBegin, outEnd, outOffset, depth, yAt, yStride, accumulate; };
    const Bound to = bound(context_, y);
    const std::array<Slice, 4> bindings{codes, Slice{part.buffer.handle(), 0, part.buffer.bytes()}, to.slice, scales};
    const std::int64_t rowTiles = (y.rows + kTile - 1) / kTile, outTiles = (part.rows + kTile - 1) / kTile;
    const double columnWork = 2.0 * kTile * kTile * static_cast<double>(depth * rowTiles); // of all rows
    for (std::int64_t out = 0, count = 0; out < outTiles; out += count) {
        count = affordable(work_, columnWork, outTiles - out);
        const Window window{0, u32(y.rows), u32(out * kTile), u32(std::min(part.rows, (out + count) * kTile)), u32(part.firstRow), u32(depth), to.at, u32(y.stride), accumulate ? 1u : 0u};
        const VkResult result = work_.dispatch(*multiplies_, bindings, std::as_bytes(std::span(&window, 1)), u32(count), u32(rowTiles), columnWork * static_cast<double>(count));
        if (result != VK_SUCCESS) return result;
    }
    return VK_SUCCESS;
}

VkResult ByteProduct::multiply(const Located& x, const std::vector<WeightPart>& parts, const Located& y, bool accumulate) {
    constexpr std::int64_t kMostRows = 512; ///< that pass at a time
    if (!multiplies_) multiplies_ = std::make_unique<Kernel>(context_, shaderCode(context_.dotProducts() ? ShaderName::byteDotProduct : ShaderName::byteProduct));
    // A column of tiles is the least that a dispatch makes.
    const auto affordableRows = static_cast<std::int64_t>(std::clamp(work_.affordable() / (2.0 * kTile * static_cast<double>(x.cols)), double{kTile}, double{kMostRows}));
    const std::int64_t words = wordsOf(x.cols), atOnce = std::min({rowsInBinding(context_, x), rowsInBinding(context_, y), affordableRows, x.rows});
    const std::uint64_t codeBytes = static_cast<std::uint64_t>(atOnce * words) * sizeof(std::uint32_t), scaleBytes = static_cast<std::uint64_t>(atOnce) * sizeof(float);
    if (atOnce == 0 || codeBytes > context_.bindingBytes()) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    VkResult result = room(codes_, codeBytes);
    if (result == VK_SUCCESS) result = room(scales_, scaleBytes);
    const Slice codes{codes_.handle(), 0, codeBytes}, scales{scales_.handle(), 0, scaleBytes};
    for (std::int64_t row = 0; result == VK_SUCCESS && row < x.rows; row += atOnce) {
        const std::int64_t count = std::min(atOnce, x.rows - row);
        result = encode(x.middleRows(row, count), codes, scales);
        for (std::size_t p = 0; result == VK_SUCCESS && p < parts.size(); ++p)
            result = runPart(parts[p], x.cols, codes, scales, y.middleRows(row, count), accumulate);
    }
    return result;
}

} // namespace bw::vk
