// SPDX-License-Identifier: GPL-3.0-or-later
// What runtimes ask of a file beyond its layout, as one table. Private to core/quantize; the answers come through
// exportProblems() in export.h.
#pragma once

#include "core/quantize/export_layouts.h"

#include <array>

namespace bw {

/// Formats that are no integers, as bits of a set.
enum FloatKind : unsigned { fp8Tensor = 1, fp8Channel = 2, fp8Block = 4, fp8Group = 8, mxfp8 = 16, mxfp4 = 32, nvfp4 = 64, nf4 = 128 };
constexpr unsigned kAnyFloats = ~0u;

/// Rules of one runtime for one layout. A runtime without a row for a layout does not read it.
struct ProfileRule {
    std::string_view profile, layout;
    unsigned integerBits;   ///< bit b set: codes of b bits; 0 = the layout's own limits
    std::array<int, 5> groups; ///< group lengths, −1 = one scale per output; the first 0 ends them; none = any
    unsigned floats;        ///< FloatKinds that are read
    bool mixed;             ///< formats may differ from site to site
    bool fusedAlike;        ///< q/k/v and gate/up are fused when loaded: one format for each of these groups
    bool secondGeneration;  ///< gptq_v2 is read
    int rows, cols;         ///< outputs and inputs of a quantized linear are multiples of these
};

/// @throws Error(usage) for a profile that there is not (names them) or one that does not read the layout (names those it reads).
/// nullptr for an empty profile: the layout's own limits hold.
const ProfileRule* profileRule(std::string_view profile, const ExportLayoutInfo& layout);

} // namespace bw
