// SPDX-License-Identifier: GPL-3.0-or-later
// The loss of the Fisher sketch: −log p of labels drawn from the model's own predictions, and what those predictions
// say about how far damage can grow. Private to core/sensitivity.
#pragma once

#include "core/model/reverse.h"

#include <vector>

namespace bw::detail {

class LabelLoss final : public LogitLoss {
public:
    LabelLoss(std::int64_t vocabulary, int draws, std::uint64_t seed);
    int draws() const override { return draws_; }
    /// softmax(logits) − 1 at the label: of −log p(label), summed over all rows. Labels of a (window, draw, row) hang
    /// on the seed alone.
    void gradient(std::int64_t window, int draw, MatrixView<const float> logits, MatrixView<float> gradient) override;
    /// Takes part in saturation(); gradient() does it for each window's first draw. `probabilities`: softmax(logits).
    void observe(MatrixView<const float> logits, MatrixView<const float> probabilities);
    /// Mean KL of the predictions seen against their own average, nats: Σ p·log p − Σ p̄·log p̄. Never below 0.
    double saturation() const;

private:
    int draws_;
    std::uint64_t seed_;
    std::vector<double> average_;   ///< Σ of probabilities over the rows seen
    std::vector<double> rowValues_; ///< Σ p·log p of the window at hand
    double negativeEntropy_ = 0;    ///< Σ of those over the rows seen
    std::int64_t rows_ = 0;
};

/// Uniform in [0, 1), the same for the same four numbers.
double labelChance(std::uint64_t seed, std::int64_t window, int draw, std::int64_t row);

} // namespace bw::detail
