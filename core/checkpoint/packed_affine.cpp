// SPDX-License-Identifier: GPL-3.0-or-later
// Bit packing of affine codes, the parts' shapes, and finding and decoding them again.
#include "core/checkpoint/packed_affine.h"

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/base/text.h"
#include "core/checkpoint/packed_reader.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace bw {
namespace {

constexpr std::array<const char*, 4> kPartSuffixes{".weight_packed", ".weight_scale", ".weight_zero_point", ".weight_shape"};
constexpr const char* kHint = "The checkpoint is damaged or packed in a way that is not read here.";

/// 32-bit words that `count` codes of `bits` take, dense across words.
std::int64_t packedWords(std::int64_t count, int bits) { return (count * bits + 31) / 32; }

/// Code `index` of a dense little-endian bit stream; reads no byte past the last code.
inline unsigned bitsAt(const std::byte* stream, std::int64_t index, int bits) {
    const std::int64_t bit = index * bits;
    const auto shift = static_cast<unsigned>(bit % 8);
    auto value = static_cast<unsigned>(stream[bit / 8]);
    if (shift + static_cast<unsigned>(bits) > 8) value |= static_cast<unsigned>(stream[bit / 8 + 1]) << 8;
    return value >> shift & ((1u << bits) - 1u);
}

inline void setBitsAt(std::byte* stream, std::int64_t index, int bits, unsigned value) {
    const std::int64_t bit = index * bits;
    const auto shift = static_cast<unsigned>(bit % 8);
    stream[bit / 8] |= static_cast<std::byte>(value << shift & 0xffu);
    if (shift + static_cast<unsigned>(bits) > 8) stream[bit / 8 + 1] |= static_cast<std::byte>(value << shift >> 8);
}

/// Rows × columns of the scale tensor: one, one per row, or one per group.
std::pair<std::int64_t, std::int64_t> scaleShape(const AffineGrid& grid, std::int64_t rows, std::int64_t cols) {
    if (grid.scope == AffineScope::tensor) return {1, 1};
    return {rows, grid.scope == AffineScope::channel ? 1 : cols / grid.group};
}

} // namespace

std::vector<OutputTensor> packedAffineTensors(const std::string& module, const AffineFormat& format, std::int64_t rows, std::int64_t cols) {
    const AffineGrid& grid = format.grid();
    const auto [scaleRows, scaleCols] = scaleShape(grid, rows, cols);
    std::vector<OutputTensor> tensors;
    tensors.push_back({module + ".weight_packed", StorageType::i32, {rows, packedWords(cols, grid.bits)}});
    tensors.push_back({module + ".weight_scale", StorageType::f16, grid.scope == AffineScope::tensor ? std::vector<std::int64_t>{1} : std::vector<std::int64_t>{scaleRows, scaleCols}});
    if (!grid.symmetric) tensors.push_back({module + ".weight_zero_point", StorageType::i32, {packedWords(scaleRows, grid.bits), scaleCols}});
    tensors.push_back({module + ".weight_shape", StorageType::i64, {2}});
    return tensors;
}

std::vector<std::vector<std::byte>> packedAffineBytes(const AffineFormat& format, std::span<const std::byte> encoded, std::int64_t rows, std::int64_t cols) {
    const AffineCodes codes = format.unpack(encoded, rows, cols);
    const AffineGrid& grid = format.grid();
    const std::int64_t rowBytes = packedWords(cols, grid.bits) * 4;
    std::vector<std::vector<std::byte>> parts;
    std::vector<std::byte> packed(static_cast<std::size_t>(rows * rowBytes));
    parallelFor(rows, std::max<std::int64_t>(1, (1 << 16) / cols), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r)
            for (std::int64_t c = 0; c < cols; ++c)
                setBitsAt(packed.data() + r * rowBytes, c, grid.bits, codes.codes[static_cast<std::size_t>(r * cols + c)]);
    });
    parts.push_back(std::move(packed));
    std::vector<std::byte> scales(codes.scales.size() * sizeof(std::uint16_t));
    std::memcpy(scales.data(), codes.scales.data(), scales.size());
    parts.push_back(std::move(scales));
    if (!grid.symmetric) {
        const auto [scaleRows, scaleCols] = scaleShape(grid, rows, cols);
        const std::int64_t words = packedWords(scaleRows, grid.bits);
        std::vector<std::byte> zeros(static_cast<std::size_t>(words * scaleCols * 4));
        std::vector<std::byte> column(static_cast<std::size_t>(words * 4));
        for (std::int64_t g = 0; g < scaleCols; ++g) { // each column is a bit stream of its own, one word per row
            std::fill(column.begin(), column.end(), std::byte{0});
            for (std::int64_t r = 0; r < scaleRows; ++r) setBitsAt(column.data(), r, grid.bits, codes.zeros[static_cast<std::size_t>(r * scaleCols + g)]);
            for (std::int64_t w = 0; w < words; ++w) std::memcpy(zeros.data() + (w * scaleCols + g) * 4, column.data() + w * 4, 4);
        }
        parts.push_back(std::move(zeros));
    }
    const std::array<std::int64_t, 2> shape{rows, cols};
    std::vector<std::byte> shapeBytes(sizeof shape);
    std::memcpy(shapeBytes.data(), shape.data(), sizeof shape);
    parts.push_back(std::move(shapeBytes));
    return parts;
}

