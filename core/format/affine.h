// SPDX-License-Identifier: GPL-3.0-or-later
// Affine integer grids intB:gN|channel|tensor:sym|asym, B in 2…8. The parts are public because exporters (packed
// safetensors) and GPTQ need codes, scales and zeros rather than opaque bytes.
#pragma once

#include "core/format/format.h"

namespace bw {

enum class AffineScope { group, channel, tensor };

struct AffineGrid {
    int bits = 4;
    AffineScope scope = AffineScope::group;
    std::int64_t group = 128; ///< G; used by AffineScope::group, must divide I
    bool symmetric = false;   ///< sym: codes −(2^(B−1)−1)…2^(B−1)−1, s = absmax/(2^(B−1)−1); asym: 0…2^B−1 with zero point
    friend bool operator==(const AffineGrid&, const AffineGrid&) = default;
};

/// Unpacked codes of a weight. q holds unsigned codes u = code + offset with w ≈ scale·(u − zero);
/// sym: zero = 2^(B−1) for every group and `zeros` is empty.
struct AffineCodes {
    std::int64_t rows = 0, cols = 0, groupsPerRow = 0; ///< tensor scope: one scale, groupsPerRow = 0
    std::vector<std::uint8_t> codes;                    ///< O×I
    std::vector<std::uint16_t> scales;                  ///< fp16 bits, O×groupsPerRow (or 1)
    std::vector<std::uint8_t> zeros;                    ///< like scales; empty when symmetric
};

class AffineFormat final : public Format {
public:
    explicit AffineFormat(const AffineGrid& grid);
    const AffineGrid& grid() const { return grid_; }
    bool fits(std::int64_t rows, std::int64_t cols, std::string* why) const override;
    std::uint64_t bytes(std::int64_t rows, std::int64_t cols) const override;
    void encode(MatrixView<const float> weight, const EncodeOptions& options, std::span<std::byte> out) const override;
    void decodeRows(std::span<const std::byte> in, std::int64_t rows, std::int64_t firstRow,
                    MatrixView<float> out) const override;
    std::unique_ptr<FixedGrid> fixedGrid(MatrixView<const float> weight, const EncodeOptions& options) const override;
    /// Splits the encoded bytes of an O×I weight into codes, scales and zeros, and back.
    AffineCodes unpack(std::span<const std::byte> in, std::int64_t rows, std::int64_t cols) const;
    void pack(const AffineCodes& codes, std::span<std::byte> out) const;
    /// Adds the scale (and zero point) that encode() takes for a cell of values in [low, high] when it searches none.
    void addScale(float low, float high, AffineCodes& to) const;

private:
    AffineGrid grid_;
};

} // namespace bw
