// SPDX-License-Identifier: GPL-3.0-or-later
// What all layouts of quantized linears share: finding and checking parts, pieces of rows.
#include "core/checkpoint/quantized_linear.h"

#include "core/base/parallel.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace bw {
namespace {

constexpr const char* kHint = "The checkpoint is damaged or packed in a way that is not read here.";
/// Elements that one thread decodes at a time: large enough to hide the cost of a task, small enough to share out.
constexpr std::int64_t kElementsPerPiece = 1 << 16;

} // namespace

bool StoredFormat::fits(std::int64_t, std::int64_t, std::string* why) const {
    if (why) *why = name() + " is only read";
    return false;
}
std::uint64_t StoredFormat::bytes(std::int64_t, std::int64_t) const { return 0; }
void StoredFormat::encode(MatrixView<const float>, const EncodeOptions&, std::span<std::byte>) const {
    throw Error(ErrorCode::unsupportedType, "weights are not written as " + name(), "Choose one of the formats that 'bitwright-cli formats' lists.");
}
void StoredFormat::decodeRows(std::span<const std::byte>, std::int64_t, std::int64_t, MatrixView<float>) const {
    throw Error(ErrorCode::unsupportedType, name() + " lies in several tensors and is read through its checkpoint");
}

void IntegerLinear::readRows(const std::vector<MappedFile>& files, std::int64_t first, MatrixView<float> out) const {
    if (out.empty()) return;
    const std::byte* order = hasOrder ? partData(groupOf, files) : nullptr;
    forRowPieces(out.rows, cols, [&](std::int64_t begin, std::int64_t count) {
        std::vector<std::uint8_t> codes(static_cast<std::size_t>(count * cols));
        std::vector<float> scales(static_cast<std::size_t>(count * groups)), zeros(scales.size());
        readPiece(files, {first + begin, count, codes.data(), scales.data(), zeros.data()});
        for (std::int64_t r = 0; r < count; ++r) {
            const std::uint8_t* code = codes.data() + r * cols;
            const float *scale = scales.data() + r * groups, *zero = zeros.data() + r * groups;
            float* values = out.row(begin + r);
            if (order) {
                for (std::int64_t c = 0; c < cols; ++c) {
                    std::int32_t g = 0;
                    std::memcpy(&g, order + 4 * c, 4);
                    values[c] = scale[g] * (static_cast<float>(code[c]) - zero[g]);
                }
                continue;
            }
            for (std::int64_t g = 0; g < groups; ++g)
                for (std::int64_t c = g * groupLength; c < std::min(cols, (g + 1) * groupLength); ++c)
                    values[c] = scale[g] * (static_cast<float>(code[c]) - zero[g]);
        }
    });
}

std::optional<CodedRows> IntegerLinear::codedRows(const std::vector<MappedFile>& files, std::int64_t first, std::int64_t count) const {
    if (hasOrder || cols % groupLength != 0) return std::nullopt;
    CodedRows out{bits, count, cols, groupLength, {}, {}, {}};
    out.codes.resize(static_cast<std::size_t>(count * cols));
    out.scales.resize(static_cast<std::size_t>(count * groups));
    out.zeros.resize(out.scales.size());
    forRowPieces(count, cols, [&](std::int64_t begin, std::int64_t rowsHere) {
        readPiece(files, {first + begin, rowsHere, out.codes.data() + begin * cols, out.scales.data() + begin * groups, out.zeros.data() + begin * groups});
    });
    return out;
}

const TensorInfo* PartFinder::find(const std::string& suffix) const {
    const auto found = byName_.find(module_ + suffix);
    return found == byName_.end() ? nullptr : found->second;
}

const TensorInfo& PartFinder::require(const std::string& suffix) const {
    if (const TensorInfo* part = find(suffix)) return *part;
    fail(ErrorCode::tensorMissing, "'" + suffix.substr(1) + "' is missing");
}

void PartFinder::requireShape(const TensorInfo& tensor, const std::vector<std::int64_t>& shape) const {
    if (tensor.shape != shape)
        fail(ErrorCode::shapeMismatch, "'" + escapeForDisplay(tensor.name) + "' is " + shapeText(tensor.shape) + "; the other parts need " + shapeText(shape));
}

void PartFinder::requireType(const TensorInfo& tensor, std::initializer_list<StorageType> types) const {
    if (std::find(types.begin(), types.end(), tensor.type) != types.end()) return;
    std::string list;
    for (const StorageType type : types) list += (list.empty() ? "" : ", ") + std::string(storageTypeInfo(type).fileName);
    fail(ErrorCode::unsupportedType, "'" + escapeForDisplay(tensor.name) + "' is " + escapeForDisplay(tensor.typeName, 40) + "; it must be " + list);
}

const std::byte* PartFinder::data(const TensorInfo& tensor) const { return partData(tensor, files_); }

float PartFinder::scalar(const TensorInfo& tensor) const {
    requireType(tensor, {StorageType::f32, StorageType::f16, StorageType::bf16});
    if (tensor.elements() != 1) fail(ErrorCode::shapeMismatch, "'" + escapeForDisplay(tensor.name) + "' is " + shapeText(tensor.shape) + "; one number is needed");
    const float value = decodeScales(tensor, files_).front();
    if (!std::isfinite(value)) fail(ErrorCode::nonFinite, "'" + escapeForDisplay(tensor.name) + "' is " + std::to_string(value));
    return value;
}

void PartFinder::checkSize(std::int64_t rows, std::int64_t cols) const {
    constexpr std::int64_t kLimit = std::int64_t{1} << 31;
    if (rows < 1 || cols < 1 || rows > kLimit || cols > kLimit) fail(ErrorCode::invalidTensor, "its weight would be " + std::to_string(rows) + " × " + std::to_string(cols));
}

void PartFinder::fail(ErrorCode code, const std::string& what) const {
    throw Error(code, std::string(method_) + " linear '" + escapeForDisplay(module_) + "': " + what, kHint);
}

const std::byte* partData(const TensorInfo& part, const std::vector<MappedFile>& files) {
    const MappedFile& file = files[static_cast<std::size_t>(part.file)];
    file.checkUnchanged();
    return file.bytes().data() + part.offset;
}

void forRowPieces(std::int64_t rows, std::int64_t cols, const std::function<void(std::int64_t, std::int64_t)>& body) {
    parallelFor(rows, std::max<std::int64_t>(1, kElementsPerPiece / std::max<std::int64_t>(cols, 1)), [&](std::int64_t begin, std::int64_t end) { body(begin, end - begin); });
}

std::vector<float> decodeScales(const TensorInfo& part, const std::vector<MappedFile>& files) {
    std::vector<float> values(static_cast<std::size_t>(part.elements()));
    if (!values.empty()) decodeRow(part.type, partData(part, files), values);
    return values;
}

std::vector<float> decodePowers(const TensorInfo& part, const std::vector<MappedFile>& files) {
    std::vector<float> values(static_cast<std::size_t>(part.elements()));
    const std::byte* bytes = values.empty() ? nullptr : partData(part, files);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = powerOfTwo(bytes[i]);
    return values;
}

float powerOfTwo(std::byte exponent) {
    const int value = std::to_integer<int>(exponent);
    return value == 255 ? std::nanf("") : std::ldexp(1.0f, value - 127);
}

std::string shapeText(const std::vector<std::int64_t>& shape) {
    std::string text = "[";
    for (std::size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
    return text + "]";
}

} // namespace bw
