// SPDX-License-Identifier: GPL-3.0-or-later
// Odd values never stop a checkpoint from opening: the tensors' shapes are checked against each other anyway.
#include "core/checkpoint/quantized_config.h"

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/checkpoint/folder_files.h"

#include <algorithm>
#include <array>

namespace bw {
namespace {

constexpr std::array kDecoded{"gptq", "awq", "compressed-tensors", "fp8", "fbgemm_fp8", "bitsandbytes", "modelopt"};

std::string textOf(const Json& json, const char* key) {
    if (!json.contains(key) || !json.at(key).is_string()) return {};
    std::string value = json.at(key).get<std::string>();
    std::transform(value.begin(), value.end(), value.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return value;
}

/// A count of at most a million; 0 for anything else.
std::int64_t countOf(const Json& value) {
    if (!value.is_number_integer() || value.get<double>() < 0 || value.get<double>() > 1e6) return 0;
    return value.get<std::int64_t>();
}

Json sectionOf(const Json& config, const std::string& folder) {
    if (config.is_object() && config.contains("quantization_config") && config.at("quantization_config").is_object()) return config.at("quantization_config");
    try {
        Json section = readJsonFile(resolveInside(folder, "quantize_config.json"), {1 << 20, 16});
        if (section.is_object() && !section.contains("quant_method")) section["quant_method"] = "gptq"; // that file's first and only use
        return section;
    } catch (const Error&) {
        return nullptr;
    }
}

} // namespace

QuantizationConfig readQuantizationConfig(const Json& config, const std::string& folder) {
    QuantizationConfig out;
    const Json section = sectionOf(config, folder);
    if (!section.is_object()) return out;
    out.method = textOf(section, "quant_method");
    if (out.method.empty() && section.contains("load_in_4bit")) out.method = "bitsandbytes"; // files before quant_method
    out.version = textOf(section, "version");
    for (const char* key : {"bits", "w_bit"})
        if (out.bits == 0 && section.contains(key)) out.bits = countOf(section.at(key));
    out.mixedBits = section.contains("dynamic") && section.at("dynamic").is_object() && !section.at("dynamic").empty();
    out.zerosMinusOne = textOf(section, "checkpoint_format") != "gptq_v2";
    if (section.contains("weight_block_size") && section.at("weight_block_size").is_array() && section.at("weight_block_size").size() == 2) {
        out.blockRows = countOf(section.at("weight_block_size").at(0));
        out.blockCols = countOf(section.at("weight_block_size").at(1));
    }
    if (!out.method.empty() && std::find(kDecoded.begin(), kDecoded.end(), out.method) == kDecoded.end())
        out.whyNotDecoded = "its weights are quantized with the method '" + escapeForDisplay(out.method, 60) + "', which is not decoded here";
    if (out.method == "awq" && !out.version.empty() && out.version != "gemm")
        out.whyNotDecoded = "its weights lie in AWQ's '" + escapeForDisplay(out.version, 40) + "' layout; only 'gemm' is decoded";
    return out;
}

} // namespace bw
