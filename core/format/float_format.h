// SPDX-License-Identifier: GPL-3.0-or-later
// Small floats with scales: fp8_e4m3, fp8_e5m2, fp6_e3m2, fp6_e2m3, fp4_e2m1 per tensor, channel, 128×128 block or group;
// the MX formats (a power of two per 32 weights) and nvfp4 (an E4M3 scale per 16 weights under one f32 per tensor).
// The parts are public for exporters. Not for: GGML's mxfp4 blocks (a storage type).
#pragma once

#include "core/format/float_kernels.h"
#include "core/format/format.h"

namespace bw {

enum class FloatCode { e4m3, e5m2, e3m2, e2m3, e2m1 };
enum class FloatScope { tensor, channel, block128, group, mx, nv };

struct FloatGrid {
    FloatCode code = FloatCode::e4m3;
    FloatScope scope = FloatScope::channel;
    std::int64_t group = 128; ///< columns that share a scale; 32 for mx, 16 for nv, unused where rows or blocks share
    float globalScale = 0;    ///< nv: shared with other weights, see nvGlobalScale(); 0 = from the weight itself
    friend bool operator==(const FloatGrid&, const FloatGrid&) = default;
};
const kernels::SmallFloat& smallFloat(FloatCode code);
/// FloatCodes::globalScale of weights whose largest magnitude is `peak`.
float nvGlobalScale(float peak);

/// A weight taken apart: w = value(code)·scale, in f32. Stored scales (all others follow from them):
/// f32 for tensor, channel and block128, as fp8 safetensors have them, where their bytes don't matter; bf16 for groups,
/// since f16 ends at 6e-5 with full precision and a weight's largest magnitude over 448 lies below that;
/// E8M0 (2^(byte−127)) for mx; E4M3 for nv, where scale = value(byte)/globalScale.
struct FloatCodes {
    std::int64_t rows = 0, cols = 0, scaleRows = 0, scaleCols = 0;
    std::vector<std::uint8_t> codes;      ///< O×I, sign and magnitude in the lowest bits
    std::vector<float> scales;            ///< scaleRows×scaleCols: what codes are multiplied by
    std::vector<std::uint8_t> scaleBytes; ///< mx and nv: the stored byte of each scale; else empty
    float globalScale = 1;                ///< nv: a divisor, 448·6/max|W|; its inverse is what GGUF keeps beside the tensor
};

class FloatFormat final : public Format {
public:
    explicit FloatFormat(const FloatGrid& grid);
    const FloatGrid& grid() const { return grid_; }
    bool fits(std::int64_t rows, std::int64_t cols, std::string* why) const override;
    std::uint64_t bytes(std::int64_t rows, std::int64_t cols) const override;
    void encode(MatrixView<const float> weight, const EncodeOptions& options, std::span<std::byte> out) const override;
    void decodeRows(std::span<const std::byte> in, std::int64_t rows, std::int64_t firstRow,
                    MatrixView<float> out) const override;
    std::unique_ptr<FixedGrid> fixedGrid(MatrixView<const float> weight, const EncodeOptions& options) const override;

    /// The scales that encode() picks: largest magnitude over the largest float, or the least (weighted) error with
    /// clipSearch. `codes` stays empty. @param globalScale of nv when it is given already; 0 = from the weight.
    FloatCodes chooseScales(MatrixView<const float> weight, const EncodeOptions& options, float globalScale = 0) const;
    /// The same without a search, from the largest magnitude of each cell, row by row; not for nv.
    FloatCodes plainScales(std::int64_t rows, std::int64_t cols, std::span<const float> peaks) const;
    /// Splits the bytes of an O×I weight, and puts them together. Bytes: codes O × ⌈I·bits/8⌉ with code k of a row at bit
    /// k·bits · scales row by row · nv: f32 globalScale.
    FloatCodes unpack(std::span<const std::byte> in, std::int64_t rows, std::int64_t cols) const;
    void pack(const FloatCodes& parts, std::span<std::byte> out) const;

private:
    void putScales(const FloatCodes& parts, std::span<std::byte> out) const;
    FloatCodes takeScales(std::span<const std::byte> in, std::int64_t rows, std::int64_t cols) const;
    FloatGrid grid_;
};

/// nvfp4 codes and scale bytes as GGML's NVFP4 blocks (64 weights, 36 bytes); the tensor must be multiplied by
/// 1/globalScale. I must be a multiple of 64. @param out rows·I/64·36 bytes.
void packGgmlNvfp4(const FloatCodes& parts, std::span<std::byte> out);

} // namespace bw
