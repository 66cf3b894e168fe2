// SPDX-License-Identifier: GPL-3.0-or-later
// Rows in chunks, outputs in strips over threads; a strip's tile of the gradient lives in registers: it is formed from
// a piece's rows, multiplied with every change, and forgotten. Compiled once per Highway target.
#include "core/compute/gradient_dots.h"

#include "core/base/parallel.h"
#include "core/compute/gradient_strip.h"

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
constexpr std::int64_t kOutputs = GradientStrip::kOutputs;

std::int64_t TileColumns() { return static_cast<std::int64_t>(hn::Lanes(D()) * kVectors); }

/// x's columns of a tile side by side, zeros behind the last.
void PackColumns(const GradientStrip& strip, std::int64_t column, std::int64_t width, float* out) {
    const std::int64_t tile = TileColumns();
    for (std::int64_t n = 0; n < strip.x.rows; ++n) {
        const float* from = strip.x.row(n) + column;
        float* to = out + n * tile;
        std::fill(std::copy_n(from, width, to), to + tile, 0.0f);
    }
}

/// One tile of one piece: G = Σ dy·xᵀ over its rows, then the sums of G⊙D of every change, by lanes.
void Tile(const float* x, const float* dy, std::int64_t rows, const float* const* changes, std::int64_t count,
          std::int64_t stride, float* lanes) {
    const D d;
    const std::size_t step = hn::Lanes(d);
    V g[kOutputs][kVectors];
    for (auto& row : g)
        for (V& value : row) value = hn::Zero(d);
    const std::int64_t tile = TileColumns();
    for (std::int64_t n = 0; n < rows; ++n, x += tile, dy += kOutputs) {
        V inputs[kVectors];
        for (std::size_t v = 0; v < kVectors; ++v) inputs[v] = hn::Load(d, x + v * step);
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
        hn::Store(hn::Add(hn::Load(d, lanes), all), d, lanes);
    }
}

/// All pieces and changes of a strip's outputs, added to `sums` (P·F).
void AddStrip(const GradientStrip& strip, double* sums) {
    const D d;
    const auto step = static_cast<std::int64_t>(hn::Lanes(d));
    const std::int64_t tile = TileColumns(), panels = (strip.outputs + kOutputs - 1) / kOutputs;
    const auto pieces = static_cast<std::int64_t>(strip.starts.size()) - 1,
               count = static_cast<std::int64_t>(strip.changes.size());
    Matrix x(strip.x.rows, tile), lanes(pieces, count * step), padded(count, kOutputs * tile);
    std::vector<const float*> tiles(strip.changes.size());
    for (std::int64_t column = 0; column < strip.x.cols; column += tile) {
        const std::int64_t width = std::min(tile, strip.x.cols - column);
        PackColumns(strip, column, width, x.data());
        lanes.fill(0.0f);
        for (std::int64_t p = 0; p < panels; ++p) {
            const std::int64_t whole = std::min(kOutputs, strip.outputs - p * kOutputs);
            const bool copied = width < tile || whole < kOutputs; // what lies beyond the change must not be read
            for (std::int64_t f = 0; f < count; ++f) {
                const MatrixView<const float>& change = strip.changes[static_cast<std::size_t>(f)];
                const float* from = change.row(strip.firstOutput + p * kOutputs) + column;
                if (copied) {
                    float* to = padded.data() + f * kOutputs * tile;
                    std::fill_n(to, kOutputs * tile, 0.0f);
                    for (std::int64_t o = 0; o < whole; ++o)
                        std::copy_n(from + o * change.stride, width, to + o * tile);
                    from = to;
                }
                tiles[static_cast<std::size_t>(f)] = from;
            }
            const std::int64_t stride = copied ? tile : strip.changes[0].stride;
            const float* dy = strip.dy + p * strip.x.rows * kOutputs;
            for (std::int64_t s = 0; s < pieces; ++s) {
                const std::int64_t first = strip.starts[static_cast<std::size_t>(s)],
                                   rows = strip.starts[static_cast<std::size_t>(s) + 1] - first;
                if (rows > 0)
                    Tile(x.data() + first * tile, dy + first * kOutputs, rows, tiles.data(), count, stride,
                         lanes.data() + s * count * step);
            }
        }
        for (std::int64_t i = 0; i < pieces * count; ++i)
            sums[i] += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, hn::Load(d, lanes.data() + i * step))));
    }
}

} // namespace bw::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bw::kernels {

