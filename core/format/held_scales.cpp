// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/format/held_scales.h"

#include "core/format/affine.h"
#include "core/format/storage_type.h"

#include <algorithm>
#include <cstring>

namespace bw {
namespace {

constexpr std::uint16_t kLargestHalf = 0x7bff; ///< 65504, without its sign

bool isHeld(std::uint16_t half) { return (half & 0x7fffu) >= kLargestHalf; }

/// Where the f16 scale and minimum of a block stand; −1 = there is none. Source: ggml's block layouts.
struct ScaleFields {
    int first = -1, second = -1;
};
ScaleFields scaleFields(StorageType type) {
    switch (type) {
    case StorageType::f16:
    case StorageType::q4_0:
    case StorageType::q5_0:
    case StorageType::q8_0:
    case StorageType::iq4_nl:
    case StorageType::iq4_xs:
    case StorageType::q1_0:
    case StorageType::q2_0: return {0, -1};
    case StorageType::q4_1:
    case StorageType::q5_1:
    case StorageType::q4_k:
    case StorageType::q5_k: return {0, 2};
    case StorageType::q2_k: return {80, 82};
    case StorageType::q3_k: return {108, -1};
    case StorageType::q6_k: return {208, -1};
    case StorageType::tq1_0: return {52, -1};
    case StorageType::tq2_0: return {64, -1};
    default: return {};
    }
}

} // namespace

std::int64_t countHeldScales(const Format& format, std::span<const std::byte> bytes, std::int64_t rows, std::int64_t cols) {
    if (const auto* affine = dynamic_cast<const AffineFormat*>(&format)) {
        const AffineCodes codes = affine->unpack(bytes, rows, cols);
        return std::count_if(codes.scales.begin(), codes.scales.end(), isHeld);
    }
    const ScaleFields fields = scaleFields(format.storage());
    const auto block = static_cast<std::size_t>(storageTypeInfo(format.storage()).blockBytes);
    std::int64_t held = 0;
    for (const int field : {fields.first, fields.second})
        for (std::size_t at = 0; field >= 0 && at + block <= bytes.size(); at += block) {
            std::uint16_t half = 0;
            std::memcpy(&half, bytes.data() + at + static_cast<std::size_t>(field), sizeof half);
            held += isHeld(half) ? 1 : 0;
        }
    return held;
}

} // namespace bw
