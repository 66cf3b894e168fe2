// SPDX-License-Identifier: GPL-3.0-or-later
// Which formats there are, and which one takes the place of another that a shape does not fit.
#include "core/format/affine.h"
#include "core/format/float_format.h"
#include "core/format/format.h"
#include "core/format/nf4.h"
#include "core/format/storage_format.h"

#include <fmt/format.h>

#include <array>
#include <bit>

namespace bw {

namespace {

struct Described {
    StorageType type;
    const char* text;
};

using enum StorageType;

constexpr std::array kWritten{
    Described{f32, "32-bit floats"},
    Described{f16, "16-bit floats, 5 exponent and 10 mantissa bits"},
    Described{bf16, "16-bit floats, 8 exponent and 7 mantissa bits"},
    Described{q8_0, "GGML blocks of 32: 8-bit codes, one f16 scale"},
    Described{q6_k, "GGML blocks of 256: 6-bit codes, 16 scales of 8 bits"},
    Described{q5_1, "GGML blocks of 32: 5-bit codes, f16 scale and minimum"},
    Described{q5_k, "GGML blocks of 256: 5-bit codes, 8 scales and minima of 6 bits"},
    Described{q5_0, "GGML blocks of 32: 5-bit codes, one f16 scale"},
    Described{q4_1, "GGML blocks of 32: 4-bit codes, f16 scale and minimum"},
    Described{q4_k, "GGML blocks of 256: 4-bit codes, 8 scales and minima of 6 bits"},
    Described{q4_0, "GGML blocks of 32: 4-bit codes, one f16 scale"},
    Described{iq4_nl, "GGML blocks of 32: 16 uneven levels, one f16 scale"},
    Described{iq4_xs, "GGML blocks of 256: 16 uneven levels, 8 scales of 6 bits"},
    Described{mxfp4, "blocks of 32: 4-bit floats (E2M1), a power of two as scale"},
    Described{q3_k, "GGML blocks of 256: 3-bit codes, 16 scales of 6 bits"},
    Described{q2_k, "GGML blocks of 256: 2-bit codes, 16 scales and minima of 4 bits"},
    Described{q2_0, "GGML blocks of 64: −1, 0 or 1 times the largest weight in 2 bits"},
    Described{tq2_0, "GGML blocks of 256 for ternary models: −1, 0, 1 in 2 bits"},
    Described{tq1_0, "GGML blocks of 256 for ternary models: −1, 0, 1, five a byte"},
    Described{q1_0, "GGML blocks of 128: signs and one f16 scale"},
};

constexpr std::array kReadOnly{
    Described{q8_k, "GGML blocks of 256 activations: 8-bit codes, an f32 scale"},
    Described{q8_1, "GGML blocks of 32 activations: 8-bit codes, scale and sum"},
    Described{f8e4m3, "8-bit floats, 4 exponent and 3 mantissa bits"},
    Described{f8e5m2, "8-bit floats, 5 exponent and 2 mantissa bits"},
    Described{iq3_s, "GGML blocks of 256: code book of 512 × 4 magnitudes"},
    Described{iq3_xxs, "GGML blocks of 256: code book of 256 × 4 magnitudes"},
    Described{iq2_s, "GGML blocks of 256: code book of 1024 × 8 magnitudes"},
    Described{iq2_xs, "GGML blocks of 256: code book of 512 × 8 magnitudes"},
    Described{iq2_xxs, "GGML blocks of 256: code book of 256 × 8 magnitudes"},
    Described{iq1_m, "GGML blocks of 256: code book of 2048 × 8 ternary vectors"},
    Described{iq1_s, "GGML blocks of 256: code book of 2048 × 8 ternary vectors"},
};

constexpr const char* kFloatScopes = "[:tensor|:channel|:block128|:gN]";

FormatSummary summarize(const Described& entry) {
    const StorageTypeInfo& info = storageTypeInfo(entry.type);
    return {std::string(info.name), entry.text, 8.0 * info.blockBytes / info.blockElements};
}

/// The largest power of two ≥ 16 and ≤ group that divides cols, or 0.
std::int64_t smallerGroup(std::int64_t group, std::int64_t cols) {
    auto smaller = static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(group)));
    while (smaller >= 16 && cols % smaller != 0) smaller /= 2;
    return smaller >= 16 ? smaller : 0;
}

} // namespace

