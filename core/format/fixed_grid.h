// SPDX-License-Identifier: GPL-3.0-or-later
// A format's grid with its scales already chosen, so that values can be rounded to it one column at a time, in any order
// and after they were changed: what GPTQ and stochastic rounding stand on. Not for: rounding a whole weight at once
// (Format::encode does that faster).
#pragma once

#include "core/format/format.h"

#include <memory>

namespace bw {

/// How a loss changes when the values of a row move along two directions by a and b:
/// uu·a² + 2·uo·a·b + oo·b² − 2·(gu·a + go·b), where uu, uo, oo ≥ 0 come from a Hessian and gu, go from its gradient.
struct ScaleLoss {
    float uu = 0, uo = 0, oo = 0, gu = 0, go = 0;
    double at(double a, double b) const {
        const double gain = static_cast<double>(gu) * a + static_cast<double>(go) * b;
        return static_cast<double>(uu) * a * a + 2 * static_cast<double>(uo) * a * b + static_cast<double>(oo) * b * b - 2 * gain;
    }
    /// Of b, for a given a.
    double bestOffset(double a) const { return oo > 0 ? (static_cast<double>(go) - static_cast<double>(uo) * a) / static_cast<double>(oo) : 0.0; }
    /// Of a, with the best b for it (`both`) or with b = 0.
    double bestScale(bool both) const;
};

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

    // Codes held, scales moved: what a rounding under a Hessian can still gain when all codes are known.

    /// Columns of a row that share scale and offset, neighbours inside a group; I for a scale per row.
    std::int64_t cellColumns() const { return cellColumns_; }
    /// Do moveCell() and moveGroup() do anything? Not where rows share a scale or scales are no number of their own.
    virtual bool movesCells() const { return false; }
    virtual bool movesGroups() const { return false; }
    /// What a rounded column stands for: value = scale·level + offset.
    virtual void column(std::int64_t column, std::int64_t firstRow, std::span<float> levels, std::span<float> scales, std::span<float> offsets) const = 0;
    /// Rows firstRow … of the cell that holds `column`: scale and offset become those that can be stored with the least
    /// loss[i], whose directions are the levels and ones; what would not lessen it stays.
    virtual void moveCell(std::int64_t column, std::int64_t firstRow, std::span<const ScaleLoss> loss);
    /// The same for what the scales of a whole group are multiples of (d and dmin of k-quants). Directions: values less their
    /// offsets, and offsets, so that a and b are relative.
    virtual void moveGroup(std::int64_t column, std::int64_t firstRow, std::span<const ScaleLoss> loss);

    /// The weight in Format::encode()'s layout; out.size() == Format::bytes(). Every column must have been rounded.
    virtual void pack(std::span<std::byte> out) const = 0;

protected:
    FixedGrid(std::int64_t groupColumns, std::int64_t cellColumns) : groupColumns_(groupColumns), cellColumns_(cellColumns) {}

private:
    std::int64_t groupColumns_, cellColumns_;
};

/// Scales as Format::encode() would choose them for `weight` with these options. Every format that is written has one.
/// Rounding each column of `weight` itself and packing gives decoded values no farther from it than one grid step per
/// weight; for affine and float grids the very bytes of encode(). Memory: a byte per weight, decoded scales (GGML
/// blocks: the encoded bytes besides; plain floats: four bytes per weight). Cost: one encode().
/// refit() takes the importance given here, which is copied.
/// @throws Error nonFinite, formatDoesNotFit as encode() does; usage for formats that are only read.
std::unique_ptr<FixedGrid> fixGrid(const Format& format, MatrixView<const float> weight, const EncodeOptions& options);

} // namespace bw
