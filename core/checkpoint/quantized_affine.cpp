// SPDX-License-Identifier: GPL-3.0-or-later
// Reading side of packed_affine.h: compressed-tensors' "pack-quantized". The grid is worked out from the shapes alone, so
// that no configuration can lie about them. Also read: weight_g_idx (act-order: the group of each input channel).
#include "core/checkpoint/packed_bits.h"
#include "core/checkpoint/quantized_linear.h"
#include "core/format/affine.h"

#include <algorithm>
#include <cstring>

namespace bw {
namespace {

class AffineLinear final : public IntegerLinear {
public:
    void readPiece(const std::vector<MappedFile>& files, const Piece& piece) const override {
        const std::byte* words = partData(codes, files);
        const std::byte* scale = partData(scales, files);
        const std::byte* zero = hasZeros ? partData(zeros, files) : nullptr;
        const std::int64_t rowBytes = packedWords(cols, bits) * 4;
        const auto scaleBytes = storageBytes(scales.type, 1, static_cast<std::uint64_t>(groups));
        for (std::int64_t r = 0; r < piece.count; ++r) {
            const std::int64_t row = piece.first + r, scaleRow = wholeTensor ? 0 : row;
            decodeRow(scales.type, scale + static_cast<std::uint64_t>(scaleRow) * scaleBytes, {piece.scales + r * groups, static_cast<std::size_t>(groups)});
            for (std::int64_t g = 0; g < groups; ++g) piece.zeros[r * groups + g] = static_cast<float>(zero ? zeroAt(zero, scaleRow, g) : 1 << (bits - 1));
            const std::byte* stream = words + row * rowBytes;
            for (std::int64_t c = 0; c < cols; ++c) piece.codes[r * cols + c] = static_cast<std::uint8_t>(bitsAt(stream, c, bits));
        }
    }

    static std::int32_t orderAt(const std::byte* order, std::int64_t c) {
        std::int32_t group = 0;
        std::memcpy(&group, order + 4 * c, 4);
        return group;
    }

