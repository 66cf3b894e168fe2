// SPDX-License-Identifier: GPL-3.0-or-later
// A grid with weights kept beside it, so that GPTQ and an outlier split go together: columns are rounded as ever, but what is kept
// takes whatever value the columns before ask of it, in f16, and hands on next to no error. Private to core/quantize.
#pragma once

#include "core/format/fixed_grid.h"
#include "core/quantize/quantized_model.h"

namespace bw {

class KeptGrid final : public FixedGrid {
public:
    /// @param grid chosen from the weight without what is kept (withoutKept() in outlier_split.h), so that no scale is widened by it.
    /// @param cols of the weight.
    KeptGrid(std::unique_ptr<FixedGrid> grid, KeptWeights kept, std::int64_t cols);

    void refit(MatrixView<const float> current, std::int64_t first, std::int64_t count) override;
    void roundColumn(std::int64_t column, std::int64_t firstRow, std::span<const float> values, std::span<float> rounded) override;
    void bracket(std::int64_t column, std::int64_t firstRow, std::span<const float> values, std::span<float> below, std::span<float> above) const override;
    /// Kept weights are offsets: no scale moves them. Scales stay as they are (movesCells() is false), since a move's loss would count
    /// kept weights too.
    void column(std::int64_t column, std::int64_t firstRow, std::span<float> levels, std::span<float> scales, std::span<float> offsets) const override;
    /// What lies on the grid; 0 stands where a weight is kept.
    void pack(std::span<std::byte> out) const override { grid_->pack(out); }
    /// With the values that they were rounded to.
    const KeptWeights& kept() const { return kept_; }

private:
    /// Kept weights of one column among rows [firstRow, firstRow + count): use(index of the row in that range, bits).
    template <class Kept, class Use>
    void forKept(Kept& kept, std::int64_t column, std::int64_t firstRow, std::size_t count, Use use) const;

    std::unique_ptr<FixedGrid> grid_;
    KeptWeights kept_;
    std::vector<std::int32_t> wholeAt_;      ///< by column: its place among the kept columns, or −1
    std::vector<std::size_t> start_;         ///< by column: its first entry in order_
    std::vector<std::size_t> order_;         ///< single weights by column, then row
    Matrix rest_;                            ///< of refit(), O×I
};

} // namespace bw
