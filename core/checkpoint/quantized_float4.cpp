// SPDX-License-Identifier: GPL-3.0-or-later
// Four-bit codes that stand for floating-point levels, two in a byte.
//   bitsandbytes nf4/fp4  X.weight u8 [O·I/2, 1], the weight row by row, first code in the high nibble; .absmax per block of
//       64 (f32, or u8 codes into .nested_quant_map × .nested_absmax per 256 + an offset); .quant_map f32[16]; block sizes,
//       shape and offset as JSON text in .quant_state.bitsandbytes__nf4.
//   nvfp4  X.weight_packed u8 [O, I/2], first code in the low nibble; .weight_scale f8 [O, I/16]; .weight_global_scale f32
//       divides (ModelOpt: .weight u8 and .weight_scale_2, which multiplies).   mxfp4: scales are powers of two, u8 [O, I/32].
#include "core/base/json.h"
#include "core/checkpoint/quantized_linear.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

namespace bw {
namespace {

/// Levels of E2M1; the upper eight codes are the negative ones.
constexpr std::array<float, 16> kE2m1{0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f, -0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f};

/// Codes in blocks along the flattened weight.
class BlockLinear final : public QuantizedLinear {
public:
    void readRows(const std::vector<MappedFile>& files, std::int64_t first, MatrixView<float> out) const override {
        if (out.empty()) return;
        const std::byte* bytes = partData(codes, files);
        const std::byte* scale = partData(absmax, files);
        forRowPieces(out.rows, cols, [&](std::int64_t begin, std::int64_t count) {
            for (std::int64_t r = begin; r < begin + count; ++r) {
                float* values = out.row(r);
                std::int64_t block = -1;
                float by = 0;
                for (std::int64_t c = 0, at = (first + r) * cols; c < cols; ++c, ++at) {
                    if (at / blockSize != block) by = blockScale(scale, block = at / blockSize);
                    const unsigned both = std::to_integer<unsigned>(bytes[at / 2]);
                    values[c] = levels[at % 2 == 0 ? both >> 4 : both & 15u] * by;
                }
            }
        });
    }

    TensorInfo codes, absmax;
    std::array<float, 16> levels{};
    std::int64_t blockSize = 64, nestedSize = 0; ///< nestedSize 0: absmax is f32
    std::vector<float> nestedScales, nestedLevels;
    float offset = 0;

private:
    float blockScale(const std::byte* data, std::int64_t block) const {
        if (nestedSize == 0) {
            float value = 0;
            std::memcpy(&value, data + 4 * block, 4);
            return value;
        }
        return nestedLevels[std::to_integer<std::size_t>(data[block])] * nestedScales[static_cast<std::size_t>(block / nestedSize)] + offset;
    }
};

std::int64_t positive(const PartFinder& find, const Json& state, const char* key, std::int64_t most) {
    if (!state.contains(key) || !state.at(key).is_number_integer() || state.at(key).get<double>() < 1 || state.at(key).get<double>() > static_cast<double>(most))
        find.fail(ErrorCode::invalidConfig, std::string("its quant_state has no usable '") + key + "'");
    return state.at(key).get<std::int64_t>();
}

/// One of the words that loaders of these files go by.
void requireWord(const PartFinder& find, const Json& state, const char* key, std::initializer_list<const char*> words) {
    if (state.contains(key) && std::any_of(words.begin(), words.end(), [&](const char* word) { return state.at(key) == word; })) return;
    find.fail(ErrorCode::invalidConfig, std::string("its quant_state has no usable '") + key + "'");
}

std::vector<float> table(const PartFinder& find, const char* suffix, std::int64_t length, std::vector<std::string>& parts) {
    const TensorInfo& part = find.require(suffix);
    find.requireType(part, {StorageType::f32});
    find.requireShape(part, {length});
    parts.push_back(part.name);
    std::vector<float> values(static_cast<std::size_t>(length));
    std::memcpy(values.data(), find.data(part), 4 * values.size());
    return values;
}

Json readState(const PartFinder& find, const TensorInfo& part) {
    find.requireType(part, {StorageType::u8});
    const std::string_view text(reinterpret_cast<const char*>(find.data(part)), part.bytes);
    Json state = parseJson(text, "quant_state of '" + escapeForDisplay(find.module()) + "'", {1 << 16, 8});
    if (!state.is_object() || !state.contains("shape") || !state.at("shape").is_array() || state.at("shape").size() != 2)
        find.fail(ErrorCode::invalidConfig, "its quant_state names no shape of two dimensions");
    return state;
}

/// Rows of two codes a byte with one scale per `group` codes.
class MicroLinear final : public QuantizedLinear {
public:
    void readRows(const std::vector<MappedFile>& files, std::int64_t first, MatrixView<float> out) const override {
        if (out.empty()) return;
        const std::byte* bytes = partData(codes, files);
        const std::byte* scaleBytes = partData(scales, files);
        const std::int64_t groups = cols / group;
        forRowPieces(out.rows, cols, [&](std::int64_t begin, std::int64_t count) {
            std::vector<float> scale(static_cast<std::size_t>(groups));
            for (std::int64_t r = begin; r < begin + count; ++r) {
                const std::byte* rowScales = scaleBytes + (first + r) * groups;
                if (powers)
                    for (std::int64_t g = 0; g < groups; ++g) scale[static_cast<std::size_t>(g)] = powerOfTwo(rowScales[g]);
                else
                    decodeRow(scales.type, rowScales, scale);
                const std::byte* row = bytes + (first + r) * (cols / 2);
                float* values = out.row(r);
                for (std::int64_t c = 0; c < cols; ++c) {
                    const unsigned both = std::to_integer<unsigned>(row[c / 2]);
                    values[c] = kE2m1[c % 2 == 0 ? both & 15u : both >> 4] * (scale[static_cast<std::size_t>(c / group)] * factor / divisor);
                }
            }
        });
    }

