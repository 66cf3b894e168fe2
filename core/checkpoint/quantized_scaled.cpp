// SPDX-License-Identifier: GPL-3.0-or-later
// Weights of one byte with scales beside them: w = scale · (code − zero).
//   fp8    X.weight f8, X.weight_scale_inv [⌈O/R⌉, ⌈I/C⌉] (fine-grained blocks; the name says inverse, it multiplies), or
//          X.weight_scale: one, per output [O] / [O,1], or blocks.
//   mxfp8  X.weight f8 with X.weight_scale u8 [O, I/32]: powers of two.
//   int8   X.weight i8 with X.weight_scale and, when asymmetric, X.weight_zero_point i8 of the same shape.
//   LLM.int8 (bitsandbytes) X.weight i8, X.SCB f32 [O]: w = code · SCB / 127.
#include "core/checkpoint/quantized_linear.h"

#include <cmath>

namespace bw {
namespace {

/// fp8 blocks where the configuration does not say: what every published file has.
constexpr std::int64_t kUsualBlock = 128;
constexpr std::int64_t kMxGroup = 32; ///< weights that share a power of two
constexpr float kSign = 128;           ///< makes signed codes unsigned ones

class ScaledLinear final : public QuantizedLinear {
public:
    void readRows(const std::vector<MappedFile>& files, std::int64_t first, MatrixView<float> out) const override {
        if (out.empty()) return;
        const std::byte* data = partData(codes, files);
        const auto rowBytes = static_cast<std::int64_t>(storageBytes(codes.type, 1, static_cast<std::uint64_t>(cols)));
        const std::vector<float> scale = scales.type == StorageType::u8 ? decodePowers(scales, files) : decodeScales(scales, files);
        const std::vector<float> zero = hasZeros ? decodeScales(zeros, files) : std::vector<float>();
        forRowPieces(out.rows, cols, [&](std::int64_t begin, std::int64_t count) {
            for (std::int64_t r = begin; r < begin + count; ++r) {
                decodeRow(codes.type, data + (first + r) * rowBytes, out.rowSpan(r));
                float* values = out.row(r);
                for (std::int64_t block = 0; block < blocksPerRow; ++block) {
                    const auto at = static_cast<std::size_t>((first + r) / blockRows * blocksPerRow + block);
                    const float by = scale[at] / divisor, offset = hasZeros ? zero[at] : 0.0f;
                    for (std::int64_t c = block * blockCols; c < std::min(cols, (block + 1) * blockCols); ++c) values[c] = by * (values[c] - offset);
                }
            }
        });
    }

