// SPDX-License-Identifier: GPL-3.0-or-later
// The header is built in memory once (a few MB of vocabulary at most); tensors are streamed behind it.
#include "core/checkpoint/writer.h"

#include "core/base/checked.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/checkpoint/gguf_reader.h"

#include <cstring>
#include <unordered_set>

namespace bw {
namespace {

constexpr std::uint32_t kMagic = 0x46554747u; // "GGUF"
constexpr std::uint32_t kVersion = 3;
constexpr std::uint64_t kDefaultAlignment = 32;

template <class T>
void put(std::string& out, T value) {
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    out.append(bytes, sizeof(T));
}

void putText(std::string& out, std::string_view text) {
    put<std::uint64_t>(out, text.size());
    out.append(text);
}

void putInteger(std::string& out, GgufType type, std::int64_t value) {
    switch (type) {
    case GgufType::u8:
    case GgufType::boolean: put(out, static_cast<std::uint8_t>(value)); break;
    case GgufType::i8: put(out, static_cast<std::int8_t>(value)); break;
    case GgufType::u16: put(out, static_cast<std::uint16_t>(value)); break;
    case GgufType::i16: put(out, static_cast<std::int16_t>(value)); break;
    case GgufType::u32: put(out, static_cast<std::uint32_t>(value)); break;
    case GgufType::i32: put(out, static_cast<std::int32_t>(value)); break;
    default: put(out, value); break;
    }
}

void putReal(std::string& out, GgufType type, double value) {
    if (type == GgufType::f32)
        put(out, static_cast<float>(value));
    else
        put(out, value);
}

void putArray(std::string& out, const GgufArray& array) {
    put(out, static_cast<std::uint32_t>(array.element));
    put<std::uint64_t>(out, array.size());
    for (const auto value : array.integers) putInteger(out, array.element, value);
    for (const auto value : array.reals) putReal(out, array.element, value);
    for (const auto& value : array.strings) putText(out, value);
    for (const auto& value : array.nested) putArray(out, value);
}

void putValue(std::string& out, const GgufValue& value) {
    put(out, static_cast<std::uint32_t>(value.type));
    if (const auto* i = std::get_if<std::int64_t>(&value.value)) putInteger(out, value.type, *i);
    else if (const auto* u = std::get_if<std::uint64_t>(&value.value)) put(out, *u);
    else if (const auto* d = std::get_if<double>(&value.value)) putReal(out, value.type, *d);
    else if (const auto* b = std::get_if<bool>(&value.value)) put(out, static_cast<std::uint8_t>(*b ? 1 : 0));
    else if (const auto* s = std::get_if<std::string>(&value.value)) putText(out, *s);
    else putArray(out, std::get<GgufArray>(value.value));
}

[[noreturn]] void refuse(const OutputTensor& tensor, const std::string& why) {
    throw Error(ErrorCode::invalidTensor, "the tensor '" + escapeForDisplay(tensor.name) + "' cannot be written to GGUF: " + why);
}

std::uint64_t tensorBytes(const OutputTensor& tensor) {
    std::uint64_t rows = 1;
    for (std::size_t d = 0; d + 1 < tensor.shape.size(); ++d) rows = checkedMul(rows, static_cast<std::uint64_t>(tensor.shape[d]), "rows of a tensor");
    return storageBytes(tensor.type, rows, tensor.shape.empty() ? 1 : static_cast<std::uint64_t>(tensor.shape.back()));
}

void checkTensors(const std::vector<OutputTensor>& tensors) {
    std::unordered_set<std::string_view> names;
    for (const auto& tensor : tensors) {
        const GgufLimits limits;
        if (tensor.name.empty() || tensor.name.size() > limits.nameBytes) refuse(tensor, "its name has " + std::to_string(tensor.name.size()) + " bytes; 1 to 63 are allowed");
        if (!names.insert(tensor.name).second) throw Error(ErrorCode::duplicateKey, "the tensor '" + escapeForDisplay(tensor.name) + "' is to be written twice");
        const StorageTypeInfo& info = storageTypeInfo(tensor.type);
        if (tensor.type == StorageType::unknown || info.ggmlId < 0) refuse(tensor, "GGUF has no type " + std::string(info.fileName));
        if (tensor.shape.size() > 4) refuse(tensor, "it has more than 4 dimensions");
        for (const auto dimension : tensor.shape)
            if (dimension < 0) refuse(tensor, "a dimension is negative");
        const std::int64_t cols = tensor.shape.empty() ? 1 : tensor.shape.back();
        if (cols % info.blockElements != 0) refuse(tensor, "rows of " + std::to_string(cols) + " are no multiple of " + std::to_string(info.blockElements));
    }
}

std::uint64_t alignmentOf(const GgufMetadata& metadata) {
    const auto alignment = static_cast<std::uint64_t>(metadata.integer("general.alignment").value_or(kDefaultAlignment));
    if (!isGgufAlignment(alignment))
        throw Error(ErrorCode::invalidConfig, "general.alignment is " + std::to_string(alignment) + "; a power of two that is a multiple of 8 is needed");
    return alignment;
}

std::uint64_t alignUp(std::uint64_t value, std::uint64_t alignment) { return checkedAdd(value, alignment - 1, "file size") / alignment * alignment; }

/// Everything up to the first tensor's byte, padded.
std::string buildHeader(const GgufMetadata& metadata, const std::vector<OutputTensor>& tensors) {
    checkTensors(tensors);
    const std::uint64_t alignment = alignmentOf(metadata);
    std::string out;
    put(out, kMagic);
    put(out, kVersion);
    put<std::uint64_t>(out, tensors.size());
    put<std::uint64_t>(out, metadata.entries.size());
    for (const auto& [key, value] : metadata.entries) {
        putText(out, key);
        putValue(out, value);
    }
    std::uint64_t offset = 0;
    for (const auto& tensor : tensors) {
        putText(out, tensor.name);
        // A scalar is written as one dimension of 1, which every reader takes.
        put(out, static_cast<std::uint32_t>(std::max<std::size_t>(1, tensor.shape.size())));
        if (tensor.shape.empty()) put<std::uint64_t>(out, 1);
        for (auto it = tensor.shape.rbegin(); it != tensor.shape.rend(); ++it) put(out, static_cast<std::uint64_t>(*it));
        put(out, static_cast<std::uint32_t>(storageTypeInfo(tensor.type).ggmlId));
        put(out, offset);
        offset = alignUp(checkedAdd(offset, tensorBytes(tensor), "file size"), alignment);
    }
    out.resize(alignUp(out.size(), alignment), '\0');
    return out;
}

std::uint64_t dataBytes(const GgufMetadata& metadata, const std::vector<OutputTensor>& tensors) {
    const std::uint64_t alignment = alignmentOf(metadata);
    std::uint64_t sum = 0;
    for (const auto& tensor : tensors) sum = alignUp(checkedAdd(sum, tensorBytes(tensor), "file size"), alignment);
    return sum;
}

} // namespace

std::uint64_t GgufWriter::fileBytes(const GgufMetadata& metadata, const std::vector<OutputTensor>& tensors) {
    const std::uint64_t header = buildHeader(metadata, tensors).size(); // checks the tensors first
    return checkedAdd(header, dataBytes(metadata, tensors), "file size");
}

GgufWriter::GgufWriter(std::string path, GgufMetadata metadata, std::vector<OutputTensor> tensors, AtomicFile::Replace replace)
    : file_(std::move(path), replace, fileBytes(metadata, tensors)), tensors_(std::move(tensors)), alignment_(alignmentOf(metadata)) {
    const std::string header = buildHeader(metadata, tensors_);
    fileBytes_ = header.size() + dataBytes(metadata, tensors_);
    file_.write(header);
}

std::uint64_t GgufWriter::fileBytes() const { return fileBytes_; }
const std::string& GgufWriter::temporaryPath() const { return file_.temporaryPath(); }

void GgufWriter::writeTensor(std::span<const std::byte> data) {
    if (next_ >= tensors_.size() || tensorWritten_ != 0 || data.size() != tensorBytes(tensors_[next_]))
        throw Error(ErrorCode::internal, "writing " + escapeForDisplay(file_.path()) + ": " + std::to_string(data.size()) + " bytes are not the next tensor");
    writeTensorPart(data);
}

void GgufWriter::writeTensorPart(std::span<const std::byte> part) {
    if (next_ >= tensors_.size() || part.size() > tensorBytes(tensors_[next_]) - tensorWritten_)
        throw Error(ErrorCode::internal, "writing " + escapeForDisplay(file_.path()) + ": more bytes than the tensors planned");
    file_.write(part);
    tensorWritten_ += part.size();
    if (tensorWritten_ < tensorBytes(tensors_[next_])) return;
    file_.padTo(alignment_);
    tensorWritten_ = 0;
    ++next_;
}

void GgufWriter::finish() {
    // Tensors without elements need no call.
    while (next_ < tensors_.size() && tensorWritten_ == 0 && tensorBytes(tensors_[next_]) == 0) ++next_;
    if (next_ != tensors_.size() || file_.position() != fileBytes_)
        throw Error(ErrorCode::internal, "writing " + escapeForDisplay(file_.path()) + ": " + std::to_string(next_) + " of " + std::to_string(tensors_.size()) + " tensors were written");
    file_.finish();
}

void GgufWriter::commit() {
    finish();
    file_.commit();
}

} // namespace bw
