// SPDX-License-Identifier: GPL-3.0-or-later
// The layouts an export may have, as data, and which format lies how in which of them. Private to core/quantize; the bytes
// are made in core/checkpoint/packed_*.cpp, the configuration in layout_config.cpp, rules of runtimes in profiles.cpp.
#pragma once

#include "core/checkpoint/packed_weights.h"
#include "core/quantize/export.h"

#include <optional>
#include <string_view>

namespace bw {

struct ExportLayoutInfo {
    std::string_view name;  ///< as in ExportOptions::layout
    std::string_view title; ///< as in messages
    ExportKind kind;
    bool mixedFormats;      ///< may formats differ from site to site?
};

/// @throws Error(usage) naming the layouts there are.
const ExportLayoutInfo& exportLayout(std::string_view name);
std::span<const ExportLayoutInfo> exportLayouts();

/// What will be written: the layout that was asked for, or the one that goes with the path.
struct ChosenLayout {
    const ExportLayoutInfo* info = nullptr;
    /// Asked for by name: what it can't hold is refused. Else it gets the nearest format, with the reason in the plan.
    bool asked = false;
};
/// nf4 in a folder lies as bitsandbytes has it, as if that had been asked for: no other layout holds it, and integers are no stand-in.
/// @throws Error(usage) for a layout that there is not, or one that the path contradicts.
ChosenLayout chooseLayout(const ExportOptions& options, const std::string& outPath, const std::vector<SiteFormat>& formats);

/// How an O×I weight of `format` lies in a layout of safetensors. Empty with the reason in `why` when it can't.
/// Plain floats (f16, bf16, f32) lie in any layout as they are: ask isPlainFloat() first.
/// @param integerInputs the file also says that the inputs of linears are rounded to integers.
std::optional<Packing> packingIn(const ExportLayoutInfo& layout, const Format& format, bool integerInputs, std::int64_t rows, std::int64_t cols, std::string& why);

bool isPlainFloat(StorageType type);

} // namespace bw