    std::optional<CodedRows> codedRows(const std::vector<MappedFile>& files, std::int64_t first, std::int64_t count) const override {
        if (codes.type != StorageType::i8 || cols % blockCols != 0) return std::nullopt;
        const std::byte* data = partData(codes, files);
        const std::vector<float> scale = decodeScales(scales, files), zero = hasZeros ? decodeScales(zeros, files) : std::vector<float>();
        CodedRows out{8, count, cols, blockCols, std::vector<std::uint8_t>(static_cast<std::size_t>(count * cols)), {}, {}};
        for (std::int64_t r = first; r < first + count; ++r)
            for (std::int64_t block = 0; block < blocksPerRow; ++block) {
                const auto at = static_cast<std::size_t>(r / blockRows * blocksPerRow + block);
                out.scales.push_back(scale[at] / divisor);
                out.zeros.push_back(kSign + (hasZeros ? zero[at] : 0.0f));
            }
        forRowPieces(count, cols, [&](std::int64_t begin, std::int64_t rowsHere) {
            for (std::int64_t i = begin * cols; i < (begin + rowsHere) * cols; ++i)
                out.codes[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(std::to_integer<int>(data[first * cols + i]) ^ 0x80);
        });
        return out;
    }

    TensorInfo codes, scales, zeros;
    bool hasZeros = false;
    float divisor = 1.0f; ///< of every scale; a division gives back a scale that was multiplied by it when written
    std::int64_t blockRows = 1, blockCols = 1, blocksPerRow = 1;
};

std::unique_ptr<ScaledLinear> openCodes(const PartFinder& find) {
    auto linear = std::make_unique<ScaledLinear>();
    linear->codes = find.require(".weight");
    if (linear->codes.shape.size() != 2) find.fail(ErrorCode::shapeMismatch, "weight is " + shapeText(linear->codes.shape) + "; two dimensions are needed");
    linear->rows = linear->codes.shape[0];
    linear->cols = linear->codes.shape[1];
    find.checkSize(linear->rows, linear->cols);
    linear->parts = {linear->codes.name};
    return linear;
}

/// Length of the pieces that `count` scales cut `length` into. @param asked by the configuration, 0 = not said.
std::int64_t blockLength(const PartFinder& find, std::int64_t length, std::int64_t count, std::int64_t asked, const std::string& scales) {
    const auto fits = [&](std::int64_t block) { return block > 0 && (length + block - 1) / block == count; };
    if (count == 1) return length;
    if (count == length) return 1;
    if (asked > 0) {
        if (!fits(asked)) find.fail(ErrorCode::shapeMismatch, scales + " has " + std::to_string(count) + " scales for " + std::to_string(length) + " values; blocks of " + std::to_string(asked) + " need " + std::to_string((length + asked - 1) / asked));
        return asked;
    }
    if (fits(kUsualBlock)) return kUsualBlock;
    if (count < 1 || length % count != 0) find.fail(ErrorCode::shapeMismatch, scales + " has " + std::to_string(count) + " scales for " + std::to_string(length) + " values");
    return length / count;
}

void setBlocks(const PartFinder& find, ScaledLinear& linear, const QuantizationConfig& config) {
    const auto& shape = linear.scales.shape;
    const std::string name = "'" + escapeForDisplay(linear.scales.name) + "'";
    if (linear.scales.elements() == 1 || (shape.size() == 1 && shape[0] == linear.rows)) {
        linear.blockRows = linear.scales.elements() == 1 ? linear.rows : 1;
        linear.blockCols = linear.cols;
    } else if (shape.size() == 2) {
        linear.blockRows = blockLength(find, linear.rows, shape[0], config.blockRows, name);
        linear.blockCols = blockLength(find, linear.cols, shape[1], config.blockCols, name);
    } else {
        find.fail(ErrorCode::shapeMismatch, name + " is " + shapeText(shape) + ", which fits no weight of " + shapeText(linear.codes.shape));
    }
    linear.blocksPerRow = (linear.cols + linear.blockCols - 1) / linear.blockCols;
}

} // namespace

QuantizedLinearPtr openScaled(const PartFinder& find, const QuantizationConfig& config) {
    auto linear = openCodes(find);
    const TensorInfo* inverse = find.find(".weight_scale_inv");
    linear->scales = inverse ? *inverse : find.require(".weight_scale");
    linear->parts.push_back(linear->scales.name);
    find.requireType(linear->codes, {StorageType::i8, StorageType::f8e4m3, StorageType::f8e5m2});
    const bool powers = linear->scales.type == StorageType::u8 && linear->codes.type != StorageType::i8;
    if (!powers) find.requireType(linear->scales, {StorageType::f32, StorageType::f16, StorageType::bf16});
    if (powers) find.requireShape(linear->scales, {linear->rows, linear->cols / kMxGroup});
    if (powers && linear->cols % kMxGroup != 0) find.fail(ErrorCode::shapeMismatch, "rows of " + std::to_string(linear->cols) + " are no multiple of 32");
    if (powers) {
        linear->blockCols = kMxGroup;
        linear->blocksPerRow = linear->cols / kMxGroup;
    } else {
        setBlocks(find, *linear, config);
    }
    if (const TensorInfo* zeros = find.find(".weight_zero_point")) {
        find.requireType(*zeros, {StorageType::i8});
        find.requireShape(*zeros, linear->scales.shape);
        linear->zeros = *zeros;
        linear->hasZeros = true;
        linear->parts.push_back(zeros->name);
    }
    const std::string scope = linear->blockRows == linear->rows && linear->blocksPerRow == 1 ? "tensor"
                              : linear->blockRows == 1 && linear->blocksPerRow == 1         ? "channel"
                              : linear->blockRows == 1                                      ? "g" + std::to_string(linear->blockCols)
                                                                                            : "block" + std::to_string(linear->blockRows) + "x" + std::to_string(linear->blockCols);
    const std::string codes = linear->codes.type == StorageType::i8 ? "int8" : linear->codes.type == StorageType::f8e4m3 ? "fp8_e4m3" : "fp8_e5m2";
    if (powers)
        linear->format = std::make_shared<StoredFormat>(linear->codes.type == StorageType::f8e4m3 ? "mxfp8_e4m3" : "mxfp8_e5m2", 8);
    else
        linear->format = std::make_shared<StoredFormat>(codes + ":" + scope + (linear->codes.type == StorageType::i8 ? linear->hasZeros ? ":asym" : ":sym" : ""), 8);
    return linear;
}

QuantizedLinearPtr openLlmInt8(const PartFinder& find) {
    auto linear = openCodes(find);
    linear->scales = find.require(".SCB");
    find.requireType(linear->codes, {StorageType::i8});
    find.requireType(linear->scales, {StorageType::f32});
    find.requireShape(linear->scales, {linear->rows});
    linear->parts.push_back(linear->scales.name);
    if (const TensorInfo* layout = find.find(".weight_format")) {
        linear->parts.push_back(layout->name);
        if (layout->type != StorageType::u8 || layout->elements() != 1 || *find.data(*layout) != std::byte{0})
            find.fail(ErrorCode::unsupportedType, "weight_format is not 0 (row by row); the reordered layouts of old files are not read");
    }
    linear->blockCols = linear->cols;
    linear->divisor = 127.0f;
    linear->format = std::make_shared<StoredFormat>("int8:channel:sym (LLM.int8)", 8);
    return linear;
}

} // namespace bw
