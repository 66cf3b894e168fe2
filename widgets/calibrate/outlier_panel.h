// SPDX-License-Identifier: GPL-3.0-or-later
// Blocks × channels: the largest input of every channel, for one kind of input. Columns that light up in every row are
// the outlier channels; what a what-if would make of them is shown in the same colours.
#pragma once

#include "core/calibrate/what_if.h"
#include "core/experiment/log.h"

#include <QHash>
#include <QWidget>

class QCheckBox;
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
    void setQuestion(const WhatIf& question);

private:
    void show();
    void mark();
    void readWeights();
    QVector<double> changed(const SiteStatisticsRow& row, std::size_t channels) const;

    Session* session_;
    std::vector<SiteStatisticsRow> rows_;
    std::vector<const SiteStatisticsRow*> shown_; ///< one per row of the map
    Panel* panel_;
    HeatmapPlot* map_;
    QComboBox* kind_;
    QCheckBox* after_;
    WhatIf question_;
    RunId weightsOf_;                                    ///< run that weights_ are of
    QHash<QString, std::vector<float>> weights_;         ///< by input: largest weight of each channel
};

} // namespace bw