Json packedAffineConfig(const std::map<std::string, std::string>& formatOfModule, const std::vector<std::string>& ignored) {
    std::map<std::string, std::vector<std::string>> modulesOfFormat;
    for (const auto& [module, format] : formatOfModule) modulesOfFormat[format].push_back(module);
    Json groups = Json::object();
    int number = 0;
    for (const auto& [name, modules] : modulesOfFormat) {
        const auto format = std::dynamic_pointer_cast<const AffineFormat>(parseFormat(name));
        if (!format) throw Error(ErrorCode::invalidFormat, "'" + escapeForDisplay(name) + "' is no affine integer format; packed safetensors hold only these");
        const AffineGrid& grid = format->grid();
        Json weights = {{"num_bits", grid.bits}, {"type", "int"}, {"symmetric", grid.symmetric}, {"dynamic", false}, {"actorder", nullptr}, {"block_structure", nullptr}};
        weights["strategy"] = grid.scope == AffineScope::group ? "group" : grid.scope == AffineScope::channel ? "channel" : "tensor";
        weights["group_size"] = grid.scope == AffineScope::group ? Json(grid.group) : Json(nullptr);
        groups["group_" + std::to_string(number++)] = {{"targets", modules},           {"weights", weights},          {"input_activations", nullptr},
                                                       {"output_activations", nullptr}, {"format", "pack-quantized"}};
    }
    return {{"quant_method", "compressed-tensors"}, {"format", "pack-quantized"}, {"quantization_status", "compressed"}, {"config_groups", groups},
            {"ignore", ignored}, {"kv_cache_scheme", nullptr}, {"global_compression_ratio", nullptr}};
}

namespace {

/// Finds the parts of one module among the tensors and works out its grid from their shapes alone.
class PackedModule {
public:
    PackedModule(std::string module, const std::unordered_map<std::string, const TensorInfo*>& byName, const std::vector<MappedFile>& files)
        : module_(std::move(module)), byName_(byName), files_(files) {}

