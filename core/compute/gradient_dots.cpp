// SPDX-License-Identifier: GPL-3.0-or-later
// Rows in chunks, outputs in strips over threads; a tile of the gradient lives in registers: it is formed from a
// piece's rows, multiplied with every change, and forgotten. The f32 tile is compiled once per Highway target.
#include "core/compute/gradient_dots.h"

#include "core/base/parallel.h"
#include "core/compute/gradient_tile.h"
#include "core/compute/half_product.h"

#include <algorithm>
#include <cassert>

// The tile is an array of registers, and vectors of unknown length can't lie in one: such processors take NEON.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/compute/gradient_dots.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace bw::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

/// A tile is kOutputs × kVectors registers: with 32 registers 6 × 4, with 16 of them 6 × 2.
constexpr std::size_t kVectors = HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM_A64 ? 4 : 2;
constexpr std::int64_t kOutputs = GradientTile::kOutputs;

void Pack(const float* row, const float*, std::int64_t n, std::int64_t width, float* out) {
    std::fill(std::copy_n(row, n, out), out + width, 0.0f);
}

/// One tile of one piece: G = Σ dy·xᵀ over its rows, then the sums of G⊙D of every change, by lanes.
void Run(const float* x, const float* dy, std::int64_t dyStride, std::int64_t rows, const float* const* changes,
         std::int64_t count, std::int64_t stride, float* lanes) {
    const D d;
    const std::size_t step = hn::Lanes(d);
    V g[kOutputs][kVectors];
    for (auto& row : g)
        for (V& value : row) value = hn::Zero(d);
    const auto tile = static_cast<std::int64_t>(step * kVectors);
    for (std::int64_t n = 0; n < rows; ++n, x += tile, dy += dyStride) {
        V inputs[kVectors];
        for (std::size_t v = 0; v < kVectors; ++v) inputs[v] = hn::LoadU(d, x + v * step);
        for (std::int64_t o = 0; o < kOutputs; ++o) {
            const V scale = hn::Set(d, dy[o]);
            for (std::size_t v = 0; v < kVectors; ++v) g[o][v] = hn::MulAdd(scale, inputs[v], g[o][v]);
        }
    }
    for (std::int64_t f = 0; f < count; ++f, lanes += step) {
        const float* change = changes[f];
        V sums[kVectors];
        for (V& sum : sums) sum = hn::Zero(d);
        for (std::int64_t o = 0; o < kOutputs; ++o, change += stride)
            for (std::size_t v = 0; v < kVectors; ++v)
                sums[v] = hn::MulAdd(g[o][v], hn::LoadU(d, change + v * step), sums[v]);
        V all = hn::Add(sums[0], sums[1]);
        for (std::size_t v = 2; v < kVectors; ++v) all = hn::Add(all, sums[v]);
        hn::StoreU(hn::Add(hn::LoadU(d, lanes), all), d, lanes);
    }
}

GradientTile FullTile() {
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(D()));
    return {lanes * static_cast<std::int64_t>(kVectors), lanes, 1, Pack, Run};
}

} // namespace bw::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bw::kernels {
namespace {

HWY_EXPORT(FullTile);
GradientTile fullTile() { return HWY_DYNAMIC_DISPATCH(FullTile)(); }

} // namespace
} // namespace bw::kernels

namespace bw {
namespace {

using kernels::GradientTile;

constexpr std::int64_t kStrip = 8 * GradientTile::kOutputs; ///< outputs of a task: 200 KiB of a chunk's rows
constexpr std::int64_t kMostRows = 1024;                    ///< of a chunk, unless a single piece has more
constexpr std::int64_t kMostValues = 4ll << 20;             ///< of a chunk's inputs: 16 MiB of the third-level cache

GradientTile tileFor(bool inHalf) {
    return inHalf && hasHalfProducts() ? half::gradientTile() : kernels::fullTile();
}

/// Rows of some pieces, packed once for all strips of outputs.
class Chunk {
public:
    Chunk(const GradientTile& tile, MatrixView<const float> x, MatrixView<const float> dy,
          std::span<const std::int64_t> starts, std::span<const MatrixView<const float>> changes)
        : tile_(tile), x_(x), dy_(dy), starts_(starts), changes_(changes), units_{0} {
        for (std::size_t p = 0; p + 1 < starts.size(); ++p)
            units_.push_back(units_.back() + (starts[p + 1] - starts[p] + tile_.together - 1) / tile_.together);
        const std::int64_t tiles = (x_.cols + tile_.columns - 1) / tile_.columns;
        inputs_ = Matrix(tiles, units_.back() * tile_.columns);
        parallelFor(tiles, 1, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t t = begin; t < end; ++t)
                pack(x_, t * tile_.columns, std::min(tile_.columns, x_.cols - t * tile_.columns), tile_.columns,
                     inputs_.row(t));
        });
    }

