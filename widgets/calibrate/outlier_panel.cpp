// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/calibrate/outlier_panel.h"

#include "core/base/error.h"
#include "widgets/calibrate/activation_panel.h"
#include "widgets/plots/heatmap_plot.h"
#include "widgets/plots/plot_export.h"
#include "widgets/session/session.h"
#include "widgets/theme/panel.h"

#include <QCheckBox>
#include <QComboBox>
#include <QHBoxLayout>
#include <QVBoxLayout>
#include <algorithm>
#include <limits>

namespace bw {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

} // namespace

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
    after_ = new QCheckBox(tr("after the what-if"), this);
    after_->setObjectName(QStringLiteral("calibrate.map.after"));
    auto* line = new QWidget(this);
    line->setMinimumHeight(28); // of the box: its own minimum in the style sheet is below what it needs
    auto* choices = new QHBoxLayout(line);
    choices->setContentsMargins(0, 0, 0, 0);
    choices->setSpacing(12);
    choices->addWidget(kind_);
    choices->addWidget(after_);
    choices->addStretch(1);
    panel_->body()->addWidget(line);
    panel_->body()->addWidget(map_, 1);
    auto* all = new QVBoxLayout(this);
    all->setContentsMargins(0, 0, 0, 0);
    all->addWidget(panel_);
    addExportMenu(map_, QStringLiteral("outlier-map"), [this] { return map_->csv(); });
    connect(kind_, &QComboBox::currentIndexChanged, this, &OutlierPanel::show);
    connect(after_, &QCheckBox::toggled, this, &OutlierPanel::show);
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

void OutlierPanel::setQuestion(const WhatIf& question) {
    if (question == question_) return;
    question_ = question;
    show();
}

/// Only when they are asked for: of a large model they are megabytes.
void OutlierPanel::readWeights() {
    if (weightsOf_ == session_->calibrationRun() || !session_->log()) return;
    weightsOf_ = session_->calibrationRun();
    weights_.clear();
    try {
        for (const ChannelStatisticsRow& row : session_->log()->channelStatistics(weightsOf_)) weights_.insert(QString::fromStdString(row.group), row.weightMax);
    } catch (const Error& e) {
        Q_EMIT session_->messageRequested(QString::fromStdString(e.message()));
    }
}

/// Largest magnitudes after the question; none for channels that are kept apart.
QVector<double> OutlierPanel::changed(const SiteStatisticsRow& row, std::size_t channels) const {
    const std::vector<float> weights = weights_.value(QString::fromStdString(row.group));
    QVector<double> out;
    double largest = 0;
    for (std::size_t c = 0; c < channels; ++c) {
        double value = c < row.channelMax.size() ? static_cast<double>(row.channelMax[c]) : kNone;
        if (question_.alpha) value *= smoothFactor(value, c < weights.size() ? static_cast<double>(weights[c]) : 1.0, *question_.alpha);
        if (question_.threshold && value > *question_.threshold) value = kNone;
        if (value > largest) largest = value;
        out << value;
    }
    if (question_.clip == WhatIf::Clip::share)
        for (double& value : out) value = value > question_.clipValue * largest ? question_.clipValue * largest : value;
    return out;
}

void OutlierPanel::show() {
    const std::string ending = "." + kind_->currentData().toString().toStdString();
    const bool known = question_.alpha || question_.threshold || question_.clip == WhatIf::Clip::share;
    after_->setEnabled(known && !question_.rotate && !rows_.empty());
    after_->setToolTip(question_.rotate ? tr("A rotation spreads every channel over all of them: there is no map of channels after it.")
                                        : tr("What the what-if would make of these maxima, in the same colours. Channels kept in 16 bits have none."));
    const bool after = after_->isChecked() && after_->isEnabled();
    if (after && question_.alpha) readWeights();
    shown_.clear();
    std::size_t channels = 0;
    QStringList labels;
    for (const SiteStatisticsRow& row : rows_) {
        if (!row.group.ends_with(ending)) continue;
        shown_.push_back(&row);
        channels = std::max(channels, row.channelMax.size());
        labels << QString::fromStdString(row.group).section(QLatin1Char('.'), 0, 1);
    }
    QVector<double> values, then;
    values.reserve(static_cast<qsizetype>(shown_.size() * channels));
    for (const SiteStatisticsRow* row : shown_) {
        for (std::size_t c = 0; c < channels; ++c) values << (c < row->channelMax.size() ? static_cast<double>(row->channelMax[c]) : kNone);
        if (after) then += changed(*row, channels);
    }
    QStringList notes;
    if (after)
        for (const double value : std::as_const(values)) notes << tr("as it is: %1").arg(value, 0, 'g', 4);
    map_->setCellNotes(notes);
    map_->setScaleWith(after ? values : QVector<double>());
    if (after) values = then;
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
