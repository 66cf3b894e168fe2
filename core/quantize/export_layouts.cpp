// SPDX-License-Identifier: GPL-3.0-or-later
// The table of layouts, and the choice of a packing for each format.
#include "core/quantize/export_layouts.h"

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/format/nf4.h"
#include "core/quantize/activation_scheme.h"
#include "core/quantize/cache_scheme.h"
#include "core/quantize/layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

namespace bw {

namespace {

constexpr std::array kLayouts{
    ExportLayoutInfo{"gguf", "GGUF", ExportKind::gguf, true},
    ExportLayoutInfo{"gptq", "the GPTQ layout", ExportKind::safetensors, true},
    ExportLayoutInfo{"awq", "the AWQ layout", ExportKind::safetensors, false},
    ExportLayoutInfo{"compressed-tensors", "compressed-tensors", ExportKind::safetensors, true},
    ExportLayoutInfo{"fp8", "the fp8 layout", ExportKind::safetensors, false},
    ExportLayoutInfo{"bnb", "the bitsandbytes layout", ExportKind::safetensors, false},
};

/// Packings that a layout has, first choice first.
std::vector<Packing> packingsOf(std::string_view layout, bool integerInputs) {
    if (layout == "gptq") return {Packing::gptq};
    if (layout == "awq") return {Packing::awq};
    if (layout == "fp8") return {Packing::fp8};
    if (layout == "bnb") return {Packing::nf4, Packing::llmInt8};
    // Integers beside rounded inputs are signed bytes; alone they are words.
    const Packing integers = integerInputs ? Packing::intQuantized : Packing::packQuantized;
    return {integers, Packing::floatQuantized, Packing::mxfp8, Packing::nvfp4, Packing::mxfp4};
}

} // namespace

bool isPlainFloat(StorageType type) { return type == StorageType::f32 || type == StorageType::f16 || type == StorageType::bf16; }

ServedInputs statedInputs(const std::string& activations) {
    using Scheme = ActivationScheme;
    const Scheme scheme = activations.empty() ? Scheme() : parseActivationScheme(activations);
    const bool integers = scheme.grid == Scheme::Grid::integer && scheme.symmetric && (scheme.bits == 8 || scheme.bits == 4);
    const bool scope = scheme.scope == Scheme::Scope::token || scheme.scope == Scheme::Scope::group || scheme.scope == Scheme::Scope::tensor;
    if (!scope || (!integers && scheme.grid != Scheme::Grid::e4m3)) return {};
    return {integers ? scheme.bits : 8, !scheme.isStatic(), !integers, scheme.scope == Scheme::Scope::group ? scheme.group : 0};
}

ServedCache statedCache(const std::string& cache) {
    const CacheScheme scheme = cache.empty() ? CacheScheme() : parseCacheScheme(cache);
    const bool scope = scheme.keys.scope == CacheScheme::Scope::tensor || scheme.keys.scope == CacheScheme::Scope::unit;
    if (scheme.keys.grid != CacheScheme::Grid::e4m3 || !scope || !(scheme.keys == scheme.values) || scheme.recent > 0) return {};
    return {true, scheme.isStatic()};
}

bool integerInputs(const ExportOptions& options) { return statesInputs(options) && !statedInputs(options.activations).floats; }
bool statesInputs(const ExportOptions& options) { return statedInputs(options.activations).bits != 0; }

std::span<const ExportLayoutInfo> exportLayouts() { return kLayouts; }

const ExportLayoutInfo& exportLayout(std::string_view name) {
    const auto found = std::find_if(kLayouts.begin(), kLayouts.end(), [&](const ExportLayoutInfo& l) { return l.name == name; });
    if (found != kLayouts.end()) return *found;
    std::string names;
    for (const ExportLayoutInfo& layout : kLayouts) names += (names.empty() ? "" : ", ") + std::string(layout.name);
    throw Error(ErrorCode::usage, "there is no layout '" + escapeForDisplay(std::string(name), 40) + "'", "layouts: " + names);
}

ChosenLayout chooseLayout(const ExportOptions& options, const std::string& outPath, const std::vector<SiteFormat>& formats) {
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
    if (kind == ExportKind::gguf) return {&exportLayout("gguf"), false};
    const bool normal = std::any_of(formats.begin(), formats.end(), [](const SiteFormat& f) { return dynamic_cast<const Nf4Format*>(f.used.get()) != nullptr; });
    return {&exportLayout(normal ? "bnb" : "compressed-tensors"), normal};
}

std::optional<Packing> packingIn(const ExportLayoutInfo& layout, const Format& format, bool integerInputs, std::int64_t rows, std::int64_t cols, std::string& why) {
    std::set<std::string> reasons;
    why.clear();
    for (const Packing packing : packingsOf(layout.name, integerInputs)) {
        const std::string reason = packingRefuses(packing, format, rows, cols);
        if (reason.empty()) return packing;
        if (reasons.insert(reason).second) why += (why.empty() ? "" : "; ") + reason;
    }
    return std::nullopt;
}

} // namespace bw
