// SPDX-License-Identifier: GPL-3.0-or-later
// Number formats seen from the containers: what each can hold, and how GGUF names a file by its formats.
#include "core/quantize/layout.h"

#include "core/format/affine.h"
#include "core/format/float_format.h"
#include "core/format/nf4.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace bw {

namespace {

std::string affineName(int bits, bool symmetric) { return fmt::format("int{}:g32:{}", bits, symmetric ? "sym" : "asym"); }

/// Of compressed-tensors: fp8_e4m3 in its scopes, else integers of as many bits.
FormatPtr nearestFloat(FloatGrid grid) {
    const int bits = smallFloat(grid.code).bits;
    if (bits == 8) {
        grid.code = FloatCode::e4m3;
        return std::make_shared<FloatFormat>(grid);
    }
    if (grid.scope == FloatScope::mx || grid.scope == FloatScope::group) return parseFormat(fmt::format("int{}:g{}:sym", bits, grid.group));
    return parseFormat(fmt::format("int{}:channel:sym", bits));
}

} // namespace

FormatPtr nearestIn(ExportKind kind, const FormatPtr& format) {
    const auto* affine = dynamic_cast<const AffineFormat*>(format.get());
    if (kind == ExportKind::gguf) {
        if (!affine && (dynamic_cast<const FloatFormat*>(format.get()) || dynamic_cast<const Nf4Format*>(format.get())))
            return parseFormat(format->codeBits() == 4 ? "iq4_nl" : format->codeBits() == 6 ? "q6_k" : "q8_0");
        if (!affine) return format;
        const bool symmetric = affine->grid().symmetric;
        if (affine->grid().bits <= 3) return parseFormat("q3_k");
        if (affine->grid().bits == 4) return parseFormat(symmetric ? "q4_0" : "q4_1");
        if (affine->grid().bits == 5) return parseFormat(symmetric ? "q5_0" : "q5_1");
        return parseFormat("q8_0");
    }
    if (affine && affine->grid().scope == AffineScope::tensor && !affine->grid().symmetric) return parseFormat(fmt::format("int{}:channel:asym", affine->grid().bits));
    if (affine || isPlainFloat(format->storage())) return format;
    if (const auto* small = dynamic_cast<const FloatFormat*>(format.get())) return nearestFloat(small->grid());
    switch (format->storage()) { // blocks of 32 with a scale alone are symmetric, with a minimum asymmetric
    case StorageType::q4_0: return parseFormat(affineName(4, true));
    case StorageType::q4_1: return parseFormat(affineName(4, false));
    case StorageType::q5_0: return parseFormat(affineName(5, true));
    case StorageType::q5_1: return parseFormat(affineName(5, false));
    case StorageType::q8_0: return parseFormat(affineName(8, true));
    case StorageType::iq4_nl: return parseFormat(affineName(4, true));
    case StorageType::q3_k: return parseFormat("int3:g16:sym"); // its sub-blocks have 16 weights
    default: return parseFormat("f16");
    }
}

std::int64_t ggufFileType(const std::vector<ExportTensor>& tensors) {
    std::map<StorageType, std::int64_t> weights;
    for (const ExportTensor& t : tensors)
        if (t.source && t.source->shape.size() >= 2) weights[t.type] += t.elements;
    const auto most = std::max_element(weights.begin(), weights.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    if (most == weights.end()) return 0;
    switch (most->first) {
    case StorageType::f16: return 1;
    case StorageType::q4_0: return 2;
    case StorageType::q4_1: return 3;
    case StorageType::q8_0: return 7;
    case StorageType::q5_0: return 8;
    case StorageType::q5_1: return 9;
    case StorageType::bf16: return 32;
    case StorageType::q2_k: return 10; // llama.cpp's guess of a file that does not say: the "M" mixes are the usual ones
    case StorageType::q3_k: return 12;
    case StorageType::q4_k: return 15;
    case StorageType::q5_k: return 17;
    case StorageType::q6_k: return 18;
    case StorageType::iq2_xxs: return 19;
    case StorageType::iq2_xs: return 20;
    case StorageType::iq3_xxs: return 23;
    case StorageType::iq1_s: return 24;
    case StorageType::iq4_nl: return 25;
    case StorageType::iq3_s: return 26;
    case StorageType::iq2_s: return 28;
    case StorageType::iq4_xs: return 30;
    case StorageType::iq1_m: return 31;
    case StorageType::tq1_0: return 36;
    case StorageType::tq2_0: return 37;
    case StorageType::mxfp4: return 38;
    case StorageType::nvfp4: return 39;
    case StorageType::q1_0: return 40;
    case StorageType::q2_0: return 41;
    default: return 0;
    }
}

} // namespace bw
