// SPDX-License-Identifier: GPL-3.0-or-later
// Reading both forms with every length held against the bytes that are left, merging, and look-up.
#include "core/checkpoint/imatrix.h"

#include "core/base/error.h"
#include "core/base/mapped_file.h"
#include "core/base/text.h"
#include "core/checkpoint/gguf_reader.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string_view>

namespace bw {
namespace {

constexpr const char* kHint = "The file is damaged or no importance matrix; make it again.";
constexpr std::string_view kSums = ".in_sum2", kCounts = ".counts";
constexpr std::int32_t kLongestName = 4096;

std::string label(const std::string& file, const std::string& tensor) { return file + ": '" + escapeForDisplay(tensor) + "'"; }

void requireSums(const std::string& file, const std::string& tensor, const ImportanceEntry& entry) {
    const auto bad = std::find_if(entry.sums.begin(), entry.sums.end(), [](double v) { return !std::isfinite(v) || v < 0; });
    if (bad != entry.sums.end())
        throw Error(ErrorCode::nonFinite, label(file, tensor) + " holds " + std::to_string(*bad) + " at value " + std::to_string(bad - entry.sums.begin()) + "; sums of squares are finite and not negative",
                    "The model gave NaN or infinities while the matrix was collected; collect it again.");
}

/// The older form: little-endian i32 and f32, no magic, so every number is checked.
class DatReader {
public:
    DatReader(const MappedFile& file, std::string shown) : bytes_(file.bytes()), file_(std::move(shown)) {}

    ImportanceMatrix read() {
        ImportanceMatrix matrix;
        const auto count = number("the number of entries");
        if (count < 1 || static_cast<std::uint64_t>(count) > left() / 12)
            throw Error(ErrorCode::unknownFileType, file_ + " is no importance matrix: it would have " + std::to_string(count) + " entries in " + std::to_string(bytes_.size()) + " bytes", kHint);
        for (std::int32_t i = 0; i < count; ++i) readEntry(matrix);
        if (left() == 0) return matrix; // the oldest files end here
        matrix.chunks = number("the number of chunks");
        if (matrix.chunks < 0) throw Error(ErrorCode::invalidHeader, file_ + " says " + std::to_string(matrix.chunks) + " chunks", kHint);
        if (left() == 0) return matrix;
        matrix.datasets.push_back(text("the name of the text"));
        if (left() != 0) throw Error(ErrorCode::invalidHeader, file_ + ": " + std::to_string(left()) + " bytes follow the end", kHint);
        return matrix;
    }

private:
    std::uint64_t left() const { return bytes_.size() - at_; }
    void need(std::uint64_t count, const std::string& what) const {
        if (count > left())
            throw Error(ErrorCode::truncated, file_ + ": " + what + " needs " + std::to_string(count) + " bytes at " + std::to_string(at_) + ", " + std::to_string(left()) + " are left",
                        "The file is incomplete; copy or make it again.");
    }
    std::int32_t number(const std::string& what) {
        need(4, what);
        std::int32_t value = 0;
        std::memcpy(&value, bytes_.data() + at_, 4);
        at_ += 4;
        return value;
    }
    std::string text(const std::string& what) {
        const std::int32_t length = number(what);
        if (length < 0 || length > kLongestName) throw Error(ErrorCode::invalidHeader, file_ + ": " + what + " has a length of " + std::to_string(length), kHint);
        need(static_cast<std::uint64_t>(length), what);
        std::string value(reinterpret_cast<const char*>(bytes_.data()) + at_, static_cast<std::size_t>(length));
        at_ += static_cast<std::uint64_t>(length);
        return value;
    }
    void readEntry(ImportanceMatrix& matrix) {
        const std::string name = text("a tensor's name");
        const std::int32_t calls = number("a call count"), values = number("a number of values");
        if (name.empty() || calls < 0 || values < 1)
            throw Error(ErrorCode::invalidHeader, label(file_, name) + " has " + std::to_string(calls) + " calls and " + std::to_string(values) + " values", kHint);
        need(4 * static_cast<std::uint64_t>(values), "'" + escapeForDisplay(name) + "'");
        ImportanceEntry entry;
        entry.cols = values; // how many experts they are is not said; see ImportanceMatrix::importance
        entry.counts = {static_cast<double>(calls) * static_cast<double>(ImportanceMatrix::kUsualChunk)};
        entry.sums.reserve(static_cast<std::size_t>(values));
        for (std::int32_t i = 0; i < values; ++i) {
            float value = 0;
            std::memcpy(&value, bytes_.data() + at_, 4);
            at_ += 4;
            entry.sums.push_back(static_cast<double>(value) * static_cast<double>(ImportanceMatrix::kUsualChunk));
        }
        requireSums(file_, name, entry);
        if (!matrix.entries.emplace(name, std::move(entry)).second) throw Error(ErrorCode::duplicateKey, label(file_, name) + " appears twice", kHint);
    }

