// SPDX-License-Identifier: GPL-3.0-or-later
// What the fixed grids of all formats with scales share: scales decoded once per cell (a run of columns of one row), codes
// kept by column, rounding by row. The families add where scales come from and how codes are packed. Private to core/format.
#pragma once

#include "core/format/fixed_grid.h"
#include "core/format/float_kernels.h"

#include <array>
#include <vector>

namespace bw {

class ScaledGrid : public FixedGrid {
public:
    void roundColumn(std::int64_t column, std::int64_t firstRow, std::span<const float> values, std::span<float> rounded) final;
    void bracket(std::int64_t column, std::int64_t firstRow, std::span<const float> values, std::span<float> below,
                 std::span<float> above) const final;

    void column(std::int64_t column, std::int64_t firstRow, std::span<float> levels, std::span<float> scales, std::span<float> offsets) const final;

protected:
    /// What codes stand for; scales, offsets and zeros come on top of it.
    struct Levels {
        std::array<float, 16> values{}; ///< of uneven levels, rising
        int count = 0;                  ///< of uneven levels; 0 = whole numbers
        float low = 0, high = 0;        ///< least and largest code of whole levels
        const kernels::SmallFloat* kind = nullptr; ///< levels are these floats; nothing else here counts then
        float zero = 0;                 ///< level = code − zero, where cells have none of their own
    };

    /// @param groupColumns for refit(). @param cellColumns columns of a row that share scale, offset and zero.
    ScaledGrid(std::int64_t rows, std::int64_t cols, std::int64_t groupColumns, std::int64_t cellColumns, const Levels& levels,
               bool hasOffsets, bool hasZeros);

    std::int64_t rows() const { return rows_; }
    std::int64_t cols() const { return cols_; }
    std::int64_t cellsPerRow() const { return (cols_ + cellColumns() - 1) / cellColumns(); }
    void setCell(std::int64_t row, std::int64_t cell, float scale, float offset, float zero);
    /// Codes of rows [first, first+count), row by row.
    void copyCodes(std::int64_t first, std::int64_t count, std::uint8_t* out) const;

private:
    void bracketFloats(const float* x, std::size_t n, const kernels::CellColumn& cells, float* below, float* above) const;
    kernels::CellColumn cellsAt(std::int64_t column, std::int64_t row) const;

    std::int64_t rows_, cols_;
    Levels levels_;
    std::array<float, 15> middles_{};
    std::array<float, 256> floats_{}; ///< values of codes, for small floats
    std::vector<float> scales_, offsets_, zeros_; ///< [cell][row]
    std::vector<float> sharedOffset_, sharedZero_; ///< one piece, where cells have none
    std::vector<std::uint8_t> codes_;              ///< [column][row]
};

/// Rows [begin, end) at a time, in parallel, so that codes can be turned from columns to rows in the cache.
inline constexpr std::int64_t kPackRows = 32;

/// The part of an importance vector (or nothing) that belongs to columns [first, first+count).
std::span<const float> importanceOf(std::span<const float> importance, std::int64_t first, std::int64_t count);

} // namespace bw
