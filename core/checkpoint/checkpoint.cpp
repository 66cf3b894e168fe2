// SPDX-License-Identifier: GPL-3.0-or-later
// Questions to an opened checkpoint and reading rows of it. Opening is in open_checkpoint.cpp.
#include "core/checkpoint/checkpoint.h"

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/base/text.h"
#include "core/checkpoint/checkpoint_impl.h"
#include "core/checkpoint/derived_rows.h"
#include "core/checkpoint/family.h"
#include "core/checkpoint/writer.h"

#include <algorithm>
#include <cmath>

namespace bw {
namespace {

/// Elements that one thread decodes at a time: large enough to hide the cost of a task, small enough to share out.
constexpr std::int64_t kElementsPerPiece = 1 << 16;

/// Rows of {O, I} from a file that holds {I, O} in a type of single values.
void readTransposed(const TensorInfo& tensor, const std::byte* base, std::int64_t first, MatrixView<float> out) {
    const auto elementBytes = static_cast<std::int64_t>(storageBytes(tensor.type, 1, 1));
    const std::int64_t fileCols = tensor.rows();
    parallelFor(out.cols, std::max<std::int64_t>(1, kElementsPerPiece / std::max<std::int64_t>(1, out.rows)), [&](std::int64_t begin, std::int64_t end) {
        std::vector<float> part(static_cast<std::size_t>(out.rows));
        for (std::int64_t c = begin; c < end; ++c) {
            decodeRow(tensor.type, base + (c * fileCols + first) * elementBytes, part);
            for (std::int64_t r = 0; r < out.rows; ++r) out(r, c) = part[static_cast<std::size_t>(r)];
        }
    });
}

std::string label(const Checkpoint& checkpoint, const TensorInfo& tensor) {
    return escapeForDisplay(checkpoint.files()[static_cast<std::size_t>(tensor.file)].path()) + ": tensor '" + escapeForDisplay(tensor.name) + "'";
}

} // namespace

std::int64_t TensorInfo::elements() const {
    std::int64_t product = 1;
    for (const auto dimension : shape) product *= dimension;
    return product;
}

std::int64_t TensorInfo::rows() const {
    std::int64_t product = 1;
    for (std::size_t d = 0; d + 1 < shape.size(); ++d) product *= shape[d];
    return product;
}

std::vector<std::int64_t> TensorInfo::fileShape() const {
    return transposed ? std::vector<std::int64_t>(shape.rbegin(), shape.rend()) : shape;
}

std::int64_t TensorInfo::cols() const { return shape.empty() ? 1 : shape.back(); }

Checkpoint::Checkpoint() : impl_(std::make_unique<Impl>()) {}
Checkpoint::~Checkpoint() = default;

CheckpointKind Checkpoint::kind() const { return impl_->kind; }
const std::string& Checkpoint::path() const { return impl_->path; }
std::string Checkpoint::displayName() const { return impl_->displayName; }
const ModelConfig& Checkpoint::config() const { return impl_->config; }
const std::vector<TensorInfo>& Checkpoint::tensors() const { return impl_->tensors; }
const std::vector<MappedFile>& Checkpoint::files() const { return impl_->derived ? impl_->derived->base().files() : impl_->files; }
const std::vector<std::string>& Checkpoint::warnings() const { return impl_->warnings; }
const GgufMetadata& Checkpoint::metadata() const { return impl_->metadata; }
const Json& Checkpoint::configJson() const { return impl_->configJson; }
const std::string& Checkpoint::folder() const { return impl_->folder; }
const Checkpoint* Checkpoint::derivedFrom() const { return impl_->derived ? &impl_->derived->base() : nullptr; }

std::string Checkpoint::derivation() const {
    return impl_->derived ? impl_->derived->base().derivation() + impl_->derived->identity() + "\n" : std::string();
}
const TensorInfo* Checkpoint::find(const std::string& name) const { return impl_->find(name); }

void Checkpoint::Impl::buildIndex() {
    byCanonical.reserve(tensors.size());
    byName.reserve(tensors.size());
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        byName.emplace(tensors[i].name, i);
        if (!tensors[i].canonical.empty()) byCanonical.emplace(tensors[i].canonical, i);
    }
}

const TensorInfo* Checkpoint::Impl::find(std::string_view name) const {
    if (const auto it = byCanonical.find(name); it != byCanonical.end()) return &tensors[it->second];
    if (const auto it = byName.find(name); it != byName.end()) return &tensors[it->second];
    return nullptr;
}

