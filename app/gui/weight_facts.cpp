// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/gui/weight_facts.h"

#include "core/base/error.h"
#include "core/base/matrix.h"
#include "core/format/affine.h"

#include <algorithm>
#include <cmath>

namespace bw {
namespace {

constexpr int kSparklinePoints = 40;
constexpr int kMapRows = 96, kMapCols = 128;

/// Largest value of each of `points` equal parts.
std::vector<float> profile(const std::vector<float>& values, int points) {
    const auto count = std::min<std::size_t>(values.size(), static_cast<std::size_t>(points));
    std::vector<float> out(count, 0.0F);
    for (std::size_t i = 0; i < values.size(); ++i) {
        float& bin = out[i * count / values.size()];
        bin = std::max(bin, values[i]);
    }
    return out;
}

/// Mean |W| over the cells of a coarse grid.
void fillMap(MatrixView<const float> weight, WeightView& view) {
    view.thumbRows = static_cast<int>(std::min<std::int64_t>(kMapRows, weight.rows));
    view.thumbCols = static_cast<int>(std::min<std::int64_t>(kMapCols, weight.cols));
    const auto cells = static_cast<std::size_t>(view.thumbRows) * static_cast<std::size_t>(view.thumbCols);
    std::vector<double> sums(cells, 0.0);
    std::vector<std::int64_t> counts(cells, 0);
    for (std::int64_t r = 0; r < weight.rows; ++r) {
        const float* row = weight.row(r);
        const std::int64_t base = r * view.thumbRows / weight.rows * view.thumbCols;
        for (std::int64_t c = 0; c < weight.cols; ++c) {
            const auto cell = static_cast<std::size_t>(base + c * view.thumbCols / weight.cols);
            sums[cell] += std::fabs(static_cast<double>(row[c]));
            ++counts[cell];
        }
    }
    view.thumbnail.resize(cells);
    for (std::size_t i = 0; i < cells; ++i)
        view.thumbnail[i] = counts[i] == 0 ? 0.0F : static_cast<float>(sums[i] / static_cast<double>(counts[i]));
}

double relativeError(MatrixView<const float> weight, MatrixView<const float> rounded) {
    double error = 0, power = 0;
    for (std::int64_t r = 0; r < weight.rows; ++r) {
        const float *w = weight.row(r), *q = rounded.row(r);
        for (std::int64_t c = 0; c < weight.cols; ++c) {
            const double d = static_cast<double>(w[c]) - static_cast<double>(q[c]);
            error += d * d;
            power += static_cast<double>(w[c]) * static_cast<double>(w[c]);
        }
    }
    return power > 0 ? error / power : 0.0;
}

/// Columns that share a scale: the affine group, a whole row, or 32 as in every GGML block.
std::int64_t groupLength(const Format& format, std::int64_t cols) {
    if (const auto* affine = dynamic_cast<const AffineFormat*>(&format))
        return affine->grid().scope == AffineScope::group ? std::min(affine->grid().group, cols) : cols;
    return std::min<std::int64_t>(32, cols);
}

} // namespace

SiteFacts siteFacts(const Model& model, const Site& site) {
    const Matrix weight = model.siteWeight(site);
    const WeightStatistics s = weightStatistics(weight.view());
    return {s.kurtosis, s.outlierShare, s.maximum, profile(s.rowMax, kSparklinePoints), true};
}

std::vector<float> gridLevels(MatrixView<const float> weight, const Format& format) {
    const std::int64_t group = groupLength(format, weight.cols);
    if (group < 4) return {};
    float low = 0, high = 0, best = -1;
    for (std::int64_t r = 0; r < weight.rows; ++r) {
        for (std::int64_t c = 0; c + group <= weight.cols; c += group) {
            const auto [lo, hi] = std::minmax_element(weight.row(r) + c, weight.row(r) + c + group);
            const float magnitude = std::max(std::fabs(*lo), std::fabs(*hi));
            if (!std::isfinite(magnitude) || magnitude <= best) continue;
            best = magnitude;
            low = *lo;
            high = *hi;
        }
    }
    if (!(high > low)) return {};
    // Ramps between the group's own extremes, shifted from row to row, touch every level its scale allows.
    constexpr std::int64_t kRamps = 12;
    Matrix ramps(kRamps, weight.cols), decoded(kRamps, weight.cols);
    if (!format.fits(kRamps, weight.cols)) return {};
    for (std::int64_t r = 0; r < kRamps; ++r) {
        for (std::int64_t c = 0; c < weight.cols; ++c) {
            const std::int64_t i = c % group;
            const double at = (static_cast<double>(i) + static_cast<double>(r) / kRamps) / static_cast<double>(group - 1);
            const double value = static_cast<double>(low) + std::min(at, 1.0) * static_cast<double>(high - low);
            ramps.row(r)[c] = i == 0 ? low : i == group - 1 ? high : static_cast<float>(value);
        }
    }
    format.roundTrip(ramps.view(), {}, decoded.view());
    std::vector<float> levels(decoded.data(), decoded.data() + decoded.size());
    std::sort(levels.begin(), levels.end());
    levels.erase(std::unique(levels.begin(), levels.end()), levels.end());
    constexpr std::size_t kMostLevels = 256;
    return levels.size() <= kMostLevels ? levels : std::vector<float>{};
}

WeightView weightView(const Model& model, const Site& site, const QString& format) {
    WeightView view;
    view.site = QString::fromStdString(site.name);
    const Matrix weight = model.siteWeight(site);
    view.statistics = weightStatistics(weight.view());
    fillMap(weight.view(), view);
    const bool finite = view.statistics.nan == 0 && view.statistics.infinite == 0;
    if (format.isEmpty() || format == QLatin1String("keep") || !finite) return view;
    const FormatPtr used = fallbackFormat(parseChoice(format.toStdString()).format, site.rows, site.cols);
    view.format = QString::fromStdString(used->name());
    Matrix rounded(site.rows, site.cols);
    used->roundTrip(weight.view(), {}, rounded.view());
    view.relativeError = relativeError(weight.view(), rounded.view());
    view.gridLevels = gridLevels(weight.view(), *used);
    return view;
}

} // namespace bw
