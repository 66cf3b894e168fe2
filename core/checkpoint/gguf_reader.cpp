// SPDX-License-Identifier: GPL-3.0-or-later
// A byte cursor over the mapped file; counts are held against remaining() before anything is allocated.
#include "core/checkpoint/gguf_reader.h"

#include "core/base/error.h"
#include "core/base/text.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <unordered_set>

namespace bw {
namespace {

constexpr const char* kIncompleteHint = "The download is probably incomplete; fetch the file again.";
constexpr const char* kDamagedHint = "The file is damaged or was made by a faulty program; download or convert it again.";
constexpr std::uint32_t kTypeCount = 13;
/// Smallest bytes of one element of each GgufType (a string: its length; an array: element type and count).
constexpr std::uint64_t kMinimumBytes[kTypeCount] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};

/// Reads little-endian values in order; never past the end.
class ByteCursor {
public:
    explicit ByteCursor(const MappedFile& file) : bytes_(file.bytes()), file_(escapeForDisplay(file.path())) {}
    std::uint64_t position() const { return position_; }
    std::uint64_t remaining() const { return bytes_.size() - position_; }
    const std::string& file() const { return file_; }

    [[noreturn]] void fail(ErrorCode code, const std::string& what, const char* hint = kDamagedHint) const {
        throw Error(code, file_ + ": " + what + " (near byte " + std::to_string(position_) + ")", hint);
    }
    void need(std::uint64_t count, const std::string& what) const {
        if (count > remaining())
            fail(ErrorCode::truncated, what + " needs " + std::to_string(count) + " bytes, " + std::to_string(remaining()) + " are left", kIncompleteHint);
    }
    template <class T>
    T read(const char* what) {
        need(sizeof(T), what);
        T value;
        std::memcpy(&value, bytes_.data() + position_, sizeof value);
        position_ += sizeof value;
        return value;
    }
    std::string text(std::uint64_t limit, const char* what) {
        const auto length = read<std::uint64_t>(what);
        need(length, what);
        if (length > limit)
            fail(ErrorCode::headerTooLarge, std::string(what) + " has " + std::to_string(length) + " bytes; at most " + std::to_string(limit) + " are read");
        std::string result(reinterpret_cast<const char*>(bytes_.data() + position_), length);
        position_ += length;
        return result;
    }

private:
    std::span<const std::byte> bytes_;
    std::string file_;
    std::uint64_t position_ = 0;
};

class GgufParser {
public:
    GgufParser(const MappedFile& file, const GgufLimits& limits) : cursor_(file), limits_(limits), fileBytes_(file.size()) {}

    GgufHeader parse() {
        if (fileBytes_ < 24)
            cursor_.fail(ErrorCode::headerTooSmall, std::to_string(fileBytes_) + " bytes are too few for a GGUF file", kIncompleteHint);
        if (cursor_.read<std::uint32_t>("the magic") != 0x46554747u) // "GGUF"
            cursor_.fail(ErrorCode::unknownFileType, "the file does not begin with GGUF");
        readVersion();
        const auto tensorCount = cursor_.read<std::uint64_t>("the tensor count");
        const auto keyCount = cursor_.read<std::uint64_t>("the key count");
        // Least bytes: a key is length + 1 + type + 1; a tensor is length + 1 + dimensions + type + offset.
        checkCount(keyCount, limits_.keys, 14, "metadata keys");
        checkCount(tensorCount, limits_.tensors, 25, "tensors");
        readMetadata(keyCount);
        readAlignment();
        readDirectory(tensorCount);
        locateTensors();
        return std::move(header_);
    }

private:
    void readVersion() {
        header_.version = cursor_.read<std::uint32_t>("the version");
        if (header_.version == 2 || header_.version == 3) return;
        if ((header_.version & 0xffffu) == 0 && header_.version != 0)
            cursor_.fail(ErrorCode::unsupportedVersion, "this is a big-endian GGUF file; only little-endian ones are read",
                         "Convert it with llama.cpp's gguf_convert_endian.py.");
        cursor_.fail(ErrorCode::unsupportedVersion, "GGUF version " + std::to_string(header_.version) + "; versions 2 and 3 are read",
                     header_.version < 2 ? "Convert the original model again with a current converter." : "A newer program wrote this file.");
    }
    void checkCount(std::uint64_t count, std::uint64_t limit, std::uint64_t leastBytes, const char* what) {
        if (count > cursor_.remaining() / leastBytes)
            cursor_.fail(ErrorCode::truncated, "the header claims " + std::to_string(count) + " " + what + ", more than the file can hold", kIncompleteHint);
        if (count > limit)
            cursor_.fail(ErrorCode::headerTooLarge, "the header claims " + std::to_string(count) + " " + what + "; at most " + std::to_string(limit) + " are read");
    }

