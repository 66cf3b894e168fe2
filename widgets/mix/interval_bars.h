// SPDX-License-Identifier: GPL-3.0-or-later
// Predicted beside measured: two values with their errors on one small axis, so that agreement is seen, not worked out.
#pragma once

#include <QWidget>

namespace bw {

class IntervalBars final : public QWidget {
    Q_OBJECT
public:
    explicit IntervalBars(QWidget* parent = nullptr);
    void setValues(double predicted, double predictedError, double measured, double measuredError);
    QSize sizeHint() const override { return {200, 26}; }
    QSize minimumSizeHint() const override { return {80, 26}; }

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    double value_[2] = {}, error_[2] = {}; ///< predicted, measured
};

} // namespace bw