    AffineGrid grid;
    bool wholeTensor = false; ///< one scale for all rows
    TensorInfo codes, scales, zeros;
    bool hasZeros = false;

private:
    /// Column g is a bit stream whose 32-bit words stand one row of words apart; codes may cross words.
    int zeroAt(const std::byte* data, std::int64_t row, std::int64_t g) const {
        const std::int64_t bit = row * bits;
        std::uint32_t low = 0, high = 0;
        std::memcpy(&low, data + (bit / 32 * groups + g) * 4, 4);
        if (bit % 32 + bits > 32) std::memcpy(&high, data + ((bit / 32 + 1) * groups + g) * 4, 4);
        const std::uint64_t both = static_cast<std::uint64_t>(high) << 32 | low;
        return static_cast<int>(both >> (bit % 32) & ((1u << bits) - 1u));
    }
};

void readShape(const PartFinder& find, const TensorInfo& shape, AffineLinear& linear) {
    find.requireType(shape, {StorageType::i64, StorageType::i32});
    find.requireShape(shape, {2});
    const std::byte* data = find.data(shape);
    std::int64_t values[2] = {};
    for (int i = 0; i < 2; ++i) {
        std::int32_t narrow = 0;
        if (shape.type == StorageType::i64)
            std::memcpy(&values[i], data + 8 * i, 8);
        else {
            std::memcpy(&narrow, data + 4 * i, 4);
            values[i] = narrow;
        }
    }
    linear.rows = values[0];
    linear.cols = values[1];
    find.checkSize(linear.rows, linear.cols);
}

void readCodeShape(const PartFinder& find, AffineLinear& linear) {
    const auto& shape = linear.codes.shape;
    if (shape.size() != 2 || shape[0] != linear.rows)
        find.fail(ErrorCode::shapeMismatch, "weight_packed is " + shapeText(shape) + " but weight_shape says " + std::to_string(linear.rows) + " rows");
    int found = 0;
    for (int bits = 2; bits <= 8; ++bits)
        if (packedWords(linear.cols, bits) == shape[1]) {
            if (found != 0) find.fail(ErrorCode::invalidTensor, "rows of " + std::to_string(linear.cols) + " are too short to tell the number of bits");
            found = bits;
        }
    if (found == 0) find.fail(ErrorCode::shapeMismatch, "weight_packed has " + std::to_string(shape[1]) + " words per row of " + std::to_string(linear.cols) + ", which fits no width of 2 to 8 bits");
    linear.grid.bits = linear.bits = found;
}

void readScaleShape(const PartFinder& find, AffineLinear& linear) {
    find.requireType(linear.scales, {StorageType::f16, StorageType::bf16, StorageType::f32});
    const auto& shape = linear.scales.shape;
    if (shape.size() == 1 && shape[0] == 1) {
        linear.grid.scope = AffineScope::tensor;
        linear.wholeTensor = true;
        linear.groupLength = linear.cols;
        return;
    }
    if (shape.size() != 2 || shape[0] != linear.rows || shape[1] < 1 || linear.cols % shape[1] != 0)
        find.fail(ErrorCode::shapeMismatch, "weight_scale is " + shapeText(shape) + ", which fits neither groups, channels nor the whole of " + std::to_string(linear.rows) + " × " + std::to_string(linear.cols));
    linear.groups = shape[1];
    linear.groupLength = linear.cols / shape[1];
    linear.grid.scope = shape[1] == 1 ? AffineScope::channel : AffineScope::group;
    if (linear.grid.scope == AffineScope::group) linear.grid.group = linear.groupLength;
}

/// An order of −1 means none; one that is the plain order is dropped.
void readOrder(const PartFinder& find, const TensorInfo& order, AffineLinear& linear) {
    find.requireType(order, {StorageType::i32});
    find.requireShape(order, {linear.cols});
    linear.parts.push_back(order.name);
    const std::byte* data = find.data(order);
    bool plain = true, none = true;
    for (std::int64_t c = 0; c < linear.cols; ++c) {
        const std::int32_t group = AffineLinear::orderAt(data, c);
        if (group < -1 || group >= linear.groups) find.fail(ErrorCode::invalidTensor, "weight_g_idx[" + std::to_string(c) + "] is " + std::to_string(group) + "; there are " + std::to_string(linear.groups) + " groups");
        plain = plain && group == c / linear.groupLength;
        none = none && group == -1;
        if (group == -1 && !none) find.fail(ErrorCode::invalidTensor, "weight_g_idx[" + std::to_string(c) + "] is -1 among group numbers");
    }
    linear.hasOrder = !plain && !none;
    if (linear.hasOrder) linear.groupOf = order;
}

} // namespace

QuantizedLinearPtr openPackedAffine(const PartFinder& find) {
    auto linear = std::make_unique<AffineLinear>();
    linear->codes = find.require(".weight_packed");
    linear->scales = find.require(".weight_scale");
    const TensorInfo& shape = find.require(".weight_shape");
    linear->parts = {linear->codes.name, linear->scales.name, shape.name};
    find.requireType(linear->codes, {StorageType::i32, StorageType::u32});
    readShape(find, shape, *linear);
    readCodeShape(find, *linear);
    readScaleShape(find, *linear);
    if (const TensorInfo* zeros = find.find(".weight_zero_point")) {
        find.requireType(*zeros, {StorageType::i32, StorageType::u32});
        const std::int64_t scaleRows = linear->wholeTensor ? 1 : linear->rows;
        find.requireShape(*zeros, {packedWords(scaleRows, linear->grid.bits), linear->groups});
        linear->zeros = *zeros;
        linear->hasZeros = true;
        linear->parts.push_back(zeros->name);
    }
    linear->grid.symmetric = !linear->hasZeros;
    if (const TensorInfo* order = find.find(".weight_g_idx")) readOrder(find, *order, *linear);
    auto format = std::make_shared<AffineFormat>(linear->grid);
    std::string why;
    if (!format->fits(linear->rows, linear->cols, &why)) find.fail(ErrorCode::invalidTensor, why);
    if (linear->hasOrder)
        linear->format = std::make_shared<StoredFormat>("packed int" + std::to_string(linear->grid.bits) + ":act-order", linear->grid.bits);
    else
        linear->format = std::move(format);
    return linear;
}

} // namespace bw
