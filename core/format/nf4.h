// SPDX-License-Identifier: GPL-3.0-or-later
// NF4 (QLoRA): 16 quantiles of the normal distribution times the largest magnitude of a block of a row; with double
// quantization that magnitude is an 8-bit code itself. Parts are public: they are what bitsandbytes files hold.
#pragma once

#include "core/format/format.h"

#include <array>

namespace bw {

struct Nf4Grid {
    std::int64_t block = 64; ///< weights per magnitude; a power of two, must divide I so that blocks don't cross rows
    bool doubleQuantized = false;
    friend bool operator==(const Nf4Grid&, const Nf4Grid&) = default;
};

/// w = level(code)·absmax in f32. Doubly quantized: absmax = map(absmaxCode)·nestedAbsmax + offset, where nestedAbsmax
/// belongs to 256 magnitudes in row order and offset is the mean of all of them.
struct Nf4Codes {
    std::int64_t rows = 0, cols = 0;
    std::vector<std::uint8_t> codes;       ///< O×I
    std::vector<float> absmax;             ///< O×I/block: what codes are multiplied by
    std::vector<std::uint8_t> absmaxCodes; ///< doubly quantized only, like absmax
    std::vector<float> nestedAbsmax;       ///< ⌈blocks/256⌉
    float offset = 0;
};

/// The levels of codes 0 … 15, rising.
const std::array<float, 16>& nf4Levels();
/// The signed 8-bit dynamic map of bitsandbytes, rising: seven decades below 1 with 1 to 64 steps each.
const std::array<float, 256>& dynamicMap();

class Nf4Format final : public Format {
public:
    explicit Nf4Format(const Nf4Grid& grid);
    const Nf4Grid& grid() const { return grid_; }
    bool fits(std::int64_t rows, std::int64_t cols, std::string* why) const override;
    std::uint64_t bytes(std::int64_t rows, std::int64_t cols) const override;
    /// Codes are nearest under the magnitude that is stored, doubly quantized or not.
    void encode(MatrixView<const float> weight, const EncodeOptions& options, std::span<std::byte> out) const override;
    void decodeRows(std::span<const std::byte> in, std::int64_t rows, std::int64_t firstRow,
                    MatrixView<float> out) const override;
    std::unique_ptr<FixedGrid> fixedGrid(MatrixView<const float> weight, const EncodeOptions& options) const override;

    /// The scales that encode() picks; `codes` stays empty.
    Nf4Codes chooseScales(MatrixView<const float> weight, const EncodeOptions& options) const;
    /// The largest magnitude of every block, or with clipSearch the multiple of it with the least (weighted) error.
    std::vector<float> magnitudes(MatrixView<const float> weight, const EncodeOptions& options) const;
    /// Bytes: codes, two a byte with the first in the high bits · absmax f32 · or absmaxCodes, nestedAbsmax, offset.
    Nf4Codes unpack(std::span<const std::byte> in, std::int64_t rows, std::int64_t cols) const;
    void pack(const Nf4Codes& parts, std::span<std::byte> out) const;

private:
    Nf4Codes takeScales(std::span<const std::byte> in, std::int64_t rows, std::int64_t cols) const;
    void putScales(const Nf4Codes& parts, std::span<std::byte> out) const;
    Nf4Grid grid_;
};

/// The code whose map value is nearest to (absmax − offset)/nested, and the magnitude that it stands for.
std::uint8_t nestedCode(float absmax, float nested, float offset);
float nestedMagnitude(std::uint8_t code, float nested, float offset);

} // namespace bw
