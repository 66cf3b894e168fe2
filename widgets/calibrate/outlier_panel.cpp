// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/calibrate/outlier_panel.h"

#include "widgets/calibrate/activation_panel.h"
#include "widgets/plots/heatmap_plot.h"
#include "widgets/plots/plot_export.h"
#include "widgets/session/session.h"
#include "widgets/theme/panel.h"

#include <QComboBox>
#include <QHBoxLayout>
#include <QVBoxLayout>
#include <limits>

namespace bw {

OutlierPanel::OutlierPanel(Session* session, QWidget* parent) : QWidget(parent), session_(session) {
    panel_ = new Panel(tr("Outlier map"), this);
    kind_ = new QComboBox(this);
    kind_->setAccessibleName(tr("Which inputs"));
    kind_->addItem(tr("into q, k, v"), QStringLiteral("attn_in"));
    kind_->addItem(tr("into attention output"), QStringLiteral("attn_output_in"));
    kind_->addItem(tr("into gate, up"), QStringLiteral("ffn_in"));
    kind_->addItem(tr("into down"), QStringLiteral("ffn_down_in"));
    kind_->setMinimumWidth(180);
    map_ = new HeatmapPlot(this);
    map_->setLogScale(true);
    map_->setEmptyText(tr("Calibrate to see which channels carry outliers"));
    map_->setAccessibleName(tr("Largest input by block and channel"));
    map_->setObjectName(QStringLiteral("calibrate.map"));
    panel_->setHint(tr("max |x| by block and channel · click a row to select its site"));
    panel_->body()->addWidget(kind_, 0, Qt::AlignLeft);
    panel_->body()->addWidget(map_, 1);
    auto* all = new QVBoxLayout(this);
    all->setContentsMargins(0, 0, 0, 0);
    all->addWidget(panel_);
    addExportMenu(map_, QStringLiteral("outlier-map"), [this] { return map_->csv(); });
    connect(kind_, &QComboBox::currentIndexChanged, this, &OutlierPanel::show);
    connect(session_, &Session::siteSelected, this, &OutlierPanel::mark);
    connect(map_, &HeatmapPlot::cellClicked, this, [this](int row, int) {
        if (row < 0 || row >= static_cast<int>(shown_.size())) return;
        const QStringList sites = sitesOf(*shown_[static_cast<std::size_t>(row)]);
        if (!sites.isEmpty()) session_->selectSite(sites.first());
    });
}

void OutlierPanel::setStatistics(std::vector<SiteStatisticsRow> rows) {
    rows_ = std::move(rows);
    show();
}

void OutlierPanel::show() {
    const std::string ending = "." + kind_->currentData().toString().toStdString();
    shown_.clear();
    std::size_t channels = 0;
    QStringList labels;
    for (const SiteStatisticsRow& row : rows_) {
        if (!row.group.ends_with(ending)) continue;
        shown_.push_back(&row);
        channels = std::max(channels, row.channelMax.size());
        labels << QString::fromStdString(row.group).section(QLatin1Char('.'), 0, 1);
    }
    QVector<double> values;
    values.reserve(static_cast<qsizetype>(shown_.size() * channels));
    for (const SiteStatisticsRow* row : shown_)
        for (std::size_t c = 0; c < channels; ++c)
            values << (c < row->channelMax.size() ? static_cast<double>(row->channelMax[c]) : std::numeric_limits<double>::quiet_NaN());
    QStringList columns;
    for (std::size_t c = 0; c < channels; ++c) columns << QString::number(c);
    map_->setMatrix(static_cast<int>(shown_.size()), static_cast<int>(channels), values);
    map_->setRowLabels(labels);
    map_->setColumnLabels(columns);
    mark();
}

void OutlierPanel::mark() {
    for (std::size_t r = 0; r < shown_.size(); ++r)
        if (sitesOf(*shown_[r]).contains(session_->selectedSite())) {
            map_->setCurrentCell(static_cast<int>(r), 0);
            return;
        }
    map_->setCurrentCell(-1, -1);
}

} // namespace bw