    void readMetadata(std::uint64_t count) {
        std::unordered_set<std::string> seen;
        header_.metadata.entries.reserve(count);
        for (std::uint64_t i = 0; i < count; ++i) {
            std::string key = cursor_.text(limits_.keyBytes, "a metadata key");
            if (key.empty()) cursor_.fail(ErrorCode::invalidHeader, "a metadata key is empty");
            if (std::any_of(key.begin(), key.end(), [](char c) { return c < 0x20 || c > 0x7e; }))
                cursor_.fail(ErrorCode::invalidHeader, "the metadata key '" + escapeForDisplay(key) + "' is not plain ASCII");
            if (!seen.insert(key).second)
                cursor_.fail(ErrorCode::duplicateKey, "the metadata key '" + escapeForDisplay(key) + "' appears twice");
            key_ = key;
            GgufValue value = readValue(readType());
            header_.metadata.entries.emplace_back(std::move(key), std::move(value));
        }
    }
    GgufType readType() {
        const auto type = cursor_.read<std::uint32_t>("a value type");
        if (type >= kTypeCount)
            cursor_.fail(ErrorCode::invalidHeader, "key '" + escapeForDisplay(key_) + "' has the unknown value type " + std::to_string(type));
        return static_cast<GgufType>(type);
    }
    bool readBool() {
        const auto value = cursor_.read<std::uint8_t>("a bool");
        if (value > 1)
            cursor_.fail(ErrorCode::invalidHeader, "key '" + escapeForDisplay(key_) + "' holds the bool " + std::to_string(value) + "; 0 or 1 is allowed");
        return value == 1;
    }
    std::int64_t readInteger(GgufType type) {
        switch (type) {
        case GgufType::u8: return cursor_.read<std::uint8_t>("a number");
        case GgufType::i8: return cursor_.read<std::int8_t>("a number");
        case GgufType::u16: return cursor_.read<std::uint16_t>("a number");
        case GgufType::i16: return cursor_.read<std::int16_t>("a number");
        case GgufType::u32: return cursor_.read<std::uint32_t>("a number");
        case GgufType::i32: return cursor_.read<std::int32_t>("a number");
        case GgufType::boolean: return readBool() ? 1 : 0;
        default: return cursor_.read<std::int64_t>("a number"); // i64; u64 keeps its bits
        }
    }
    GgufValue readValue(GgufType type) {
        switch (type) {
        case GgufType::f32: return {type, static_cast<double>(cursor_.read<float>("a number"))};
        case GgufType::f64: return {type, cursor_.read<double>("a number")};
        case GgufType::boolean: return {type, readBool()};
        case GgufType::string: return {type, cursor_.text(limits_.stringBytes, "a string value")};
        case GgufType::u64: return {type, cursor_.read<std::uint64_t>("a number")};
        case GgufType::array: return {type, readArray(1)};
        default: return {type, readInteger(type)};
        }
    }
    GgufArray readArray(int depth) {
        if (depth > limits_.arrayDepth)
            cursor_.fail(ErrorCode::depthExceeded, "key '" + escapeForDisplay(key_) + "' nests arrays deeper than " + std::to_string(limits_.arrayDepth));
        GgufArray array;
        array.element = readType();
        const auto count = cursor_.read<std::uint64_t>("an array length");
        if (count > cursor_.remaining() / kMinimumBytes[static_cast<std::uint32_t>(array.element)])
            cursor_.fail(ErrorCode::truncated, "key '" + escapeForDisplay(key_) + "' claims " + std::to_string(count) + " array elements, more than the file can hold", kIncompleteHint);
        elements_ += count;
        if (elements_ > limits_.arrayElements)
            cursor_.fail(ErrorCode::headerTooLarge, "the metadata arrays hold more than " + std::to_string(limits_.arrayElements) + " elements");
        if (array.element == GgufType::string) {
            array.strings.reserve(count);
            for (std::uint64_t i = 0; i < count; ++i) array.strings.push_back(cursor_.text(limits_.stringBytes, "an array's string"));
        } else if (array.element == GgufType::array) {
            nested_ += count;
            if (nested_ > limits_.nestedArrays)
                cursor_.fail(ErrorCode::headerTooLarge, "the metadata hold more than " + std::to_string(limits_.nestedArrays) + " nested arrays");
            for (std::uint64_t i = 0; i < count; ++i) array.nested.push_back(readArray(depth + 1));
        } else if (array.element == GgufType::f32 || array.element == GgufType::f64) {
            array.reals.reserve(count);
            for (std::uint64_t i = 0; i < count; ++i)
                array.reals.push_back(array.element == GgufType::f32 ? static_cast<double>(cursor_.read<float>("a number")) : cursor_.read<double>("a number"));
        } else {
            array.integers.reserve(count);
            for (std::uint64_t i = 0; i < count; ++i) array.integers.push_back(readInteger(array.element));
        }
        return array;
    }

