// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/calibrate/expert_panel.h"

#include "widgets/plots/heatmap_plot.h"
#include "widgets/session/session.h"
#include "widgets/theme/panel.h"

#include <QVBoxLayout>
#include <algorithm>
#include <limits>

namespace bw {

ExpertPanel::ExpertPanel(Session* session, QWidget* parent) : QWidget(parent) {
    panel_ = new Panel(tr("Experts"), this);
    map_ = new HeatmapPlot(this);
    map_->setObjectName(QStringLiteral("calibrate.experts"));
    map_->setAccessibleName(tr("Calibration tokens of each expert"));
    map_->setUnit(tr("tokens"));
    panel_->body()->addWidget(map_);
    auto* all = new QVBoxLayout(this);
    all->setContentsMargins(0, 0, 0, 0);
    all->addWidget(panel_);
    connect(map_, &HeatmapPlot::cellClicked, this, [session](int row, int col) { // the expert's first site is as good as any
        if (session->model())
            for (const Site& site : session->model()->sites())
                if (site.block.value() == row && QString::fromStdString(site.name).endsWith(QStringLiteral(".e%1").arg(col))) return session->selectSite(QString::fromStdString(site.name));
    });
}

void ExpertPanel::setCoverage(const std::vector<ExpertCoverageRow>& rows) {
    int blocks = 0, experts = 0;
    std::int64_t least = std::numeric_limits<std::int64_t>::max(), starved = 0;
    constexpr int kMost = 4096; // a log from elsewhere may name any number
    for (const ExpertCoverageRow& row : rows) {
        if (row.block < 0 || row.expert < 0 || row.block >= kMost || row.expert >= kMost) continue;
        blocks = std::max(blocks, row.block + 1);
        experts = std::max(experts, row.expert + 1);
        least = std::min(least, row.tokens);
        starved += row.tokens == 0;
    }
    QVector<double> values(qsizetype(blocks) * experts, std::numeric_limits<double>::quiet_NaN());
    for (const ExpertCoverageRow& row : rows)
        if (row.block >= 0 && row.block < blocks && row.expert >= 0 && row.expert < experts) values[qsizetype(row.block) * experts + row.expert] = double(row.tokens);
    QStringList names, numbers;
    for (int b = 0; b < blocks; ++b) names << QString::number(b);
    for (int e = 0; e < experts; ++e) numbers << QString::number(e);
    map_->setRowLabels(names);
    map_->setColumnLabels(numbers);
    map_->setMatrix(blocks, experts, values);
    panel_->setHint(blocks == 0 ? QString() : starved > 0 ? tr("%1 saw no token: sample balanced, or more").arg(starved) : tr("the least saw %1 tokens").arg(least));
}

} // namespace bw
