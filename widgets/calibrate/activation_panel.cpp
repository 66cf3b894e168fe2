// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/calibrate/activation_panel.h"

#include "core/base/text.h"
#include "widgets/plots/histogram_plot.h"
#include "widgets/plots/number_text.h"
#include "widgets/plots/plot_export.h"
#include "widgets/session/counted.h"
#include "widgets/session/session.h"
#include "widgets/theme/elided_label.h"
#include "widgets/theme/panel.h"
#include "widgets/theme/theme.h"

#include <QCheckBox>
#include <QGridLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QVBoxLayout>

namespace bw {
namespace {

struct Calibrator { const char *key, *title; int hue; };
// Hues apart for every kind of colour vision: blue, amber, green, red of the theme.
constexpr Calibrator kCalibrators[] = {{"minmax", QT_TRANSLATE_NOOP("bw::ActivationPanel", "min–max"), 0},
                                       {"percentile", QT_TRANSLATE_NOOP("bw::ActivationPanel", "percentile 99.9"), 1},
                                       {"kl", QT_TRANSLATE_NOOP("bw::ActivationPanel", "KL divergence"), 2},
                                       {"mse", QT_TRANSLATE_NOOP("bw::ActivationPanel", "least squares"), 3}};

QColor hue(int index) {
    const Tokens& t = Theme::instance().tokens();
    const QColor colors[] = {t.muted, t.amber, t.green, t.red};
    return colors[index];
}

} // namespace

double clippedShare(const Histogram& h, double low, double high) {
    const double width = (static_cast<double>(h.high) - static_cast<double>(h.low)) / static_cast<double>(std::max<std::size_t>(1, h.bins.size()));
    double outside = static_cast<double>(h.below + h.above), all = outside;
    for (std::size_t i = 0; i < h.bins.size(); ++i) {
        const double middle = static_cast<double>(h.low) + (static_cast<double>(i) + 0.5) * width;
        all += static_cast<double>(h.bins[i]);
        if (middle < low || middle > high) outside += static_cast<double>(h.bins[i]);
    }
    return all > 0 ? outside / all : 0;
}

QStringList sitesOf(const SiteStatisticsRow& row) {
    QStringList names = QString::fromStdString(row.sites).split(QLatin1Char(','), Qt::SkipEmptyParts);
    for (QString& name : names) name = name.trimmed();
    return names;
}

ActivationPanel::ActivationPanel(Session* session, QWidget* parent) : QWidget(parent), session_(session) {
    panel_ = new Panel(tr("Activations"), this);
    plot_ = new HistogramPlot(this);
    plot_->setLogCounts(true);
    plot_->setAccessibleName(tr("Histogram of the activations"));
    plot_->setObjectName(QStringLiteral("calibrate.histogram"));
    log_ = new QCheckBox(tr("log counts"), this);
    log_->setChecked(true);
    facts_ = new ElidedLabel(this);
    facts_->setProperty("role", QStringLiteral("figures"));
    auto* top = new QHBoxLayout;
    top->addWidget(facts_, 1);
    top->addWidget(log_);
    table_ = new QGridLayout;
    table_->setHorizontalSpacing(12);
    table_->setVerticalSpacing(2);
    const auto cell = [this](const QString& words, const char* role, int row, int column) {
        auto* label = new QLabel(words, this);
        label->setProperty("role", QString::fromLatin1(role));
        label->setTextFormat(Qt::PlainText);
        if (column > 1) label->setAlignment(Qt::AlignRight | Qt::AlignVCenter);
        table_->addWidget(label, row, column);
        return label;
    };
    const QStringList heads{tr("clip range"), tr("low … high"), tr("clipped"), tr("8-bit error")};
    for (int c = 0; c < heads.size(); ++c) cell(heads[c], "muted", 0, c == 0 ? 1 : c + 1)->setToolTip(c == 3 ? tr("relative error of an 8-bit grid over this range, on windows it was not fitted to") : QString());
    int row = 1;
    for (const Calibrator& calibrator : kCalibrators) {
        auto* swatch = new QLabel(this);
        swatch->setFixedSize(10, 10);
        swatch->setObjectName(QStringLiteral("swatch"));
        table_->addWidget(swatch, row, 0);
        const auto paint = [swatch, index = calibrator.hue] {
            QPixmap square(10, 10);
            square.fill(hue(index));
            swatch->setPixmap(square);
        };
        paint();
        connect(&Theme::instance(), &Theme::changed, swatch, paint);
        cell(tr(calibrator.title), "body", row, 1);
        QList<QLabel*> labels;
        for (int c = 2; c <= 4; ++c) labels << cell({}, "figures", row, c);
        cells_.insert(QString::fromLatin1(calibrator.key), labels);
        ++row;
    }
    table_->setColumnStretch(1, 1);
    panel_->body()->addLayout(top);
    panel_->body()->addWidget(plot_, 1);
    panel_->body()->addLayout(table_);
    auto* all = new QVBoxLayout(this);
    all->setContentsMargins(0, 0, 0, 0);
    all->addWidget(panel_);
    addExportMenu(plot_, QStringLiteral("activations"), [this] { return plot_->csv(); });
    connect(log_, &QCheckBox::toggled, this, [this](bool on) { plot_->setLogCounts(on); });
    connect(plot_, &HistogramPlot::markerMoved, this, &ActivationPanel::moved);
    connect(session_, &Session::siteSelected, this, [this] {
        dragged_.clear();
        show();
    });
    connect(&Theme::instance(), &Theme::changed, this, &ActivationPanel::show);
    show();
}

void ActivationPanel::setStatistics(std::vector<SiteStatisticsRow> rows) {
    rows_ = std::move(rows);
    dragged_.clear();
    show();
}

const SiteStatisticsRow* ActivationPanel::current() const {
    for (const SiteStatisticsRow& row : rows_)
        if (sitesOf(row).contains(session_->selectedSite())) return &row;
    return nullptr;
}

void ActivationPanel::show() {
    const SiteStatisticsRow* row = current();
    const QString site = QString::fromStdString(escapeForDisplay(session_->selectedSite().toStdString(), 60));
    panel_->setTitle(site.isEmpty() ? tr("Activations") : tr("Activations into %1").arg(site));
    panel_->setHint(row ? tr("%1 · %2 tokens · drag a line to see what it clips").arg(QString::fromStdString(row->group)).arg(row->tokens) : QString());
    for (const QList<QLabel*>& labels : std::as_const(cells_))
        for (QLabel* label : labels) label->setText(QStringLiteral("–"));
    if (!row) {
        plot_->clear();
        plot_->setMarkers({});
        plot_->setEmptyText(rows_.empty() ? tr("Calibrate to see what enters each site")
                            : site == QLatin1String("token_embd") ? tr("The embedding is looked up: it has no activations")
                                                                  : tr("No statistics of this site"));
        facts_->clear();
        return;
    }
    plot_->setHistogram(row->histogram);
    facts_->setText(tr("max |x| %1   kurtosis %2   beyond 6 rms %3 %   %4")
                        .arg(figureText(row->absMax), figureText(row->kurtosis), figureText(row->outlierShare * 100))
                        .arg(counted(row->outlierChannels, tr("1 outlier channel"), tr("%1 outlier channels"))));
    QVector<HistogramPlot::Marker> markers;
    for (const Calibrator& calibrator : kCalibrators) {
        const auto range = row->ranges.find(calibrator.key);
        if (range == row->ranges.end()) continue;
        const QString key = QString::fromLatin1(calibrator.key);
        const ClipRange shown = dragged_.value(key, range->second);
        markers.append({key, shown.low, shown.high, hue(calibrator.hue), true});
    }
    plot_->setMarkers(markers);
    showRanges();
}

void ActivationPanel::showRanges() {
    const SiteStatisticsRow* row = current();
    if (!row) return;
    for (const Calibrator& calibrator : kCalibrators) {
        const QString key = QString::fromLatin1(calibrator.key);
        const auto range = row->ranges.find(calibrator.key);
        if (range == row->ranges.end()) continue;
        const bool moved = dragged_.contains(key);
        const ClipRange shown = dragged_.value(key, range->second);
        const QList<QLabel*>& labels = cells_[key];
        labels[0]->setText(withMinus(QStringLiteral("%1 … %2").arg(figureText(shown.low), figureText(shown.high))));
        labels[1]->setText(QStringLiteral("%1 %").arg(figureText(100 * clippedShare(row->histogram, shown.low, shown.high))));
        const auto error = row->heldOutError.find(calibrator.key);
        // The error belongs to the calibrator's own range; a moved line has none measured.
        labels[2]->setText(moved ? tr("moved") : error == row->heldOutError.end() ? QStringLiteral("–") : figureText(error->second));
    }
}

void ActivationPanel::moved(const QString& name, double low, double high) {
    dragged_.insert(name, {low, high});
    showRanges();
}

} // namespace bw
