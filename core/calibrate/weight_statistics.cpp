// SPDX-License-Identifier: GPL-3.0-or-later
// What a weight looks like, for people: no calibration needed.
#include "core/base/parallel.h"
#include "core/calibrate/observers.h"

#include <algorithm>
#include <cfloat>
#include <cmath>

namespace bw {
namespace {

constexpr int kBins = 256;
constexpr double kOutlierSigmas = 6.0;
constexpr std::int64_t kRows = 32;

struct RowSums {
    double first = 0, second = 0, third = 0, fourth = 0;
    std::int64_t finite = 0, nan = 0, infinite = 0;
    float largest = 0;
};

RowSums sumRow(std::span<const float> row) {
    RowSums sums;
    for (const float w : row) {
        if (!(std::abs(w) <= FLT_MAX)) {
            ++(std::isnan(w) ? sums.nan : sums.infinite);
            continue;
        }
        const auto v = static_cast<double>(w);
        const double square = v * v;
        ++sums.finite;
        sums.first += v;
        sums.second += square;
        sums.third += square * v;
        sums.fourth += square * square;
        sums.largest = std::max(sums.largest, std::abs(w));
    }
    return sums;
}

/// Runs body(row) for all rows in parallel pieces.
template <class Body>
void forRows(std::int64_t rows, Body body) {
    parallelFor(rows, kRows, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r)
            body(r);
    });
}

struct Counts {
    std::vector<std::uint64_t> bins;
    std::int64_t outliers = 0;
};

} // namespace

WeightStatistics weightStatistics(MatrixView<const float> weight) {
    std::vector<RowSums> rows(static_cast<std::size_t>(weight.rows));
    forRows(weight.rows, [&](std::int64_t r) { rows[static_cast<std::size_t>(r)] = sumRow(weight.rowSpan(r)); });
    WeightStatistics statistics;
    RowSums all;
    for (const RowSums& row : rows) {
        all.first += row.first;
        all.second += row.second;
        all.third += row.third;
        all.fourth += row.fourth;
        all.finite += row.finite;
        statistics.nan += row.nan;
        statistics.infinite += row.infinite;
        all.largest = std::max(all.largest, row.largest);
        statistics.rowMax.push_back(row.largest);
    }
    statistics.maximum = static_cast<double>(all.largest);
    Histogram& histogram = statistics.histogram;
    histogram.high = all.largest > 0 ? all.largest : 1.0f;
    histogram.low = -histogram.high;
    histogram.bins.assign(kBins, 0);
    histogram.nan = static_cast<std::uint64_t>(statistics.nan);
    histogram.infinite = static_cast<std::uint64_t>(statistics.infinite);
    if (all.finite == 0)
        return statistics;
    const auto n = static_cast<double>(all.finite);
    const double mean = all.first / n, variance = std::max(0.0, all.second / n - mean * mean);
    statistics.mean = mean;
    statistics.deviation = std::sqrt(variance);
    const double central = all.fourth / n - 4 * mean * all.third / n + 6 * mean * mean * all.second / n - 3 * mean * mean * mean * mean;
    statistics.kurtosis = variance > 0 ? central / (variance * variance) - 3.0 : 0.0;

    const double scale = kBins / (2.0 * static_cast<double>(histogram.high));
    const double limit = kOutlierSigmas * statistics.deviation;
    std::vector<Counts> pieces(static_cast<std::size_t>((weight.rows + kRows - 1) / kRows));
    parallelFor(static_cast<std::int64_t>(pieces.size()), 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t p = begin; p < end; ++p) {
            Counts& counts = pieces[static_cast<std::size_t>(p)];
            counts.bins.assign(kBins, 0);
            for (std::int64_t r = p * kRows; r < std::min(weight.rows, (p + 1) * kRows); ++r)
                for (const float w : weight.rowSpan(r)) {
                    if (!(std::abs(w) <= FLT_MAX))
                        continue;
                    const auto v = static_cast<double>(w);
                    const auto bin = static_cast<std::size_t>((v - static_cast<double>(histogram.low)) * scale);
                    ++counts.bins[std::min<std::size_t>(bin, kBins - 1)];
                    counts.outliers += std::abs(v - mean) > limit ? 1 : 0;
                }
        }
    });
    std::int64_t outliers = 0;
    for (const Counts& counts : pieces) {
        for (std::size_t b = 0; b < kBins; ++b)
            histogram.bins[b] += counts.bins[b];
        outliers += counts.outliers;
    }
    statistics.outlierShare = static_cast<double>(outliers) / n;
    return statistics;
}

} // namespace bw
