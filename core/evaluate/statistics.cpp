// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/evaluate/statistics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

namespace bw::detail {
namespace {

constexpr std::int64_t kLeastGroups = 8;
constexpr double kNormal95 = 1.959964; ///< two-sided 95 % of a normal distribution

} // namespace

MeanError meanOf(std::span<const double> values) {
    if (values.empty())
        return {};
    const auto n = static_cast<double>(values.size());
    MeanError result;
    for (const double v : values)
        result.mean += v;
    result.mean /= n;
    double squares = 0;
    for (const double v : values)
        squares += (v - result.mean) * (v - result.mean);
    if (values.size() > 1)
        result.error = std::sqrt(squares / (n - 1) / n);
    return result;
}

MeanError groupedMean(std::span<const double> values, std::int64_t groups) {
    MeanError all = meanOf(values);
    if (groups < kLeastGroups || static_cast<std::int64_t>(values.size()) % groups != 0)
        return all;
    const std::size_t size = values.size() / static_cast<std::size_t>(groups);
    std::vector<double> means;
    for (std::size_t g = 0; g < static_cast<std::size_t>(groups); ++g)
        means.push_back(meanOf(values.subspan(g * size, size)).mean);
    all.error = meanOf(means).error;
    return all;
}

double quantile(std::span<const double> ascending, double fraction) {
    if (ascending.empty())
        return 0;
    const double at = std::clamp(fraction, 0.0, 1.0) * static_cast<double>(ascending.size() - 1);
    const auto low = static_cast<std::size_t>(at);
    const std::size_t high = std::min(low + 1, ascending.size() - 1);
    return ascending[low] + (at - static_cast<double>(low)) * (ascending[high] - ascending[low]);
}

std::vector<ReliabilityBin> reliability(std::span<const Prediction> predictions, int bins) {
    std::vector<std::size_t> order(predictions.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return predictions[a].confidence < predictions[b].confidence; });
    std::vector<ReliabilityBin> out;
    for (std::size_t b = 0; b < static_cast<std::size_t>(bins); ++b) {
        const std::size_t first = b * order.size() / static_cast<std::size_t>(bins);
        const std::size_t last = (b + 1) * order.size() / static_cast<std::size_t>(bins);
        if (first == last)
            continue;
        ReliabilityBin bin;
        bin.count = static_cast<std::int64_t>(last - first);
        for (std::size_t i = first; i < last; ++i) {
            bin.confidence += predictions[order[i]].confidence;
            bin.accuracy += predictions[order[i]].correct ? 1.0 : 0.0;
        }
        const auto n = static_cast<double>(bin.count);
        bin.confidence /= n;
        bin.accuracy /= n;
        const double z2 = kNormal95 * kNormal95;
        const double middle = (bin.accuracy + z2 / (2 * n)) / (1 + z2 / n);
        const double reach = kNormal95 / (1 + z2 / n) * std::sqrt(bin.accuracy * (1 - bin.accuracy) / n + z2 / (4 * n * n));
        bin.low = std::max(0.0, middle - reach);
        bin.high = std::min(1.0, middle + reach);
        out.push_back(bin);
    }
    return out;
}

double calibrationError(std::span<const Prediction> predictions, int bins) {
    double error = 0;
    for (const ReliabilityBin& bin : reliability(predictions, bins))
        error += std::abs(bin.confidence - bin.accuracy) * static_cast<double>(bin.count);
    return predictions.empty() ? 0.0 : error / static_cast<double>(predictions.size());
}

double brierScore(std::span<const Prediction> predictions) {
    double sum = 0;
    for (const Prediction& p : predictions) {
        const double gap = p.confidence - (p.correct ? 1.0 : 0.0);
        sum += gap * gap;
    }
    return predictions.empty() ? 0.0 : sum / static_cast<double>(predictions.size());
}

std::int64_t argmax(std::span<const float> values) {
    // Independent lanes let the compiler vectorize the search for the maximum; its place is then found in a second look.
    constexpr std::size_t kLanes = 16;
    std::array<float, kLanes> peaks;
    peaks.fill(-std::numeric_limits<float>::infinity());
    std::size_t i = 0;
    for (; i + kLanes <= values.size(); i += kLanes)
        for (std::size_t lane = 0; lane < kLanes; ++lane)
            peaks[lane] = values[i + lane] > peaks[lane] ? values[i + lane] : peaks[lane];
    float peak = *std::max_element(peaks.begin(), peaks.end());
    for (; i < values.size(); ++i)
        peak = values[i] > peak ? values[i] : peak;
    const auto it = std::find(values.begin(), values.end(), peak);
    return it == values.end() ? 0 : it - values.begin();
}

std::vector<std::int64_t> largest(std::span<const float> values, std::int64_t k) {
    const auto keep = static_cast<std::size_t>(std::clamp<std::int64_t>(k, 0, static_cast<std::int64_t>(values.size())));
    const auto key = [&](std::int64_t i) {
        const float v = values[static_cast<std::size_t>(i)];
        return std::isnan(v) ? -std::numeric_limits<float>::infinity() : v;
    };
    const auto better = [&](std::int64_t a, std::int64_t b) { return key(a) != key(b) ? key(a) > key(b) : a < b; };
    std::vector<std::int64_t> heap; // its front is the worst that is kept
    heap.reserve(keep + 1);
    float worst = -std::numeric_limits<float>::infinity();
    for (std::int64_t i = 0; i < static_cast<std::int64_t>(values.size()); ++i) {
        if (heap.size() == keep && !(values[static_cast<std::size_t>(i)] > worst))
            continue;
        heap.push_back(i);
        std::push_heap(heap.begin(), heap.end(), better);
        if (heap.size() > keep) {
            std::pop_heap(heap.begin(), heap.end(), better);
            heap.pop_back();
        }
        if (heap.size() == keep && keep > 0)
            worst = key(heap.front());
    }
    std::sort(heap.begin(), heap.end());
    return heap;
}

} // namespace bw::detail
