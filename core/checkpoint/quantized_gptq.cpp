// SPDX-License-Identifier: GPL-3.0-or-later
// GPTQ and AWQ: 32-bit words of codes stored input-major, [I, O] packed, scales f16 [groups, O].
//   GPTQ  qweight [I·B/32, O]: column o is a bit stream along I, code i at bit i·B, dense across words.
//         qzeros [groups, O·B/32]: row g is a bit stream along O of zero − 1 (first generation) or zero ("gptq_v2").
//         g_idx [I]: group of each input channel (act-order); absent = i / group.
//   AWQ   qweight [I, O/8], 4 bits: nibble p of word c is output 8c + order[p]; qzeros alike, true zeros ("gemm").
#include "core/checkpoint/quantized_linear.h"
#include "core/format/affine.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace bw {
namespace {

constexpr std::int64_t kWordBits = 32;

std::uint32_t wordAt(const std::byte* words, std::int64_t index) {
    std::uint32_t word = 0;
    std::memcpy(&word, words + 4 * index, 4);
    return word;
}

/// `bits` bits from bit `bit` of a stream whose consecutive words stand `stride` words apart.
unsigned codeAt(const std::byte* words, std::int64_t bit, int bits, std::int64_t stride) {
    std::uint64_t both = wordAt(words, bit / kWordBits * stride);
    if (bit % kWordBits + bits > kWordBits) both |= static_cast<std::uint64_t>(wordAt(words, (bit / kWordBits + 1) * stride)) << kWordBits;
    return static_cast<unsigned>(both >> (bit % kWordBits)) & ((1u << bits) - 1u);
}

/// Both layouts: w[o][i] = scale[g(i)][o] · (code − zero[g(i)][o]).
class WordLinear : public IntegerLinear {
public:
    void readPiece(const std::vector<MappedFile>& files, const Piece& piece) const override {
        const std::byte* words = partData(codes, files);
        const std::byte* zeroWords = partData(zeros, files);
        const std::byte* scaleData = partData(scales, files);
        std::vector<float> scale(static_cast<std::size_t>(piece.count));
        for (std::int64_t g = 0; g < groups; ++g) {
            decodeRow(scales.type, scaleData + storageBytes(scales.type, 1, static_cast<std::uint64_t>(g * rows + piece.first)), scale);
            for (std::int64_t r = 0; r < piece.count; ++r) {
                piece.scales[r * groups + g] = scale[static_cast<std::size_t>(r)];
                piece.zeros[r * groups + g] = static_cast<float>(zeroAt(zeroWords, g, piece.first + r));
            }
        }
        for (std::int64_t i = 0; i < cols; ++i) // as the words lie
            for (std::int64_t r = 0; r < piece.count; ++r) piece.codes[r * cols + i] = static_cast<std::uint8_t>(weightAt(words, piece.first + r, i));
    }

    TensorInfo codes, zeros, scales;

protected:
    virtual unsigned weightAt(const std::byte* words, std::int64_t output, std::int64_t input) const = 0;
    virtual int zeroAt(const std::byte* words, std::int64_t group, std::int64_t output) const = 0;
};

class GptqLinear final : public WordLinear {
public:
    bool minusOne = true;

protected:
    unsigned weightAt(const std::byte* words, std::int64_t output, std::int64_t input) const override { return codeAt(words + 4 * output, input * bits, bits, rows); }
    int zeroAt(const std::byte* words, std::int64_t group, std::int64_t output) const override {
        const unsigned stored = codeAt(words + 4 * group * (rows * bits / kWordBits), output * bits, bits, 1);
        // Written as zero − 1 in `bits` bits: a zero of 0 wrapped around.
        return static_cast<int>(minusOne ? (stored + 1u) & ((1u << bits) - 1u) : stored);
    }
};

class AwqLinear final : public WordLinear {
protected:
    /// Where output o % 8 stands in its word: the inverse of the order 0 2 4 6 1 3 5 7.
    static constexpr std::array<int, 8> kNibble{0, 4, 1, 5, 2, 6, 3, 7};
    unsigned nibble(const std::byte* words, std::int64_t row, std::int64_t output) const {
        return wordAt(words, row * (rows / 8) + output / 8) >> (4 * kNibble[static_cast<std::size_t>(output % 8)]) & 0xfu;
    }
    unsigned weightAt(const std::byte* words, std::int64_t output, std::int64_t input) const override { return nibble(words, input, output); }
    int zeroAt(const std::byte* words, std::int64_t group, std::int64_t output) const override { return static_cast<int>(nibble(words, group, output)); }
};

void readScales(const PartFinder& find, WordLinear& linear) {
    linear.codes = find.require(".qweight");
    linear.zeros = find.require(".qzeros");
    linear.scales = find.require(".scales");
    linear.parts = {linear.codes.name, linear.zeros.name, linear.scales.name};
    find.requireType(linear.codes, {StorageType::i32, StorageType::u32});
    find.requireType(linear.zeros, {StorageType::i32, StorageType::u32});
    find.requireType(linear.scales, {StorageType::f16, StorageType::bf16, StorageType::f32});
    if (linear.codes.shape.size() != 2 || linear.scales.shape.size() != 2)
        find.fail(ErrorCode::shapeMismatch, "qweight is " + shapeText(linear.codes.shape) + " and scales " + shapeText(linear.scales.shape) + "; both must have two dimensions");
    linear.groups = linear.scales.shape[0];
    linear.rows = linear.scales.shape[1];
    find.checkSize(linear.rows, linear.codes.shape[0]);
    if (linear.groups < 1) find.fail(ErrorCode::invalidTensor, "scales has no group");
}

/// Groups of equal length unless an order is given; then every entry of it must name a group.
void readGroups(const PartFinder& find, WordLinear& linear) {
    linear.groupLength = (linear.cols + linear.groups - 1) / linear.groups;
    const TensorInfo* order = find.find(".g_idx");
    if (order) {
        linear.parts.push_back(order->name);
        find.requireType(*order, {StorageType::i32});
        find.requireShape(*order, {linear.cols});
        const std::byte* data = find.data(*order);
        bool trivial = true;
        for (std::int64_t i = 0; i < linear.cols; ++i) {
            const auto group = static_cast<std::int32_t>(wordAt(data, i));
            if (group < 0 || group >= linear.groups)
                find.fail(ErrorCode::invalidTensor, "g_idx[" + std::to_string(i) + "] is " + std::to_string(group) + "; there are " + std::to_string(linear.groups) + " groups");
            trivial = trivial && group == i / linear.groupLength;
        }
        linear.hasOrder = !trivial;
        if (linear.hasOrder) linear.groupOf = *order;
    }
    if (!linear.hasOrder && (linear.cols + linear.groupLength - 1) / linear.groupLength != linear.groups)
        find.fail(ErrorCode::shapeMismatch, std::to_string(linear.groups) + " groups do not divide " + std::to_string(linear.cols) + " input channels");
}

std::string groupText(const WordLinear& linear) { return linear.groups == 1 ? "channel" : "g" + std::to_string(linear.groupLength); }

} // namespace