    /// Adds to `sums` (pieces × changes) what each strip of outputs comes to, in the order of the strips.
    void add(std::span<double> sums) const {
        const std::int64_t strips = (dy_.cols + kStrip - 1) / kStrip;
        std::vector<double> parts(static_cast<std::size_t>(strips) * sums.size(), 0.0);
        parallelFor(strips, 1, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t s = begin; s < end; ++s)
                addStrip(s * kStrip, std::min(kStrip, dy_.cols - s * kStrip),
                         parts.data() + static_cast<std::size_t>(s) * sums.size());
        });
        for (std::size_t i = 0; i < parts.size(); ++i) sums[i % sums.size()] += parts[i];
    }

private:
    static constexpr std::int64_t kOutputs = GradientTile::kOutputs;
    std::size_t pieces() const { return starts_.size() - 1; }

    /// Some columns of every piece's rows, `width` values a row (or rows taken together).
    void pack(MatrixView<const float> from, std::int64_t column, std::int64_t columns, std::int64_t width,
              float* out) const {
        for (std::size_t p = 0; p < pieces(); ++p)
            for (std::int64_t n = starts_[p]; n < starts_[p + 1]; n += tile_.together, out += width)
                tile_.pack(from.row(n) + column,
                           n + 1 < starts_[p + 1] && tile_.together > 1 ? from.row(n + 1) + column : nullptr, columns,
                           width, out);
    }

    void addStrip(std::int64_t firstOutput, std::int64_t outputs, double* sums) const {
        const std::int64_t panels = (outputs + kOutputs - 1) / kOutputs, rows = units_.back();
        const auto count = static_cast<std::int64_t>(changes_.size());
        Matrix gradients(rows, kStrip), padded(count, kOutputs * tile_.columns);
        pack(dy_, firstOutput, outputs, kStrip, gradients.data());
        std::vector<float> lanes(pieces() * static_cast<std::size_t>(count * tile_.lanes));
        std::vector<const float*> tiles(changes_.size());
        for (std::int64_t t = 0; t < inputs_.rows(); ++t) {
            const std::int64_t column = t * tile_.columns, width = std::min(tile_.columns, x_.cols - column);
            std::ranges::fill(lanes, 0.0f);
            for (std::int64_t p = 0; p < panels; ++p) {
                const std::int64_t whole = std::min(kOutputs, outputs - p * kOutputs);
                const bool copied = width < tile_.columns || whole < kOutputs; // nothing beyond a change may be read
                for (std::size_t f = 0; f < changes_.size(); ++f) {
                    tiles[f] = changes_[f].row(firstOutput + p * kOutputs) + column;
                    if (!copied) continue;
                    float* to = padded.row(static_cast<std::int64_t>(f));
                    std::fill_n(to, kOutputs * tile_.columns, 0.0f);
                    for (std::int64_t o = 0; o < whole; ++o)
                        std::copy_n(tiles[f] + o * changes_[f].stride, width, to + o * tile_.columns);
                    tiles[f] = to;
                }
                const std::int64_t stride = copied ? tile_.columns : changes_[0].stride;
                for (std::size_t s = 0; s < pieces(); ++s)
                    if (units_[s + 1] > units_[s])
                        tile_.run(inputs_.row(t) + units_[s] * tile_.columns, gradients.row(units_[s]) + p * kOutputs,
                                  kStrip, units_[s + 1] - units_[s], tiles.data(), count, stride,
                                  lanes.data() + s * static_cast<std::size_t>(count * tile_.lanes));
            }
            for (std::size_t i = 0; i < lanes.size(); ++i)
                sums[i / static_cast<std::size_t>(tile_.lanes)] += static_cast<double>(lanes[i]);
        }
    }

    GradientTile tile_;
    MatrixView<const float> x_, dy_;
    std::span<const std::int64_t> starts_;
    std::span<const MatrixView<const float>> changes_;
    std::vector<std::int64_t> units_; ///< where each piece begins, in rows taken together
    Matrix inputs_;                   ///< a row for every tile's columns
};

} // namespace

void addGradientDots(MatrixView<const float> x, MatrixView<const float> dy, std::span<const std::int64_t> starts,
                     std::span<const MatrixView<const float>> changes, std::span<double> sums, bool inHalf) {
    if (changes.empty() || starts.size() < 2 || x.cols == 0) return;
    const std::size_t pieces = starts.size() - 1;
    assert(x.rows == dy.rows && starts.front() >= 0 && starts.back() <= x.rows &&
           sums.size() == pieces * changes.size());
    const GradientTile tile = tileFor(inHalf);
    const std::int64_t most = std::clamp<std::int64_t>(kMostValues / x.cols, 1, kMostRows);
    for (std::size_t first = 0; first < pieces;) {
        std::size_t end = first + 1; // whole pieces, as many as a chunk holds
        while (end < pieces && starts[end + 1] - starts[first] <= most) ++end;
        if (starts[end] > starts[first])
            Chunk(tile, x, dy, starts.subspan(first, end - first + 1), changes)
                .add(sums.subspan(first * changes.size(), (end - first) * changes.size()));
        first = end;
    }
}

} // namespace bw
#endif
