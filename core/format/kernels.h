// SPDX-License-Identifier: GPL-3.0-or-later
// Row kernels of the number formats, dispatched at run time to the widest instruction set (kernels.cpp). All give the
// same bytes on every instruction set: no fused multiply-add, no reassociated float sum. Private to core/format.
#pragma once

#include "core/format/storage_type.h"

#include <cstddef>
#include <cstdint>

namespace bw::kernels {

inline constexpr std::size_t kBlock = 32; ///< weights per block of the "_0" and "_1" GGML types

/// n values (a multiple of the block) of f16 bf16 q4_0 q4_1 q5_0 q5_1 q8_0; other types must not come here.
void decodeBlocks(StorageType type, const std::byte* in, float* out, std::size_t n);
/// The reference rounding of ggml, except that scales past f16's range are held at ±65504 and codes are clamped.
void encodeBlocks(StorageType type, const float* in, std::byte* out, std::size_t n);

/// Index of the first NaN or infinity, or n.
std::size_t firstNonFinite(const float* x, std::size_t n);
/// Least and greatest of finite values; n ≥ 1. −0 counts as less than +0.
void minMax(const float* x, std::size_t n, float& lo, float& hi);

/// One group of an affine grid with its stored scale: u = clamp(rne(x/scale) + zero, low, high).
struct AffineStep {
    float scale = 0; ///< value of the stored f16; 0 = all weights are zero
    int zero = 0, low = 0, high = 0;
};
void affineCodes(const float* x, std::size_t n, const AffineStep& step, std::uint8_t* codes);
/// Σ w·(x−x̂)² with w = 1 when `weights` is null; f32 in eight running sums, added in a fixed order.
float affineError(const float* x, const float* weights, std::size_t n, const AffineStep& step);
void affineDecode(const std::uint8_t* codes, std::size_t n, const AffineStep& step, float* out);

/// Code k at bit k·bits, dense; writes ⌈n·bits/8⌉ bytes.
void packBits(const std::uint8_t* codes, std::size_t n, int bits, std::byte* out);
void unpackBits(const std::byte* in, std::size_t n, int bits, std::uint8_t* codes);

} // namespace bw::kernels
