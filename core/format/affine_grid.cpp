// SPDX-License-Identifier: GPL-3.0-or-later
// The fixed grid of affine formats: scales and zero points as AffineFormat::encode() chose them, codes by column.
#include "core/base/parallel.h"
#include "core/format/affine.h"
#include "core/format/checks.h"
#include "core/format/half.h"
#include "core/format/scaled_grid.h"

#include <algorithm>
#include <cassert>

namespace bw {

namespace {

class AffineFixedGrid final : public ScaledGrid {
public:
    AffineFixedGrid(const AffineGrid& grid, MatrixView<const float> weight, const EncodeOptions& options)
        : ScaledGrid(weight.rows, weight.cols, groupLength(grid, weight.cols), groupLength(grid, weight.cols), levelsOf(grid), false, !grid.symmetric),
          format_(grid), importance_(options.importance.begin(), options.importance.end()), clipSearch_(options.clipSearch) {
        held_ = choose(weight, options.importance);
        readCells(0, cellsPerRow());
    }

    void refit(MatrixView<const float> current, std::int64_t first, std::int64_t count) override {
        if (format_.grid().scope == AffineScope::tensor) return;
        assert(first % groupColumns() == 0 && count % groupColumns() == 0);
        const AffineCodes part = choose(current.middleCols(first, count), importanceOf(importance_, first, count));
        const std::int64_t firstGroup = first / groupColumns(), groups = part.groupsPerRow;
        for (std::int64_t r = 0; r < rows(); ++r)
            for (std::int64_t g = 0; g < groups; ++g) {
                const auto from = static_cast<std::size_t>(r * groups + g), to = static_cast<std::size_t>(r * cellsPerRow() + firstGroup + g);
                held_.scales[to] = part.scales[from];
                if (!held_.zeros.empty()) held_.zeros[to] = part.zeros[from];
            }
        readCells(firstGroup, groups);
    }

    bool movesCells() const override { return format_.grid().scope != AffineScope::tensor; }
    /// Also one zero point up or down, which moves all values by a step.
    void moveCell(std::int64_t column, std::int64_t firstRow, std::span<const ScaleLoss> loss) override {
        const std::int64_t group = column / groupColumns();
        for (std::size_t i = 0; i < loss.size(); ++i) {
            const std::int64_t row = firstRow + static_cast<std::int64_t>(i);
            const auto at = static_cast<std::size_t>(row * cellsPerRow() + group);
            const ScaleLoss& l = loss[i];
            const double scale = static_cast<double>(half::toFloat(held_.scales[at]));
            const int zero = held_.zeros.empty() ? 0 : held_.zeros[at];
            double least = 0;
            for (int step = held_.zeros.empty() ? 0 : -1; step <= (held_.zeros.empty() ? 0 : 1); ++step) {
                if (zero + step < 0 || zero + step > (1 << format_.grid().bits) - 1) continue;
                // Values s'·(level − step): the best s' for it, then what f16 makes of that.
                const double uu = static_cast<double>(l.uu) - 2.0 * step * static_cast<double>(l.uo) + step * step * static_cast<double>(l.oo);
                const double along = static_cast<double>(l.gu) - step * static_cast<double>(l.go) + scale * (static_cast<double>(l.uu) - step * static_cast<double>(l.uo));
                if (!(uu > 0)) continue;
                const std::uint16_t bits = half::fromFloat(static_cast<float>(along / uu));
                const double moved = static_cast<double>(half::toFloat(bits));
                if (!(moved > 0) || moved > 65504) continue;
                const double change = l.at(moved - scale, -moved * step);
                if (!(change < least)) continue;
                least = change;
                held_.scales[at] = bits;
                if (!held_.zeros.empty()) held_.zeros[at] = static_cast<std::uint8_t>(zero + step);
            }
            setCell(row, group, half::toFloat(held_.scales[at]), 0.0f, held_.zeros.empty() ? 0.0f : static_cast<float>(held_.zeros[at]));
        }
    }

    void pack(std::span<std::byte> out) const override {
        AffineCodes parts = held_;
        parts.codes.resize(static_cast<std::size_t>(rows() * cols()));
        parallelFor(rows(), kPackRows, [&](std::int64_t begin, std::int64_t end) { copyCodes(begin, end - begin, parts.codes.data() + begin * cols()); });
        format_.pack(parts, out);
    }

private:
    static std::int64_t groupLength(const AffineGrid& grid, std::int64_t cols) { return grid.scope == AffineScope::group ? grid.group : cols; }

    static Levels levelsOf(const AffineGrid& grid) {
        Levels levels;
        levels.low = grid.symmetric ? 1.0f : 0.0f;
        levels.high = static_cast<float>((1 << grid.bits) - 1);
        levels.zero = static_cast<float>(1 << (grid.bits - 1)); // of symmetric grids
        return levels;
    }

    /// Scales and zero points of a weight; its codes are dropped.
    AffineCodes choose(MatrixView<const float> weight, std::span<const float> importance) const {
        EncodeOptions options;
        options.importance = importance;
        options.clipSearch = clipSearch_;
        std::vector<std::byte> bytes(format_.bytes(weight.rows, weight.cols));
        format_.encode(weight, options, bytes);
        AffineCodes parts = format_.unpack(bytes, weight.rows, weight.cols);
        parts.codes = {};
        return parts;
    }

    void readCells(std::int64_t firstGroup, std::int64_t groups) {
        const bool tensor = format_.grid().scope == AffineScope::tensor;
        for (std::int64_t r = 0; r < rows(); ++r)
            for (std::int64_t g = firstGroup; g < firstGroup + groups; ++g) {
                const auto at = static_cast<std::size_t>(tensor ? 0 : r * cellsPerRow() + g);
                setCell(r, g, half::toFloat(held_.scales[at]), 0.0f, held_.zeros.empty() ? 0.0f : static_cast<float>(held_.zeros[at]));
            }
    }

    AffineFormat format_;
    std::vector<float> importance_;
    bool clipSearch_;
    AffineCodes held_; ///< without codes
};

} // namespace

std::unique_ptr<FixedGrid> AffineFormat::fixedGrid(MatrixView<const float> weight, const EncodeOptions& options) const {
    std::string why;
    if (!fits(weight.rows, weight.cols, &why)) checkEncodeArguments(*this, weight, options, 0);
    return std::make_unique<AffineFixedGrid>(grid_, weight, options);
}

} // namespace bw
