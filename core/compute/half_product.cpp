// SPDX-License-Identifier: GPL-3.0-or-later
// Packing of weights to bf16 and the tiling of products of differences over threads.
#include "core/compute/half_product.h"

#include "core/base/parallel.h"
#include "core/compute/cpu_device.h"
#include "core/compute/half_kernels.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cassert>
#include <cmath>
#include <utility>

namespace bw {
namespace {

/// Nearest, ties to even; what overflows becomes infinite and NaN stays one.
std::uint16_t toHalf(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    if (std::isnan(value)) return static_cast<std::uint16_t>((bits >> 16) | 0x40u);
    return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

/// 64 rows of bf16 inputs up to 4,096 wide are 512 KiB: they stay in the second-level cache while panels pass by.
constexpr std::int64_t kTileRows = 64;
constexpr std::int64_t kTilePanels = 16;
/// Values per piece of the loop that takes differences.
constexpr std::int64_t kPieceValues = 1 << 16;

std::int64_t ceilDivide(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

void takeKnown(MatrixView<const float> known, MatrixView<float> y, bool add) {
    parallelFor(y.rows, std::max<std::int64_t>(1, kPieceValues / std::max<std::int64_t>(1, y.cols)),
                [&](std::int64_t begin, std::int64_t end) {
                    for (std::int64_t r = begin; r < end; ++r) {
                        const float* from = known.row(r);
                        float* to = y.row(r);
                        if (add)
                            for (std::int64_t c = 0; c < y.cols; ++c) to[c] += from[c];
                        else
                            std::copy_n(from, y.cols, to);
                    }
                });
}

} // namespace

bool hasHalfProducts() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#else
    return false;
#endif
}

template <class Value> void HalfPanels::fill(std::int64_t rows, std::int64_t cols, const Value& value) {
    rows_ = rows;
    cols_ = cols;
    const std::int64_t panels = ceilDivide(rows_, kOutputs);
    values_.resize(static_cast<std::size_t>(panels * panelValues()));
    parallelFor(panels, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t p = begin; p < end; ++p) {
            std::uint16_t* out = values_.data() + p * panelValues();
            const std::int64_t outputs = std::min(kOutputs, rows_ - p * kOutputs);
            value(p * kOutputs, outputs, out);
        }
    });
}

HalfPanels::HalfPanels(MatrixView<const float> weight) {
    fill(weight.rows, weight.cols, [&](std::int64_t first, std::int64_t outputs, std::uint16_t* out) {
        for (std::int64_t o = 0; o < outputs; ++o) {
            const float* row = weight.row(first + o);
            for (std::int64_t i = 0; i < weight.cols; ++i) out[(i / 2 * kOutputs + o) * 2 + i % 2] = toHalf(row[i]);
        }
    });
}

HalfPanels HalfPanels::transposed(MatrixView<const float> weight) {
    HalfPanels panels;
    panels.fill(weight.cols, weight.rows, [&](std::int64_t first, std::int64_t outputs, std::uint16_t* out) {
        for (std::int64_t i = 0; i < weight.rows; ++i) {
            const float* row = weight.row(i) + first;
            for (std::int64_t o = 0; o < outputs; ++o) out[(i / 2 * kOutputs + o) * 2 + i % 2] = toHalf(row[o]);
        }
    });
    return panels;
}

HalfDifference::HalfDifference(MatrixView<const float> x) : HalfDifference(x, {nullptr, x.rows, x.cols}) {}

HalfDifference::HalfDifference(MatrixView<const float> x, MatrixView<const float> near)
    : rows_(x.rows), cols_(x.cols), values_(new std::uint16_t[static_cast<std::size_t>(rows_ * stride())]) {
    assert(near.rows == x.rows && near.cols == x.cols);
    std::atomic<bool> any{false};
    parallelFor(rows_, std::max<std::int64_t>(1, kPieceValues / std::max<std::int64_t>(1, cols_)),
                [&](std::int64_t begin, std::int64_t end) {
                    bool found = false;
                    for (std::int64_t r = begin; r < end; ++r)
                        found |= half::subtractToHalf(x.row(r), near.data != nullptr ? near.row(r) : nullptr, cols_,
                                                      values_.get() + r * stride());
                    if (found) any.store(true, std::memory_order_relaxed);
                });
    any_ = any.load();
}

