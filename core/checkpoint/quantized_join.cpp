// SPDX-License-Identifier: GPL-3.0-or-later
// Which tensors are parts of a quantized linear, told by their names and types, and the one logical tensor that takes
// their place.
#include "core/checkpoint/quantized_linear.h"
#include "core/format/affine.h"

#include <algorithm>
#include <map>

namespace bw {
namespace {

constexpr const char* kNf4State = "bitsandbytes__nf4";
constexpr const char* kFp4State = "bitsandbytes__fp4";

using ByName = std::unordered_map<std::string, const TensorInfo*>;

/// The linear that `tensor` is the codes of; null when it is no codes.
class Opener {
public:
    Opener(const ByName& byName, const std::vector<MappedFile>& files, const QuantizationConfig& config) : byName_(byName), files_(files), config_(config) {}

    QuantizedLinearPtr open(const TensorInfo& tensor) const {
        if (const auto module = withoutSuffix(tensor.name, ".weight_packed")) {
            // Four-bit floats are bytes, integers are words.
            return tensor.type == StorageType::u8 ? openFloat4(finder(*module, "float4")) : openPackedAffine(finder(*module, "packed"));
        }
        if (const auto module = withoutSuffix(tensor.name, ".qweight")) {
            // Both name their parts alike; GPTQ's codes have a column per output, AWQ's one per eight.
            const PartFinder awq = finder(*module, "AWQ"), gptq = finder(*module, "GPTQ");
            const TensorInfo* scales = gptq.find(".scales");
            const bool wide = scales && scales->shape.size() == 2 && tensor.shape.size() == 2 && scales->shape[1] == 8 * tensor.shape[1];
            return config_.method == "awq" || (config_.method != "gptq" && wide) ? openAwq(awq, config_) : openGptq(gptq, config_);
        }
        if (const auto module = withoutSuffix(tensor.name, ".weight")) return openBytes(tensor, *module);
        return nullptr;
    }

private:
    static std::optional<std::string> withoutSuffix(const std::string& name, std::string_view suffix) {
        if (!name.ends_with(suffix) || name.size() == suffix.size()) return std::nullopt;
        return name.substr(0, name.size() - suffix.size());
    }
    PartFinder finder(const std::string& module, const char* method) const { return {module, method, byName_, files_}; }

    QuantizedLinearPtr openBytes(const TensorInfo& tensor, const std::string& module) const {
        const bool eight = tensor.type == StorageType::i8 || tensor.type == StorageType::f8e4m3 || tensor.type == StorageType::f8e5m2;
        const bool unsignedBytes = tensor.type == StorageType::u8;
        if (!eight && !unsignedBytes) return nullptr;
        const PartFinder find = finder(module, unsignedBytes ? "4-bit" : "8-bit");
        if (eight && (find.find(".weight_scale_inv") || find.find(".weight_scale"))) return openScaled(find, config_);
        if (tensor.type == StorageType::i8 && find.find(".SCB")) return openLlmInt8(find);
        for (const char* state : {kNf4State, kFp4State})
            if (unsignedBytes && find.find(std::string(".weight.quant_state.") + state)) return openBitsAndBytes4(find, state);
        if (unsignedBytes && find.find(".weight_scale") && find.find(".weight_scale_2")) return openFloat4(find);
        return nullptr;
    }

    const ByName& byName_;
    const std::vector<MappedFile>& files_;
    const QuantizationConfig& config_;
};

TensorInfo logicalTensor(const TensorInfo& codes, const QuantizedLinear& linear, const ByName& byName) {
    TensorInfo tensor;
    tensor.name = codes.name.substr(0, codes.name.rfind('.')) + ".weight";
    tensor.typeName = linear.format->name();
    tensor.packed = linear.format;
    tensor.shape = {linear.rows, linear.cols};
    tensor.file = codes.file;
    tensor.offset = codes.offset;
    for (const auto& part : linear.parts) tensor.bytes += byName.at(part)->bytes;
    return tensor;
}

} // namespace

std::unordered_map<std::string, QuantizedLinearPtr> joinQuantizedLinears(std::vector<TensorInfo>& tensors, const std::vector<MappedFile>& files, const QuantizationConfig& config,
                                                                         std::vector<std::string>& warnings) {
    std::unordered_map<std::string, QuantizedLinearPtr> result;
    ByName byName;
    byName.reserve(tensors.size());
    for (const auto& tensor : tensors) byName.emplace(tensor.name, &tensor);
    const Opener opener(byName, files, config);
    std::unordered_map<std::string, TensorInfo> logical; // by the name of the codes, whose place it takes
    std::set<std::string> parts;
    std::map<std::string, std::int64_t> counts;
    for (const auto& tensor : tensors) {
        QuantizedLinearPtr linear = opener.open(tensor);
        if (!linear) continue;
        TensorInfo joined = logicalTensor(tensor, *linear, byName);
        if (joined.name != tensor.name && byName.contains(joined.name))
            throw Error(ErrorCode::duplicateKey, "'" + escapeForDisplay(joined.name) + "' is there both plain and packed", "Files of two different downloads were mixed; fetch the checkpoint again.");
        if (!dynamic_cast<const AffineFormat*>(linear->format.get())) ++counts[linear->format->name()]; // ours need no remark
        parts.insert(linear->parts.begin(), linear->parts.end());
        logical.emplace(tensor.name, joined);
        if (!result.emplace(joined.name, std::move(linear)).second)
            throw Error(ErrorCode::duplicateKey, "'" + escapeForDisplay(joined.name) + "' is packed in two ways", "Files of two different downloads were mixed; fetch the checkpoint again.");
    }
    if (result.empty()) return result;
    std::vector<TensorInfo> kept;
    kept.reserve(tensors.size());
    for (auto& tensor : tensors) {
        if (const auto it = logical.find(tensor.name); it != logical.end())
            kept.push_back(std::move(it->second));
        else if (!parts.contains(tensor.name))
            kept.push_back(std::move(tensor));
    }
    tensors = std::move(kept);
    for (const auto& tensor : tensors)
        if (!tensor.packed && (tensor.name.ends_with(".weight_zero_point") || tensor.name.ends_with(".weight_scale")))
            warnings.push_back("tensor '" + escapeForDisplay(tensor.name) + "' belongs to no packed linear");
    for (const auto& [format, count] : counts)
        warnings.push_back(std::to_string(count) + " linears are already quantized (" + format + "); they are decoded, and quantizing them again adds to the error they have");
    return result;
}

} // namespace bw
