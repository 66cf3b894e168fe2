// SPDX-License-Identifier: GPL-3.0-or-later
// Fixed grids of the storage types: GGML blocks, whose headers stay as the encoder wrote them while codes are replaced, and
// plain floats, which have no scales. Those of the other families stand beside their formats.
#include "core/format/fixed_grid.h"

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/format/block_codes.h"
#include "core/format/block_scales.h"
#include "core/format/checks.h"
#include "core/format/half.h"
#include "core/format/scaled_grid.h"
#include "core/format/storage_format.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <cstring>

namespace bw {

namespace {

class BlockGrid final : public ScaledGrid {
public:
    BlockGrid(StorageType type, MatrixView<const float> weight, const EncodeOptions& options)
        : ScaledGrid(weight.rows, weight.cols, storageTypeInfo(type).blockElements, blockShape(type).cellWeights, levelsOf(blockShape(type)),
                     blockShape(type).hasMinimum, false),
          format_(type), importance_(options.importance.begin(), options.importance.end()), search_(options.search),
          bytes_(format_.bytes(weight.rows, weight.cols)) {
        format_.encode(weight, options, bytes_);
        readCells(0, weight.cols);
    }

    void refit(MatrixView<const float> current, std::int64_t first, std::int64_t count) override {
        assert(first % groupColumns() == 0 && count % groupColumns() == 0);
        std::vector<std::byte> part(format_.bytes(rows(), count));
        EncodeOptions options;
        options.importance = importanceOf(importance_, first, count);
        options.search = search_;
        format_.encode(current.middleCols(first, count), options, part);
        const std::uint64_t partBytes = format_.bytes(1, count), rowBytes = format_.bytes(1, cols()), at = format_.bytes(1, first);
        for (std::uint64_t r = 0; r < static_cast<std::uint64_t>(rows()); ++r)
            std::memcpy(bytes_.data() + r * rowBytes + at, part.data() + r * partBytes, partBytes);
        readCells(first, count);
    }

    bool movesCells() const override { return hasMovableScales(format_.storage()); }
    bool movesGroups() const override { return movesCells() && storageTypeInfo(format_.storage()).blockElements > cellColumns(); }
    void moveCell(std::int64_t column, std::int64_t firstRow, std::span<const ScaleLoss> loss) override {
        const auto cell = static_cast<int>(column % groupColumns() / cellColumns());
        moveRows(column, firstRow, loss, [&](std::byte* block, const ScaleLoss& rowLoss) { moveBlockCell(format_.storage(), block, cell, rowLoss); });
    }
    void moveGroup(std::int64_t column, std::int64_t firstRow, std::span<const ScaleLoss> loss) override {
        moveRows(column, firstRow, loss, [&](std::byte* block, const ScaleLoss& rowLoss) { moveBlockScales(format_.storage(), block, rowLoss); });
    }

    void pack(std::span<std::byte> out) const override {
        assert(out.size() == bytes_.size());
        const StorageTypeInfo& info = storageTypeInfo(format_.storage());
        const auto blockBytes = static_cast<std::size_t>(info.blockBytes);
        const std::int64_t blocks = cols() / info.blockElements;
        std::memcpy(out.data(), bytes_.data(), bytes_.size());
        parallelFor(rows(), kPackRows, [&](std::int64_t begin, std::int64_t end) {
            std::vector<std::uint8_t> codes(static_cast<std::size_t>((end - begin) * cols()));
            copyCodes(begin, end - begin, codes.data());
            std::byte* block = out.data() + static_cast<std::size_t>(begin * blocks) * blockBytes;
            for (std::int64_t b = 0; b < (end - begin) * blocks; ++b, block += blockBytes)
                putBlockCodes(format_.storage(), codes.data() + b * info.blockElements, block);
        });
    }

private:
    static Levels levelsOf(const BlockShape& shape) {
        Levels levels;
        levels.values = shape.levels;
        levels.count = shape.levelCount;
        levels.low = static_cast<float>(shape.low);
        levels.high = static_cast<float>(shape.high);
        levels.zero = static_cast<float>(shape.zero);
        return levels;
    }

    std::byte* block(std::int64_t row, std::int64_t index) {
        const auto rowBytes = static_cast<std::int64_t>(format_.bytes(1, cols()));
        return bytes_.data() + row * rowBytes + index * storageTypeInfo(format_.storage()).blockBytes;
    }

    template <class Move>
    void moveRows(std::int64_t column, std::int64_t firstRow, std::span<const ScaleLoss> loss, Move move) {
        const std::int64_t index = column / groupColumns();
        for (std::size_t i = 0; i < loss.size(); ++i) {
            const std::int64_t row = firstRow + static_cast<std::int64_t>(i);
            move(block(row, index), loss[i]);
            readBlock(row, index);
        }
    }

    void readBlock(std::int64_t row, std::int64_t index) {
        const StorageType type = format_.storage();
        const std::int64_t perBlock = storageTypeInfo(type).blockElements / blockShape(type).cellWeights;
        std::array<float, 16> scales{}, offsets{};
        readBlockCells(type, block(row, index), scales.data(), offsets.data());
        for (std::int64_t k = 0; k < perBlock; ++k)
            setCell(row, index * perBlock + k, scales[static_cast<std::size_t>(k)], offsets[static_cast<std::size_t>(k)], 0.0f);
    }

    /// Decodes the scales of the blocks of columns [first, first+count).
    void readCells(std::int64_t first, std::int64_t count) {
        parallelFor(rows(), rowGrain(count), [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t r = begin; r < end; ++r)
                for (std::int64_t b = first / groupColumns(); b < (first + count) / groupColumns(); ++b) readBlock(r, b);
        });
    }