    PackedParts join() {
        parts_.codes = part(".weight_packed");
        parts_.scales = part(".weight_scale");
        readShape(part(".weight_shape"));
        readCodeShape();
        readScaleShape();
        if (const auto it = byName_.find(module_ + ".weight_zero_point"); it != byName_.end()) {
            parts_.zeros = *it->second;
            parts_.hasZeros = true;
            const auto [scaleRows, scaleCols] = scaleShape(parts_.grid, parts_.rows, parts_.cols);
            requireShape(parts_.zeros, {packedWords(scaleRows, parts_.grid.bits), scaleCols}, StorageType::i32);
        }
        parts_.grid.symmetric = !parts_.hasZeros;
        if (const auto it = byName_.find(module_ + ".weight_g_idx"); it != byName_.end())
            throw Error(ErrorCode::unsupportedType, label() + " has its columns sorted (weight_g_idx), which is not read here", "Quantize again without activation order.");
        return parts_;
    }

private:
    std::string label() const { return "packed linear '" + escapeForDisplay(module_) + "'"; }
    [[noreturn]] void fail(ErrorCode code, const std::string& what) const { throw Error(code, label() + ": " + what, kHint); }
    const TensorInfo& part(const char* suffix) const {
        const auto it = byName_.find(module_ + suffix);
        if (it == byName_.end()) fail(ErrorCode::tensorMissing, std::string(suffix + 1) + " is missing");
        return *it->second;
    }
    void requireShape(const TensorInfo& tensor, const std::vector<std::int64_t>& shape, StorageType type) const {
        if (tensor.shape != shape || tensor.type != type) fail(ErrorCode::shapeMismatch, "'" + escapeForDisplay(tensor.name) + "' has another shape or type than its weight needs");
    }
    void readShape(const TensorInfo& shape) {
        requireShape(shape, {2}, shape.type == StorageType::i32 ? StorageType::i32 : StorageType::i64);
        const std::byte* data = files_[static_cast<std::size_t>(shape.file)].bytes().data() + shape.offset;
        std::int64_t values[2] = {};
        for (int i = 0; i < 2; ++i) {
            std::int32_t narrow = 0;
            if (shape.type == StorageType::i64) std::memcpy(&values[i], data + 8 * i, 8);
            else std::memcpy(&narrow, data + 4 * i, 4), values[i] = narrow;
        }
        parts_.rows = values[0];
        parts_.cols = values[1];
        constexpr std::int64_t kLimit = std::int64_t{1} << 31; // keeps every product below inside 63 bits
        if (parts_.rows < 1 || parts_.cols < 1 || parts_.rows > kLimit || parts_.cols > kLimit)
            fail(ErrorCode::invalidTensor, "weight_shape says " + std::to_string(parts_.rows) + " × " + std::to_string(parts_.cols));
    }
    void readCodeShape() {
        const auto& shape = parts_.codes.shape;
        if (parts_.codes.type != StorageType::i32 || shape.size() != 2 || shape[0] != parts_.rows) fail(ErrorCode::shapeMismatch, "weight_packed does not have the rows that weight_shape says");
        int found = 0;
        for (int bits = 2; bits <= 8; ++bits)
            if (packedWords(parts_.cols, bits) == shape[1]) {
                if (found != 0) fail(ErrorCode::invalidTensor, "rows of " + std::to_string(parts_.cols) + " are too short to tell the number of bits");
                found = bits;
            }
        if (found == 0) fail(ErrorCode::shapeMismatch, "weight_packed has " + std::to_string(shape[1]) + " words per row of " + std::to_string(parts_.cols) + ", which fits no width of 2 to 8 bits");
        parts_.grid.bits = found;
    }
    void readScaleShape() {
        const auto& shape = parts_.scales.shape;
        const StorageType type = parts_.scales.type;
        if (type != StorageType::f16 && type != StorageType::bf16 && type != StorageType::f32) fail(ErrorCode::unsupportedType, "weight_scale is " + parts_.scales.typeName + "; f16, bf16 and f32 are read");
        if (shape.size() == 1 && shape[0] == 1) {
            parts_.grid.scope = AffineScope::tensor;
            return;
        }
        if (shape.size() != 2 || shape[0] != parts_.rows || shape[1] < 1 || parts_.cols % shape[1] != 0)
            fail(ErrorCode::shapeMismatch, "weight_scale fits neither groups, channels nor the whole tensor");
        parts_.groupsPerRow = shape[1];
        parts_.grid.scope = shape[1] == 1 ? AffineScope::channel : AffineScope::group;
        if (parts_.grid.scope == AffineScope::group) parts_.grid.group = parts_.cols / shape[1];
    }

    std::string module_;
    const std::unordered_map<std::string, const TensorInfo*>& byName_;
    const std::vector<MappedFile>& files_;
    PackedParts parts_;
};

} // namespace

