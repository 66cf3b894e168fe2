// SPDX-License-Identifier: GPL-3.0-or-later
// A reliability diagram of two runs: was each as often right as it was sure? On the diagonal it was; below, it claimed too much.
#pragma once

#include "core/evaluate/reliability.h"
#include "widgets/plots/plot_style.h"

#include <vector>

namespace bw {

class ReliabilityPlot final : public Plot {
    Q_OBJECT
public:
    explicit ReliabilityPlot(QWidget* parent = nullptr);
    /// Bins of A and B by rising confidence; either may be empty. Bins without predictions are left out.
    void setBins(const std::vector<ReliabilityBin>& a, const std::vector<ReliabilityBin>& b);
    /// "A: sure 0.62, right 0.58 (0.55 … 0.61), 812 tokens" of the nearest point within reach; empty far from all.
    QString textAt(const QPointF& position) const;
    QString csv() const;
    QSize sizeHint() const override { return {320, 180}; }
    QSize minimumSizeHint() const override { return {140, 90}; }

protected:
    bool event(QEvent* event) override;

private:
    struct Series {
        QString name;
        std::vector<ReliabilityBin> bins;
        QCPGraph* graph = nullptr;
        QCPErrorBars* bars = nullptr;
    };
    void recolor();
    Series a_, b_;
    QCPGraph* diagonal_;
    PlotMessage* message_;
};

} // namespace bw
