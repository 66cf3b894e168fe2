// SPDX-License-Identifier: GPL-3.0-or-later
// Blocks × channels: the largest input of every channel, for one kind of input. Columns that light up in every row are
// the outlier channels.
#pragma once

#include "core/experiment/log.h"

#include <QWidget>

class QComboBox;

namespace bw {

class HeatmapPlot;
class Panel;
class Session;

class OutlierPanel final : public QWidget {
    Q_OBJECT
public:
    explicit OutlierPanel(Session* session, QWidget* parent = nullptr);
    void setStatistics(std::vector<SiteStatisticsRow> rows);

private:
    void show();
    void mark();

    Session* session_;
    std::vector<SiteStatisticsRow> rows_;
    std::vector<const SiteStatisticsRow*> shown_; ///< one per row of the map
    Panel* panel_;
    HeatmapPlot* map_;
    QComboBox* kind_;
};

} // namespace bw
