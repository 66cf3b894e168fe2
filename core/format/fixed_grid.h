// SPDX-License-Identifier: GPL-3.0-or-later
// A format's grid with its scales already chosen, so that values can be rounded to it one column at a time, in any order
// and after they were changed: what GPTQ and stochastic rounding stand on. Not for: rounding a whole weight at once
// (Format::encode does that faster).
#pragma once

#include "core/format/format.h"

#include <memory>

namespace bw {

/// The grid of one O×I weight. Rows are independent: different rows may be rounded by several threads at once.
class FixedGrid {
public:
    virtual ~FixedGrid() = default;

    /// Columns that share scales: refit() takes whole runs of these (32 for q4_0, 256 for k-quants, G for int4:gG, I for a
    /// scale per row or per tensor).
    std::int64_t groupColumns() const { return groupColumns_; }

    /// Chooses the scales of columns [first, first+count) anew, by the same search as at the start, from values that have
    /// changed since. `current` is the O×I weight as it stands; first and count are multiples of groupColumns() (or end at I).
    /// Formats with a scale per tensor keep theirs. Codes of these columns that were rounded before are lost.
    virtual void refit(MatrixView<const float> current, std::int64_t first, std::int64_t count) = 0;

    /// Rounds values[i], which stand at row firstRow+i of `column`, to the nearest grid point: the code is kept for pack(),
    /// rounded[i] is what it decodes to. Non-finite values count as 0.
    virtual void roundColumn(std::int64_t column, std::int64_t firstRow, std::span<const float> values, std::span<float> rounded) = 0;

    /// The grid points around values[i]: below[i] ≤ value ≤ above[i], both the same for a value on the grid or outside it.
    virtual void bracket(std::int64_t column, std::int64_t firstRow, std::span<const float> values, std::span<float> below,
                         std::span<float> above) const = 0;

    /// The weight in Format::encode()'s layout; out.size() == Format::bytes(). Every column must have been rounded.
    virtual void pack(std::span<std::byte> out) const = 0;

protected:
    explicit FixedGrid(std::int64_t groupColumns) : groupColumns_(groupColumns) {}

private:
    std::int64_t groupColumns_;
};

/// Scales as Format::encode() would choose them for `weight` with these options. Every format that is written has one.
/// Rounding each column of `weight` itself and packing gives decoded values no farther from it than one grid step per
/// weight; for affine and float grids the very bytes of encode(). Memory: a byte per weight, decoded scales (GGML
/// blocks: the encoded bytes besides; plain floats: four bytes per weight). Cost: one encode().
/// refit() takes the importance given here, which is copied.
/// @throws Error nonFinite, formatDoesNotFit as encode() does; usage for formats that are only read.
std::unique_ptr<FixedGrid> fixGrid(const Format& format, MatrixView<const float> weight, const EncodeOptions& options);

} // namespace bw