std::vector<FormatSummary> knownFormats() {
    std::vector<FormatSummary> all;
    for (const Described& entry : kWritten) all.push_back(summarize(entry));
    for (int bits = 8; bits >= 2; --bits) {
        const AffineFormat format({bits, AffineScope::group, 128, false});
        all.push_back({fmt::format("int{}[:gN|:channel|:tensor][:sym|:asym]", bits),
                       fmt::format("affine grid of {}-bit codes, f16 scale per group; figure for g128:asym", bits),
                       format.bitsPerWeight(4096, 4096)});
    }
    for (const auto& [name, tail, text] : {std::array<const char*, 3>{"fp8_e4m3", kFloatScopes, "8-bit floats with f32 scales (bf16 for groups)"},
                                           {"fp8_e5m2", kFloatScopes, "8-bit floats with f32 scales (bf16 for groups)"},
                                           {"mxfp8_e4m3", "", "8-bit floats in blocks of 32, a power of two as scale"},
                                           {"mxfp8_e5m2", "", "8-bit floats in blocks of 32, a power of two as scale"},
                                           {"fp6_e3m2", kFloatScopes, "6-bit floats with scales; figure for g128"},
                                           {"fp6_e2m3", kFloatScopes, "6-bit floats with scales; figure for g128"},
                                           {"mxfp6_e3m2", "", "6-bit floats in blocks of 32, a power of two as scale"},
                                           {"mxfp6_e2m3", "", "6-bit floats in blocks of 32, a power of two as scale"},
                                           {"fp4_e2m1", kFloatScopes, "4-bit floats with scales; figure for g32"},
                                           {"nf4", "[:bN][:dq]", "16 levels of a normal distribution, an f32 scale per block of 64 (dq: of 8 bits)"},
                                           {"nvfp4", "", "4-bit floats in blocks of 16 with E4M3 scales, one f32 scale per tensor"}})
        all.push_back({std::string(name) + tail, text, parseFormat(name)->bitsPerWeight(4096, 4096)});
    return all;
}

std::vector<FormatSummary> readOnlyFormats() {
    std::vector<FormatSummary> all;
    for (const Described& entry : kReadOnly) all.push_back(summarize(entry));
    return all;
}

FormatPtr fallbackFormat(const FormatPtr& wanted, std::int64_t rows, std::int64_t cols, std::string* why) {
    if (wanted->fits(rows, cols, why)) return wanted;
    if (const auto* affine = dynamic_cast<const AffineFormat*>(wanted.get())) {
        AffineGrid grid = affine->grid();
        if (const std::int64_t group = smallerGroup(grid.group, cols); group > 0)
            grid.group = group;
        else
            grid.scope = AffineScope::channel;
        return std::make_shared<AffineFormat>(grid);
    }
    if (const auto* small = dynamic_cast<const FloatFormat*>(wanted.get()); small && small->grid().scope == FloatScope::group) {
        FloatGrid grid = small->grid();
        if (const std::int64_t group = smallerGroup(grid.group, cols); group > 0)
            grid.group = group;
        else
            grid.scope = FloatScope::channel;
        return std::make_shared<FloatFormat>(grid);
    }
    if (const auto* nf4 = dynamic_cast<const Nf4Format*>(wanted.get()))
        if (const std::int64_t block = smallerGroup(nf4->grid().block, cols); block > 0)
            return std::make_shared<Nf4Format>(Nf4Grid{block, nf4->grid().doubleQuantized});
    switch (wanted->storage()) { // 256-weight blocks fall to 32-weight ones before f16, in ggml's order
    case StorageType::q4_k: return fallbackFormat(std::make_shared<StorageFormat>(StorageType::q5_0), rows, cols);
    case StorageType::q5_k: return fallbackFormat(std::make_shared<StorageFormat>(StorageType::q5_1), rows, cols);
    case StorageType::q6_k: return fallbackFormat(std::make_shared<StorageFormat>(StorageType::q8_0), rows, cols);
    case StorageType::q2_0:
    case StorageType::tq1_0:
    case StorageType::tq2_0:
    case StorageType::q2_k:
    case StorageType::q3_k: return fallbackFormat(std::make_shared<StorageFormat>(StorageType::q4_0), rows, cols);
    case StorageType::iq4_xs: return fallbackFormat(std::make_shared<StorageFormat>(StorageType::iq4_nl), rows, cols);
    default: return std::make_shared<StorageFormat>(StorageType::f16);
    }
}

} // namespace bw
