// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/format/scaled_grid.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

namespace bw {

namespace {

constexpr std::int64_t kPiece = 1024; ///< rows per call of a kernel where constants stand in for arrays

} // namespace

ScaledGrid::ScaledGrid(std::int64_t rows, std::int64_t cols, std::int64_t groupColumns, std::int64_t cellColumns,
                       const Levels& levels, bool hasOffsets, bool hasZeros)
    : FixedGrid(groupColumns, cellColumns), rows_(rows), cols_(cols), levels_(levels) {
    middles_.fill(std::numeric_limits<float>::infinity());
    for (std::size_t k = 0; k + 1 < static_cast<std::size_t>(levels.count); ++k)
        middles_[k] = 0.5f * (levels.values[k] + levels.values[k + 1]);
    if (levels.count > 0)
        std::fill(levels_.values.begin() + levels.count, levels_.values.end(), levels.values[static_cast<std::size_t>(levels.count) - 1]);
    if (levels.kind != nullptr) floats_ = kernels::floatValues(*levels.kind);
    const auto cells = static_cast<std::size_t>(rows * cellsPerRow());
    const auto piece = static_cast<std::size_t>(std::min(rows, kPiece));
    scales_.resize(cells);
    hasOffsets ? offsets_.resize(cells) : sharedOffset_.resize(piece, -0.0f);
    hasZeros ? zeros_.resize(cells) : sharedZero_.resize(piece, levels.zero);
    codes_.resize(static_cast<std::size_t>(rows * cols));
}

void ScaledGrid::setCell(std::int64_t row, std::int64_t cell, float scale, float offset, float zero) {
    const auto at = static_cast<std::size_t>(cell * rows_ + row);
    scales_[at] = scale;
    if (!offsets_.empty()) offsets_[at] = offset;
    if (!zeros_.empty()) zeros_[at] = zero;
}

kernels::CellColumn ScaledGrid::cellsAt(std::int64_t column, std::int64_t row) const {
    const std::int64_t at = column / cellColumns() * rows_ + row;
    return {scales_.data() + at, offsets_.empty() ? sharedOffset_.data() : offsets_.data() + at,
            zeros_.empty() ? sharedZero_.data() : zeros_.data() + at};
}

void ScaledGrid::roundColumn(std::int64_t column, std::int64_t firstRow, std::span<const float> values, std::span<float> rounded) {
    assert(column >= 0 && column < cols_ && firstRow >= 0 && firstRow + std::ssize(values) <= rows_ && rounded.size() == values.size());
    std::uint8_t* codes = codes_.data() + column * rows_ + firstRow;
    for (std::int64_t at = 0; at < std::ssize(values); at += kPiece) {
        const auto n = static_cast<std::size_t>(std::min(kPiece, std::ssize(values) - at));
        const kernels::CellColumn cells = cellsAt(column, firstRow + at);
        if (levels_.kind != nullptr)
            kernels::roundFloats(values.data() + at, n, cells, *levels_.kind, codes + at, rounded.data() + at);
        else if (levels_.count > 0)
            kernels::roundUneven(values.data() + at, n, cells, {levels_.values.data(), middles_.data()}, codes + at, rounded.data() + at);
        else
            kernels::roundWhole(values.data() + at, n, cells, {levels_.low, levels_.high}, codes + at, rounded.data() + at);
    }
}

void ScaledGrid::bracket(std::int64_t column, std::int64_t firstRow, std::span<const float> values, std::span<float> below,
                         std::span<float> above) const {
    assert(column >= 0 && column < cols_ && firstRow >= 0 && firstRow + std::ssize(values) <= rows_);
    assert(below.size() == values.size() && above.size() == values.size());
    for (std::int64_t at = 0; at < std::ssize(values); at += kPiece) {
        const auto n = static_cast<std::size_t>(std::min(kPiece, std::ssize(values) - at));
        const kernels::CellColumn cells = cellsAt(column, firstRow + at);
        if (levels_.kind != nullptr)
            bracketFloats(values.data() + at, n, cells, below.data() + at, above.data() + at);
        else if (levels_.count > 0)
            kernels::bracketUneven(values.data() + at, n, cells, {levels_.values.data(), middles_.data()}, below.data() + at, above.data() + at);
        else
            kernels::bracketWhole(values.data() + at, n, cells, {levels_.low, levels_.high}, below.data() + at, above.data() + at);
    }
}

void ScaledGrid::bracketFloats(const float* x, std::size_t n, const kernels::CellColumn& cells, float* below, float* above) const {
    std::array<std::uint8_t, kPiece> codes{};
    std::array<float, kPiece> nearest{};
    kernels::roundFloats(x, n, cells, *levels_.kind, codes.data(), nearest.data());
    const int sign = 1 << (levels_.kind->bits - 1), largest = kernels::largestFloatCode(*levels_.kind);
    for (std::size_t i = 0; i < n; ++i) {
        const float v = std::isfinite(x[i]) ? x[i] : 0.0f;
        const int magnitude = codes[i] & (sign - 1), signedCode = (codes[i] & sign) != 0 ? -magnitude : magnitude;
        const int next = std::clamp(v == nearest[i] ? signedCode : signedCode + (v > nearest[i] ? 1 : -1), -largest, largest);
        const float second = next == signedCode ? nearest[i] : floats_[static_cast<std::size_t>(next < 0 ? sign - next : next)] * cells.scale[i];
        below[i] = std::min(second, nearest[i]);
        above[i] = std::max(second, nearest[i]);
    }
}

void ScaledGrid::column(std::int64_t column, std::int64_t firstRow, std::span<float> levels, std::span<float> scales, std::span<float> offsets) const {
    const std::uint8_t* codes = codes_.data() + column * rows_ + firstRow;
    const std::int64_t at = column / cellColumns() * rows_ + firstRow;
    const float* const table = levels_.kind != nullptr ? floats_.data() : levels_.values.data();
    for (std::size_t i = 0; i < levels.size(); ++i) {
        const auto cell = static_cast<std::size_t>(at) + i;
        const float zero = zeros_.empty() ? levels_.zero : zeros_[cell];
        levels[i] = levels_.kind != nullptr || levels_.count > 0 ? table[codes[i]] : static_cast<float>(codes[i]) - zero;
        scales[i] = scales_[cell];
        offsets[i] = offsets_.empty() ? -0.0f : offsets_[cell];
    }
}

void ScaledGrid::copyCodes(std::int64_t first, std::int64_t count, std::uint8_t* out) const {
    for (std::int64_t c = 0; c < cols_; ++c) {
        const std::uint8_t* column = codes_.data() + c * rows_ + first;
        for (std::int64_t r = 0; r < count; ++r) out[r * cols_ + c] = column[r];
    }
}

std::span<const float> importanceOf(std::span<const float> importance, std::int64_t first, std::int64_t count) {
    return importance.empty() ? importance : importance.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
}

} // namespace bw