    TensorInfo codes, scales;
    std::int64_t group = 16;
    bool powers = false;
    float factor = 1, divisor = 1; ///< of every scale
};

} // namespace

QuantizedLinearPtr openBitsAndBytes4(const PartFinder& find, const std::string& stateName) {
    auto linear = std::make_unique<BlockLinear>();
    linear->codes = find.require(".weight");
    const TensorInfo& statePart = find.require(".weight.quant_state." + stateName);
    linear->absmax = find.require(".weight.absmax");
    linear->parts = {linear->codes.name, statePart.name, linear->absmax.name};
    const Json state = readState(find, statePart);
    for (int d = 0; d < 2; ++d)
        if (!state.at("shape").at(static_cast<std::size_t>(d)).is_number_unsigned()) find.fail(ErrorCode::invalidConfig, "its quant_state names an impossible shape");
    const char* kind = stateName.ends_with("fp4") ? "fp4" : "nf4";
    requireWord(find, state, "quant_type", {kind});
    requireWord(find, state, "dtype", {"bfloat16", "float16", "float32"});
    const double rows = state.at("shape").at(0).get<double>(), cols = state.at("shape").at(1).get<double>();
    constexpr double kMost = 2147483648.0;
    if (rows < 1 || cols < 1 || rows > kMost || cols > kMost) find.fail(ErrorCode::invalidTensor, "its quant_state says a shape of " + state.at("shape").dump());
    linear->rows = state.at("shape").at(0).get<std::int64_t>();
    linear->cols = state.at("shape").at(1).get<std::int64_t>();
    find.checkSize(linear->rows, linear->cols);
    linear->blockSize = positive(find, state, "blocksize", 1 << 20);
    const std::int64_t elements = linear->rows * linear->cols, blocks = (elements + linear->blockSize - 1) / linear->blockSize;
    find.requireType(linear->codes, {StorageType::u8});
    if (linear->codes.elements() != (elements + 1) / 2)
        find.fail(ErrorCode::shapeMismatch, "weight has " + std::to_string(linear->codes.elements()) + " bytes; " + state.at("shape").dump() + " needs " + std::to_string((elements + 1) / 2));
    find.requireShape(linear->absmax, {blocks});
    const std::vector<float> levels = table(find, ".weight.quant_map", 16, linear->parts);
    std::copy(levels.begin(), levels.end(), linear->levels.begin());
    if (find.find(".weight.nested_absmax")) {
        find.requireType(linear->absmax, {StorageType::u8});
        requireWord(find, state, "nested_dtype", {"float32"});
        linear->nestedSize = positive(find, state, "nested_blocksize", 1 << 20);
        linear->nestedScales = table(find, ".weight.nested_absmax", (blocks + linear->nestedSize - 1) / linear->nestedSize, linear->parts);
        linear->nestedLevels = table(find, ".weight.nested_quant_map", 256, linear->parts);
        if (!state.contains("nested_offset") || !state.at("nested_offset").is_number()) find.fail(ErrorCode::invalidConfig, "its quant_state has no 'nested_offset'");
        linear->offset = state.at("nested_offset").get<float>();
    } else {
        find.requireType(linear->absmax, {StorageType::f32});
    }
    linear->format = std::make_shared<StoredFormat>(std::string(kind) + ":b" + std::to_string(linear->blockSize) + (linear->nestedSize > 0 ? ":nested" : ""), 4);
    return linear;
}

QuantizedLinearPtr openFloat4(const PartFinder& find) {
    auto linear = std::make_unique<MicroLinear>();
    const TensorInfo* packed = find.find(".weight_packed");
    linear->codes = packed ? *packed : find.require(".weight");
    linear->scales = find.require(".weight_scale");
    linear->parts = {linear->codes.name, linear->scales.name};
    find.requireType(linear->codes, {StorageType::u8});
    find.requireType(linear->scales, {StorageType::u8, StorageType::f8e4m3});
    if (linear->codes.shape.size() != 2 || linear->scales.shape.size() != 2)
        find.fail(ErrorCode::shapeMismatch, "codes are " + shapeText(linear->codes.shape) + " and scales " + shapeText(linear->scales.shape) + "; both must have two dimensions");
    linear->powers = linear->scales.type == StorageType::u8;
    linear->group = linear->powers ? 32 : 16;
    linear->rows = linear->codes.shape[0];
    find.checkSize(linear->rows, linear->codes.shape[1]);
    linear->cols = 2 * linear->codes.shape[1];
    if (linear->cols % linear->group != 0) find.fail(ErrorCode::shapeMismatch, "rows of " + std::to_string(linear->cols) + " are no multiple of " + std::to_string(linear->group));
    find.requireShape(linear->scales, {linear->rows, linear->cols / linear->group});
    if (const TensorInfo* global = find.find(".weight_global_scale")) {
        const float value = find.scalar(*global);
        if (!(value > 0)) find.fail(ErrorCode::invalidTensor, "weight_global_scale is " + std::to_string(value));
        linear->divisor = value;
        linear->parts.push_back(global->name);
    } else if (const TensorInfo* second = find.find(".weight_scale_2")) {
        linear->factor = find.scalar(*second);
        linear->parts.push_back(second->name);
    } else if (!linear->powers) {
        find.fail(ErrorCode::tensorMissing, "'weight_global_scale' is missing");
    }
    linear->format = std::make_shared<StoredFormat>(linear->powers ? "mxfp4" : "nvfp4", 4);
    return linear;
}

} // namespace bw
