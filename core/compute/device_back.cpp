// SPDX-License-Identifier: GPL-3.0-or-later
// Device's copies, Gram matrices and reverse operations on the CPU, which every device has: the kernels of this folder spread over threads.
// A row of activations is taken once for all its K gradients.
#include "core/base/parallel.h"
#include "core/compute/attention.h"
#include "core/compute/cpu_device.h"
#include "core/compute/half_product.h"
#include "core/compute/kernels.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <limits>

namespace bw {
namespace {

/// Places of the largest values in order, of equal ones the first; NaN counts as the lowest.
std::array<std::int32_t, RowScore::kLargest> largestOf(std::span<const float> values) {
    constexpr std::size_t kept = RowScore::kLargest;
    std::array<std::int32_t, kept> at{};
    std::array<float, kept> best{};
    at.fill(-1);
    std::size_t count = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
        const float v = std::isnan(values[i]) ? -std::numeric_limits<float>::infinity() : values[i];
        if (count == kept && !(v > best[kept - 1])) continue;
        std::size_t place = count < kept ? count++ : kept - 1;
        for (; place > 0 && v > best[place - 1]; --place) {
            best[place] = best[place - 1];
            at[place] = at[place - 1];
        }
        best[place] = v;
        at[place] = static_cast<std::int32_t>(i);
    }
    return at;
}

/// Gradients are some rows below each other for every row of activations.
std::int64_t drawsOf(std::int64_t rows, std::int64_t gradientRows) {
    assert(rows > 0 && gradientRows % rows == 0);
    return gradientRows / rows;
}

/// Rows per piece: 16k values take some µs, enough to pay for waking a thread.
std::int64_t rowGrain(std::int64_t cols, std::int64_t draws) {
    constexpr std::int64_t kPieceValues = 16'384;
    return std::max<std::int64_t>(1, kPieceValues / std::max<std::int64_t>(1, cols * draws));
}

/// Calls body(row of activations, row of gradients) for every row of gradients.
template <class Body>
void forRows(std::int64_t rows, std::int64_t gradientRows, std::int64_t cols, Body body) {
    if (gradientRows == 0) return;
    const std::int64_t draws = drawsOf(rows, gradientRows);
    parallelFor(rows, rowGrain(cols, draws), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t t = begin; t < end; ++t)
            for (std::int64_t k = 0; k < draws; ++k) body(t, k * rows + t);
    });
}

void slopes(Activation f, const float* x, float* value, float* slope, std::int64_t n) {
    switch (f) {
    case Activation::silu:
        return kernels::siluSlope(x, value, slope, n);
    case Activation::geluTanh:
        return kernels::geluTanhSlope(x, value, slope, n);
    case Activation::geluErf:
        return kernels::geluErfSlope(x, value, slope, n);
    }
}

/// Columns whose value and slope are kept for all draws: 16 KiB of stack, within the first-level cache.
constexpr std::int64_t kSlopeCols = 2048;

/// Calls body(gradient row, first column, columns, f(x), f'(x)) for every row of gradients and piece of columns.
template <class Body>
void forSlopes(Activation f, MatrixView<const float> x, std::int64_t gradientRows, Body body) {
    if (gradientRows == 0) return;
    const std::int64_t draws = drawsOf(x.rows, gradientRows);
    parallelFor(x.rows, rowGrain(x.cols, draws), [&](std::int64_t begin, std::int64_t end) {
        std::array<float, kSlopeCols> value, slope;
        for (std::int64_t t = begin; t < end; ++t)
            for (std::int64_t c = 0; c < x.cols; c += kSlopeCols) {
                const std::int64_t n = std::min(kSlopeCols, x.cols - c);
                slopes(f, x.row(t) + c, value.data(), slope.data(), n);
                for (std::int64_t k = 0; k < draws; ++k) body(t, k * x.rows + t, c, n, value.data(), slope.data());
            }
    });
}

} // namespace

void Device::copy(MatrixView<const float> x, MatrixView<float> y) {
    assert(x.rows == y.rows && x.cols == y.cols);
    parallelFor(x.rows, rowGrain(x.cols, 1), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r) std::copy_n(x.row(r), x.cols, y.row(r));
    });
}

void Device::scoreRows(MatrixView<const float> logits, std::span<const std::int32_t> targets, std::span<RowScore> out) {
    assert(static_cast<std::size_t>(logits.rows) == targets.size() && targets.size() == out.size());
    constexpr std::int64_t kRows = 4; // a row takes tens of microseconds or more
    parallelFor(logits.rows, kRows, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r) {
            const std::span<const float> row = logits.rowSpan(r);
            RowScore& score = out[static_cast<std::size_t>(r)];
            score.logSumExp = logSumExp(row);
            score.target = row[static_cast<std::size_t>(targets[static_cast<std::size_t>(r)])];
            score.largest = largestOf(row);
            score.top = row[static_cast<std::size_t>(score.largest[0])];
        }
    });
}

