// SPDX-License-Identifier: GPL-3.0-or-later
// How many calibration tokens were routed to each expert, block by block: what saw little has poor statistics.
#pragma once

#include "core/experiment/log.h"

#include <QWidget>

namespace bw {

class HeatmapPlot;
class Panel;
class Session;

class ExpertPanel final : public QWidget {
    Q_OBJECT
public:
    explicit ExpertPanel(Session* session, QWidget* parent = nullptr);
    void setCoverage(const std::vector<ExpertCoverageRow>& rows);
    HeatmapPlot* map() const { return map_; }

private:
    Panel* panel_;
    HeatmapPlot* map_;
};

} // namespace bw