HWY_EXPORT(AddStrip);

void addGradientStrip(const GradientStrip& strip, double* sums) {
    HWY_DYNAMIC_DISPATCH(AddStrip)(strip, sums);
}

} // namespace bw::kernels

namespace bw {
namespace {

constexpr std::int64_t kStrip = 48;    ///< outputs of a task: with a chunk's rows 200 KiB of the second-level cache
constexpr std::int64_t kChunk = 1024;  ///< rows of a chunk, unless a single piece has more

/// dy's columns of a strip as panels of kOutputs outputs, row by row, zeros behind the last.
void packOutputs(MatrixView<const float> dy, std::int64_t first, std::int64_t outputs, float* out) {
    constexpr std::int64_t kOutputs = kernels::GradientStrip::kOutputs;
    for (std::int64_t o = 0; o < outputs; o += kOutputs, out += dy.rows * kOutputs) {
        const std::int64_t some = std::min(kOutputs, outputs - o);
        for (std::int64_t n = 0; n < dy.rows; ++n)
            std::fill(std::copy_n(dy.row(n) + first + o, some, out + n * kOutputs), out + (n + 1) * kOutputs, 0.0f);
    }
}

void addChunk(MatrixView<const float> x, MatrixView<const float> dy, std::span<const std::int64_t> starts,
              std::span<const MatrixView<const float>> changes, std::span<double> sums) {
    const std::int64_t strips = (dy.cols + kStrip - 1) / kStrip;
    std::vector<double> parts(static_cast<std::size_t>(strips) * sums.size(), 0.0);
    parallelFor(strips, 1, [&](std::int64_t begin, std::int64_t end) {
        Matrix packed(x.rows, kStrip);
        for (std::int64_t s = begin; s < end; ++s) {
            const std::int64_t first = s * kStrip, outputs = std::min(kStrip, dy.cols - first);
            packOutputs(dy, first, outputs, packed.data());
            kernels::addGradientStrip({x, packed.data(), first, outputs, starts, changes},
                                      parts.data() + static_cast<std::size_t>(s) * sums.size());
        }
    });
    for (std::size_t i = 0; i < parts.size(); ++i) sums[i % sums.size()] += parts[i];
}

} // namespace

void addGradientDots(MatrixView<const float> x, MatrixView<const float> dy, std::span<const std::int64_t> starts,
                     std::span<const MatrixView<const float>> changes, std::span<double> sums) {
    if (changes.empty() || starts.size() < 2) return;
    const std::size_t pieces = starts.size() - 1;
    assert(x.rows == dy.rows && starts.front() >= 0 && starts.back() <= x.rows &&
           sums.size() == pieces * changes.size());
    std::vector<std::int64_t> own;
    for (std::size_t first = 0; first < pieces;) {
        std::size_t end = first + 1; // whole pieces, as many as a chunk holds
        while (end < pieces && starts[end + 1] - starts[first] <= kChunk) ++end;
        const std::int64_t from = starts[first], rows = starts[end] - from;
        own.assign(starts.begin() + static_cast<std::ptrdiff_t>(first),
                   starts.begin() + static_cast<std::ptrdiff_t>(end) + 1);
        for (std::int64_t& start : own) start -= from;
        if (rows > 0)
            addChunk(x.middleRows(from, rows), dy.middleRows(from, rows), own, changes,
                     sums.subspan(first * changes.size(), (end - first) * changes.size()));
        first = end;
    }
}

} // namespace bw
#endif