void Device::valuesAt(MatrixView<const float> logits, std::span<const std::int32_t> columns, MatrixView<float> out) {
    assert(logits.rows == out.rows && static_cast<std::int64_t>(columns.size()) == out.size());
    for (std::int64_t t = 0; t < out.rows; ++t)
        for (std::int64_t k = 0; k < out.cols; ++k) {
            const std::int32_t column = columns[static_cast<std::size_t>(t * out.cols + k)];
            out(t, k) = column < 0 ? std::numeric_limits<float>::quiet_NaN() : logits(t, column);
        }
}

void Device::divergeRows(MatrixView<const float> base, MatrixView<const float> other, std::span<double> out) {
    assert(base.rows == other.rows && base.cols == other.cols && static_cast<std::size_t>(base.rows) == out.size());
    parallelFor(base.rows, 4, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r) out[static_cast<std::size_t>(r)] = klDivergence(base.rowSpan(r), other.rowSpan(r));
    });
}

void Device::gram(MatrixView<const float> x, MatrixView<float> lower) {
    accumulateGram(x, lower, false);
}

void Device::fill(MatrixView<float> x, float value) {
    parallelFor(x.rows, rowGrain(x.cols, 1), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r) std::fill_n(x.row(r), x.cols, value);
    });
}

void Device::multiplyBack(MatrixView<const float> dy, const DeviceWeight& w, MatrixView<float> dx, bool add) {
    if (const auto* own = dynamic_cast<const HostWeight*>(&w)) return own->multiplyBack(dy, dx, add);
    gemmTimes(dy, w.values, dx, add);
}

void Device::rmsNormBack(MatrixView<const float> x, std::span<const float> weight, float epsilon,
                         MatrixView<const float> dy, MatrixView<float> dx, bool add) {
    assert(static_cast<std::int64_t>(weight.size()) == x.cols && dx.rows == dy.rows && dx.cols == x.cols);
    forRows(x.rows, dy.rows, x.cols, [&](std::int64_t t, std::int64_t r) {
        kernels::rmsNormBackRow(x.row(t), weight.data(), epsilon, dy.row(r), dx.row(r), x.cols, add);
    });
}

void Device::layerNormBack(MatrixView<const float> x, std::span<const float> weight, float epsilon,
                           MatrixView<const float> dy, MatrixView<float> dx, bool add) {
    assert(static_cast<std::int64_t>(weight.size()) == x.cols && dx.rows == dy.rows && dx.cols == x.cols);
    forRows(x.rows, dy.rows, x.cols, [&](std::int64_t t, std::int64_t r) {
        kernels::layerNormBackRow(x.row(t), weight.data(), epsilon, dy.row(r), dx.row(r), x.cols, add);
    });
}

void Device::attentionBack(MatrixView<const float> q, MatrixView<const float> k, MatrixView<const float> v,
                           const AttentionShape& shape, std::int64_t windowLength, MatrixView<const float> dOut,
                           MatrixView<float> dq, MatrixView<float> dk, MatrixView<float> dv) {
    attentionBackCpu(q, k, v, shape, windowLength, dOut, dq, dk, dv);
}

void Device::activateMultiplyBack(Activation f, MatrixView<const float> gate, MatrixView<const float> up,
                                  MatrixView<const float> dHidden, MatrixView<float> dGate, MatrixView<float> dUp) {
    assert(gate.cols == up.cols && dHidden.cols == gate.cols && dGate.rows == dHidden.rows && dUp.rows == dHidden.rows);
    forSlopes(
        f, gate, dHidden.rows,
        [&](std::int64_t t, std::int64_t r, std::int64_t c, std::int64_t n, const float* value, const float* slope) {
            std::array<float, kSlopeCols> d;
            std::copy_n(dHidden.row(r) + c, n, d.data()); // either result may lie over it
            kernels::product(d.data(), value, dUp.row(r) + c, n);
            kernels::product(d.data(), slope, up.row(t) + c, dGate.row(r) + c, n);
        });
}

void Device::activateBack(Activation f, MatrixView<const float> x, MatrixView<float> d) {
    assert(d.cols == x.cols);
    forSlopes(f, x, d.rows,
              [&](std::int64_t, std::int64_t r, std::int64_t c, std::int64_t n, const float*, const float* slope) {
                  kernels::product(d.row(r) + c, slope, d.row(r) + c, n);
              });
}

void Device::softCapBack(MatrixView<const float> y, float cap, MatrixView<float> d) {
    assert(d.cols == y.cols);
    const float inverse = 1.0f / cap;
    forRows(y.rows, d.rows, y.cols, [&](std::int64_t t, std::int64_t r) {
        const float* value = y.row(t);
        float* gradient = d.row(r);
        for (std::int64_t c = 0; c < y.cols; ++c) {
            const float tanh = value[c] * inverse;
            gradient[c] *= 1.0f - tanh * tanh;
        }
    });
}

} // namespace bw
