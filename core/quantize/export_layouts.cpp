// SPDX-License-Identifier: GPL-3.0-or-later
// The table of layouts, and the choice of a packing for each format.
#include "core/quantize/export_layouts.h"

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/format/affine.h"
#include "core/quantize/layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace bw {

namespace {

constexpr std::array kLayouts{
    ExportLayoutInfo{"gguf", "GGUF", ExportKind::gguf, true},
    ExportLayoutInfo{"gptq", "the GPTQ layout", ExportKind::safetensors, true},
    ExportLayoutInfo{"awq", "the AWQ layout", ExportKind::safetensors, false},
    ExportLayoutInfo{"compressed-tensors", "compressed-tensors", ExportKind::safetensors, true},
    ExportLayoutInfo{"bnb", "the bitsandbytes layout", ExportKind::safetensors, false},
};

/// Packings that a layout has, first choice first.
std::vector<Packing> packingsOf(std::string_view layout, bool roundedInputs) {
    if (layout == "gptq") return {Packing::gptq};
    if (layout == "awq") return {Packing::awq};
    if (layout == "bnb") return {Packing::llmInt8};
    // Integers beside rounded inputs are signed bytes; alone they are words.
    const Packing integers = roundedInputs ? Packing::intQuantized : Packing::packQuantized;
    return {integers, Packing::mxfp4};
}

} // namespace

bool isPlainFloat(StorageType type) { return type == StorageType::f32 || type == StorageType::f16 || type == StorageType::bf16; }

bool statesInputs(const ExportOptions& options) { return options.activations == "a8:token"; }

std::span<const ExportLayoutInfo> exportLayouts() { return kLayouts; }

const ExportLayoutInfo& exportLayout(std::string_view name) {
    const auto found = std::find_if(kLayouts.begin(), kLayouts.end(), [&](const ExportLayoutInfo& l) { return l.name == name; });
    if (found != kLayouts.end()) return *found;
    std::string names;
    for (const ExportLayoutInfo& layout : kLayouts) names += (names.empty() ? "" : ", ") + std::string(layout.name);
    throw Error(ErrorCode::usage, "there is no layout '" + escapeForDisplay(std::string(name), 40) + "'", "layouts: " + names);
}

ChosenLayout chooseLayout(const ExportOptions& options, const std::string& outPath) {
    const ExportKind kind = exportKind(outPath);
    if (!options.layout.empty()) {
        const ExportLayoutInfo& layout = exportLayout(options.layout);
        if (layout.kind != kind)
            throw Error(ErrorCode::usage,
                        fmt::format("{} is {}, but the output {} names {}", layout.name, layout.kind == ExportKind::gguf ? "a .gguf file" : "a folder", escapeForDisplay(outPath),
                                    kind == ExportKind::gguf ? "a .gguf file" : "a folder"),
                        layout.kind == ExportKind::gguf ? "give a path that ends in .gguf" : "give a folder: leave the ending away");
        return {&layout, true};
    }
    return {&exportLayout(kind == ExportKind::gguf ? "gguf" : "compressed-tensors"), false};
}

std::optional<Packing> packingIn(const ExportLayoutInfo& layout, const Format& format, bool roundedInputs, std::int64_t rows, std::int64_t cols, std::string& why) {
    why.clear();
    for (const Packing packing : packingsOf(layout.name, roundedInputs)) {
        const std::string reason = packingRefuses(packing, format, rows, cols);
        if (reason.empty()) return packing;
        if (why.empty()) why = reason;
    }
    return std::nullopt;
}

} // namespace bw
