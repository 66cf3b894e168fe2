// SPDX-License-Identifier: GPL-3.0-or-later
// How often each size of KL occurs among the tokens, A and B over each other: a long tail at the right means that few tokens
// carry most of the damage.
#pragma once

#include "widgets/plots/plot_style.h"

#include <vector>

namespace bw {

class KlHistogram final : public Plot {
    Q_OBJECT
public:
    explicit KlHistogram(QWidget* parent = nullptr);
    /// Nats per token; either may be empty.
    void setScores(const std::vector<float>& a, const std::vector<float>& b);
    QString csv() const;
    /// "KL 0.01 … 0.0126: A 3.1 %, B 7.4 % of the tokens".
    QString textAt(double log10Kl) const;
    QSize sizeHint() const override { return {320, 180}; }
    QSize minimumSizeHint() const override { return {140, 90}; }

protected:
    bool event(QEvent* event) override;

private:
    void recolor();
    QCPGraph *a_, *b_;
    std::vector<double> shareA_, shareB_; ///< by bin; empty without scores
    PlotMessage* message_;
};

} // namespace bw