    void readAlignment() {
        const GgufValue* value = header_.metadata.find("general.alignment");
        if (!value) return;
        if (value->type != GgufType::u32)
            cursor_.fail(ErrorCode::invalidConfig, "general.alignment is not a u32");
        header_.alignment = static_cast<std::uint64_t>(std::get<std::int64_t>(value->value));
        if (header_.alignment == 1)
            header_.warnings.push_back(cursor_.file() + ": general.alignment is 1; such a file can be read but must not be written");
        else if (!isGgufAlignment(header_.alignment))
            cursor_.fail(ErrorCode::invalidConfig, "general.alignment is " + std::to_string(header_.alignment) + "; a power of two that is a multiple of 8 is needed");
    }

    void readDirectory(std::uint64_t count) {
        std::unordered_set<std::string> seen;
        seen.reserve(count);
        header_.tensors.reserve(count);
        for (std::uint64_t i = 0; i < count; ++i) {
            GgufTensor tensor;
            tensor.name = cursor_.text(limits_.stringBytes, "a tensor name");
            if (tensor.name.empty()) cursor_.fail(ErrorCode::invalidTensor, "tensor " + std::to_string(i) + " has no name");
            if (tensor.name.size() > limits_.nameBytes)
                cursor_.fail(ErrorCode::invalidTensor, "the tensor name '" + escapeForDisplay(tensor.name, 80) + "' has " + std::to_string(tensor.name.size()) +
                                 " bytes; at most " + std::to_string(limits_.nameBytes) + " are allowed");
            if (!seen.insert(tensor.name).second)
                cursor_.fail(ErrorCode::duplicateKey, "tensor '" + escapeForDisplay(tensor.name) + "' appears twice");
            readShape(tensor);
            tensor.typeId = cursor_.read<std::uint32_t>("a tensor type");
            tensor.type = storageTypeFromGgml(tensor.typeId).value_or(StorageType::unknown);
            tensor.offset = cursor_.read<std::uint64_t>("a tensor offset");
            header_.tensors.push_back(std::move(tensor));
        }
    }
    void readShape(GgufTensor& tensor) {
        const auto dimensions = cursor_.read<std::uint32_t>("a number of dimensions");
        if (dimensions > limits_.dimensions)
            failTensor(tensor, ErrorCode::invalidTensor, "has " + std::to_string(dimensions) + " dimensions; at most " + std::to_string(limits_.dimensions) + " are read");
        std::uint64_t elements = 1; // zero dimensions count as one here, so that every partial product fits too
        for (std::uint32_t d = 0; d < dimensions; ++d) {
            const auto length = cursor_.read<std::uint64_t>("a dimension");
            if (length > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
                failTensor(tensor, ErrorCode::invalidTensor, "has the negative dimension " + std::to_string(static_cast<std::int64_t>(length)));
            if (__builtin_mul_overflow(elements, std::max<std::uint64_t>(length, 1), &elements) || elements > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
                failTensor(tensor, ErrorCode::validationOverflow, "has more elements than fit 63 bits");
            tensor.shape.push_back(static_cast<std::int64_t>(length));
        }
        std::reverse(tensor.shape.begin(), tensor.shape.end());
    }
    [[noreturn]] void failTensor(const GgufTensor& tensor, ErrorCode code, const std::string& what, const char* hint = kDamagedHint) const {
        throw Error(code, cursor_.file() + ": tensor '" + escapeForDisplay(tensor.name) + "' " + what, hint);
    }

    /// Bytes from type and shape, then absolute places, then no overlap.
    void locateTensors() {
        const std::uint64_t unaligned = cursor_.position() % header_.alignment;
        header_.dataStart = cursor_.position() + (unaligned == 0 ? 0 : header_.alignment - unaligned);
        if (header_.tensors.empty()) return;
        if (header_.dataStart > fileBytes_)
            cursor_.fail(ErrorCode::truncated, "the data would begin at byte " + std::to_string(header_.dataStart) + " of a file of " + std::to_string(fileBytes_), kIncompleteHint);
        const std::uint64_t dataBytes = fileBytes_ - header_.dataStart;
        for (auto& tensor : header_.tensors) {
            if (tensor.type != StorageType::unknown) tensor.bytes = tensorBytes(tensor);
            if (tensor.offset % header_.alignment != 0)
                failTensor(tensor, ErrorCode::invalidTensor, "begins at " + std::to_string(tensor.offset) + ", no multiple of " + std::to_string(header_.alignment));
            if (tensor.offset > dataBytes || tensor.bytes > dataBytes - tensor.offset)
                failTensor(tensor, ErrorCode::truncated, "needs " + std::to_string(tensor.bytes) + " bytes at " + std::to_string(tensor.offset) + ", but the data end at " +
                               std::to_string(dataBytes), kIncompleteHint);
        }
        std::vector<GgufTensor*> sorted;
        sorted.reserve(header_.tensors.size());
        for (auto& tensor : header_.tensors) sorted.push_back(&tensor);
        std::stable_sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) {
            return a->offset != b->offset ? a->offset < b->offset : a->bytes < b->bytes;
        });
        for (std::size_t i = 0; i < sorted.size(); ++i) {
            const std::uint64_t next = i + 1 < sorted.size() ? sorted[i + 1]->offset : dataBytes;
            if (sorted[i]->type == StorageType::unknown)
                sorted[i]->bytes = next - sorted[i]->offset;
            else if (sorted[i]->offset + sorted[i]->bytes > next)
                failTensor(*sorted[i], ErrorCode::invalidTensor, "needs " + std::to_string(sorted[i]->bytes) + " bytes at " + std::to_string(sorted[i]->offset) +
                               ", but '" + escapeForDisplay(sorted[i + 1]->name) + "' begins at " + std::to_string(next));
        }
        for (auto& tensor : header_.tensors) tensor.offset += header_.dataStart;
    }
    std::uint64_t tensorBytes(const GgufTensor& tensor) const {
        const auto& info = storageTypeInfo(tensor.type);
        const std::uint64_t cols = tensor.shape.empty() ? 1 : static_cast<std::uint64_t>(tensor.shape.back());
        if (cols % static_cast<std::uint64_t>(info.blockElements) != 0)
            failTensor(tensor, ErrorCode::invalidTensor, "has rows of " + std::to_string(cols) + " elements, no multiple of the " + std::to_string(info.blockElements) +
                           " that a block of " + std::string(info.fileName) + " holds");
        std::uint64_t rows = 1, bytes = 0;
        for (std::size_t d = 0; d + 1 < tensor.shape.size(); ++d) rows *= static_cast<std::uint64_t>(tensor.shape[d]); // the product fits: see readShape
        const std::uint64_t blocks = rows * (cols / static_cast<std::uint64_t>(info.blockElements));
        if (__builtin_mul_overflow(blocks, static_cast<std::uint64_t>(info.blockBytes), &bytes))
            failTensor(tensor, ErrorCode::validationOverflow, "needs more bytes than fit 64 bits");
        return bytes;
    }

    ByteCursor cursor_;
    GgufLimits limits_;
    std::uint64_t fileBytes_;
    std::uint64_t elements_ = 0, nested_ = 0;
    std::string key_;
    GgufHeader header_;
};

} // namespace

GgufHeader readGgufHeader(const MappedFile& file, const GgufLimits& limits) {
    static_assert(std::endian::native == std::endian::little, "values are copied as they lie in the file");
    return GgufParser(file, limits).parse();
}

} // namespace bw
