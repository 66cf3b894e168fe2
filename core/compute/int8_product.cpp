// SPDX-License-Identifier: GPL-3.0-or-later
// Packing of codes and the tiling of their products over threads.
#include "core/compute/int8_product.h"

#include "core/base/parallel.h"
#include "core/compute/int8_kernels.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cmath>

namespace bw {
namespace {

constexpr std::int64_t kOutputs = Int8Panels::kOutputs;
constexpr std::int64_t kTileRows = 8;     ///< of one kernel call
constexpr std::int64_t kTaskRows = 64;    ///< times the width: they stay in the second-level cache while panels pass by
constexpr std::int64_t kTaskPanels = 16;
constexpr std::int64_t kPieceValues = 1 << 16;
/// Adding 1.5·2^23 to a float below 2^22 leaves its nearest integer, ties to even, in the low bits.
constexpr float kShift = 12582912.0f;

bool portableOnly = false; // set by tests before work starts

std::int64_t ceilDivide(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

using Sums = std::array<std::int32_t, kTileRows * kOutputs>;

void portablePanel(const std::int8_t* a, std::int64_t lda, const std::uint8_t* panel, std::int64_t quads, std::int64_t rows, Sums& sums) {
    sums.fill(0);
    for (std::int64_t r = 0; r < rows; ++r) {
        std::int32_t* to = sums.data() + r * kOutputs;
        for (std::int64_t k = 0; k < quads; ++k) {
            const std::int8_t* x = a + r * lda + 4 * k;
            const std::uint8_t* w = panel + k * 4 * kOutputs;
            for (std::int64_t o = 0; o < kOutputs; ++o)
                to[o] += x[0] * w[4 * o] + x[1] * w[4 * o + 1] + x[2] * w[4 * o + 2] + x[3] * w[4 * o + 3];
        }
    }
}

/// Calls `take(row, firstOutput, count, sums)` for every row and panel; the sums are those of the signed codes.
template <class Take>
void forEachTile(const Int8Rows& x, const Int8Panels& w, const Take& take) {
    assert(x.cols() == w.cols());
    const std::int64_t panels = ceilDivide(w.rows(), kOutputs), rowTasks = ceilDivide(x.rows(), kTaskRows), panelTasks = ceilDivide(panels, kTaskPanels);
    const bool portable = portableOnly || !hasInt8Products();
    parallelFor(rowTasks * panelTasks, 1, [&](std::int64_t begin, std::int64_t end) {
        Sums sums;
        for (std::int64_t t = begin; t < end; ++t) {
            const std::int64_t firstRow = t % rowTasks * kTaskRows, firstPanel = t / rowTasks * kTaskPanels;
            const std::int64_t lastRow = std::min(x.rows(), firstRow + kTaskRows);
            for (std::int64_t p = firstPanel; p < std::min(panels, firstPanel + kTaskPanels); ++p)
                for (std::int64_t row = firstRow; row < lastRow; row += kTileRows) {
                    const std::int64_t count = std::min(kTileRows, lastRow - row);
                    if (portable) portablePanel(x.row(row), x.stride(), w.panel(p), w.quads(), count, sums);
                    else int8::multiplyPanel(x.row(row), x.stride(), w.panel(p), w.quads(), count, sums.data());
                    for (std::int64_t r = 0; r < count; ++r) {
                        std::int32_t* own = sums.data() + r * kOutputs;
                        const std::int32_t offset = 128 * x.sum(row + r); // the panel's codes are 128 too large
                        for (std::int64_t o = 0; o < kOutputs; ++o) own[o] -= offset;
                        take(row + r, p * kOutputs, std::min(kOutputs, w.rows() - p * kOutputs), own);
                    }
                }
        }
    });
}

} // namespace

bool hasInt8Products() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
#else
    return false;
#endif
}

void usePortableInt8(bool portable) { portableOnly = portable; }

Int8Rows::Int8Rows(MatrixView<const float> x)
    : rows_(x.rows), cols_(x.cols), codes_(new std::int8_t[static_cast<std::size_t>(x.rows * stride())]), scales_(static_cast<std::size_t>(x.rows)),
      sums_(static_cast<std::size_t>(x.rows)) {
    assert(cols_ <= kMostInt8Columns);
    parallelFor(rows_, std::max<std::int64_t>(1, kPieceValues / std::max<std::int64_t>(1, cols_)), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r) {
            const float* from = x.row(r);
            std::int8_t* to = codes_.get() + r * stride();
            float most = 0;
            for (std::int64_t c = 0; c < cols_; ++c) most = std::max(most, std::abs(from[c]));
            const float scale = most / 127, divisor = scale > 0 ? scale : 1.0f;
            std::int32_t sum = 0;
            for (std::int64_t c = 0; c < cols_; ++c) {
                const float clamped = scale > 0 ? std::min(std::max(from[c] / divisor, -127.0f), 127.0f) : 0.0f;
                const std::int32_t code = std::bit_cast<std::int32_t>(clamped + kShift) - std::bit_cast<std::int32_t>(kShift);
                to[c] = static_cast<std::int8_t>(code);
                sum += code;
            }
            std::fill(to + cols_, to + stride(), std::int8_t{0});
            scales_[static_cast<std::size_t>(r)] = scale;
            sums_[static_cast<std::size_t>(r)] = sum;
        }
    });
}

Int8Panels::Int8Panels(std::span<const std::int8_t> codes, std::int64_t rows, std::int64_t cols, std::vector<float> scales)
    : rows_(rows), cols_(cols), scales_(std::move(scales)) {
    assert(static_cast<std::int64_t>(codes.size()) == rows * cols && static_cast<std::int64_t>(scales_.size()) == rows);
    const std::int64_t panels = ceilDivide(rows, kOutputs), panelBytes = quads() * 4 * kOutputs;
    values_.assign(static_cast<std::size_t>(panels * panelBytes), std::uint8_t{128});
    parallelFor(panels, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t p = begin; p < end; ++p)
            for (std::int64_t o = p * kOutputs; o < std::min(rows, (p + 1) * kOutputs); ++o) {
                std::uint8_t* out = values_.data() + p * panelBytes + (o - p * kOutputs) * 4;
                for (std::int64_t i = 0; i < cols; ++i)
                    out[i / 4 * 4 * kOutputs + i % 4] = static_cast<std::uint8_t>(codes[static_cast<std::size_t>(o * cols + i)] + 128);
            }
    });
}

void multiplyInt8Sums(const Int8Rows& x, const Int8Panels& w, MatrixView<std::int32_t> y) {
    assert(y.rows == x.rows() && y.cols == w.rows());
    forEachTile(x, w, [&](std::int64_t row, std::int64_t first, std::int64_t count, const std::int32_t* sums) { std::copy_n(sums, count, y.row(row) + first); });
}

void multiplyInt8(const Int8Rows& x, const Int8Panels& w, MatrixView<float> y, bool add) {
    assert(y.rows == x.rows() && y.cols == w.rows());
    forEachTile(x, w, [&](std::int64_t row, std::int64_t first, std::int64_t count, const std::int32_t* sums) {
        const float scale = x.scale(row);
        const float* scales = w.scales() + first;
        float* out = y.row(row) + first;
        if (add)
            for (std::int64_t o = 0; o < count; ++o) out[o] += static_cast<float>(sums[o]) * (scale * scales[o]);
        else
            for (std::int64_t o = 0; o < count; ++o) out[o] = static_cast<float>(sums[o]) * (scale * scales[o]);
    });
}

} // namespace bw
