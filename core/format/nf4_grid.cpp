// SPDX-License-Identifier: GPL-3.0-or-later
// The fixed grid of NF4: magnitudes as Nf4Format::encode() picks them. A refit keeps the nested magnitudes and the offset of
// double quantization, which blocks of other columns share.
#include "core/base/parallel.h"
#include "core/format/checks.h"
#include "core/format/nf4.h"
#include "core/format/scaled_grid.h"

#include <cassert>
#include <cmath>

namespace bw {

namespace {

class Nf4FixedGrid final : public ScaledGrid {
public:
    Nf4FixedGrid(const Nf4Grid& grid, MatrixView<const float> weight, const EncodeOptions& options)
        : ScaledGrid(weight.rows, weight.cols, grid.block, grid.block, levels(), false, false), format_(grid),
          importance_(options.importance.begin(), options.importance.end()), clipSearch_(options.clipSearch),
          held_(format_.chooseScales(weight, options)) {
        readCells(0, cellsPerRow());
    }

    void refit(MatrixView<const float> current, std::int64_t first, std::int64_t count) override {
        assert(first % groupColumns() == 0 && count % groupColumns() == 0);
        EncodeOptions options;
        options.importance = importanceOf(importance_, first, count);
        options.clipSearch = clipSearch_;
        const std::vector<float> found = format_.magnitudes(current.middleCols(first, count), options);
        const std::int64_t firstBlock = first / groupColumns(), blocks = count / groupColumns();
        for (std::int64_t r = 0; r < rows(); ++r)
            for (std::int64_t b = 0; b < blocks; ++b) {
                const auto at = static_cast<std::size_t>(r * cellsPerRow() + firstBlock + b);
                float magnitude = found[static_cast<std::size_t>(r * blocks + b)];
                if (format_.grid().doubleQuantized) {
                    held_.absmaxCodes[at] = nestedCode(magnitude, held_.nestedAbsmax[at / 256], held_.offset);
                    magnitude = nestedMagnitude(held_.absmaxCodes[at], held_.nestedAbsmax[at / 256], held_.offset);
                }
                held_.absmax[at] = magnitude;
            }
        readCells(firstBlock, blocks);
    }

    /// Doubly quantized magnitudes hang together.
    bool movesCells() const override { return !format_.grid().doubleQuantized; }
    void moveCell(std::int64_t column, std::int64_t firstRow, std::span<const ScaleLoss> loss) override {
        const std::int64_t block = column / groupColumns();
        for (std::size_t i = 0; i < loss.size(); ++i) {
            const std::int64_t row = firstRow + static_cast<std::int64_t>(i);
            float& magnitude = held_.absmax[static_cast<std::size_t>(row * cellsPerRow() + block)];
            const auto moved = static_cast<float>(static_cast<double>(magnitude) + loss[i].bestScale(false));
            if (moved > 0 && std::isfinite(moved) && loss[i].at(static_cast<double>(moved) - static_cast<double>(magnitude), 0) < 0) magnitude = moved;
            setCell(row, block, magnitude, 0.0f, 0.0f);
        }
    }

    void pack(std::span<std::byte> out) const override {
        Nf4Codes parts = held_;
        parts.codes.resize(static_cast<std::size_t>(rows() * cols()));
        parallelFor(rows(), kPackRows, [&](std::int64_t begin, std::int64_t end) { copyCodes(begin, end - begin, parts.codes.data() + begin * cols()); });
        format_.pack(parts, out);
    }

private:
    static Levels levels() {
        Levels levels;
        levels.values = nf4Levels();
        levels.count = 16;
        return levels;
    }
    void readCells(std::int64_t firstBlock, std::int64_t blocks) {
        for (std::int64_t r = 0; r < rows(); ++r)
            for (std::int64_t b = firstBlock; b < firstBlock + blocks; ++b)
                setCell(r, b, held_.absmax[static_cast<std::size_t>(r * cellsPerRow() + b)], 0.0f, 0.0f);
    }

    Nf4Format format_;
    std::vector<float> importance_;
    bool clipSearch_;
    Nf4Codes held_; ///< without codes
};

} // namespace

std::unique_ptr<FixedGrid> Nf4Format::fixedGrid(MatrixView<const float> weight, const EncodeOptions& options) const {
    checkEncodeArguments(*this, weight, options, fits(weight.rows, weight.cols, nullptr) ? bytes(weight.rows, weight.cols) : 0);
    return std::make_unique<Nf4FixedGrid>(grid_, weight, options);
}

} // namespace bw