QuantizedLinearPtr openGptq(const PartFinder& find, const QuantizationConfig& config) {
    auto linear = std::make_unique<GptqLinear>();
    readScales(find, *linear);
    if (linear->codes.shape[1] != linear->rows)
        find.fail(ErrorCode::shapeMismatch, "qweight is " + shapeText(linear->codes.shape) + " but scales " + shapeText(linear->scales.shape) + ": the second dimensions are the outputs of both");
    linear->minusOne = config.zerosMinusOne;
    // The number of bits from the shapes alone where g_idx says how many inputs there are; the configuration must agree.
    const std::int64_t words = linear->codes.shape[0];
    const TensorInfo* order = find.find(".g_idx");
    std::int64_t bits = config.bits;
    if (order && order->shape.size() == 1 && order->shape[0] > 0 && words * kWordBits % order->shape[0] == 0) bits = words * kWordBits / order->shape[0];
    if (config.bits != 0 && bits != config.bits && !config.mixedBits)
        find.fail(ErrorCode::shapeMismatch, "qweight and g_idx are of " + std::to_string(bits) + " bits, the configuration says " + std::to_string(config.bits));
    if (bits != 2 && bits != 3 && bits != 4 && bits != 8)
        find.fail(ErrorCode::unsupportedType, bits == 0 ? std::string("neither g_idx nor the configuration says of how many bits it is") : std::to_string(bits) + " bits; 2, 3, 4 and 8 are read");
    linear->bits = static_cast<int>(bits);
    if (words * kWordBits % bits != 0 || linear->rows * bits % kWordBits != 0)
        find.fail(ErrorCode::shapeMismatch, "qweight is " + shapeText(linear->codes.shape) + ", which codes of " + std::to_string(bits) + " bits do not fill");
    linear->cols = words * kWordBits / bits;
    find.checkSize(linear->rows, linear->cols);
    find.requireShape(linear->zeros, {linear->groups, linear->rows * bits / kWordBits});
    readGroups(find, *linear);
    linear->format = std::make_shared<StoredFormat>("gptq int" + std::to_string(bits) + ":" + (linear->hasOrder ? "act-order" : groupText(*linear)), static_cast<int>(bits));
    return linear;
}

QuantizedLinearPtr openAwq(const PartFinder& find, const QuantizationConfig& config) {
    auto linear = std::make_unique<AwqLinear>();
    readScales(find, *linear);
    if (config.bits != 0 && config.bits != 4) find.fail(ErrorCode::unsupportedType, std::to_string(config.bits) + " bits; AWQ's gemm layout has 4");
    linear->cols = linear->codes.shape[0];
    if (linear->rows % 8 != 0) find.fail(ErrorCode::shapeMismatch, std::to_string(linear->rows) + " outputs do not fill words of eight codes");
    find.requireShape(linear->codes, {linear->cols, linear->rows / 8});
    find.requireShape(linear->zeros, {linear->groups, linear->rows / 8});
    readGroups(find, *linear);
    linear->format = std::make_shared<StoredFormat>("awq int4:" + groupText(*linear), 4);
    return linear;
}

} // namespace bw
