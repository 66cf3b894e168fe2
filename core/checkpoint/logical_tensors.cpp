// SPDX-License-Identifier: GPL-3.0-or-later
// Slicing, joining and turning, all without touching a byte of the data.
#include "core/checkpoint/logical_tensors.h"

#include "core/checkpoint/family.h"
#include "core/checkpoint/tensor_names.h"

#include <algorithm>
#include <map>

namespace bw {
namespace {

constexpr std::int64_t kMaximumExperts = 4096; ///< of a fused stack; real models have a few hundred
constexpr std::int64_t kMaximumHeads = 4096;

/// Linears of one expert in a fused tensor, in the order in which their rows stand there.
std::vector<std::string> fusedLinears(const std::string& name) {
    if (name.ends_with(".mlp.experts.gate_up_proj")) return {"gate_proj", "up_proj"};
    if (name.ends_with(".mlp.experts.down_proj")) return {"down_proj"};
    return {};
}

/// Appends the slices of a fused stack; false when `tensor` is none that can be sliced.
bool sliceExperts(const TensorInfo& tensor, std::vector<TensorInfo>& out) {
    const auto linears = fusedLinears(tensor.name);
    const auto parts = static_cast<std::int64_t>(linears.size());
    if (linears.empty() || tensor.shape.size() != 3 || tensor.packed || tensor.type == StorageType::unknown || storageTypeInfo(tensor.type).blockElements != 1) return false;
    const std::int64_t experts = tensor.shape[0], rows = tensor.shape[1], cols = tensor.shape[2];
    if (experts < 1 || experts > kMaximumExperts || rows < 1 || cols < 1 || rows % parts != 0) return false;
    const std::string stem = tensor.name.substr(0, tensor.name.rfind('.') + 1);
    const auto whole = std::make_shared<const TensorInfo>(tensor);
    const std::uint64_t sliceBytes = tensor.bytes / static_cast<std::uint64_t>(experts * parts);
    std::uint64_t offset = tensor.offset;
    for (std::int64_t e = 0; e < experts; ++e) {
        for (const auto& linear : linears) {
            TensorInfo slice = tensor;
            slice.name = stem + std::to_string(e) + "." + linear + ".weight";
            slice.shape = {rows / parts, cols};
            slice.offset = offset;
            slice.bytes = sliceBytes;
            slice.whole = whole;
            offset += sliceBytes;
            out.push_back(std::move(slice));
        }
    }
    return true;
}

void sliceFusedExperts(std::vector<TensorInfo>& tensors) {
    if (std::none_of(tensors.begin(), tensors.end(), [](const TensorInfo& t) { return !fusedLinears(t.name).empty(); })) return;
    std::vector<TensorInfo> arranged;
    arranged.reserve(tensors.size());
    for (TensorInfo& tensor : tensors)
        if (!sliceExperts(tensor, arranged)) arranged.push_back(std::move(tensor));
    tensors = std::move(arranged);
}

/// "blk.3.attn_q_norm.h2.weight" → "blk.3.attn_q_norm.weight" and 2.
std::optional<std::pair<std::string, std::int64_t>> headOf(const std::string& canonical) {
    const auto mark = canonical.find("_norm.h");
    const auto dot = canonical.rfind('.');
    if (mark == std::string::npos || dot < mark + 8) return std::nullopt;
    return std::pair{canonical.substr(0, mark + 5) + canonical.substr(dot), std::stoll(canonical.substr(mark + 7, dot - mark - 7))};
}

/// Heads 0 … H−1 of equal length and type, or nothing: a gap stays visible as single tensors.
bool isComplete(const std::map<std::int64_t, std::size_t>& heads, const std::vector<TensorInfo>& tensors) {
    const TensorInfo& first = tensors[heads.begin()->second];
    if (heads.begin()->first != 0 || heads.rbegin()->first != static_cast<std::int64_t>(heads.size()) - 1 || first.shape.size() != 1 || first.shape[0] < 1) return false;
    return std::all_of(heads.begin(), heads.end(), [&](const auto& head) { return tensors[head.second].shape == first.shape && tensors[head.second].type == first.type; });
}

void joinHeadNorms(std::vector<TensorInfo>& tensors) {
    std::map<std::string, std::map<std::int64_t, std::size_t>> groups;
    for (std::size_t i = 0; i < tensors.size(); ++i)
        if (const auto head = headOf(tensors[i].canonical); head && head->second < kMaximumHeads) groups[head->first].emplace(head->second, i);
    std::vector<bool> taken(tensors.size(), false);
    std::vector<TensorInfo> joined;
    for (const auto& [canonical, heads] : groups) {
        if (!isComplete(heads, tensors)) continue;
        TensorInfo whole = tensors[heads.begin()->second];
        const auto number = whole.name.rfind(".0."); // "….norms.0.weight"
        whole.name = whole.name.substr(0, number) + whole.name.substr(number + 2);
        whole.canonical = canonical;
        whole.shape.insert(whole.shape.begin(), static_cast<std::int64_t>(heads.size()));
        whole.bytes = 0;
        std::vector<TensorInfo> pieces;
        for (const auto& [head, index] : heads) {
            whole.bytes += tensors[index].bytes;
            taken[index] = true;
            pieces.push_back(tensors[index]);
        }
        whole.pieces = std::make_shared<const std::vector<TensorInfo>>(std::move(pieces));
        joined.push_back(std::move(whole));
    }
    if (joined.empty()) return;
    std::vector<TensorInfo> rest;
    for (std::size_t i = 0; i < tensors.size(); ++i)
        if (!taken[i]) rest.push_back(std::move(tensors[i]));
    rest.insert(rest.end(), std::make_move_iterator(joined.begin()), std::make_move_iterator(joined.end()));
    tensors = std::move(rest);
}

void markTransposed(std::vector<TensorInfo>& tensors) {
    for (TensorInfo& tensor : tensors) {
        const auto block = parseBlockName(tensor.canonical);
        if (!block || !block->rest.ends_with(".weight") || tensor.shape.size() != 2 || tensor.packed) continue;
        if (tensor.type == StorageType::unknown || storageTypeInfo(tensor.type).blockElements != 1) continue;
        tensor.transposed = true;
        std::swap(tensor.shape[0], tensor.shape[1]);
    }
}

} // namespace

void arrangeTensors(std::vector<TensorInfo>& tensors, const std::string& familyName) {
    const Family* family = familyNamed(familyName);
    if (family != nullptr && family->experts) sliceFusedExperts(tensors);
    for (TensorInfo& tensor : tensors) tensor.canonical = canonicalTensorName(tensor.name, familyName);
    if (family == nullptr) return;
    joinHeadNorms(tensors);
    if (family->conv1d) markTransposed(tensors);
}

} // namespace bw