    std::span<const std::byte> bytes_;
    std::string file_;
    std::uint64_t at_ = 0;
};

std::vector<double> floatsOf(const MappedFile& file, const GgufTensor& tensor, const std::string& shown) {
    if (tensor.type != StorageType::f32) throw Error(ErrorCode::unsupportedType, label(shown, tensor.name) + " is not F32", kHint);
    const std::size_t count = tensor.bytes / 4;
    std::vector<double> values(count);
    for (std::size_t i = 0; i < count; ++i) {
        float value = 0;
        std::memcpy(&value, file.bytes().data() + tensor.offset + 4 * i, 4);
        values[i] = static_cast<double>(value);
    }
    return values;
}

ImportanceMatrix readGguf(const MappedFile& file, const std::string& shown) {
    const GgufHeader header = readGgufHeader(file);
    const auto type = header.metadata.text("general.type");
    if (type.value_or("") != "imatrix")
        throw Error(ErrorCode::unknownFileType, shown + " is a GGUF file but no importance matrix (general.type is '" + escapeForDisplay(type.value_or("missing"), 40) + "')",
                    "Give the file that llama-imatrix or 'bitwright-cli imatrix' wrote.");
    ImportanceMatrix matrix;
    matrix.chunks = header.metadata.integer("imatrix.chunk_count").value_or(0);
    matrix.chunkSize = header.metadata.integer("imatrix.chunk_size").value_or(ImportanceMatrix::kUsualChunk);
    if (matrix.chunks < 0 || matrix.chunkSize < 1)
        throw Error(ErrorCode::invalidConfig, shown + ": imatrix.chunk_count is " + std::to_string(matrix.chunks) + " and imatrix.chunk_size " + std::to_string(matrix.chunkSize), kHint);
    if (const GgufArray* names = header.metadata.array("imatrix.datasets")) matrix.datasets = names->strings;
    std::map<std::string, const GgufTensor*> counts;
    for (const GgufTensor& tensor : header.tensors)
        if (tensor.name.ends_with(kCounts)) counts.emplace(tensor.name.substr(0, tensor.name.size() - kCounts.size()), &tensor);
    for (const GgufTensor& tensor : header.tensors) {
        if (!tensor.name.ends_with(kSums)) continue;
        const std::string name = tensor.name.substr(0, tensor.name.size() - kSums.size());
        const auto found = counts.find(name);
        if (found == counts.end()) throw Error(ErrorCode::tensorMissing, label(shown, name) + " has sums but no counts", kHint);
        ImportanceEntry entry;
        entry.counts = floatsOf(file, *found->second, shown);
        entry.sums = floatsOf(file, tensor, shown);
        entry.cols = tensor.shape.empty() ? 1 : tensor.shape.back();
        if (entry.counts.empty() || entry.cols < 1 || entry.sums.size() != entry.counts.size() * static_cast<std::size_t>(entry.cols))
            throw Error(ErrorCode::shapeMismatch, label(shown, name) + " has " + std::to_string(entry.sums.size()) + " sums in rows of " + std::to_string(entry.cols) + " and " +
                                                      std::to_string(entry.counts.size()) + " counts", kHint);
        for (const double count : entry.counts)
            if (!std::isfinite(count) || count < 0) throw Error(ErrorCode::nonFinite, label(shown, name) + " has the count " + std::to_string(count), kHint);
        requireSums(shown, name, entry);
        matrix.entries.emplace(name, std::move(entry));
    }
    if (matrix.entries.empty()) throw Error(ErrorCode::tensorMissing, shown + " holds no '.in_sum2' tensor", kHint);
    return matrix;
}

} // namespace

std::vector<float> ImportanceMatrix::importance(const std::string& tensor, std::int64_t cols, std::int64_t matrix) const {
    const auto found = entries.find(tensor);
    if (found == entries.end()) return {};
    const ImportanceEntry& entry = found->second;
    const auto values = static_cast<std::int64_t>(entry.sums.size());
    // One count for several rows: the experts of a .dat.
    const bool fits = cols > 0 && values % cols == 0 && (entry.cols == cols || entry.matrices() == 1);
    if (!fits || matrix < 0 || matrix >= values / cols)
        throw Error(ErrorCode::shapeMismatch, "the importance matrix has " + std::to_string(values) + " values in rows of " + std::to_string(entry.cols) + " for '" + escapeForDisplay(tensor) +
                                                  "'; matrix " + std::to_string(matrix) + " of " + std::to_string(cols) + " columns is needed",
                    "It was made for another model.");
    const double count = entry.counts[entry.matrices() == 1 ? 0 : static_cast<std::size_t>(matrix)];
    const auto sums = std::span(entry.sums).subspan(static_cast<std::size_t>(matrix * cols), static_cast<std::size_t>(cols));
    if (count <= 0 || std::all_of(sums.begin(), sums.end(), [](double v) { return v == 0; })) return {};
    std::vector<float> mean(sums.size());
    std::transform(sums.begin(), sums.end(), mean.begin(), [count](double sum) { return static_cast<float>(sum / count); });
    return mean;
}

void ImportanceMatrix::merge(const ImportanceMatrix& other) {
    for (const auto& [name, more] : other.entries) {
        const auto [place, fresh] = entries.try_emplace(name, more);
        if (fresh) continue;
        ImportanceEntry& entry = place->second;
        if (entry.cols != more.cols || entry.counts.size() != more.counts.size())
            throw Error(ErrorCode::shapeMismatch, "'" + escapeForDisplay(name) + "' has " + std::to_string(entry.matrices()) + "×" + std::to_string(entry.cols) + " values in one importance matrix and " +
                                                      std::to_string(more.matrices()) + "×" + std::to_string(more.cols) + " in the other",
                        "Only matrices of the same model can be joined.");
        std::transform(entry.sums.begin(), entry.sums.end(), more.sums.begin(), entry.sums.begin(), std::plus<>());
        std::transform(entry.counts.begin(), entry.counts.end(), more.counts.begin(), entry.counts.begin(), std::plus<>());
    }
    for (const std::string& name : other.datasets)
        if (std::find(datasets.begin(), datasets.end(), name) == datasets.end()) datasets.push_back(name);
    // Chunks of another size are counted in ours.
    chunks += (other.chunks * other.chunkSize + chunkSize - 1) / chunkSize;
}

ImportanceMatrix ImportanceMatrix::read(const std::string& path) {
    const MappedFile file(path);
    const std::string shown = escapeForDisplay(path);
    if (file.size() >= 4 && std::memcmp(file.bytes().data(), "GGUF", 4) == 0) return readGguf(file, shown);
    return DatReader(file, shown).read();
}

} // namespace bw
