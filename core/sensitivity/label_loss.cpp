// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/sensitivity/label_loss.h"

#include "core/base/parallel.h"
#include "core/base/random.h"
#include "core/compute/cpu_device.h"

#include <algorithm>
#include <cmath>

namespace bw::detail {
namespace {

constexpr std::int64_t kRows = 4;       ///< of logits per piece: some 10⁵ values
constexpr std::int64_t kColumns = 1024; ///< per piece of a sum over rows

/// The first index whose running sum passes `chance`; the likeliest when rounding keeps the sum below it.
std::int64_t indexAt(std::span<const float> probabilities, double chance) {
    double sum = 0;
    for (std::size_t v = 0; v < probabilities.size(); ++v) {
        sum += static_cast<double>(probabilities[v]);
        if (sum > chance) return static_cast<std::int64_t>(v);
    }
    return std::max_element(probabilities.begin(), probabilities.end()) - probabilities.begin();
}

} // namespace

double labelChance(std::uint64_t seed, std::int64_t window, int draw, std::int64_t row) {
    std::uint64_t mixed = seed;
    for (const std::int64_t part : {window, static_cast<std::int64_t>(draw), row})
        mixed = Random(mixed ^ (0x9e3779b97f4a7c15ull * (static_cast<std::uint64_t>(part) + 1))).next();
    return Random(mixed).uniform();
}

LabelLoss::LabelLoss(std::int64_t vocabulary, int draws, std::uint64_t seed)
    : draws_(draws), seed_(seed), average_(static_cast<std::size_t>(vocabulary), 0.0) {}

void LabelLoss::gradient(std::int64_t window, int draw, MatrixView<const float> logits, MatrixView<float> gradient) {
    softmaxRows(logits, gradient);
    if (draw == 0) observe(logits, gradient);
    parallelFor(gradient.rows, kRows, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t t = begin; t < end; ++t)
            gradient(t, indexAt(gradient.rowSpan(t), labelChance(seed_, window, draw, t))) -= 1.0f;
    });
}

void LabelLoss::observe(MatrixView<const float> logits, MatrixView<const float> probabilities) {
    rowValues_.assign(static_cast<std::size_t>(logits.rows), 0.0);
    parallelFor(logits.rows, kRows, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t t = begin; t < end; ++t) {
            // Σ p·log p = Σ p·(x − log Σ eˣ); p = 0 goes with a very small, but finite x.
            double sum = 0;
            for (std::int64_t v = 0; v < logits.cols; ++v)
                sum += static_cast<double>(probabilities(t, v)) * static_cast<double>(logits(t, v));
            rowValues_[static_cast<std::size_t>(t)] = sum - logSumExp(logits.rowSpan(t));
        }
    });
    for (const double value : rowValues_) negativeEntropy_ += value;
    parallelFor(logits.cols, kColumns, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t t = 0; t < logits.rows; ++t)
            for (std::int64_t v = begin; v < end; ++v)
                average_[static_cast<std::size_t>(v)] += static_cast<double>(probabilities(t, v));
    });
    rows_ += logits.rows;
}

double LabelLoss::saturation() const {
    if (rows_ == 0) return 0;
    const auto n = static_cast<double>(rows_);
    double ofAverage = 0;
    for (const double sum : average_)
        if (sum > 0) ofAverage += sum / n * std::log(sum / n);
    return std::max(0.0, negativeEntropy_ / n - ofAverage);
}

} // namespace bw::detail
