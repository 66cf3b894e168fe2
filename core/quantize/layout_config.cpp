// SPDX-License-Identifier: GPL-3.0-or-later
// Keys and values as in files of the programs that made these layouts known.
#include "core/quantize/layout_config.h"

#include "core/base/error.h"
#include "core/format/affine.h"
#include "core/format/float_format.h"
#include "core/format/nf4.h"

#include <fmt/format.h>

#include <algorithm>
#include <compare>
#include <map>
#include <set>
#include <tuple>

namespace bw {

namespace {

const AffineGrid& gridOf(const PackedModule& module) {
    const auto* affine = dynamic_cast<const AffineFormat*>(module.format.get());
    if (!affine) throw Error(ErrorCode::internal, module.module + " has no integer grid");
    return affine->grid();
}

/// −1 for one scale per output.
std::int64_t groupOf(const AffineGrid& grid) { return grid.scope == AffineScope::group ? grid.group : -1; }

const char* formatWord(Packing packing) {
    switch (packing) {
    case Packing::intQuantized: return "int-quantized";
    case Packing::mxfp4: return "mxfp4-pack-quantized";
    case Packing::floatQuantized: return "float-quantized";
    case Packing::mxfp8: return "mxfp8-quantized";
    case Packing::nvfp4: return "nvfp4-pack-quantized";
    default: return "pack-quantized";
    }
}

Json quantizationArgs(int bits, const char* type, const char* strategy) {
    return {{"num_bits", bits}, {"type", type}, {"symmetric", true}, {"strategy", strategy}, {"group_size", nullptr}, {"block_structure", nullptr}, {"dynamic", false}, {"actorder", nullptr}};
}

Json floatArgs(const FloatGrid& grid) {
    Json args = quantizationArgs(smallFloat(grid.code).bits, "float", "group");
    if (grid.scope == FloatScope::tensor) args["strategy"] = "tensor";
    if (grid.scope == FloatScope::channel) args["strategy"] = "channel";
    if (grid.scope == FloatScope::nv) args["strategy"] = "tensor_group";
    if (grid.scope == FloatScope::block128) {
        args["strategy"] = "block";
        args["block_structure"] = {128, 128};
    }
    if (grid.scope == FloatScope::group || grid.scope == FloatScope::mx || grid.scope == FloatScope::nv) args["group_size"] = grid.group;
    if (grid.scope == FloatScope::mx) args["scale_dtype"] = "torch.uint8";
    if (grid.scope == FloatScope::nv) args["scale_dtype"] = "torch.float8_e4m3fn";
    return args;
}

Json weightArgs(const PackedModule& module) {
    if (const auto* affine = dynamic_cast<const AffineFormat*>(module.format.get())) {
        const AffineGrid& grid = affine->grid();
        Json args = quantizationArgs(grid.bits, "int", grid.scope == AffineScope::group ? "group" : grid.scope == AffineScope::channel ? "channel" : "tensor");
        args["symmetric"] = grid.symmetric;
        if (grid.scope == AffineScope::group) args["group_size"] = grid.group;
        return args;
    }
    if (const auto* small = dynamic_cast<const FloatFormat*>(module.format.get())) return floatArgs(small->grid());
    Json args = quantizationArgs(4, "float", "group"); // mxfp4
    args["group_size"] = 32;
    args["scale_dtype"] = "torch.uint8";
    return args;
}

Json inputArgs(const ServedInputs& inputs) {
    if (inputs.bits == 0) return nullptr;
    Json args = quantizationArgs(inputs.bits, inputs.floats ? "float" : "int", inputs.perToken ? "token" : "tensor");
    args["dynamic"] = inputs.perToken;
    if (inputs.group > 0) {
        args["strategy"] = "group";
        args["group_size"] = inputs.group;
    }
    return args;
}

/// For regular expressions of Python's re.
std::string escaped(const std::string& text) {
    std::string out;
    for (const char c : text) {
        if (std::string_view(".^$*+?()[]{}|\\").find(c) != std::string_view::npos) out += '\\';
        out += c;
    }
    return out;
}

struct GptqGrid {
    std::int64_t bits = 4, group = 128;
    bool symmetric = true;
    friend auto operator<=>(const GptqGrid&, const GptqGrid&) = default;
};
GptqGrid gptqGrid(const PackedModule& module) {
    const AffineGrid& grid = gridOf(module);
    return {grid.bits, groupOf(grid), grid.symmetric};
}

/// "^model\.layers\.0\.self_attn\.(?:k_proj|q_proj|v_proj|qkv_proj)$": leaves of one parent, and what loaders fuse them to.
std::string leavesPattern(const std::string& parent, std::vector<std::string> leaves) {
    const auto has = [&](const char* leaf) { return std::find(leaves.begin(), leaves.end(), leaf) != leaves.end(); };
    if (has("q_proj") && has("k_proj") && has("v_proj")) leaves.emplace_back("qkv_proj");
    if (has("gate_proj") && has("up_proj")) leaves.emplace_back("gate_up_proj");
    std::string pattern = "^" + escaped(parent);
    if (leaves.size() == 1) return pattern + escaped(leaves.front()) + "$";
    pattern += "(?:";
    for (std::size_t i = 0; i < leaves.size(); ++i) pattern += (i ? "|" : "") + escaped(leaves[i]);
    return pattern + ")$";
}

/// Modules grouped by what stands before their last name.
std::vector<std::string> patternsOf(const std::vector<std::string>& modules) {
    std::vector<std::pair<std::string, std::vector<std::string>>> parents;
    std::map<std::string, std::size_t> at;
    for (const std::string& module : modules) {
        const std::size_t dot = module.rfind('.') + 1; // 0 when there is none
        const auto [found, isNew] = at.try_emplace(module.substr(0, dot), parents.size());
        if (isNew) parents.push_back({module.substr(0, dot), {}});
        parents[found->second].second.push_back(module.substr(dot));
    }
    std::vector<std::string> patterns;
    for (const auto& [parent, leaves] : parents) patterns.push_back(leavesPattern(parent, leaves));
    return patterns;
}

} // namespace

Json compressedTensorsConfig(const ConfigRequest& request) {
    std::map<std::tuple<std::string, Packing>, std::vector<const PackedModule*>> modulesOf;
    for (const PackedModule& module : request.modules) modulesOf[{module.format->name(), module.packing}].push_back(&module);
    Json groups = Json::object();
    std::set<std::string> words;
    int number = 0;
    for (const auto& [key, modules] : modulesOf) {
        Json targets = Json::array();
        for (const PackedModule* module : modules) targets.push_back(module->module);
        const std::string word = formatWord(modules.front()->packing);
        words.insert(word);
        groups["group_" + std::to_string(number++)] = {
            {"targets", targets}, {"weights", weightArgs(*modules.front())}, {"input_activations", inputArgs(request.inputs)}, {"output_activations", nullptr}, {"format", word}};
    }
    return {{"quant_method", "compressed-tensors"},
            {"format", words.size() == 1 ? *words.begin() : "mixed-precision"},
            {"quantization_status", "compressed"},
            {"config_groups", groups},
            {"ignore", request.ignored},
            {"kv_cache_scheme", request.cache.fp8 ? quantizationArgs(8, "float", "tensor") : Json(nullptr)},
            {"global_compression_ratio", nullptr}};
}

Json gptqConfig(const ConfigRequest& request, bool secondGeneration) {
    std::map<GptqGrid, std::size_t> counts;
    for (const PackedModule& module : request.modules) ++counts[gptqGrid(module)];
    const GptqGrid usual = std::max_element(counts.begin(), counts.end(), [](const auto& a, const auto& b) { return a.second < b.second; })->first;
    Json dynamic = Json::object();
    for (const std::string& pattern : patternsOf(request.ignored)) dynamic["-:" + pattern] = Json::object();
    bool head = false;
    for (const auto& [grid, count] : counts) {
        std::vector<std::string> modules;
        for (const PackedModule& module : request.modules) {
            head = head || module.module == "lm_head";
            if (gptqGrid(module) == grid && grid != usual) modules.push_back(module.module);
        }
        for (const std::string& pattern : patternsOf(modules)) dynamic["+:" + pattern] = {{"bits", grid.bits}, {"group_size", grid.group}, {"sym", grid.symmetric}, {"desc_act", false}};
    }
    return {{"quant_method", "gptq"},
            {"bits", usual.bits},
            {"group_size", usual.group},
            {"sym", usual.symmetric},
            {"desc_act", false},
            {"lm_head", head},
            {"checkpoint_format", secondGeneration ? "gptq_v2" : "gptq"},
            {"pack_dtype", "int32"},
            {"dynamic", dynamic.empty() ? Json(nullptr) : dynamic},
            {"meta", {{"quantizer", {"bitwright"}}, {"static_groups", true}}}};
}

Json awqConfig(const ConfigRequest& request) {
    return {{"quant_method", "awq"}, {"bits", 4}, {"group_size", groupOf(gridOf(request.modules.front()))}, {"zero_point", true}, {"version", "gemm"}, {"modules_to_not_convert", request.ignored}};
}

Json bitsAndBytesConfig(const ConfigRequest& request) {
    const auto* normal = dynamic_cast<const Nf4Format*>(request.modules.front().format.get()); // all modules are alike
    const bool four = normal != nullptr;
    return {{"quant_method", "bitsandbytes"},
            {"_load_in_4bit", four},
            {"_load_in_8bit", !four},
            {"load_in_4bit", four},
            {"load_in_8bit", !four},
            {"bnb_4bit_quant_type", four ? "nf4" : "fp4"},
            {"bnb_4bit_use_double_quant", four && normal->grid().doubleQuantized},
            {"bnb_4bit_quant_storage", "uint8"},
            {"bnb_4bit_compute_dtype", request.computeType},
            {"llm_int8_enable_fp32_cpu_offload", false},
            {"llm_int8_has_fp16_weight", false},
            {"llm_int8_skip_modules", request.ignored},
            {"llm_int8_threshold", 6.0}};
}

Json fp8Config(const ConfigRequest& request) {
    const auto* small = dynamic_cast<const FloatFormat*>(request.modules.front().format.get()); // all modules are alike
    const bool blocks = small && small->grid().scope == FloatScope::block128;
    return {{"quant_method", "fp8"}, {"fmt", "e4m3"}, {"activation_scheme", "dynamic"}, {"weight_block_size", blocks ? Json({128, 128}) : Json(nullptr)}, {"modules_to_not_convert", request.ignored}};
}

Json quantizationConfig(const std::string& layout, const ConfigRequest& request, bool secondGeneration) {
    if (request.modules.empty()) return nullptr;
    if (layout == "gptq") return gptqConfig(request, secondGeneration);
    if (layout == "awq") return awqConfig(request);
    if (layout == "fp8") return fp8Config(request);
    if (layout == "bnb") return bitsAndBytesConfig(request);
    return compressedTensorsConfig(request);
}

} // namespace bw
