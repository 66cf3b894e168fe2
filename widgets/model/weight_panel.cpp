// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/model/weight_panel.h"

#include "core/base/text.h"
#include "widgets/model/channel_plot.h"
#include "widgets/model/format_names.h"
#include "widgets/plots/heatmap_plot.h"
#include "widgets/plots/histogram_plot.h"
#include "widgets/plots/number_text.h"
#include "widgets/plots/plot_export.h"
#include "widgets/session/counted.h"
#include "widgets/session/session.h"
#include "widgets/theme/elided_label.h"
#include "widgets/theme/panel.h"
#include "widgets/theme/theme.h"

#include <QAbstractItemView>
#include <QCheckBox>
#include <QComboBox>
#include <QHBoxLayout>
#include <QLabel>
#include <QStandardItemModel>
#include <QVBoxLayout>

namespace bw {

WeightPanel::WeightPanel(Session* session, QWidget* parent) : QWidget(parent), session_(session) {
    histogramPanel_ = new Panel(tr("Weights"), this);
    histogram_ = new HistogramPlot(this);
    histogram_->setLogCounts(true);
    histogram_->setEmptyText(tr("select a site"));
    histogram_->setAccessibleName(tr("Histogram of the weights"));
    numbers_ = new QLabel(this);
    numbers_->setProperty("role", QStringLiteral("figures"));
    numbers_->setTextFormat(Qt::PlainText);
    numbers_->setTextInteractionFlags(Qt::TextSelectableByMouse);
    numbers_->setWordWrap(true);
    histogramPanel_->body()->addWidget(makeControls());
    histogramPanel_->body()->addWidget(histogram_, 1);
    histogramPanel_->body()->addWidget(numbers_);

    channelPanel_ = new Panel(tr("Per-channel maximum"), this);
    channels_ = new ChannelPlot(this);
    channels_->setAccessibleName(tr("Largest weight of every output channel"));
    channelPanel_->body()->addWidget(channels_, 1);
    mapPanel_ = new Panel(tr("|W| map"), this);
    map_ = new HeatmapPlot(this);
    map_->setEmptyText(tr("no data"));
    map_->setAccessibleName(tr("Mean magnitude of the weights by area"));
    mapPanel_->body()->addWidget(map_, 1);

    auto* lower = new QHBoxLayout;
    lower->setSpacing(12);
    lower->addWidget(channelPanel_, 1);
    lower->addWidget(mapPanel_, 1);
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(12);
    column->addWidget(histogramPanel_, 5);
    column->addLayout(lower, 4);

    addExportMenu(histogram_, QStringLiteral("weights"), [this] { return histogram_->csv(); });
    addExportMenu(channels_, QStringLiteral("channel-maximum"), [this] { return channels_->csv(); });
    addExportMenu(map_, QStringLiteral("weight-map"), [this] { return map_->csv(); });
    late_.setSingleShot(true);
    late_.setInterval(150);
    connect(&late_, &QTimer::timeout, this, [this] { showNothing(tr("reading…")); });
    connect(session_, &Session::siteSelected, this, &WeightPanel::show);
    connect(session_, &Session::checkpointChanged, this, &WeightPanel::show);
    connect(session_, &Session::recipeChanged, this, &WeightPanel::showFormat);
    connect(session_, &Session::weightViewChanged, this, [this](const QString& site) {
        if (site == session_->selectedSite()) show();
    });
    show();
}

QWidget* WeightPanel::makeControls() {
    auto* bar = new QWidget(this);
    auto* row = new QHBoxLayout(bar);
    row->setContentsMargins(0, 0, 0, 0);
    row->setSpacing(10);
    auto* word = new QLabel(tr("Grid of"), bar);
    word->setProperty("role", QStringLiteral("muted"));
    format_ = new QComboBox(bar);
    format_->setAccessibleName(tr("Format of the selected site"));
    format_->setMinimumWidth(132);
    format_->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon); // not as wide as a family's title
    format_->setObjectName(QStringLiteral("weights.format"));
    format_->setMaxVisibleItems(16);
    for (const FormatFamily& family : formatFamilies()) { // a title and its formats
        format_->addItem(family.title);
        if (auto* items = qobject_cast<QStandardItemModel*>(format_->model())) items->item(format_->count() - 1)->setFlags(Qt::NoItemFlags);
        for (const OfferedFormat& format : family.formats) format_->addItem(format.name);
    }
    format_->view()->setMinimumWidth(format_->view()->sizeHintForColumn(0) + 24);
    error_ = new ElidedLabel(bar);
    error_->setProperty("role", QStringLiteral("figures"));
    error_->setToolTip(tr("‖W − Ŵ‖² / ‖W‖² with the weights rounded to the nearest point of this grid"));
    log_ = new QCheckBox(tr("log counts"), bar);
    log_->setChecked(true);
    row->addWidget(word);
    row->addWidget(format_);
    row->addWidget(error_, 1);
    row->addWidget(log_);
    connect(format_, &QComboBox::textActivated, this, [this](const QString& name) {
        if (!session_->selectedSite().isEmpty()) session_->setSiteFormat(session_->selectedSite(), name);
    });
    connect(log_, &QCheckBox::toggled, this, [this](bool on) { histogram_->setLogCounts(on); });
    return bar;
}

