// SPDX-License-Identifier: GPL-3.0-or-later
// The selected site's weight: histogram with the format's grid, per-channel maximum and the |W| map.
#pragma once

#include <QTimer>
#include <QWidget>

class QCheckBox;
class QComboBox;
class QLabel;

namespace bw {

class ChannelPlot;
class HeatmapPlot;
class HistogramPlot;
class Panel;
class Session;
struct WeightView;

class WeightPanel final : public QWidget {
    Q_OBJECT
public:
    explicit WeightPanel(Session* session, QWidget* parent = nullptr);

private:
    QWidget* makeControls();
    void show();
    void showNothing(const QString& why);
    void showFormat();
    void showMap(const WeightView& view);
    void showNumbers(const WeightView& view);

    Session* session_;
    Panel *histogramPanel_, *channelPanel_, *mapPanel_;
    HistogramPlot* histogram_;
    ChannelPlot* channels_;
    HeatmapPlot* map_;
    QComboBox* format_;
    QCheckBox* log_;
    QLabel *error_, *numbers_;
    QTimer late_; ///< runs while the view of a new site is being computed
};

} // namespace bw
