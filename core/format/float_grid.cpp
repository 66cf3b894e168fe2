// SPDX-License-Identifier: GPL-3.0-or-later
// The fixed grid of small floats: scales as FloatFormat::encode() picks them.
#include "core/base/parallel.h"
#include "core/format/checks.h"
#include "core/format/float_format.h"
#include "core/format/scaled_grid.h"

#include <cassert>

namespace bw {

namespace {

class FloatFixedGrid final : public ScaledGrid {
public:
    FloatFixedGrid(const FloatGrid& grid, MatrixView<const float> weight, const EncodeOptions& options)
        : ScaledGrid(weight.rows, weight.cols, columns(grid, weight.cols), columns(grid, weight.cols), levelsOf(grid), false, false),
          format_(grid), importance_(options.importance.begin(), options.importance.end()), clipSearch_(options.clipSearch),
          held_(format_.chooseScales(weight, options)) {
        readCells(0, cellsPerRow());
    }

    void refit(MatrixView<const float> current, std::int64_t first, std::int64_t count) override {
        if (format_.grid().scope == FloatScope::tensor) return;
        assert(first % groupColumns() == 0);
        EncodeOptions options;
        options.importance = importanceOf(importance_, first, count);
        options.clipSearch = clipSearch_;
        const FloatCodes part = format_.chooseScales(current.middleCols(first, count), options, held_.globalScale);
        const std::int64_t firstGroup = first / groupColumns();
        for (std::int64_t r = 0; r < part.scaleRows; ++r)
            for (std::int64_t g = 0; g < part.scaleCols; ++g) {
                const auto from = static_cast<std::size_t>(r * part.scaleCols + g), to = static_cast<std::size_t>(r * held_.scaleCols + firstGroup + g);
                held_.scales[to] = part.scales[from];
                if (!held_.scaleBytes.empty()) held_.scaleBytes[to] = part.scaleBytes[from];
            }
        readCells(firstGroup, part.scaleCols);
    }

    void pack(std::span<std::byte> out) const override {
        FloatCodes parts = held_;
        parts.codes.resize(static_cast<std::size_t>(rows() * cols()));
        parallelFor(rows(), kPackRows, [&](std::int64_t begin, std::int64_t end) { copyCodes(begin, end - begin, parts.codes.data() + begin * cols()); });
        format_.pack(parts, out);
    }

private:
    static std::int64_t columns(const FloatGrid& grid, std::int64_t cols) {
        if (grid.scope == FloatScope::block128) return 128;
        return grid.scope == FloatScope::tensor || grid.scope == FloatScope::channel ? cols : grid.group;
    }
    static Levels levelsOf(const FloatGrid& grid) {
        Levels levels;
        levels.kind = &smallFloat(grid.code);
        return levels;
    }
    void readCells(std::int64_t firstGroup, std::int64_t groups) {
        const std::int64_t rowsPerScale = (format_.grid().scope == FloatScope::block128) ? 128 : (held_.scaleRows == 1 ? rows() : 1);
        for (std::int64_t r = 0; r < rows(); ++r)
            for (std::int64_t g = firstGroup; g < firstGroup + groups; ++g)
                setCell(r, g, held_.scales[static_cast<std::size_t>(r / rowsPerScale * held_.scaleCols + g)], 0.0f, 0.0f);
    }

    FloatFormat format_;
    std::vector<float> importance_;
    bool clipSearch_;
    FloatCodes held_; ///< without codes
};

} // namespace

std::unique_ptr<FixedGrid> FloatFormat::fixedGrid(MatrixView<const float> weight, const EncodeOptions& options) const {
    checkEncodeArguments(*this, weight, options, fits(weight.rows, weight.cols, nullptr) ? bytes(weight.rows, weight.cols) : 0);
    return std::make_unique<FloatFixedGrid>(grid_, weight, options);
}

} // namespace bw