std::unordered_map<std::string, PackedParts> joinPackedTensors(std::vector<TensorInfo>& tensors, const std::vector<MappedFile>& files, std::vector<std::string>& warnings) {
    std::unordered_map<std::string, PackedParts> result;
    std::vector<std::string> modules;
    for (const auto& tensor : tensors)
        if (tensor.name.ends_with(kPartSuffixes[0])) modules.push_back(tensor.name.substr(0, tensor.name.size() - std::strlen(kPartSuffixes[0])));
    if (modules.empty()) return result;
    std::unordered_map<std::string, const TensorInfo*> byName;
    for (const auto& tensor : tensors) byName.emplace(tensor.name, &tensor);
    std::unordered_map<std::string, TensorInfo> logical; // by the name of the codes, whose place it takes
    std::unordered_map<std::string, bool> isPart;
    for (const auto& module : modules) {
        const PackedParts parts = PackedModule(module, byName, files).join();
        TensorInfo tensor;
        tensor.name = module + ".weight";
        if (byName.contains(tensor.name)) throw Error(ErrorCode::duplicateKey, "'" + escapeForDisplay(tensor.name) + "' is there both plain and packed", kHint);
        auto format = std::make_shared<AffineFormat>(parts.grid);
        std::string why;
        if (!format->fits(parts.rows, parts.cols, &why)) throw Error(ErrorCode::invalidTensor, "packed linear '" + escapeForDisplay(module) + "': " + why, kHint);
        tensor.typeName = format->name();
        tensor.packed = std::move(format);
        tensor.shape = {parts.rows, parts.cols};
        tensor.file = parts.codes.file;
        tensor.offset = parts.codes.offset;
        for (const char* suffix : kPartSuffixes)
            if (const auto it = byName.find(module + suffix); it != byName.end()) {
                tensor.bytes += it->second->bytes;
                isPart[it->first] = true;
            }
        result.emplace(tensor.name, parts);
        logical.emplace(module + kPartSuffixes[0], std::move(tensor));
    }
    std::vector<TensorInfo> kept;
    kept.reserve(tensors.size());
    for (auto& tensor : tensors) {
        if (const auto it = logical.find(tensor.name); it != logical.end())
            kept.push_back(std::move(it->second));
        else if (!isPart.contains(tensor.name))
            kept.push_back(std::move(tensor));
    }
    tensors = std::move(kept);
    for (const auto& tensor : tensors)
        if (!tensor.packed && (tensor.name.ends_with(".weight_zero_point") || tensor.name.ends_with(".weight_scale")))
            warnings.push_back("tensor '" + escapeForDisplay(tensor.name) + "' belongs to no packed linear");
    return result;
}

void readPackedRows(const PackedParts& parts, const std::vector<MappedFile>& files, std::int64_t first, MatrixView<float> out) {
    const auto data = [&](const TensorInfo& tensor) {
        const MappedFile& file = files[static_cast<std::size_t>(tensor.file)];
        file.checkUnchanged();
        return file.bytes().data() + tensor.offset;
    };
    if (out.empty()) return;
    const std::byte* codes = data(parts.codes);
    const std::byte* scales = data(parts.scales);
    const std::byte* zeros = parts.hasZeros ? data(parts.zeros) : nullptr;
    const int bits = parts.grid.bits;
    const std::int64_t rowBytes = packedWords(parts.cols, bits) * 4, groups = std::max<std::int64_t>(1, parts.groupsPerRow), group = parts.cols / groups;
    const auto scaleBytes = storageBytes(parts.scales.type, 1, static_cast<std::uint64_t>(groups));
    parallelFor(out.rows, std::max<std::int64_t>(1, (1 << 16) / parts.cols), [&](std::int64_t begin, std::int64_t end) {
        std::vector<float> rowScales(static_cast<std::size_t>(groups));
        for (std::int64_t r = begin; r < end; ++r) {
            const std::int64_t scaleRow = parts.groupsPerRow == 0 ? 0 : first + r;
            decodeRow(parts.scales.type, scales + static_cast<std::uint64_t>(scaleRow) * scaleBytes, rowScales);
            const std::byte* stream = codes + (first + r) * rowBytes;
            float* values = out.row(r);
            for (std::int64_t g = 0; g < groups; ++g) {
                int zero = 1 << (bits - 1);
                if (zeros) {
                    // Column g is a bit stream whose 32-bit words stand one row apart; codes may cross words.
                    const std::int64_t bit = scaleRow * bits;
                    std::uint32_t low = 0, high = 0;
                    std::memcpy(&low, zeros + (bit / 32 * groups + g) * 4, 4);
                    if (bit % 32 + bits > 32) std::memcpy(&high, zeros + ((bit / 32 + 1) * groups + g) * 4, 4);
                    const std::uint64_t both = static_cast<std::uint64_t>(high) << 32 | low;
                    zero = static_cast<int>(both >> (bit % 32) & ((1u << bits) - 1u));
                }
                const float scale = rowScales[static_cast<std::size_t>(g)];
                for (std::int64_t c = g * group; c < (g + 1) * group; ++c)
                    values[c] = scale * static_cast<float>(static_cast<int>(bitsAt(stream, c, bits)) - zero);
            }
        }
    });
}

} // namespace bw