void WeightPanel::showFormat() {
    const QString asked = session_->selectedSite().isEmpty() ? QString() : session_->siteFormat(session_->selectedSite());
    if (!asked.isEmpty() && format_->findText(asked) < 0) format_->addItem(asked); // a rule may name any format
    format_->setCurrentIndex(format_->findText(asked));
    format_->setEnabled(!asked.isEmpty());
}

void WeightPanel::show() {
    showFormat();
    const QString site = session_->selectedSite();
    const auto model = session_->model();
    const Site* found = model ? model->findSite(site.toStdString()) : nullptr;
    histogramPanel_->setTitle(found ? tr("Weights of %1").arg(QString::fromStdString(escapeForDisplay(found->name, 60)))
                                    : tr("Weights"));
    histogramPanel_->setHint(found ? QStringLiteral("%1 × %2").arg(found->rows).arg(found->cols) : QString());
    const WeightView* view = session_->weightView(site);
    if (!view) {
        error_->clear();
        // Mostly the view is there at once: drawing the plots empty in between would cost twice and flicker.
        if (found) late_.start();
        else showNothing(tr("select a site"));
        return;
    }
    late_.stop();
    histogram_->setHistogram(view->statistics.histogram);
    histogram_->setTicksBelow(QVector<double>(view->gridLevels.begin(), view->gridLevels.end()));
    channels_->setValues(view->statistics.rowMax);
    channelPanel_->setHint(counted(static_cast<qint64>(view->statistics.rowMax.size()), tr("1 output channel"), tr("%1 output channels")));
    showMap(*view);
    showNumbers(*view);
}

void WeightPanel::showNothing(const QString& why) {
    late_.stop();
    histogram_->clear();
    histogram_->setEmptyText(why);
    channels_->setValues({});
    map_->setMatrix(0, 0, {});
    numbers_->clear();
    mapPanel_->setHint({});
}

void WeightPanel::showMap(const WeightView& view) {
    QVector<double> values(view.thumbnail.begin(), view.thumbnail.end());
    map_->setMatrix(view.thumbRows, view.thumbCols, values);
    const auto model = session_->model();
    const Site* site = model ? model->findSite(view.site.toStdString()) : nullptr;
    if (!site) return;
    QStringList rows, columns;
    for (int r = 0; r < view.thumbRows; ++r) rows << QString::number(site->rows * r / view.thumbRows);
    for (int c = 0; c < view.thumbCols; ++c) columns << QString::number(site->cols * c / view.thumbCols);
    map_->setRowLabels(rows);
    map_->setColumnLabels(columns);
    mapPanel_->setHint(tr("mean of %1 × %2 weights a cell")
                           .arg(std::max<std::int64_t>(1, site->rows / view.thumbRows))
                           .arg(std::max<std::int64_t>(1, site->cols / view.thumbCols)));
}

void WeightPanel::showNumbers(const WeightView& view) {
    const WeightStatistics& s = view.statistics;
    if (view.format.isEmpty()) {
        error_->clear();
    } else {
        const QString fallback = view.format == format_->currentText() ? QString() : tr("  (as %1)").arg(view.format);
        error_->setText(tr("error %1%2").arg(figureText(view.relativeError), fallback));
    }
    QString text = tr("σ %1   max |w| %2   kurtosis %3   beyond 6σ %4 %")
                       .arg(figureText(s.deviation), figureText(s.maximum), QString::number(s.kurtosis, 'f', 2), figureText(s.outlierShare * 100));
    numbers_->setToolTip(tr("mean %1").arg(figureText(s.mean)));
    if (s.nan > 0 || s.infinite > 0) text += tr("   NaN %1   infinite %2").arg(s.nan).arg(s.infinite);
    numbers_->setText(text);
}

} // namespace bw
