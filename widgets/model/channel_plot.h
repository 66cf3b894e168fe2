// SPDX-License-Identifier: GPL-3.0-or-later
// Largest magnitude of every channel of a weight, in channel order, with the value under the pointer.
#pragma once

#include "widgets/plots/plot_style.h"

#include <vector>

namespace bw {

class ChannelPlot final : public Plot {
    Q_OBJECT
public:
    explicit ChannelPlot(QWidget* parent = nullptr);
    void setValues(const std::vector<float>& values);
    QString csv() const;
    QSize minimumSizeHint() const override { return {160, 96}; }

protected:
    void mouseMoveEvent(QMouseEvent* event) override;

private:
    void recolor();
    std::vector<float> values_;
    QCPGraph* graph_;
    PlotMessage* message_;
};

} // namespace bw