namespace {

/// y = known + x·wᵀ tile by tile; of a `known` with stride 0 all rows are its first, one panel wide.
void multiplyTiles(const HalfDifference& x, MatrixView<const float> known, const HalfPanels& w, MatrixView<float> y,
                   bool add) {
    const bool same = known.stride == 0;
    const std::int64_t panels = ceilDivide(w.rows(), HalfPanels::kOutputs);
    const std::int64_t rowTiles = ceilDivide(y.rows, kTileRows), panelTiles = ceilDivide(panels, kTilePanels);
    parallelFor(rowTiles * panelTiles, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t t = begin; t < end; ++t) {
            const std::int64_t row = t % rowTiles * kTileRows, first = t / rowTiles * kTilePanels;
            for (std::int64_t p = first; p < std::min(panels, first + kTilePanels); ++p) {
                const std::int64_t col = p * HalfPanels::kOutputs;
                half::multiplyPanel(x.row(row), x.stride(), w.panel(p), w.pairs(),
                                    same ? known.data : known.row(row) + col, known.stride, y.row(row) + col, y.stride,
                                    std::min(kTileRows, y.rows - row), std::min(HalfPanels::kOutputs, w.rows() - col),
                                    add);
            }
        }
    });
}

} // namespace

void multiplyDifference(const HalfDifference& difference, MatrixView<const float> known, const HalfPanels& w,
                        MatrixView<float> y, bool add) {
    assert(difference.cols() == w.cols() && y.cols == w.rows() && known.rows == difference.rows() && y.rows == known.rows);
    if (y.empty()) return;
    if (difference.isZero()) return takeKnown(known, y, add);
    multiplyTiles(difference, known, w, y, add);
}

void multiplyHalf(const HalfDifference& x, const HalfPanels& w, MatrixView<float> y, bool add) {
    assert(x.cols() == w.cols() && y.cols == w.rows() && y.rows == x.rows());
    static constexpr float kZeros[HalfPanels::kOutputs] = {};
    if (!y.empty()) multiplyTiles(x, {kZeros, 1, HalfPanels::kOutputs, 0}, w, y, add);
}

void accumulateGramHalf(MatrixView<const float> x, MatrixView<float> gram) {
    assert(gram.rows == x.cols && gram.cols == x.cols);
    if (x.empty()) return;
    constexpr std::int64_t kWide = half::kPanelChannels;
    const std::int64_t panels = ceilDivide(x.cols, kWide), pairs = ceilDivide(x.rows, 2), panelValues = pairs * 2 * kWide;
    const std::unique_ptr<std::uint16_t[]> packed(new std::uint16_t[static_cast<std::size_t>(panels * panelValues)]);
    const auto wide = [&](std::int64_t p) { return std::min(kWide, x.cols - p * kWide); };
    parallelFor(panels, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t p = begin; p < end; ++p)
            for (std::int64_t k = 0; k < pairs; ++k)
                half::packChannels(x.row(2 * k) + p * kWide, 2 * k + 1 < x.rows ? x.row(2 * k + 1) + p * kWide : nullptr, wide(p),
                                   packed.get() + p * panelValues + k * 2 * kWide);
    });
    parallelFor(panels, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i)
            for (std::int64_t j = 0; j <= i; ++j)
                half::multiplyChannels(packed.get() + i * panelValues, packed.get() + j * panelValues, pairs, gram.row(i * kWide) + j * kWide, gram.stride, wide(i), wide(j));
    });
}

void HostWeight::multiplyBack(MatrixView<const float> dy, MatrixView<float> dx, bool add) const {
    gemmTimes(dy, values, dx, add);
}

HalfWeight::HalfWeight(DeviceWeightPtr exact, bool forwards)
    : exact_(std::move(exact)), panels_(forwards ? HalfPanels(exact_->values) : HalfPanels()),
      turned_(HalfPanels::transposed(exact_->values)) {
    values = exact_->values;
    rows = values.rows;
    cols = values.cols;
}

void HalfWeight::multiply(MatrixView<const float> x, MatrixView<float> y, bool add) const {
    if (panels_.rows() == 0)
        gemmTransposed(x, values, y, add);
    else
        multiplyHalf(HalfDifference(x), panels_, y, add);
}

void HalfWeight::multiplyBack(MatrixView<const float> dy, MatrixView<float> dx, bool add) const {
    multiplyHalf(HalfDifference(dy), turned_, dx, add);
}

} // namespace bw
