// SPDX-License-Identifier: GPL-3.0-or-later
// Small painted figures without axes for narrow places: bars with a name and a value, and channel maxima. Exact values
// on hovering. For real plots see widgets/plots.
#pragma once

#include <QColor>
#include <QList>
#include <QString>
#include <QWidget>
#include <vector>

namespace bw {

/// One horizontal bar per line: name, bar, value.
class BarList final : public QWidget {
    Q_OBJECT
public:
    struct Bar {
        QString name, value, toolTip;
        double length = 0; ///< 0 … 1
        QColor color;
        bool current = false;
    };
    explicit BarList(QWidget* parent = nullptr);
    void setBars(const QList<Bar>& bars);
    QSize sizeHint() const override;
    QSize minimumSizeHint() const override { return sizeHint(); }

protected:
    void paintEvent(QPaintEvent* event) override;
    bool event(QEvent* event) override;

private:
    QList<Bar> bars_;
};

/// One vertical bar per channel, the largest of each pixel's channels; those above `threshold` in red.
class ChannelBars final : public QWidget {
    Q_OBJECT
public:
    explicit ChannelBars(QWidget* parent = nullptr);
    void setValues(std::vector<float> values, float threshold);
    QSize sizeHint() const override { return {200, 72}; }
    QSize minimumSizeHint() const override { return {120, 56}; }

protected:
    void paintEvent(QPaintEvent* event) override;
    bool event(QEvent* event) override;

private:
    std::vector<float> values_;
    float threshold_ = 0;
};

} // namespace bw
