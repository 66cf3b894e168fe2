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

class AffineLinear final : public QuantizedLinear {
public:
    void readRows(const std::vector<MappedFile>& files, std::int64_t first, MatrixView<float> out) const override {
        if (out.empty()) return;
        const std::byte* words = partData(codes, files);
        const std::byte* scale = partData(scales, files);
        const std::byte* zero = hasZeros ? partData(zeros, files) : nullptr;
        const std::byte* order = hasOrder ? partData(groupOf, files) : nullptr;
        const int bits = grid.bits;
        const std::int64_t rowBytes = packedWords(cols, bits) * 4, groups = std::max<std::int64_t>(1, groupsPerRow), group = cols / groups;
        const auto scaleBytes = storageBytes(scales.type, 1, static_cast<std::uint64_t>(groups));
        forRowPieces(out.rows, cols, [&](std::int64_t begin, std::int64_t count) {
            std::vector<float> rowScales(static_cast<std::size_t>(groups));
            std::vector<int> rowZeros(rowScales.size(), 1 << (bits - 1));
            for (std::int64_t r = begin; r < begin + count; ++r) {
                const std::int64_t scaleRow = groupsPerRow == 0 ? 0 : first + r;
                decodeRow(scales.type, scale + static_cast<std::uint64_t>(scaleRow) * scaleBytes, rowScales);
                for (std::int64_t g = 0; zero && g < groups; ++g) rowZeros[static_cast<std::size_t>(g)] = zeroAt(zero, scaleRow, g, groups);
                const std::byte* stream = words + (first + r) * rowBytes;
                float* values = out.row(r);
                for (std::int64_t c = 0; c < cols; ++c) {
                    const auto g = static_cast<std::size_t>(order ? orderAt(order, c) : c / group);
                    values[c] = rowScales[g] * static_cast<float>(static_cast<int>(bitsAt(stream, c, bits)) - rowZeros[g]);
                }
            }
        });
    }

    static std::int32_t orderAt(const std::byte* order, std::int64_t c) {
        std::int32_t group = 0;
        std::memcpy(&group, order + 4 * c, 4);
        return group;
    }

    AffineGrid grid;
    std::int64_t groupsPerRow = 0; ///< 0: one scale for the whole tensor
    TensorInfo codes, scales, zeros, groupOf;
    bool hasZeros = false, hasOrder = false;

private:
    /// Column g is a bit stream whose 32-bit words stand one row of words apart; codes may cross words.
    int zeroAt(const std::byte* data, std::int64_t row, std::int64_t g, std::int64_t groups) const {
        const std::int64_t bit = row * grid.bits;
        std::uint32_t low = 0, high = 0;
        std::memcpy(&low, data + (bit / 32 * groups + g) * 4, 4);
        if (bit % 32 + grid.bits > 32) std::memcpy(&high, data + ((bit / 32 + 1) * groups + g) * 4, 4);
        const std::uint64_t both = static_cast<std::uint64_t>(high) << 32 | low;
        return static_cast<int>(both >> (bit % 32) & ((1u << grid.bits) - 1u));
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
    linear.grid.bits = found;
}

void readScaleShape(const PartFinder& find, AffineLinear& linear) {
    find.requireType(linear.scales, {StorageType::f16, StorageType::bf16, StorageType::f32});
    const auto& shape = linear.scales.shape;
    if (shape.size() == 1 && shape[0] == 1) {
        linear.grid.scope = AffineScope::tensor;
        return;
    }
    if (shape.size() != 2 || shape[0] != linear.rows || shape[1] < 1 || linear.cols % shape[1] != 0)
        find.fail(ErrorCode::shapeMismatch, "weight_scale is " + shapeText(shape) + ", which fits neither groups, channels nor the whole of " + std::to_string(linear.rows) + " × " + std::to_string(linear.cols));
    linear.groupsPerRow = shape[1];
    linear.grid.scope = shape[1] == 1 ? AffineScope::channel : AffineScope::group;
    if (linear.grid.scope == AffineScope::group) linear.grid.group = linear.cols / shape[1];
}

/// An order of −1 means none; one that is the plain order is dropped.
void readOrder(const PartFinder& find, const TensorInfo& order, AffineLinear& linear) {
    find.requireType(order, {StorageType::i32});
    find.requireShape(order, {linear.cols});
    linear.parts.push_back(order.name);
    const std::byte* data = find.data(order);
    const std::int64_t groups = std::max<std::int64_t>(1, linear.groupsPerRow), length = linear.cols / groups;
    bool plain = true, none = true;
    for (std::int64_t c = 0; c < linear.cols; ++c) {
        const std::int32_t group = AffineLinear::orderAt(data, c);
        if (group < -1 || group >= groups) find.fail(ErrorCode::invalidTensor, "weight_g_idx[" + std::to_string(c) + "] is " + std::to_string(group) + "; there are " + std::to_string(groups) + " groups");
        plain = plain && group == c / length;
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
        const std::int64_t scaleRows = linear->groupsPerRow == 0 ? 1 : linear->rows;
        find.requireShape(*zeros, {packedWords(scaleRows, linear->grid.bits), std::max<std::int64_t>(1, linear->groupsPerRow)});
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