    StorageFormat format_;
    std::vector<float> importance_;
    BlockSearch search_;
    std::vector<std::byte> bytes_; ///< scales are right, codes are those of the encoder
};

/// f32, f16 and bf16: the grid is the numbers themselves; magnitudes past the largest finite one are held at it.
class PlainGrid final : public FixedGrid {
public:
    PlainGrid(StorageType type, MatrixView<const float> weight)
        : FixedGrid(1, 1), type_(type), rows_(weight.rows), cols_(weight.cols), values_(static_cast<std::size_t>(weight.rows * weight.cols)) {}

    void refit(MatrixView<const float>, std::int64_t, std::int64_t) override {}

    void roundColumn(std::int64_t column, std::int64_t firstRow, std::span<const float> values, std::span<float> rounded) override {
        float* kept = values_.data() + column * rows_ + firstRow;
        for (std::size_t i = 0; i < values.size(); ++i) rounded[i] = kept[i] = valueOf(nearest(values[i]));
    }

    void column(std::int64_t column, std::int64_t firstRow, std::span<float> levels, std::span<float> scales, std::span<float> offsets) const override {
        std::copy_n(values_.data() + column * rows_ + firstRow, levels.size(), levels.data());
        std::fill(scales.begin(), scales.end(), 1.0f);
        std::fill(offsets.begin(), offsets.end(), -0.0f);
    }

    void bracket(std::int64_t, std::int64_t, std::span<const float> values, std::span<float> below, std::span<float> above) const override {
        for (std::size_t i = 0; i < values.size(); ++i) {
            const float v = std::isfinite(values[i]) ? values[i] : 0.0f;
            const std::uint32_t code = nearest(v);
            const float a = valueOf(code);
            float b = a;
            if (v > a && a < largest()) b = valueOf(next(code, true));
            if (v < a && a > -largest()) b = valueOf(next(code, false));
            below[i] = std::min(a, b);
            above[i] = std::max(a, b);
        }
    }

    void pack(std::span<std::byte> out) const override {
        const std::size_t width = static_cast<std::size_t>(storageTypeInfo(type_).blockBytes);
        assert(out.size() == values_.size() * width);
        parallelFor(rows_, kPackRows, [&](std::int64_t begin, std::int64_t end) {
            std::vector<float> row(static_cast<std::size_t>(cols_));
            for (std::int64_t r = begin; r < end; ++r) {
                for (std::int64_t c = 0; c < cols_; ++c) row[static_cast<std::size_t>(c)] = values_[static_cast<std::size_t>(c * rows_ + r)];
                encodeRow(type_, row, {}, out.data() + static_cast<std::size_t>(r * cols_) * width);
            }
        });
    }

private:
    float largest() const { return type_ == StorageType::f16 ? 65504.0f : (type_ == StorageType::bf16 ? 0x1.fep127f : 0x1.fffffep127f); }

    std::uint32_t nearest(float v) const {
        v = std::clamp(std::isfinite(v) ? v : 0.0f, -largest(), largest());
        if (type_ == StorageType::f16) return half::fromFloat(v);
        return type_ == StorageType::bf16 ? half::bf16FromFloat(v) : __builtin_bit_cast(std::uint32_t, v);
    }
    float valueOf(std::uint32_t code) const {
        if (type_ == StorageType::f16) return half::toFloat(static_cast<std::uint16_t>(code));
        return type_ == StorageType::bf16 ? half::bf16ToFloat(static_cast<std::uint16_t>(code)) : __builtin_bit_cast(float, code);
    }
    /// The neighbouring number; sign and magnitude, so codes of negative numbers fall as the numbers rise.
    std::uint32_t next(std::uint32_t code, bool up) const {
        const std::uint32_t sign = type_ == StorageType::f32 ? 0x80000000u : 0x8000u;
        if ((code & ~sign) == 0) return (up ? 0u : sign) | 1u;
        return ((code & sign) == 0) == up ? code + 1 : code - 1;
    }

    StorageType type_;
    std::int64_t rows_, cols_;
    std::vector<float> values_; ///< [column][row]
};

} // namespace

double ScaleLoss::bestScale(bool both) const {
    const double u = static_cast<double>(uu), o = static_cast<double>(oo), cross = static_cast<double>(uo);
    if (both && o > 0 && u * o - cross * cross > 1e-6 * u * o)
        return (static_cast<double>(gu) * o - static_cast<double>(go) * cross) / (u * o - cross * cross);
    return u > 0 ? static_cast<double>(gu) / u : 0.0;
}

void FixedGrid::moveCell(std::int64_t, std::int64_t, std::span<const ScaleLoss>) {}
void FixedGrid::moveGroup(std::int64_t, std::int64_t, std::span<const ScaleLoss>) {}

std::unique_ptr<FixedGrid> fixGrid(const Format& format, MatrixView<const float> weight, const EncodeOptions& options) {
    return format.fixedGrid(weight, options);
}

std::unique_ptr<FixedGrid> Format::fixedGrid(MatrixView<const float>, const EncodeOptions&) const {
    throw Error(ErrorCode::usage, "format " + name() + " is only read: it has no grid to round to", "choose a format of the formats command");
}

std::unique_ptr<FixedGrid> StorageFormat::fixedGrid(MatrixView<const float> weight, const EncodeOptions& options) const {
    if (blockShape(storage()).cellWeights != 0) return std::make_unique<BlockGrid>(storage(), weight, options);
    checkEncodeArguments(*this, weight, options, bytes(weight.rows, weight.cols));
    return std::make_unique<PlainGrid>(storage(), weight);
}

} // namespace bw
