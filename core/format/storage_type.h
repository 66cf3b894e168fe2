// SPDX-License-Identifier: GPL-3.0-or-later
// Element types that tensors have in files: plain numbers and GGML blocks, with sizes and row decoders/encoders.
// A "row" is the fastest dimension; GGML blocks never cross rows. Not for: affine grids (affine.h), file layout.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace bw {

enum class StorageType : std::uint8_t {
    f64, f32, f16, bf16, f8e4m3, f8e5m2,
    i64, i32, i16, i8, u64, u32, u16, u8, boolean,
    q4_0, q4_1, q5_0, q5_1, q8_0, q8_1,
    q2_k, q3_k, q4_k, q5_k, q6_k, q8_k,
    iq2_xxs, iq2_xs, iq3_xxs, iq1_s, iq4_nl, iq3_s, iq2_s, iq4_xs, iq1_m,
    tq1_0, tq2_0, mxfp4, nvfp4, q1_0, q2_0,
    unknown, ///< a number no table knows: listed, never decoded
};

/// Facts of a storage type. `blockElements` consecutive weights take `blockBytes` bytes.
struct StorageTypeInfo {
    StorageType type;
    std::string_view name;       ///< as in format strings: "q4_0", "bf16"
    std::string_view fileName;   ///< as in files' own terms: "Q4_0", "BF16"
    int ggmlId;                  ///< −1 where GGML has none
    std::string_view safetensors;///< dtype in safetensors, empty where there is none
    int blockElements;
    int blockBytes;
    bool decodes;                ///< to f32
    bool encodes;                ///< from f32
};

const StorageTypeInfo& storageTypeInfo(StorageType type);
/// unknown ids and removed ones give an empty optional.
std::optional<StorageType> storageTypeFromGgml(std::uint32_t id);
std::optional<StorageType> storageTypeFromSafetensors(std::string_view dtype);
std::optional<StorageType> storageTypeFromName(std::string_view name);
std::span<const StorageTypeInfo> allStorageTypes();

/// Bytes of `rows` rows of `cols` elements; cols must be a multiple of blockElements. @throws Error(validationOverflow).
std::uint64_t storageBytes(StorageType type, std::uint64_t rows, std::uint64_t cols);

/// Decodes `out.size()` elements (a multiple of blockElements). @throws Error(unsupportedType).
/// Bit-exact with ggml's scalar code. SIMD inside, one thread; ≥ 1 G elements/s for f16, bf16, q4_0, q8_0.
void decodeRow(StorageType type, const std::byte* in, std::span<float> out);

/// How the scales of a block are searched. Types without a search (f16, bf16 …) know one rounding only.
enum class BlockSearch : std::uint8_t {
    best,      ///< never a larger error in any block than `reference`, a smaller one in sum; same layout
    reference, ///< the rounding of ggml's C code (a build without fused multiply-add)
};

/// Encodes in.size() elements, one whole row (ggml's weights for q4_0 … q5_1 depend on the row's mean square).
/// Without importance, q4_0 … q8_0 are byte-exact with the golden data in both searches.
/// @param importance per column weights ≥ 0 or empty: then blocks minimise Σ w·(x−x̂)² (types that have a search).
/// @throws Error(unsupportedType).
void encodeRow(StorageType type, std::span<const float> in, std::span<const float> importance, std::byte* out,
               BlockSearch search = BlockSearch::best);

// Conversions of single numbers, round to nearest even; NaN stays (quiet) NaN, overflow goes to infinity.
std::uint16_t floatToHalf(float value);
float halfToFloat(std::uint16_t bits);
std::uint16_t floatToBf16(float value);
float bf16ToFloat(std::uint16_t bits);

} // namespace bw