const TensorInfo& Checkpoint::require(const std::string& name) const {
    if (const TensorInfo* tensor = find(name)) return *tensor;
    throw Error(ErrorCode::tensorMissing, escapeForDisplay(impl_->path) + ": the tensor '" + escapeForDisplay(name) + "' is missing",
                "The checkpoint is incomplete or of another architecture than its config says.");
}

std::uint64_t Checkpoint::totalBytes() const {
    std::uint64_t sum = 0;
    for (const auto& file : files()) sum += file.size();
    return sum;
}

std::int64_t Checkpoint::parameters() const {
    std::int64_t sum = 0;
    for (const auto& tensor : impl_->tensors)
        if (__builtin_add_overflow(sum, tensor.elements(), &sum)) return std::numeric_limits<std::int64_t>::max();
    return sum;
}

double Checkpoint::bitsPerWeight() const {
    double bytes = 0;
    for (const auto& tensor : impl_->tensors) bytes += static_cast<double>(tensor.bytes);
    const auto count = static_cast<double>(parameters());
    return count > 0 ? 8.0 * bytes / count : 0.0;
}

std::span<const std::byte> Checkpoint::raw(const TensorInfo& tensor) const {
    if (tensor.changed)
        throw Error(ErrorCode::unsupportedType, label(*this, tensor) + " is changed as it is read; the file's bytes are not its values");
    if (impl_->derived) return impl_->derived->base().raw(tensor);
    if (tensor.packed || tensor.pieces)
        throw Error(ErrorCode::unsupportedType, label(*this, tensor) + " lies in several parts (" + tensor.typeName + ") and has no single run of bytes");
    const MappedFile& file = impl_->files.at(static_cast<std::size_t>(tensor.file));
    file.checkUnchanged();
    return file.bytes().subspan(tensor.offset, tensor.bytes);
}

std::span<const std::byte> Checkpoint::storedRows(const TensorInfo& tensor, std::int64_t first, std::int64_t rows) const {
    const bool inOrder = !tensor.changed && !tensor.packed && !tensor.pieces && !tensor.transposed && tensor.shape.size() >= 2;
    if (!inOrder || (kind() == CheckpointKind::gguf && ggufPermutesRows(*this, tensor))) return {};
    const std::uint64_t row = storageBytes(tensor.type, 1, static_cast<std::uint64_t>(tensor.cols()));
    return raw(tensor).subspan(static_cast<std::uint64_t>(first) * row, static_cast<std::uint64_t>(rows) * row);
}

std::optional<CodedRows> Checkpoint::codedRows(const TensorInfo& tensor, std::int64_t first, std::int64_t rows) const {
    if (impl_->derived || !tensor.packed) return std::nullopt;
    return impl_->packed.at(tensor.name)->codedRows(impl_->files, first, rows);
}

void Checkpoint::readRows(const TensorInfo& tensor, std::int64_t first, MatrixView<float> out) const {
    const std::int64_t rows = tensor.rows(), cols = tensor.cols();
    if (out.cols != cols || first < 0 || out.rows < 0 || out.rows > rows - first)
        throw Error(ErrorCode::shapeMismatch, label(*this, tensor) + " is " + std::to_string(rows) + "×" + std::to_string(cols) + "; rows " + std::to_string(first) + " to " +
                        std::to_string(first + out.rows) + " of " + std::to_string(out.cols) + " were asked for");
    if (impl_->derived) {
        impl_->derived->readRows(tensor, first, out);
        return;
    }
    if (tensor.packed) {
        impl_->packed.at(tensor.name)->readRows(impl_->files, first, out);
        return;
    }
    if (tensor.pieces) {
        std::int64_t begin = 0; // of the piece, in rows of the whole
        for (const TensorInfo& piece : *tensor.pieces) {
            const std::int64_t from = std::max(first, begin), to = std::min(first + out.rows, begin + piece.elements() / cols);
            if (from < to) readRows(piece, 0, out.middleRows(from - first, to - from));
            begin += piece.elements() / cols;
        }
        return;
    }
    const StorageTypeInfo& type = storageTypeInfo(tensor.type);
    if (tensor.type == StorageType::unknown || !type.decodes || tensor.shape.size() > 4)
        throw Error(ErrorCode::unsupportedType, label(*this, tensor) + " has the type " + tensor.typeName + ", which is listed but not decoded here",
                    "Convert the checkpoint to f16, bf16 or a supported GGUF type first.");
    if (out.empty()) return;
    const std::byte* base = raw(tensor).data();
    if (tensor.transposed) {
        readTransposed(tensor, base, first, out);
        return;
    }
    const std::uint64_t rowBytes = storageBytes(tensor.type, 1, static_cast<std::uint64_t>(cols));
    const std::int64_t headDim = impl_->kind == CheckpointKind::gguf && ggufPermutesRows(*this, tensor) ? ggufPermutationHeadDim(*this, tensor) : 0;
    if (headDim > 0 && tensor.shape.size() == 1) {
        std::vector<float> stored(static_cast<std::size_t>(cols));
        decodeRow(tensor.type, base, stored);
        for (std::int64_t i = 0; i < cols; ++i) out(0, ggufPermutedRow(i, headDim)) = stored[static_cast<std::size_t>(i)];
        return;
    }
    // HF row (h, half, i) lies at GGUF row (h, i, half).
    const auto fileRow = [headDim](std::int64_t row) {
        if (headDim == 0) return row;
        const std::int64_t inHead = row % headDim, half = headDim / 2;
        return row - inHead + 2 * (inHead % half) + inHead / half;
    };
    parallelFor(out.rows, std::max<std::int64_t>(1, kElementsPerPiece / cols), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r)
            decodeRow(tensor.type, base + static_cast<std::uint64_t>(fileRow(first + r)) * rowBytes, out.rowSpan(r));
    });
}

