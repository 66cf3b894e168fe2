// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/quantize/kept_grid.h"

#include "core/quantize/outlier_split.h"

#include <algorithm>
#include <numeric>

namespace bw {

KeptGrid::KeptGrid(std::unique_ptr<FixedGrid> grid, KeptWeights kept, std::int64_t cols)
    : FixedGrid(grid->groupColumns(), grid->cellColumns()), grid_(std::move(grid)), kept_(std::move(kept)), wholeAt_(static_cast<std::size_t>(cols), -1),
      start_(static_cast<std::size_t>(cols) + 1), order_(kept_.values.size()) {
    for (std::size_t i = 0; i < kept_.columns.size(); ++i) wholeAt_[static_cast<std::size_t>(kept_.columns[i])] = static_cast<std::int32_t>(i);
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    std::stable_sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) { return kept_.columnOf[a] < kept_.columnOf[b]; }); // rows rise already
    for (const std::int32_t column : kept_.columnOf) ++start_[static_cast<std::size_t>(column) + 1];
    std::partial_sum(start_.begin(), start_.end(), start_.begin());
}

template <class Kept, class Use>
void KeptGrid::forKept(Kept& kept, std::int64_t column, std::int64_t firstRow, std::size_t count, Use use) const {
    const auto c = static_cast<std::size_t>(column);
    if (const std::int32_t whole = wholeAt_[c]; whole >= 0) {
        for (std::size_t i = 0; i < count; ++i)
            use(i, kept.columnValues[(static_cast<std::size_t>(firstRow) + i) * kept.columns.size() + static_cast<std::size_t>(whole)]);
        return;
    }
    const auto begin = order_.begin() + static_cast<std::ptrdiff_t>(start_[c]), end = order_.begin() + static_cast<std::ptrdiff_t>(start_[c + 1]);
    for (auto at = std::lower_bound(begin, end, firstRow, [&](std::size_t k, std::int64_t row) { return kept.rowOf[k] < row; }); at != end; ++at) {
        const auto i = static_cast<std::size_t>(kept.rowOf[*at] - firstRow);
        if (i >= count) return;
        use(i, kept.values[*at]);
    }
}

void KeptGrid::refit(MatrixView<const float> current, std::int64_t first, std::int64_t count) {
    if (rest_.size() == 0) {
        rest_ = Matrix(current.rows, current.cols);
        rest_.fill(0.0f);
    }
    for (std::int64_t r = 0; r < current.rows; ++r) std::copy_n(current.row(r) + first, count, rest_.row(r) + first);
    for (std::int64_t c = first; c < first + count; ++c)
        forKept(kept_, c, 0, static_cast<std::size_t>(current.rows), [&](std::size_t r, std::uint16_t) { rest_.row(static_cast<std::int64_t>(r))[c] = 0; });
    grid_->refit(std::as_const(rest_).view(), first, count);
}

void KeptGrid::roundColumn(std::int64_t column, std::int64_t firstRow, std::span<const float> values, std::span<float> rounded) {
    std::vector<float> rest(values.begin(), values.end());
    forKept(kept_, column, firstRow, values.size(), [&](std::size_t i, std::uint16_t) { rest[i] = 0; });
    grid_->roundColumn(column, firstRow, rest, rounded);
    forKept(kept_, column, firstRow, values.size(), [&](std::size_t i, std::uint16_t& value) {
        value = keptHalf(values[i]);
        rounded[i] = halfToFloat(value);
    });
}

void KeptGrid::bracket(std::int64_t column, std::int64_t firstRow, std::span<const float> values, std::span<float> below, std::span<float> above) const {
    grid_->bracket(column, firstRow, values, below, above);
    forKept(kept_, column, firstRow, values.size(), [&](std::size_t i, std::uint16_t) { below[i] = above[i] = halfToFloat(keptHalf(values[i])); });
}

void KeptGrid::column(std::int64_t column, std::int64_t firstRow, std::span<float> levels, std::span<float> scales, std::span<float> offsets) const {
    grid_->column(column, firstRow, levels, scales, offsets);
    forKept(kept_, column, firstRow, levels.size(), [&](std::size_t i, std::uint16_t value) {
        levels[i] = scales[i] = 0;
        offsets[i] = halfToFloat(value);
    });
}

} // namespace bw
