// SPDX-License-Identifier: GPL-3.0-or-later
// What calibration asks of activations, and rows of a weight, on the CPU: the defaults of every device.
#include "core/base/parallel.h"
#include "core/compute/device.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cfloat>
#include <cmath>

namespace bw {
namespace {

/// Channels summed by one thread at a time, and rows; fixed, so that sums do not depend on the number of threads.
constexpr std::int64_t kChannels = 64, kRows = 16;
/// Levels on one side of a row's grid.
constexpr float kLevels = 127.0f;
/// Adding and subtracting 1.5·2^23 rounds a float of |x| < 2^22 to the nearest integer, ties to even.
constexpr float kRoundingShift = 12582912.0f;

InputSums::Row judgeRow(std::span<const float> row) {
    float largest = 0;
    for (const float v : row) largest = std::max(largest, std::abs(v));
    const float step = largest / kLevels;
    InputSums::Row made;
    if (!(step > 0) || !(largest <= FLT_MAX)) return made;
    const float inverse = kLevels / largest;
    for (const float v : row) {
        const float code = (v * inverse + kRoundingShift) - kRoundingShift;
        const auto rest = static_cast<double>(v - code * step), value = static_cast<double>(v);
        made.error += rest * rest;
        made.power += value * value;
    }
    return made;
}

/// Channels [begin, begin+n); sums lie beside each other so that they vectorize.
void sumChannels(MatrixView<const float> x, std::int64_t begin, std::int64_t n, InputSums::Channel* out) {
    double first[kChannels] = {}, absolute[kChannels] = {}, second[kChannels] = {}, third[kChannels] = {}, fourth[kChannels] = {};
    float low[kChannels], high[kChannels];
    std::fill(low, low + kChannels, FLT_MAX);
    std::fill(high, high + kChannels, -FLT_MAX);
    for (std::int64_t t = 0; t < x.rows; ++t) {
        const float* row = x.row(t) + begin;
        for (std::int64_t c = 0; c < n; ++c) {
            const auto v = static_cast<double>(row[c]);
            const double square = v * v;
            first[c] += v;
            absolute[c] += std::abs(v);
            second[c] += square;
            third[c] += square * v;
            fourth[c] += square * square;
            low[c] = std::min(low[c], row[c]);
            high[c] = std::max(high[c], row[c]);
        }
    }
    for (std::int64_t c = 0; c < n; ++c) out[c] = {first[c], absolute[c], second[c], third[c], fourth[c], low[c], high[c]};
}

} // namespace

void Device::inputSums(MatrixView<const float> x, InputSums& out) {
    out.channels.assign(static_cast<std::size_t>(x.cols), {});
    out.rows.assign(static_cast<std::size_t>(x.rows), {});
    parallelFor((x.cols + kChannels - 1) / kChannels, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t p = begin; p < end; ++p)
            sumChannels(x, p * kChannels, std::min(kChannels, x.cols - p * kChannels), out.channels.data() + p * kChannels);
    });
    parallelFor((x.rows + kRows - 1) / kRows, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t t = begin * kRows; t < std::min(x.rows, end * kRows); ++t) out.rows[static_cast<std::size_t>(t)] = judgeRow(x.rowSpan(t));
    });
}

void Device::logHistograms(MatrixView<const float> x, std::span<const std::int32_t> least, std::int32_t side, std::span<std::uint32_t> counts) {
    constexpr int kShift = 20; // leaves three bits of the mantissa
    const std::int64_t bins = 2 * std::int64_t{side} + 1;
    assert(static_cast<std::int64_t>(least.size()) == x.cols && static_cast<std::int64_t>(counts.size()) == x.cols * bins);
    parallelFor((x.cols + kChannels - 1) / kChannels, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t t = 0; t < x.rows; ++t)
            for (std::int64_t c = begin * kChannels; c < std::min(x.cols, end * kChannels); ++c) {
                const auto bits = std::bit_cast<std::uint32_t>(x(t, c));
                const auto bin = static_cast<std::int32_t>((bits & 0x7fffffffu) >> kShift) - least[static_cast<std::size_t>(c)];
                const bool small = bin < 0 || (bits & 0x7fffffffu) == 0;
                ++counts[static_cast<std::size_t>(c * bins + (small ? 2 * side : bin + ((bits >> 31) != 0 ? side : 0)))];
            }
    });
}

void Device::rowsOf(const DeviceWeight& w, std::span<const std::int32_t> rows, MatrixView<float> y) {
    assert(static_cast<std::int64_t>(rows.size()) == y.rows && w.cols == y.cols);
    for (std::size_t t = 0; t < rows.size(); ++t) std::copy_n(w.values.row(rows[t]), y.cols, y.row(static_cast<std::int64_t>(t)));
}

} // namespace bw