void Checkpoint::read(const TensorInfo& tensor, std::span<float> out) const {
    if (static_cast<std::int64_t>(out.size()) != tensor.elements())
        throw Error(ErrorCode::shapeMismatch, label(*this, tensor) + " has " + std::to_string(tensor.elements()) + " elements; " + std::to_string(out.size()) + " were asked for");
    readRows(tensor, 0, {out.data(), tensor.rows(), tensor.cols()});
}

FiniteReport checkFinite(const Checkpoint& checkpoint, const TensorInfo& tensor, JobContext& job) {
    FiniteReport report;
    const std::int64_t rows = tensor.rows(), cols = tensor.cols();
    if (rows == 0 || cols == 0) return report;
    constexpr std::int64_t kChunkElements = 1 << 22; // 16 MiB of floats: a cancel request is seen well within 100 ms
    const std::int64_t chunkRows = std::clamp<std::int64_t>(kChunkElements / cols, 1, rows);
    std::vector<float> values(static_cast<std::size_t>(chunkRows * cols));
    struct RowCount {
        std::int64_t nan = 0, infinite = 0, firstCol = -1;
    };
    std::vector<RowCount> counts(static_cast<std::size_t>(chunkRows));
    for (std::int64_t first = 0; first < rows; first += chunkRows) {
        job.checkpoint();
        const MatrixView<float> chunk(values.data(), std::min(chunkRows, rows - first), cols);
        checkpoint.readRows(tensor, first, chunk);
        parallelFor(chunk.rows, std::max<std::int64_t>(1, kElementsPerPiece / cols), [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t r = begin; r < end; ++r) {
                RowCount count;
                for (std::int64_t c = 0; c < cols; ++c) {
                    const float value = chunk(r, c);
                    if (std::isfinite(value)) continue;
                    (std::isnan(value) ? count.nan : count.infinite) += 1;
                    if (count.firstCol < 0) count.firstCol = c;
                }
                counts[static_cast<std::size_t>(r)] = count;
            }
        });
        for (std::int64_t r = 0; r < chunk.rows; ++r) {
            const RowCount& count = counts[static_cast<std::size_t>(r)];
            report.nan += count.nan;
            report.infinite += count.infinite;
            if (report.firstRow < 0 && count.firstCol >= 0) {
                report.firstRow = first + r;
                report.firstCol = count.firstCol;
            }
        }
        job.advance(chunk.rows);
    }
    return report;
}

bool ggufPermutesRows(const Checkpoint& source, const TensorInfo& tensor) {
    return ggufPermutationHeadDim(source, tensor) > 0;
}

std::int64_t ggufPermutedRow(std::int64_t row, std::int64_t headDim) {
    const std::int64_t inHead = row % headDim;
    return row - inHead + inHead % 2 * (headDim / 2) + inHead / 2;
}

std::int64_t ggufPermutationHeadDim(const Checkpoint& source, const TensorInfo& tensor) {
    const Family* family = familyNamed(source.config().family);
    if (family == nullptr || !family->permutesQk || tensor.shape.empty() || tensor.shape.size() > 2) return 0;
    const std::string_view name = tensor.canonical;
    const bool query = name.ends_with(".attn_q.weight") || name.ends_with(".attn_q.bias");
    const bool key = name.ends_with(".attn_k.weight") || name.ends_with(".attn_k.bias");
    if (!query && !key) return 0;
    const std::int64_t heads = query ? source.config().heads : source.config().kvHeads, rows = tensor.shape.front();
    if (heads <= 0 || rows % (2 * heads) != 0) return 0;
    return rows / heads;
}

} // namespace bw
